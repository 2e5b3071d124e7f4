"""A cache of paid answers on disk, kept until the piece of work that they belong to is written.

Each answer is a line of JSON, keyed by the hash of its request, appended and fsynced before the answer is used. A piece
that is redone after a kill finds its earlier answers here; lines that are cut short or damaged are skipped. Callers check
the type of an answer.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

from askback import owned
from askback.errors import StorageError

PREVIEW = "preview.jsonl"
"""File in a run folder with the answers that a preview got, which the run takes from there."""


class Answers:
    """Answers by the key of their request; with a path, on disk too. The first answer creates the file.

    Args:
        earlier: another file of answers, which is only read.
    """

    def __init__(self, path: Path | None = None, earlier: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._file: Any = None
        files = [file for file in (earlier, path) if file is not None and file.exists()]
        for line in (line for file in files for line in file.read_bytes().splitlines()):
            try:
                key, value = json.loads(line)
            except (ValueError, TypeError, RecursionError):
                continue
            if isinstance(key, str):
                self._known[key] = value

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def get(self, key: str) -> Any:
        """Return an answer, None if there is none."""
        return self._known.get(key)

    def add(self, key: str, value: Any) -> None:
        """Keep an answer; on return it is on disk.

        Raises:
            StorageError: it cannot be written.
        """
        line = f"\n{json.dumps([key, value])}".encode()
        try:
            with self._lock:
                if self._path is not None:
                    if self._file is None:
                        self._file = owned.append(self._path)
                    self._file.write(line)
                self._known[key] = value
            if self._file is not None:
                os.fsync(self._file.fileno())  # outside the lock: one call serves all lines written before it
        except OSError as error:
            raise StorageError(f"{self._path}: cannot keep an answer: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
