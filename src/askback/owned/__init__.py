"""The one place where files are replaced or removed, and only those that askback made.

A folder that askback makes holds a marker (marker.py): a random id, and a list of its files with their hashes. A file is
listed before it gets its name, so that a kill leaves no file of ours that is not listed. A file that is not listed, or
was changed since, belongs to somebody else and is neither replaced nor removed. Unfinished files and folders have the id
in their names, and are removed when the work is resumed. No symbolic link is followed out of such a folder.
"""

import os
import secrets
import shutil
from collections.abc import Collection
from io import FileIO
from pathlib import Path
from socket import gethostname

from askback.errors import InputError, storage_error
from askback.owned.marker import GONE, GROWS, add_lines, check_replaceable, is_unfinished, listing, note, read_marker
from askback.owned.marker import MARKER as MARKER
from askback.owned.marker import absolute as absolute
from askback.owned.marker import check_claim as check_claim
from askback.owned.marker import claim as claim
from askback.owned.marker import owner as owner
from askback.owned.marker import refuse_foreign as refuse_foreign
from askback.owned.marker import sha256 as sha256


class atomic:  # noqa: N801 - reads as a function: `with atomic(path) as temporary`
    """Give a temporary path beside `path`; on leaving without an error, fsync it, list it, and rename it to `path`.

    Raises:
        InputError: there is something of this name that is not ours.
        StorageError: the disk is full or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        check_replaceable(path)
        self.path, self.temporary = path, unfinished(path)

    def __enter__(self) -> Path:
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                with self.temporary.open("rb+") as file:
                    os.fsync(file.fileno())
                put(self.temporary, self.path)
        except OSError as failure:
            raise storage_error(self.path, failure) from failure
        finally:
            self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(self.path, error) from error


def put(made: Path, path: Path) -> None:
    """Give a finished file or folder its name; what has the name already is replaced, if it is ours.

    Raises:
        InputError: it is not ours.
    """
    if made.is_dir():
        remove(path)
        for file in sorted(child for child in made.rglob("*") if child.is_file()):
            note(path / file.relative_to(made), sha256(file))
    else:
        check_replaceable(path)
        note(path, sha256(made))
    made.replace(path)


def unfinished(path: Path) -> Path:
    """Return a hidden temporary path beside `path`; in a folder of ours, `clear` recognises it after a kill."""
    marker = owner(path)
    id = marker.id if marker else secrets.token_hex(8)
    return path.with_name(f".{path.name}.{id}.{gethostname()}.{os.getpid()}.tmp")  # two machines may share a disk


def scratch(path: Path) -> Path:
    """Make a folder for temporary files, or reuse the one that a kill has left; all in it is ours."""
    marker = owner(path)
    assert marker, f"{path}: scratch lies in a folder of ours"
    folder = path.with_name(f"{path.name}.{marker.id}.tmp")
    folder.mkdir(exist_ok=True)
    return folder


def whole(folder: Path) -> Path:
    """Make a folder that another program fills, and list it: all that will be in it is ours.

    Raises:
        InputError: there is something of this name that is not ours.
    """
    check_replaceable(folder)
    if not folder.exists():
        note(folder, GROWS, folder=True)
        folder.mkdir()
    return folder


def create(path: Path, text: str) -> None:
    """Write a new file.

    Raises:
        InputError: the path exists, if only as a broken link.
        StorageError: it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"{path}: exists already. Give another file with --out, or edit this one.") from error
    except OSError as error:
        raise storage_error(path, error) from error


def append(path: Path) -> FileIO:
    """Open a file for appending, unbuffered; it is listed before it is made.

    Raises:
        InputError: there is something of this name that is not ours.
    """
    name = str(absolute(path))
    if name not in _growing or not path.exists():
        check_replaceable(path)
        note(path, GROWS)
        _growing.add(name)
    unfinished(path)  # refuses a link on the way
    return FileIO(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644), "ab")


_growing: set[str] = set()
"""Files that this process has made, or listed as growing."""


def close(folder: Path, but: Collection[str] = ()) -> None:
    """List the growing files of a folder, except `but`, with the hashes they have now: they will not grow any more."""
    marker = read_marker(folder)
    assert marker, f"{folder}: is ours"
    for name, hashes in listing(marker).items():
        if GROWS in hashes and name not in but and (folder / name).is_file():
            _growing.discard(str(absolute(folder / name)))
            add_lines(marker, [name, GONE], [name, sha256(folder / name)])


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there and all of it is ours.

    Raises:
        InputError: some of it is not ours.
    """
    if not os.path.lexists(path):
        return
    if str(absolute(path)) not in _growing:
        check_replaceable(path)
    _growing.discard(str(absolute(path)))
    if path.is_dir():
        _remove_tree(path)
        note(path, GONE, folder=True)
    else:
        path.unlink(missing_ok=True)
        note(path, GONE)


def discard(folder: Path, kind: str) -> None:
    """Remove a folder that has a marker of its own.

    Raises:
        InputError: it is another kind of folder, or something in it is not ours.
    """
    claim(folder, kind)
    refuse_foreign(folder)
    _remove_tree(folder)


def clear(folder: Path) -> None:
    """Remove what a kill left unfinished in a folder of ours."""
    marker = read_marker(folder)
    for path in list(folder.glob(".*.tmp")) if marker else []:
        if marker and is_unfinished(Path(path.name), marker.id) and not path.is_symlink():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def enlist(folder: Path) -> None:
    """List all files of a folder that another program has filled."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MARKER:
            note(path, sha256(path))


def copy(source: Path, target: Path, but: Collection[str] = ()) -> None:
    """Hard-link the files of a folder into another, which lists them; copy them where the disk has no hard links.

    Symbolic links, markers and what is unfinished are left out.
    """
    marker = read_marker(source) or owner(source)
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_symlink() or not path.is_file() or path.name in (MARKER, *but) or path.name.endswith(".tmp"):
            continue
        hashes = listing(marker).get(absolute(path).relative_to(marker.folder).as_posix()) if marker else None
        note(target / name, hashes[-1] if hashes else sha256(path))
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        link(path, target / name)


def link(source: Path, target: Path) -> None:
    """Hard-link a file, as no file of a finished step is ever written again; copy it where the disk has no hard links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _remove_tree(folder: Path) -> None:
    """Rename a folder, then remove it: a kill in between must not leave a part that looks finished."""
    aside = unfinished(folder.with_name(f"gone-{folder.name}"))
    if aside.exists():
        shutil.rmtree(aside)
    folder.replace(aside)
    shutil.rmtree(aside)
