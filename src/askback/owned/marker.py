"""The marker of a folder that askback made, which lists the files that are ours.

The marker is the file ``.askback.jsonl``. Its first line names the kind of folder and a random id. Each further line
names a file of the folder, with the SHA-256 of its bytes.
"""

import hashlib
import json
import os
import re
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from askback.errors import InputError, storage_error

MARKER = ".askback.jsonl"
GROWS, GONE = "grows", "gone"
"""In place of a hash: the file is appended to while the work goes on, so its bytes are not compared; it was removed."""
PUT_RIGHT = "Move it elsewhere, and run the same command again."


class Marker(NamedTuple):
    """A folder that askback made: its kind ("run", "step", "export", "model") and its random id."""

    folder: Path
    kind: str
    id: str


def read_marker(folder: Path) -> Marker | None:
    """Return a folder's marker, None if it has none that can be read."""
    path = folder / MARKER
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        found = _parsed(file.readline(1000))
    kind, id = (found.get("askback"), found.get("id")) if isinstance(found, dict) else (None, None)
    if isinstance(kind, str) and isinstance(id, str) and re.fullmatch("[0-9a-f]{16}", id):
        return Marker(absolute(folder), kind, id)
    return None


def check_claim(folder: Path, kind: str, advice: str = PUT_RIGHT) -> Marker | None:
    """Return the marker of a folder of our own, None where there is no such folder yet, or an empty one.

    Args:
        advice: what the user is to do if the folder is not ours.

    Raises:
        InputError: it holds something and is no folder of this kind, or is a link or a file.
    """
    owner(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: is {what(folder)}, and has to be a folder of askback's own. {advice}")
    marker = read_marker(folder)
    if marker is not None and marker.kind != kind:
        raise InputError(f"{folder}: is a folder of the kind '{marker.kind}', not '{kind}'. {advice}")
    # A kill may leave a marker without a line.
    found = list(folder.iterdir()) if marker is None and folder.is_dir() else []
    if any(child.name != MARKER or child.lstat().st_size for child in found):
        raise InputError(
            f"{folder}: holds files, and no marker of this version of askback ({MARKER}), so it is left as it is. {advice}"
        )
    return marker


def claim(folder: Path, kind: str, advice: str = PUT_RIGHT) -> Marker:
    """Return the marker of a folder of our own; a folder that is missing or empty becomes one.

    Raises:
        InputError: as `check_claim`.
        StorageError: it cannot be made.
    """
    try:
        marker = check_claim(folder, kind, advice)
        if marker is None:
            folder.mkdir(parents=True, exist_ok=True)
            marker = Marker(absolute(folder), kind, secrets.token_hex(8))
            add_lines(marker, {"askback": kind, "id": marker.id})
    except OSError as error:
        raise storage_error(folder, error) from error
    return marker


def absolute(path: Path) -> Path:
    """Return an absolute path without ``..``, of the place where it leads, which a link before it may move."""
    parts = path.absolute().parts
    if ".." not in parts:
        return path.absolute()
    after = len(parts) - parts[::-1].index("..")
    return Path(os.path.realpath(Path(*parts[:after])), *parts[after:])


def owner(path: Path) -> Marker | None:
    """Return the marker of the nearest folder above `path` that is ours, None if there is none.

    Raises:
        InputError: a symbolic link lies between that folder and `path`.
    """
    link = None
    for folder in absolute(path).parents:
        if marker := read_marker(folder):
            if link:
                raise InputError(
                    f"{link}: is a symbolic link inside {folder}; nothing is written behind it. {PUT_RIGHT}"
                )
            return marker
        link = folder if folder.is_symlink() else link
    return None


def owns(marker: Marker, path: Path) -> bool:
    """Return whether a file, or all that is in a folder, is listed in this marker and has the bytes that we wrote."""
    name = absolute(path).relative_to(marker.folder)
    if path.is_symlink():
        return False
    listed = listing(marker)
    if name == Path(MARKER) or is_unfinished(name, marker.id):
        return True
    if any(f"{folder.as_posix()}/" in listed for folder in (name, *name.parents)):
        return True
    if path.is_dir():
        return all(owns(marker, child) for child in path.iterdir())
    hashes = listed.get(name.as_posix(), [])
    return path.is_file() and (GROWS in hashes or (bool(hashes) and sha256(path) in hashes))


def refuse_foreign(folder: Path, advice: str = PUT_RIGHT) -> None:
    """Refuse to go on where a folder of ours holds something, at any depth, that is not ours.

    Raises:
        InputError: with the first of it.
    """
    marker = read_marker(folder)
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    found = [path for path in found if marker is None or not owns(marker, path)]
    if found:
        more = f" (and {len(found) - 1} more)" if found[1:] else ""
        raise InputError(f"{found[0]}: was not written by askback, or was changed since{more}. {advice}")


_made_here: dict[Path, str] = {}
"""SHA-256 of each file that this process has made in a folder that is not ours, such as a temporary one."""


def check_replaceable(path: Path) -> None:
    """Refuse to overwrite what askback did not write.

    Raises:
        InputError: there is something of this name that is not ours.
    """
    if not os.path.lexists(path):
        return
    marker = owner(path)
    if marker is None and path.is_file() and not path.is_symlink() and _made_here.get(absolute(path)) == sha256(path):
        return
    if marker is None or not owns(marker, path):
        raise InputError(f"{path}: is {what(path)} that askback did not write, or that was changed since. {PUT_RIGHT}")


def note(path: Path, hash: str, folder: bool = False) -> None:
    """List a file as ours, with the bytes it will have, or a folder with all that will be in it.

    If no folder above is ours, only this process remembers it.
    """
    marker = owner(path)
    if marker is None:
        _made_here[absolute(path)] = hash
    elif not is_unfinished(name := absolute(path).relative_to(marker.folder), marker.id):
        add_lines(marker, [name.as_posix() + "/" * folder, hash])


def is_unfinished(name: Path, id: str) -> bool:
    return any(part.endswith(".tmp") and f".{id}." in part for part in name.parts)


def listing(marker: Marker) -> dict[str, list[str]]:
    """Return the hashes of each listed file, since it was last removed."""
    found = (marker.folder / MARKER).stat()
    return _read_list(marker.folder / MARKER, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=8)
def _read_list(path: Path, size: int, written: int) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for line in path.read_bytes().splitlines():
        entry = _parsed(line)
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)):
            continue  # the first line, or one that a full disk cut short
        name, hash = entry
        if hash == GONE:
            listed.pop(name, None)
        else:
            listed.setdefault(name, []).append(hash)
    return listed


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def add_lines(marker: Marker, *lines: object) -> None:
    """Add lines to a marker in one write: all of them, or none after a kill."""
    path = marker.folder / MARKER
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        # A line that a full disk cut short has no line end; an empty line is harmless.
        os.write(file, (f"\n{text}" if isinstance(lines[0], list) else text).encode("utf-8", "surrogateescape"))
    finally:
        os.close(file)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def what(path: Path) -> str:
    """Return in words what a path is: a link, folder, file, or something else."""
    kinds = {"is_symlink": "a symbolic link", "is_dir": "a folder", "is_file": "a file"}
    return next((name for test, name in kinds.items() if getattr(path, test)()), "a device or pipe")
