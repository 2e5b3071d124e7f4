"""Compressed files, recognised by their first bytes, not by their names."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from askback.inputs.local_files import open_file
from askback.inputs.remote import File, Unreachable

SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".lz4")
"""Endings of the names of compressed files, in any case."""

_SUFFIX = re.compile(r"\.(?:gz|zst|bz2|xz|lz4)\Z", re.IGNORECASE)
_LAYERS = 3
"""Largest number of nested compressions of a file."""
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)


class Damaged(OSError):
    """A compressed file that cannot be decompressed to its end."""


def unpacked_name(name: str) -> str:
    """Return the name of a file without the ending of its compression: ``A.JSONL.GZ`` is ``A.JSONL``."""
    return _SUFFIX.sub("", name)


def open_bytes(path: File) -> IO[bytes]:
    """Open a file for reading, decompressed from gzip, Zstandard, bzip2, xz, LZ4, or a zip of one file.

    The first bytes decide, whatever the name. All members of a compressed file are read.

    Raises:
        OSError: it cannot be opened; reading raises `Damaged` where it is truncated or broken, and no other errors.
    """
    return opened(open_file(path) if isinstance(path, Path) else path.open("rb"))


def unpack(data: bytes, most: int) -> bytes:
    """Return bytes unpacked if they are packed, as `open_bytes` reads them, up to just over `most` bytes.

    Raises:
        Damaged: they break off or are broken.
    """
    return opened(io.BufferedReader(io.BytesIO(data))).read(most + 1) if packing(data[:10]) else data


def opened(file: Any) -> IO[bytes]:
    """Return an open file, from where it stands, unpacked as `open_bytes` does; it is closed with what is returned."""
    try:
        for _ in range(_LAYERS):
            opener = packing(file.peek(10)[:10])
            if opener is None:
                break
            file = io.BufferedReader(_Unpacked(opener, file), 1 << 16)
        if packing(file.peek(10)[:10]):
            raise Damaged(f"packed more than {_LAYERS} times over")
    except BaseException:
        file.close()
        raise
    unpacked: IO[bytes] = file
    return unpacked


def packing(start: bytes) -> Callable[[Any], Any] | None:
    """Return what opens a packed stream, given its first ten bytes; None if it is not packed in a form that is known."""
    if start.startswith(b"\x1f\x8b"):
        return lambda file: gzip.GzipFile(fileobj=file, mode="rb")
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard
    if start.startswith(b"BZh") and start[4:10] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"):
        return bz2.BZ2File
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile
    if start.startswith(b"\x04\x22\x4d\x18"):
        return _lz4
    return _only_member if start.startswith(b"PK\x03\x04") else None


def _zstandard(file: Any) -> Any:
    from fastwarc.stream_io import ZstdReader

    return ZstdReader(file)


def _lz4(file: Any) -> Any:
    from fastwarc.stream_io import Lz4Reader

    return Lz4Reader(file)


def _only_member(file: Any) -> Any:
    """Open the one file of a zip archive; a document of an office or an e-book is a zip of many."""
    archive = zipfile.ZipFile(file if file.seekable() else io.BytesIO(file.read()))
    members = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        raise Damaged(f"a zip archive of {len(members)} files, where one document is wanted; unpack it")
    return archive.open(members[0])


class _Unpacked(io.RawIOBase):
    """What an unpacker reads, as a stream that `io` can buffer; whatever it raises becomes `Damaged`."""

    def __init__(self, opener: Callable[[Any], Any], file: Any) -> None:
        self._file = file
        self._reader = self._asked(lambda: opener(file))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._asked(lambda: self._reader.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (Damaged, Unreachable):
            raise
        except _BROKEN as error:
            if getattr(error, "errno", None):
                raise
            raise Damaged(str(error) or "the packed file breaks off") from error
