"""What a training will take: its examples and tokens, a card's memory, disk; and what it would refuse."""

import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from askback import prompts
from askback.engines.usage import Tokens
from askback.errors import InputError
from askback.execution.forecast import Forecast, ForecastContext, Pair, Pairs, mean
from askback.models import template_file
from askback.models.size import shape_of
from askback.prompts.prompt import Prompt, ask
from askback.recipe import Backward, Launch, Training
from askback.train.dropout import with_dropout
from askback.train.launch import check_shares
from askback.train.trainer import MICRO_TOKENS, check_options
from askback.train.training_rows import Direction, schedule

LEVELS = range(1, 6)
WEIGHT, GRADIENT, MOMENTS = 4, 4, 8
"""Bytes for each parameter that learns: float32, its gradient, the optimiser's two moments."""
BFLOAT16 = 2
PACKED = 0.55
"""Bytes for each parameter in 4 bits, with its scales."""
ACTIVATION = 34
"""Bytes kept for the backward pass for each token, layer and unit of width, in bfloat16 with fused attention."""


def forecast(options: Training, context: ForecastContext, direction: Direction = "forward") -> Forecast:
    """Count pairs, lessons and damaged documents together, and try a sample of them in the chat template."""
    base, launch = context.base, context.file.resources.training
    count = sum(pairs.count for pairs in context.inputs["examples"])
    if isinstance(options, Backward):
        count += math.ceil(options.refusals * count)
    added = sum(pairs.count for pairs in context.inputs["examples"] if pairs.origin == "augmented")
    plan = schedule(options, count, added, launch.total)
    _check(options, context, direction, plan.rows)
    seen = (options.steps or 0) * plan.rows
    note = (
        f"{context.folder.name}: {options.steps} steps of {plan.rows} go over {seen:,} of {count:,} examples; leave "
        "steps out for the paper's number"
    )
    return Forecast(
        entered=count,
        tokens=Tokens(train=round(plan.steps * plan.rows * _row_tokens(options, context, direction)) if count else 0),
        model_bytes=(WEIGHT + BFLOAT16) * base.parameters,
        # A new checkpoint is whole before the one before it goes.
        scratch=0 if options.lora else 2 * (WEIGHT + MOMENTS) * base.parameters,
        memory=gigabytes(base.folder, base.parameters, options, launch, plan.rows),
        notes=(note,) if 0 < 2 * seen < count else (),
    )


def _row_tokens(options: Training, context: ForecastContext, direction: Direction) -> float:
    """Return the mean number of tokens of a row; a lesson or triple that is too long is left out, any other row is cut."""
    ruler, taught = context.base.ruler, [pairs for pairs in context.inputs["examples"] if pairs.count]

    def lengths(pairs: Pairs) -> Iterator[float]:
        for prompt, answer in _rows(direction, pairs):
            length = ruler.prompt(prompt) + ruler.answer(answer)
            if length <= options.max_tokens or not (pairs.origin == "judgement" or direction == "rewrite"):
                yield min(length, options.max_tokens)

    return sum(pairs.count * mean(lengths(pairs)) for pairs in taught) / sum(pairs.count for pairs in taught)


def _rows(direction: Direction, pairs: Pairs) -> Iterator[tuple[Prompt, str]]:
    """Yield what is shown and what is learnt of a sample."""
    if direction == "forward" and pairs.origin == "judgement":
        yield from _ratings(pairs.sample)
        return
    if direction == "rewrite":
        for (instruction, output), text in zip(pairs.sample, pairs.texts, strict=True):
            yield prompts.answering(instruction, text), output
        return
    for instruction, output in pairs.sample:
        if direction == "backward":
            yield prompts.backward(output), instruction
        else:
            yield prompts.forward(ask(instruction).turns, pairs.origin), output


def _ratings(sample: Sequence[Pair]) -> Iterator[tuple[Prompt, str]]:
    """Yield pairs as a judge is shown them, with every level in turn."""
    for at, (instruction, output) in enumerate(sample):
        yield prompts.rubric(instruction, output), f" {LEVELS[at % len(LEVELS)]}"


def _check(options: Training, context: ForecastContext, direction: Direction, batch_size: int) -> None:
    """Note what a training would refuse, as far as its libraries are here to say what is wrong."""
    noted, folder = context.refusals.noted, context.base.folder
    with noted():
        _try_template(context, direction)
    with noted():
        check_shares(context.file.resources.training, batch_size)
    with noted():
        if options.trl and find_spec("trl"):
            check_options(options)
    with noted():
        if options.dropout and folder and find_spec("transformers"):
            with_dropout(folder, options.dropout)


def _try_template(context: ForecastContext, direction: Direction) -> None:
    """Render what a training, and the judge that it makes, see of a sample of its pairs.

    Raises:
        InputError: the chat template renders a prompt or an answer otherwise than it is.
    """
    base, tokenizer = context.base, context.base.tokenizer
    for pairs in context.inputs["examples"] if tokenizer is not None else []:
        judged = _ratings(pairs.sample) if direction == "forward" and pairs.origin != "judgement" else ()
        for prompt, answer in (*judged, *_rows(direction, pairs)):
            if prompts.rewrites(tokenizer, prompt, answer) and base.folder:
                template = template_file(base.folder, context.file.recipe.chat_template)
                raise InputError(
                    f"{template}: the chat template rewrites this answer of the recipe: "
                    f"{' '.join(answer.split())[:80]!r}; give another with chat_template:"
                )


def gigabytes(folder: Path | None, size: int, options: Training, launch: Launch, batch: int) -> float:
    """Return about how much memory each process of a training takes on its card: weights, gradients, the optimiser's
    moments, and what is kept between the passes; an adapter's own are a hundredth of the model or less."""
    shares = launch.total if launch.strategy == "fsdp" else 1
    if options.lora is None:
        held = size * (WEIGHT + GRADIENT + MOMENTS) / shares + BFLOAT16 * size / shares
    else:
        held = size * ((PACKED if options.lora.quantised else WEIGHT) + 0.01 * (WEIGHT + GRADIENT + MOMENTS)) / shares
    rows = options.trl.get("per_device_train_batch_size")
    most = options.max_tokens * (rows if isinstance(rows, int) else max(1, batch // launch.total))
    tokens = most if isinstance(rows, int) else max(options.max_tokens, min(most, MICRO_TOKENS["gpu"]))
    shape = shape_of(folder) if folder else {}
    width, layers = shape.get("hidden_size", 0), shape.get("layers", 0)
    redone = options.trl.get("gradient_checkpointing") or options.trl.get("activation_checkpointing")
    kept = tokens * width * (BFLOAT16 * layers + ACTIVATION if redone else ACTIVATION * layers)
    return float(held + kept) / 1e9
