"""The JSON files of a run folder, checked when they are read: a damaged file is an error of one clear line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypeVar

import yaml
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from askback.errors import InputError

T = TypeVar("T")
Number = Annotated[float, Field(allow_inf_nan=False, gt=-1e15, lt=1e15)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


WRONG: tuple[type[Exception], ...] = (
    *(yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, OSError),
    StopIteration,
)
"""Exceptions that reading a damaged file may raise."""


@contextmanager
def reading(path: Path, advice: str = "") -> Iterator[None]:
    """Raise `InputError` for any error of reading a file, or a folder of several.

    Args:
        advice: what the user can do, if not make the step again.

    Raises:
        InputError: the file cannot be read as what askback wrote.
    """
    try:
        yield
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(map(str, found["loc"]))
        raise _damaged(path, f"{place}: {found['msg']}" if place else found["msg"], advice) from error
    except WRONG as error:
        raise _damaged(path, f"{type(error).__name__}: {error}", advice) from error


def _damaged(path: Path, why: str, advice: str) -> InputError:
    again = "start a new run" if path.name == "recipe.yaml" else f"make the step again with --redo {path.parent.name}"
    return InputError(
        f"{path}: is damaged ({' '.join(why.split())[:160]}). Put back what askback wrote there, or {advice or again}."
    )


class CountsOnDisk(TypedDict):
    """The fields of `outcome.Counts`."""

    entered: Count
    kept: Count
    rejected: Count
    failed: Count


class _Spent(TypedDict, total=False):
    seconds: Number
    tokens: Count
    prompt_tokens: Count
    output_tokens: Count
    train_tokens: Count
    identity: dict[str, Any]


class StepRecord(_Spent):
    """``step.json`` of a finished step: the fields that are read."""

    step: str
    fingerprint: NotRequired[str]
    finished: Number
    counts: dict[str, CountsOnDisk]
    reasons: dict[str, Count]
    metrics: dict[str, Any]


class PlanRecord(TypedDict, total=False):
    """``plan.json`` of a step: how its work is cut."""

    pieces: Count
    piece_size: Count


class IdentityRecord(PlanRecord):
    """The same, with the identity, which every such file has."""

    identity: dict[str, Any]


class LossRecord(TypedDict):
    """The metrics of a step that measures a loss."""

    loss: Number
    examples: NotRequired[Count]
    tokens: NotRequired[Count]


class Compared(TypedDict):
    """A difference in loss to an earlier round, and the interval around it."""

    against: Count
    difference: Number
    low: Number | None
    high: Number | None


class Gate(Compared):
    """The comparison of one round with those before it: on held-out seed pairs, and on pairs of documents."""

    round: Count
    allowed: NotRequired[Number]
    documents: NotRequired[Compared | None]
    passed: bool


class ResultRecord(TypedDict):
    """The metrics of the step that picks the result."""

    round: Count
    enabled: bool
    gates: list[Gate]
    said: NotRequired[str]


class Agreement(TypedDict):
    """The agreement of a round's choice with that of the round before (curate/agreement.py)."""

    shared: Number
    jaccard: Number
    rank_correlation: Number | None


class TrainingLine(TypedDict):
    """A line of a training's ``metrics.jsonl``: the fields that are read."""

    step: Count
    loss: Number
    seconds: Number


class ForecastRecord(TypedDict, total=False):
    """The forecast of a step: the fields that are read."""

    seconds: Number
    tokens: dict[str, Count]


class SpentRecord(TypedDict, total=False):
    """The spending of a role while its speed was measured."""

    seconds: Number
    prompt: int
    output: int
    train: int
    usd: Number


class RatesRecord(TypedDict):
    """``rates.json`` of a run: the measured speed of its base model, by role."""

    startup: Number
    engine: str
    spent: dict[str, SpentRecord]


FORECAST, MEASURED = "forecast.json", "rates.json"
"""In the run folder: what was forecast when the run began; how fast the base model was, and its scores of seed pairs."""


class ForecastFile(TypedDict):
    """``forecast.json`` of a run, as far as it is read."""

    steps: dict[str, ForecastRecord]


@lru_cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def checked(path: Path, value: Any, shape: type[T]) -> T:
    """Return a value of a file, checked to have this type; fields that the type does not name stay.

    Raises:
        InputError: it has another.
    """
    wanted: Any = shape
    with reading(path):
        _adapter(wanted).validate_python(value, strict=True)
    same: T = value
    return same


def read_json(path: Path, shape: type[T]) -> T:
    """Return the value of a JSON file.

    Raises:
        InputError: it is damaged.
    """
    with reading(path):
        value = json.loads(path.read_bytes())
    return checked(path, value, shape)


def step_record(folder: Path) -> StepRecord:
    """Return the record of a finished step.

    Raises:
        InputError: it is damaged.
    """
    return read_json(folder / "step.json", StepRecord)


def made_by(folder: Path) -> str:
    """Return the fingerprint of a finished step.

    Raises:
        InputError: its record is damaged.
    """
    with reading(folder / "step.json"):
        return step_record(folder)["fingerprint"]


def lines(path: Path, shape: type[T]) -> list[T]:
    """Return the lines of a JSON Lines file, without a last line that a kill cut short.

    Raises:
        InputError: another line is damaged.
    """
    with reading(path):
        found = path.read_bytes().split(b"\n")
        values = [json.loads(line) for line in found[:-1]]
    return [checked(path, value, shape) for value in values]
