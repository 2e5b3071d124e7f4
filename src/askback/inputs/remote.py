"""Files behind a URL, of any protocol that fsspec has: s3://, gs://, https://, memory:// and zip:// among them."""

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from askback.errors import InputError, MissingExtra
from askback.records import record_id

T = TypeVar("T")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:://|::)")
_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:\[\]]+|\[[0-9A-Fa-f:.]+\])")
_STATED = ("etag", "checksum", "md5", "md5hash", "content-md5", "digest", "crc", "crc32c", "last-modified")
_TIMES = ("mtime", "lastmodified", "last_modified", "updated", "created", "date_time")
"""Keys, in lower case, under which file systems state a content's checksum, and those of its time, used without one."""
_WEB = ("http", "https")
_SECRET = {"key", "sig", "signature", "token", "access_token", "api_key", "apikey"}
_SIGNED = ("x-amz-", "x-goog-")
"""Names of query parameters that grant access, and prefixes of further names."""
_DAMAGED = (zlib.error, zipfile.BadZipFile, tarfile.TarError, EOFError)


class Unreachable(OSError):
    """A file that exists, as far as is known, and cannot be read now."""


def host(uri: str) -> str:
    """Return the host of a URL in lower case, "" if it has none; the URL may be malformed, as in a crawl."""
    found = _HOST.match(uri)
    return found[1].lower() if found else ""


@dataclass(frozen=True)
class Remote:
    """A file behind a URL, with the methods of `Path` that readers use; `size` is -1 if the server does not state it.

    `mark` is a hash of what the server states of the content: checksum or ETag, else the time of the last change.
    """

    url: str
    size: int = -1
    mark: str = ""

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The file's name; of a chain such as ``zip://a.html::https://…`` that of its first link with a path."""
        scheme, _, path = _links(self.url)[1].partition("://")
        return PurePosixPath(re.split("[?#]", path)[0] if scheme.lower() in _WEB else path).name

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
            OSError: it cannot be opened, `Unreachable` if a later attempt may succeed; reading raises the same.
        """
        return io.BufferedReader(_Stream(*_as_os_error(lambda: _opened(self.url, mode))), 1 << 16)


File: TypeAlias = Path | Remote


def is_url(pattern: str) -> bool:
    """Return whether a source's path is a URL; ``file://`` is a path like any other (`local`)."""
    return bool(_URL.match(local(pattern)))


def local(pattern: str) -> str:
    """Return a path without ``file://``."""
    return re.sub(r"\A(?:file|local)://(?!.*::)", "", pattern)


@lru_cache(maxsize=64)
def find(pattern: str, suffixes: tuple[str, ...], kind: str) -> tuple[Remote, ...]:
    """Return the files that a URL names, in order of name: the file itself, those a glob matches, those in a folder.

    A URL that ends as files of this kind do is a file, with ``*`` or ``[`` a glob. Hidden files of a folder are left out.
    On the web, where a folder is known by a page of links alone, a URL without a glob is a file, and a glob is allowed in
    the last part of a path. Listings are cached until `forget`.

    Raises:
        MissingExtra: fsspec, or what it needs for this protocol, is not installed.
        InputError: no file is found, the server cannot be reached, or the URL is invalid or holds a secret.
    """
    _check(pattern)
    system, path = _file_system(pattern)
    web = _links(pattern)[1].partition("://")[0].lower() in _WEB
    infos = _reached(pattern, lambda: _on_the_web(system, path) if web else _infos(system, path, suffixes))
    if not infos:
        raise InputError(f"{pattern}: no {kind} files there; looked for {', '.join(suffixes)}")
    return tuple(_remote(system, pattern, name, infos[name]) for name in sorted(infos))


def forget() -> None:
    """Clear the cached listings and close the archives."""
    find.cache_clear()
    _archive.cache_clear()


def is_same(file: Remote) -> bool:
    """Ask the server again, and return whether the file has the size and mark with which it was found.

    Raises:
        InputError: it cannot be reached.
    """
    system, path = _file_system(file.url)
    system.invalidate_cache()
    size, mark = _stated(_reached(file.url, lambda: system.info(path)))
    return (size, mark) == (file.size, file.mark)


def fingerprint(files: Sequence[Remote]) -> str:
    """Return a hash of names, sizes and marks; of a file without a mark, only another size is noticed."""
    return f"{len(files)} remote file(s) {record_id(*(f'{file.name} {file.size} {file.mark}' for file in files))}"


def _check(pattern: str) -> None:
    """Refuse an invalid URL, and one with a secret in any of its links, which records would give away."""
    for link in pattern.split("::"):
        scheme, _, rest = link.partition("://")
        web = scheme.lower() in _WEB
        user, at, _ = re.split("[/?#]", rest)[0].rpartition("@")
        asked = {name.lower() for name in parse_qs(rest.partition("?")[2].partition("#")[0], True)}
        # Elsewhere a name before the @ says what is read: abfs://container@account.
        if (at and (web or ":" in user)) or asked & _SECRET or any(name.startswith(_SIGNED) for name in asked):
            raise InputError(
                "a source's URL holds a password, user or signature, which records would repeat; "
                "put it in the environment"
            )
        try:
            _ = urlsplit(link).port if web else None
        except ValueError as error:
            raise InputError(f"{pattern}: not a URL: {error}. Correct it") from error


def _links(url: str) -> tuple[str, str, str]:
    """Return the links of a chain before the one that has the files (``simplecache::``), that link, and those behind it."""
    links = url.split("::")
    at = next((number for number, link in enumerate(links) if "://" in link), 0)
    return "".join(f"{link}::" for link in links[:at]), links[at], "".join(f"::{link}" for link in links[at + 1 :])


def _on_the_web(system: Any, path: str) -> dict[str, dict[str, Any]]:
    folder, _, name = re.split("[?#]", path)[0].rpartition("/")
    if any(character in folder for character in "*["):
        raise ValueError("on the web, a glob can only stand for the last part of a path")
    if not any(character in name for character in "*["):
        return {path: system.info(path)}
    listed = {info["name"]: info for info in system.ls(f"{folder}/", detail=True) if info.get("type") != "directory"}
    # Links may lead anywhere; one that leads out of the folder, or below, is not followed.
    here = {one: info for one, info in listed.items() if one.rpartition("/")[0] == folder and fnmatchcase(one, path)}
    return _with_sizes(system, here)


def _infos(system: Any, path: str, suffixes: Sequence[str]) -> dict[str, dict[str, Any]]:
    if any(character in path for character in "*["):
        found = system.glob(path, detail=True)
    elif path.lower().endswith(tuple(suffixes)) or not system.isdir(path):
        return {path: system.info(path)}
    else:
        found = {
            name: info
            for name, info in system.find(path, detail=True).items()
            if name.lower().endswith(tuple(suffixes)) and not re.search(r"(\A|/)\.", name[len(path) :])
        }
    return _with_sizes(system, {name: info for name, info in found.items() if info.get("type") != "directory"})


def _with_sizes(system: Any, files: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: info if info.get("size") is not None else system.info(name) for name, info in files.items()}


def _remote(system: Any, pattern: str, name: str, info: dict[str, Any]) -> Remote:
    before, link, behind = _links(pattern)
    if "://" not in name:
        name = f"{link.partition('://')[0]}://{name}"
    return Remote(f"{before}{name}{behind}", *_stated(info))


def _stated(info: dict[str, Any]) -> tuple[int, str]:
    """Return the size of a file and the mark of its content, by what its file system states."""
    stated = {key.lower(): str(value) for key, value in info.items() if value}
    marks = [stated[key] for key in _STATED if key in stated] or [stated[key] for key in _TIMES if key in stated]
    size = info.get("size")
    return -1 if size is None else size, record_id(*marks)


def _file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it; an archive stays open for its other members."""
    before, link, behind = _links(url)
    if before or not behind:
        return _new_file_system(url)
    system, _ = _archive(f"{link.partition('://')[0]}://{behind}")
    return system, str(system._strip_protocol(link))


@lru_cache(maxsize=8)
def _archive(url: str) -> tuple[Any, str]:
    return _new_file_system(url)


def _new_file_system(url: str) -> tuple[Any, str]:
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
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise InputError(
            f"{url}: cannot be reached: {reason}. Check the URL, the network and your credentials"
        ) from error


def _opened(url: str, mode: str) -> tuple[Any, Any]:
    system, path = _file_system(url)
    return system.open(path, mode), system


def _as_os_error(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except FileNotFoundError:
        raise
    except Exception as error:
        kind = OSError if isinstance(error, _DAMAGED) else Unreachable
        raise kind(" ".join(f"{type(error).__name__} {error}".split())[:300]) from error


class _Stream(io.RawIOBase):
    """A file that fsspec opened, as a stream that `io` can buffer; errors of network libraries become `OSError`."""

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
