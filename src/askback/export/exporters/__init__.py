"""Exporters: one record each, in the file that is called like it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from askback.lookup import lookup, table
from askback.records import Example

FormatName = Literal[
    "messages",
    "sharegpt",
    "alpaca",
    "prompt-completion",
]
FORMATS = table("askback.export.exporters", FormatName, "EXPORTER")


@dataclass(frozen=True)
class Exporter:
    """A form that training tools read, and the configuration with which they read it."""

    row: Callable[[Example], dict[str, Any]]
    """What a pair is written as, beside its provenance."""
    columns: dict[str, tuple[str, ...]]
    """Its columns: plain text, or a list of turns with these fields."""
    as_pair: tuple[str, str] | None = None
    """The instruction and the output in Python, of a `row` that TRL is to be shown as a prompt and its completion."""
    axolotl: dict[str, Any] | None = None
    """An entry of Axolotl's `datasets`, less its path; None if it cannot read the form."""
    llama_factory: dict[str, Any] | None = None
    """An entry of LLaMA-Factory's dataset_info.json, less its file; None if it cannot read the form."""


def exporter(format: str) -> Exporter:
    """Return the exporter of a format.

    Raises:
        RecipeError: there is none.
    """
    found: Exporter = lookup(FORMATS, format, "export format")
    return found
