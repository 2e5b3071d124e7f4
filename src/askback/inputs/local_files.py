"""Files of this machine: opened only if they are regular files, and identified by size, time of change and inode."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

Stamp = tuple[int, int, int]
"""Size in bytes, time of change in nanoseconds, and inode."""


def open_file(path: Path) -> BufferedReader:
    """Open a regular file for reading bytes; reading a named pipe, a socket or a device could block or never end.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "not a file (a folder, named pipe, socket or device)", str(path))
    return os.fdopen(number, "rb")


def stamp(path: Path) -> Stamp:
    """Return the stamp of a file, part of the key of caches of its content.

    Raises:
        OSError: it does not exist.
    """
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino
