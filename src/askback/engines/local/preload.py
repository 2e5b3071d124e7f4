"""Imports what a worker with this engine takes seconds to import: once, in the process that workers are forked from.

Nothing is printed. What fails here fails again in the worker that needs it, where it is reported.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module


def preload(*libraries: str) -> None:
    """Import modules; an error is none here. Forked workers leave them out of the collection of garbage, which would have
    each copy all that it looks through."""
    with _silence():
        for library in libraries:
            with suppress(Exception):
                import_module(library)
    gc.freeze()


@contextmanager
def _silence() -> Iterator[None]:
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    try:
        yield
    finally:
        for number, file in enumerate(kept, start=1):
            os.dup2(file, number)
            os.close(file)
        os.close(nowhere)


preload(
    "torch",
    "transformers.generation",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
)
