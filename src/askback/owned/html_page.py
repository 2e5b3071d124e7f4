"""HTML pages that askback wrote, recognised by their last line in any folder."""

import hashlib
import os
import re
import secrets
from pathlib import Path

from askback.errors import InputError, storage_error
from askback.owned import unfinished
from askback.owned.marker import what

SIGNATURE = re.compile(rb"<!-- askback [a-z]+ [0-9a-f]{16} ([0-9a-f]{64}) -->\n\Z")


def check_page(path: Path) -> None:
    """Check that a page may be written: `path` is free, or holds an unchanged page of ours by its last line.

    Raises:
        InputError: it holds something else, or is a link.
    """
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: is {what(path)}; give --out the name of a file")
    text = path.read_bytes()
    signed = SIGNATURE.search(text[-200:])
    if not signed or hashlib.sha256(text[: -len(signed[0])]).hexdigest().encode() != signed[1]:
        raise InputError(
            f"{path}: is no report of this version of askback, or was changed since it was written, so it is left as it "
            "is. Give another file with --out, or remove this one."
        )


def write_page(path: Path, kind: str, text: str) -> None:
    """Write an HTML page whose last line identifies it: its kind, a random id, the SHA-256 of the lines before.

    Raises:
        InputError: there is something of this name that is no page of ours.
        StorageError: it cannot be written.
    """
    check_page(path)
    data = text.encode("utf-8", "replace")
    signature = f"<!-- askback {kind} {secrets.token_hex(8)} {hashlib.sha256(data).hexdigest()} -->\n"
    temporary = unfinished(path)
    try:
        temporary.write_bytes(data + signature.encode())
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        check_page(path)
        temporary.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
