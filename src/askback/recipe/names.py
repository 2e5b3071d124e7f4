"""The names of scorers, readers and engines: each is a line here, and one record in the file of the same name.

mypy checks a name written in code by its `Literal`, and a recipe is checked by the same list. A scorer may also come from
another installed package, as an entry point of the group `SCORERS_GROUP`.
"""

from typing import Annotated, Any, Literal, NewType, Protocol, runtime_checkable

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
    "probe",
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

MethodName = Literal["humpback", "prompted", "back_and_forth", "reinstruct"]
"""Files in methods/."""

DOCUMENTS = table("askback.corpus.readers", DocumentFormat, "READER")
PAIRS = table("askback.seed.readers", PairFormat, "READER")
SCORERS = table("askback.curate.scorers", ScorerName, "SCORER")
ENGINES = table("askback.engines", EngineName, "ENGINE")
METHODS = table("askback.methods", MethodName, "PAGE")
SCORERS_GROUP = "askback.scorers"
InstalledScorer = NewType("InstalledScorer", str)
"""The name of a scorer of another package."""


@runtime_checkable
class Scale(Protocol):
    """The part of a scorer's record (curate.scorers.Scorer) that options are checked against."""

    @property
    def name(self) -> str: ...
    @property
    def highest(self) -> float: ...
    @property
    def rated(self) -> bool: ...
    @property
    def needs(self) -> tuple[str, str] | None: ...


def scorers() -> dict[str, str]:
    """Return all scorers: ours, and those of other packages whose names are not ours."""
    return {**SCORERS, **{name: found.value for name, found in installed(SCORERS_GROUP).items() if name not in SCORERS}}


def scorer(name: str) -> Scale:
    """Return the record of a scorer.

    Raises:
        RecipeError: there is no such scorer, or a package's entry point cannot be imported or is no record of that name.
    """
    known = SCORERS if name in SCORERS else scorers()
    try:
        found = lookup(known, name, "scorer")
    except (ImportError, AttributeError, SyntaxError) as error:
        if name in SCORERS:
            raise
        raise RecipeError(f"scorer '{name}': {known[name]} cannot be imported: {error}") from error
    if not isinstance(found, Scale) or found.name != name:
        raise RecipeError(f"scorer '{name}': {known[name]} is no Scorer of this name (askback.curate.scorers)")
    return found


def package_of(name: str) -> str:
    """Return the package and version that a scorer comes from, "" if it is ours."""
    found = None if name in SCORERS else installed(SCORERS_GROUP).get(name)
    return f"{found.dist.name} {found.dist.version}" if found and found.dist else ""


def _known_scorer(name: object) -> Any:
    if isinstance(name, str) and (name in SCORERS or name in scorers()):
        return name
    raise PydanticKnownError("literal_error", {"expected": ", ".join(f"'{one}'" for one in scorers())})


AnyScorer = Annotated[ScorerName | InstalledScorer, PlainValidator(_known_scorer)]
