"""The page is served from a thread; one test serves it from a process, to kill that."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from askback.review.server import opened

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a run's page, and return its address with the token."""
    running: list[tuple[Any, threading.Thread]] = []

    def start(run: Path, by: str = "ada", count: int = 100) -> str:
        server, listening, address = opened(run, by, count)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        running.append((server, thread))
        return address

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
