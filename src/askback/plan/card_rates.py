"""Tokens per second as ``benchmarks/gpu.py --json`` measured them on a card, for models of other sizes too."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from askback.errors import InputError
from askback.plan.machine import CPU_PARAMETERS, PerSecond
from askback.recipe import Resources


class Measured(BaseModel):
    """A line of the file: tokens of prompts, tokens written and trained on, and the parameters of the model."""

    card: str
    work: Literal["augment", "score", "train"]
    parameters: Annotated[int, Field(gt=0)]
    prompt: Annotated[int, Field(ge=0)]
    output: Annotated[int, Field(ge=0)]
    train: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(gt=0)]


def measured_rates(path: Path, parameters: int, resources: Resources) -> tuple[PerSecond, str]:
    """Return tokens per second of a model of `parameters`, and where they are from, as `prior` does.

    Each kind of work is that of the model nearest in size; a model twice as large is half as fast. Writing has the time
    that is left when prompts are read as fast as in "score".

    Raises:
        InputError: the file cannot be read, or lacks a kind of work.
    """
    size, lines = parameters or CPU_PARAMETERS, _lines(path)
    found = {one.work: one for one in sorted(lines, key=lambda one: -abs(math.log(one.parameters / size)))}
    if lacking := {"augment", "score", "train"} - found.keys():
        raise InputError(f"--rates {path}: there is no line for {', '.join(sorted(lacking))}")
    score, augment, train = found["score"], found["augment"], found["train"]
    read = score.prompt / score.seconds * score.parameters
    writing = max(0.2 * augment.seconds, augment.seconds - augment.prompt * augment.parameters / read)
    written = augment.output / writing * augment.parameters
    trained = train.train / train.seconds * train.parameters * resources.training.total
    return PerSecond(read / size, written / size, trained / size), f"measured on {score.card} ({path})"


def _lines(path: Path) -> list[Measured]:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"--rates {path}: {error}") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found.append(Measured.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise InputError(
                f"--rates {path}:{number}: {where} {fault['msg']}; give what benchmarks/gpu.py --json prints"
            ) from error
    return found
