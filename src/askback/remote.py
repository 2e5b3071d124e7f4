"""Files behind a URL: whatever fsspec has a file system for, s3://, gs://, https://, memory:// and zip:// among them."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from askback.errors import InputError, MissingExtra
from askback.records import record_id

T = TypeVar("T")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:://|::)")
_STATED = ("etag", "checksum", "md5", "md5hash", "content-md5", "digest", "crc", "crc32c", "last-modified")
_TIMES = ("mtime", "lastmodified", "last_modified", "updated", "created", "date_time")
"""What a file system may say of a file's content, in lower case; it is known by the first group, else by the second."""


@dataclass(frozen=True)
class Remote:
    """A file behind a URL, with as much of `Path` as readers use; `size` is -1 where the server does not tell.

    `mark` is a hash of what the server says of the content: checksum or ETag, else the time of the last change.
    """

    url: str
    size: int = -1
    mark: str = ""

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The file's name; of a chain such as ``zip://a.html::https://…`` that of its first part."""
        return PurePosixPath(urlsplit(self.url.partition("::")[0]).path or self.url.partition("::")[0]).name

    @property
    def suffix(self) -> str:
        """The end of its name, as of a `Path`."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """Its name without the end."""
        return PurePosixPath(self.name).stem

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open the file for reading bytes.

        Raises:
            OSError: it cannot be opened; reading from it raises nothing else either.
        """
        return io.BufferedReader(_Stream(*_as_os_error(lambda: _opened(self.url, mode))), 1 << 16)


File: TypeAlias = Path | Remote


def is_url(pattern: str) -> bool:
    """Tell whether a source's path is a URL; ``file://`` is a path like any other (`local`)."""
    return bool(_URL.match(local(pattern)))


def local(pattern: str) -> str:
    """Return a path without ``file://``."""
    return re.sub(r"\A(?:file|local)://(?!.*::)", "", pattern)


def find(pattern: str, suffixes: Sequence[str], kind: str) -> list[Remote]:
    """Return the files that a URL names, in order of name: the file itself, those a glob matches, those in a folder.

    A URL that ends as files of this kind do is a file, with ``*`` or ``[`` a glob. Hidden files of a folder are left out.

    Raises:
        MissingExtra: fsspec, or what it needs for this protocol, is not installed.
        InputError: nothing is there, nothing fits, or it cannot be reached.
    """
    if urlsplit(pattern.rpartition("::")[2]).password:
        raise InputError("a source's URL holds a password, which records would repeat; put it in the environment")
    system, path = _file_system(pattern)
    infos = _reached(pattern, lambda: _infos(system, path, suffixes))
    if not infos:
        raise InputError(f"{pattern}: no {kind} files there; looked for {', '.join(suffixes)}")
    return [_remote(system, pattern, name, infos[name]) for name in sorted(infos)]


def fingerprint(files: Sequence[Remote]) -> str:
    """Return a hash of names, sizes and what servers say of the content; without that, a new size is what is noticed."""
    return f"{len(files)} remote file(s) {record_id(*(f'{file.name} {file.size} {file.mark}' for file in files))}"


def _infos(system: Any, path: str, suffixes: Sequence[str]) -> dict[str, dict[str, Any]]:
    if any(character in path for character in "*["):
        found = system.glob(path, detail=True)
    elif path.lower().endswith(tuple(suffixes)) or not system.isdir(path):
        return {path: system.info(path)}
    else:
        found = {
            name: info
            for name, info in system.find(path, detail=True).items()
            if name.lower().endswith(tuple(suffixes)) and "/." not in name[len(path) :]
        }
    files = {name: info for name, info in found.items() if info.get("type") != "directory"}
    return {name: info if info.get("size") is not None else system.info(name) for name, info in files.items()}


def _remote(system: Any, pattern: str, name: str, info: dict[str, Any]) -> Remote:
    parts = pattern.split("::")
    at = next(number for number, part in enumerate(parts) if "://" in part)
    if "://" not in name:
        name = f"{parts[at].partition('://')[0]}://{name}"
    stated = {key.lower(): str(value) for key, value in info.items() if value}
    marks = [stated[key] for key in _STATED if key in stated] or [stated[key] for key in _TIMES if key in stated]
    size = info.get("size")
    return Remote("::".join([*parts[:at], name, *parts[at + 1 :]]), -1 if size is None else size, record_id(*marks))


def _file_system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("fsspec", "remote", f"Reading {url}") from error
    try:
        system, path = _reached(url, lambda: url_to_fs(url))
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None) or str(error)
        extra = "remote" if missing in ("aiohttp", "requests") else ""
        raise MissingExtra(missing, extra, f"Reading {url}") from error
    return system, str(path)


def _reached(url: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except ImportError:
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise InputError(
            f"{url}: cannot be reached: {said}. Check the URL, the network and your credentials"
        ) from error


def _opened(url: str, mode: str) -> tuple[Any, Any]:
    system, path = _file_system(url)
    return system.open(path, mode), system


def _as_os_error(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except OSError:
        raise
    except Exception as error:
        raise OSError(" ".join(f"{type(error).__name__} {error}".split())[:300]) from error


class _Stream(io.RawIOBase):
    """What fsspec opened, as a stream that `io` can buffer; what a network library raises becomes an OSError."""

    def __init__(self, file: Any, system: Any) -> None:
        self._file = file
        self._system = system  # an archive closes when its file system goes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(_as_os_error(lambda: self._file.seek(offset, whence)))

    def tell(self) -> int:
        return int(_as_os_error(self._file.tell))

    def readinto(self, buffer: Any) -> int:
        data = _as_os_error(lambda: self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
