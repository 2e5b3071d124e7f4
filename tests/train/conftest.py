"""Tiny models train faster on one thread than on several that wait for each other."""

import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module

import pytest


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Here and in the processes that tests start: the number of threads changes the last bits of a sum."""
    torch = pytest.importorskip("torch")
    with suppress(ImportError):
        import_module("bitsandbytes")  # says what it lacks once, at its import; tests look at what is said later
    threads, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    torch.set_num_threads(threads)
    if variable is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = variable
