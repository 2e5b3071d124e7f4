"""WARC records whose headers are spelled in another case than FastWARC knows; the standard leaves the case open."""

import io
import re
from pathlib import Path
from typing import Any

from fastwarc.warc import ArchiveIterator

from askback.inputs.local_files import open_file
from askback.inputs.packed import opened
from askback.inputs.remote import File

_NAME = re.compile(rb"^[A-Za-z-]+(?=:)", re.MULTILINE)
_LENGTH = re.compile(rb"\ncontent-length:\s*(\d{1,18})\s", re.IGNORECASE)
_MAX_HEAD = 8192


def spelled(record: Any, path: File, at: int, most: int) -> Any:
    """Return a record with its HTTP header read and its length known, however its own header is spelled.

    Args:
        record: as FastWARC gives it, which overlooks ``content-length`` and ``Application/HTTP``.
        path: its file.
        at: where it begins there.
        most: bytes of a record that is read again.
    """
    if record.is_http and record.content_length:
        return record
    length = (record.headers.get("Content-Length") or "").strip()
    read = record.is_http and record.http_headers.status_code is not None
    if not read and record.content_length == 0 and length.isdigit() and int(length):
        record = _again(path, at, most) or record
    if not record.is_http and "application/http" in (record.headers.get("Content-Type") or "").lower():
        record.is_http = True
        record.parse_http(quirks_mode=True)
    return record


def _again(path: File, at: int, most: int) -> Any:
    """Read a record once more with its header spelled as usual; None if it is not there or over `most` bytes."""
    if not isinstance(path, Path):
        return None
    with open_file(path) as file:
        file.seek(at)
        stream = opened(file)
        head = b""
        while not head.endswith((b"\r\n\r\n", b"\n\n")):
            line = stream.readline(_MAX_HEAD)
            if not line or len(head) > _MAX_HEAD:
                return None
            head += line
        found = _LENGTH.search(head)
        if not head.startswith(b"WARC/") or not found or int(found[1]) > most:
            return None
        head = _NAME.sub(lambda name: name[0].title().replace(b"Warc", b"WARC"), head)
        return next(iter(ArchiveIterator(io.BytesIO(head + stream.read(int(found[1]))), quirks_mode=True)), None)
