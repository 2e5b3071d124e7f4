"""Pages as they came over HTTP → their bytes: chunks joined, content codings undone."""

import io
import re
import zlib
from collections.abc import Callable

from fastwarc.stream_io import BrotliReader

from askback.corpus.readers.encoding import Undecodable, decode
from askback.inputs.packed import Damaged, packing, unpack

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,200})?\r?\n")
_NO_CODING = {"", "identity", "none", "utf-8", "utf8", "binary", "8bit"}
"""What servers write where nothing is packed."""


def undo(data: bytes, transfer: str, content: str, most: int) -> bytes:
    """Return the bytes of a page, given its Transfer-Encoding and Content-Encoding, up to just over `most` bytes.

    Many crawlers store the page unpacked and leave the headers as they were, and some do it the other way round. So what
    is text already stays as it is, and what begins as a packed file is unpacked, whatever the headers say.

    Raises:
        Undecodable: it is packed in a form that is not known, breaks off or is broken.
    """
    codings = [name.strip().lower() for name in f"{content},{transfer}".split(",")]
    joined = _join(data)
    if joined is None and "chunked" in codings and _CHUNK.match(data):
        raise Undecodable("the chunks of the page break off")
    data = data if joined is None else joined
    try:
        for name in reversed(codings):
            if name not in _NO_CODING and name != "chunked":
                data = _undo(name.removeprefix("x-"), data, most)
        return unpack(data, most)
    except (OSError, zlib.error, EOFError) as error:
        raise Undecodable(f"{error} (content encoding '{content}')" if content else str(error)) from error


def _undo(name: str, data: bytes, most: int) -> bytes:
    if packing(data[:10]):
        return unpack(data, most)
    try:
        if name in _CODINGS:
            return _CODINGS[name](data, most)
        broken: Exception = Damaged(f"coding '{name[:40]}' is not known")
    except (OSError, zlib.error, EOFError) as error:
        broken = error
    if _is_text(data):
        return data
    raise broken


def _deflate(data: bytes, most: int) -> bytes:
    """Undo zlib's form, as the standard wants it, or the bare one, which some servers send."""
    try:
        return _inflate(data, 15, most)
    except zlib.error:
        return _inflate(data, -15, most)


def _inflate(data: bytes, bits: int, most: int) -> bytes:
    stream = zlib.decompressobj(wbits=bits)
    text = stream.decompress(data, most + 1)
    if not stream.eof and len(text) <= most:
        raise EOFError("the packed page breaks off")
    if stream.unused_data.strip(b"\0\r\n"):
        raise Damaged(f"{len(stream.unused_data)} bytes are left behind the packed page")
    return text


def _brotli(data: bytes, most: int) -> bytes:
    return bytes(BrotliReader(io.BytesIO(data)).read(most + 1))


def _by_its_start(data: bytes, most: int) -> bytes:
    """gzip and Zstandard begin with a mark of their own, which was not there."""
    raise Damaged("the page does not begin as its coding does")


_CODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "deflate": _deflate,
    "br": _brotli,
    "gzip": _by_its_start,
    "zstd": _by_its_start,
}


def _is_text(data: bytes) -> bool:
    try:
        text = decode(data)
    except Undecodable:
        return False
    return "<" in text[:1000] or "\ufffd" not in data.decode("utf-8", "replace")


def _join(data: bytes) -> bytes | None:
    """Return the chunks of a page as one, None if it does not consist of chunks from its start to its end."""
    parts: list[bytes] = []
    at = 0
    while head := _CHUNK.match(data, at):
        size = int(head[1], 16)
        at = head.end()
        if size == 0:
            return b"".join(parts)
        end = at + size
        parts.append(data[at:end])
        if data[end : end + 2] == b"\r\n":
            at = end + 2
        elif data[end : end + 1] == b"\n":
            at = end + 1
        else:
            return None
    return None
