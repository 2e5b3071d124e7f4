"""Files of this machine: opened only if they are files, and known by size, time of change and number."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

Stamp = tuple[int, int, int]
"""Bytes, time of change in nanoseconds, and the number of the file in its file system."""


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading bytes; a named pipe, a socket or a device would be waited for, or never end.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "not a file (a folder, named pipe, socket or device)", str(path))
    return os.fdopen(number, "rb")


def stamp(path: Path) -> Stamp:
    """Return what a file that has not changed still has; a cache of what is in it has this in its key.

    Raises:
        OSError: it is not there.
    """
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino
