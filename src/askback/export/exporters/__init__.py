"""Exporters: one record each, in the file of its name."""

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

PREFERENCE = "preference"
"""A form of the pairs that a judge prefers to others, which few runs have; those of `FORMATS` hold the data of any run."""


@dataclass(frozen=True)
class Exporter:
    """A form that training tools read, and the configuration with which they read it."""

    row: Callable[[Example], dict[str, Any]]
    """Returns a pair's columns, without those of its provenance."""
    columns: dict[str, tuple[str, ...]]
    """Name → fields of the turns that the column lists, () if the column is text."""
    as_pair: tuple[str, str] | None = None
    """Python expressions for the instruction and the output of a row, from which TRL gets a prompt and its completion."""
    axolotl: dict[str, Any] | None = None
    """An entry of Axolotl's `datasets`, less its path; None if it cannot read the form."""
    trainer: Literal["SFT", "DPO"] = "SFT"
    """Which of TRL's trainers reads it."""
    llama_factory: dict[str, Any] | None = None
    """An entry of LLaMA-Factory's dataset_info.json, less its file; None if it cannot read the form."""


def exporter(format: str) -> Exporter:
    """Return the exporter of a format.

    Raises:
        RecipeError: there is none.
    """
    found: Exporter = lookup({**FORMATS, PREFERENCE: f"{__name__}.{PREFERENCE}:EXPORTER"}, format, "export format")
    return found
