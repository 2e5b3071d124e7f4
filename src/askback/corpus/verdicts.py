"""Which documents ended the process that read them, on disk, so that none is tried twice."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from askback import owned
from askback.errors import storage_error
from askback.records import Rejection, fail, record_id


class Key(NamedTuple):
    """A document of a piece of work: the number of its file there, its own number in that, and whether it was read
    already and only had to be cut."""

    path: int
    found: int
    cutting: bool


class Verdicts:
    """The verdicts on a piece of work; with a path they are in a file, which appears with the first."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[Key, Rejection] = {}
        for line in path.read_bytes().splitlines() if path is not None and path.exists() else []:
            try:
                key, *fields = json.loads(line)
                self._known[Key(*key)] = _failure(*fields)
            except (ValueError, TypeError):
                continue  # cut short by a kill

    def get(self, key: Key) -> Rejection | None:
        """Return the verdict on a document, None if there is none."""
        return self._known.get(key)

    def add(self, key: Key, rule: str, uri: str, detail: str) -> None:
        """Keep a verdict; on return it is on disk.

        Raises:
            StorageError: it cannot be written.
        """
        self._known[key] = _failure(rule, uri, detail)
        if self._path is None:
            return
        try:
            with owned.append(self._path) as file:
                file.write(f"\n{json.dumps([key, rule, uri, detail])}".encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(self._path, error) from error


def _failure(rule: str, uri: str, detail: str) -> Rejection:
    return fail(record_id(uri, rule), "documents", rule, detail, uri=uri)
