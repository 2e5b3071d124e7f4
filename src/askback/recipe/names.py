"""The names that stand for code: each is a line here, and one record in the file that is called like it.

mypy checks a name by its `Literal` where it is written in code, and a recipe is checked by the same list. A scorer may
also come from another package that is installed, as an entry point of the group `SCORERS_GROUP`.
"""

from typing import Annotated, Any, Literal, NewType

from pydantic import PlainValidator
from pydantic_core import PydanticKnownError

from askback.errors import RecipeError
from askback.lookup import installed, lookup, table

ScorerName = Literal[
    "rubric",
    "additive",
    "ifd",
    "instruction",
    "whole",
]
"""Files in curate/scorers/."""

DocumentFormat = Literal[
    "html",
    "markdown",
    "text",
    "pdf",
    "warc",
    "jsonl",
    "parquet",
    "hub",
    "installed-docs",
]
"""Files in corpus/readers/."""

PairFormat = Literal[
    "pairs",
    "alpaca",
    "messages",
    "sharegpt",
    "oasst-messages",
    "oasst-trees",
]
"""Files in seed/readers/."""

EngineName = Literal[
    "transformers",
    "vllm_server",
    "openai_http",
    "scripted",
]
"""Files in engines/."""

DOCUMENTS = table("askback.corpus.readers", DocumentFormat, "READER")
PAIRS = table("askback.seed.readers", PairFormat, "READER")
SCORERS = table("askback.curate.scorers", ScorerName, "SCORER")
ENGINES = table("askback.engines", EngineName, "ENGINE")
SCORERS_GROUP = "askback.scorers"
InstalledScorer = NewType("InstalledScorer", str)
"""The name of a scorer that another package brings."""


def scorers() -> dict[str, str]:
    """Return the scorers there are: ours, and those of other packages under names that are not ours."""
    return {**SCORERS, **{name: found.value for name, found in installed(SCORERS_GROUP).items() if name not in SCORERS}}


def scorer(name: str) -> Any:
    """Return the record of a scorer (curate.scorers.Scorer).

    Raises:
        RecipeError: there is no such scorer, or the package that brings it cannot be imported.
    """
    if name in SCORERS:
        return lookup(SCORERS, name, "scorer")
    known = scorers()
    try:
        return lookup(known, name, "scorer")
    except (ImportError, AttributeError, SyntaxError) as error:
        raise RecipeError(f"scorer '{name}': {known[name]} cannot be imported: {error}") from error


def package_of(name: str) -> str:
    """Return the package and version that a scorer comes from, "" if it is ours."""
    found = None if name in SCORERS else installed(SCORERS_GROUP).get(name)
    return f"{found.dist.name} {found.dist.version}" if found and found.dist else ""


def _known_scorer(name: object) -> Any:
    if isinstance(name, str) and (name in SCORERS or name in scorers()):
        return name
    raise PydanticKnownError("literal_error", {"expected": ", ".join(f"'{one}'" for one in scorers())})


AnyScorer = Annotated[ScorerName | InstalledScorer, PlainValidator(_known_scorer)]
