"""Which of two models answers better: both answers shown to a judge, in both orders (AlpacaEval's protocol, 1.10)."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from askback import prompts as words
from askback.engines.preference import REPLY_TOKENS, read_verdicts
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.evaluate.length_control import LengthControlled, length_controlled
from askback.evaluate.options import Judging
from askback.execution.forecast import Pair, Ruler
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Resources
from askback.records import Answer, Comparison, EvalPrompt, record_id

PIECE = 8
SAME = "the answers are the same"
"""In place of the judge's text where it was not asked: the answers are equal, and count as a tie."""

Trio = tuple[EvalPrompt, Answer | None, Answer | None]
"""A prompt, the model's answer and the baseline's."""


@recorded(version=3, engine="compare", prompts=("pairwise",))
def compare(
    step: Step,
    options: Judging,
    *,
    model: Model,
    prompts: Records[EvalPrompt],
    answers: Records[Answer],
    baseline: Records[Answer],
) -> Records[Comparison]:
    """Write two comparisons by `model`, the judge, one per order, for every prompt, also where it need not be asked."""
    models = {one.example_id: one for one in answers}
    others = {one.example_id: one for one in baseline}
    trios = [(one, models.get(one.id), others.get(one.id)) for one in prompts]
    pieces = [trios[start : start + PIECE] for start in range(0, len(trios), PIECE)]
    ids = _id(models.values()), _id(others.values())
    work = partial(compare_piece, options, step.resources, model, ids)
    return step.map(work, pieces, Comparison, "prompts")


def judging_tokens(prompts: Sequence[Pair], options: Judging, most: int) -> Tokens:
    """Return about how many tokens a judge takes to compare two models' answers to these prompts, in both orders.

    Answers are taken to be as long as the prompts' references, or, where there is none, `most` tokens, the largest number.
    A verdict counts with the largest number of tokens of a written one.
    """
    ruler, read = Ruler(), 0.0
    for asked, reference in prompts:
        length = min(ruler.text(reference) if reference else most, most, options.max_output_tokens)
        read += ruler.prompt(words.pairwise(asked, "", "")) + 2 * length
    return Tokens(round(2 * read), 2 * len(prompts) * REPLY_TOKENS)


def _id(answers: Iterable[Answer]) -> str:
    return next((one.model_id for one in answers), "")


def compare_piece(
    options: Judging, resources: Resources, judge: Model, ids: tuple[str, str], worker: WorkerContext, trios: list[Trio]
) -> Outcome[Comparison]:
    """In a worker: compare some answers. A missing answer is unscored; equal answers are a tie without asking."""
    engine = worker.engine(resources.engine, str(judge.path), judge.chat_template)
    asked: list[tuple[Trio, str]] = []
    outcome = Outcome[Comparison]()

    def keep(trio: Trio, first: str, preference: float | None, mass: float | None, raw: str = "") -> None:
        chars = [len(answer.output) if answer else 0 for answer in trio[1:]]
        id = record_id(trio[0].id, *ids, first, judge.id)
        row = (id, trio[0].id, first, preference, mass, chars[0], chars[1], raw, words.prompt_id("pairwise"))
        outcome.keep("comparisons", Comparison(*row, *ids, judge.id))

    for trio in trios:
        for first in ("model", "baseline"):
            if trio[1] is None or trio[2] is None:
                keep(trio, first, None, None, f"no answer of {ids[0] if trio[1] is None else ids[1]}")
            elif trio[1].output.strip() == trio[2].output.strip():
                keep(trio, first, 0.5, None, SAME)
            else:
                asked.append((trio, first))
    questions = []
    for trio, first in asked:
        shown = [engine.truncate(answer.output, options.max_output_tokens) for answer in trio[1:] if answer]
        one, two = shown if first == "model" else reversed(shown)
        questions.append(words.pairwise(trio[0].instruction, one, two))
    for (trio, first), found in zip(asked, read_verdicts(engine, questions), strict=True):
        value = found.of_first
        keep(trio, first, 1 - value if first == "baseline" and value is not None else value, found.mass, found.raw)
    worker.report(len(trios))
    return outcome


@dataclass(frozen=True)
class HeadToHead:
    """Win rate of a model against a baseline, in percent, over `prompts`; unscored ones count as half a win.

    `standard_error` is that of the mean. A win or a loss needs both orders to agree; all others are ties.
    """

    prompts: int
    win_rate: float
    standard_error: float
    wins: int
    losses: int
    ties: int
    unscored: int


@dataclass(frozen=True)
class WinRate:
    """A head-to-head over both orders, with figures of the judge's reliability.

    `first_preferred` is the mean preference for the answer shown first, in percent, over the questions that were asked: 50
    without position bias. `orders_agree` is the share of scored prompts for which both orders prefer the same answer.
    `mass` is the judge's mean total probability of A and B, None without log-probabilities. `length_controlled` is None
    for fewer than 10 scored prompts.
    """

    total: HeadToHead
    length_controlled: LengthControlled | None
    first_preferred: float | None
    orders_agree: float | None
    mass: float | None
    model_chars: float
    baseline_chars: float


def head_to_head(preferences: Sequence[float | None], verdicts: Sequence[int] | None = None) -> HeadToHead:
    """Sum up preferences in [0, 1], one per prompt, None where unscored.

    Departure from AlpacaEval: there, what is unscored leaves the total; here it stays in it, as half a win.

    Args:
        verdicts: 1, 0 or -1 for a win, tie or loss; by default what is above, at or below one half.
    """
    if not preferences:
        return HeadToHead(0, 50.0, math.nan, 0, 0, 0, 0)
    counted = [0.5 if value is None else value for value in preferences]
    signs = verdicts or [(value > 0.5) - (value < 0.5) for value in counted]
    mean = math.fsum(counted) / len(counted)
    spread = math.fsum((value - mean) ** 2 for value in counted)
    error = math.sqrt(spread / (len(counted) - 1) / len(counted)) if len(counted) > 1 else math.nan
    unscored = sum(value is None for value in preferences)
    ties = sum(sign == 0 for sign in signs) - unscored
    return HeadToHead(
        len(counted), 100 * mean, 100 * error, signs.count(1), signs.count(-1), ties=ties, unscored=unscored
    )


def win_rate(comparisons: Iterable[Comparison]) -> WinRate:
    """Return the win rate of one model against one baseline; a prompt's preference is the mean over its two orders."""
    by_prompt: dict[str, list[Comparison]] = defaultdict(list)
    for one in comparisons:
        by_prompt[one.example_id].append(one)
    preferences, verdicts = list[float | None](), list[int]()
    for pair in by_prompt.values():
        values = [one.preference for one in pair if one.preference is not None]
        whole = len(values) == len(pair)
        preferences.append(math.fsum(values) / len(values) if whole else None)
        verdicts.append(all(v > 0.5 for v in values) - all(v < 0.5 for v in values) if whole else 0)
    asked = [one for pair in by_prompt.values() for one in pair if one.raw != SAME]
    firsts = [p if one.first == "model" else 1 - p for one in asked if (p := one.preference) is not None]
    masses = [one.mass for one in asked if one.mass is not None]
    lengths = [(pair[0].model_chars, pair[0].baseline_chars) for pair in by_prompt.values()]
    scored = [(p, *size) for p, size in zip(preferences, lengths, strict=True) if p is not None]
    count = max(1, len(scored))
    return WinRate(
        total=head_to_head(preferences, verdicts),
        length_controlled=length_controlled(scored) if len(scored) >= 10 else None,
        first_preferred=100 * math.fsum(firsts) / len(firsts) if firsts else None,
        orders_agree=sum(map(abs, verdicts)) / len(scored) if scored else None,
        mass=math.fsum(masses) / len(masses) if masses else None,
        model_chars=sum(model for _, model, _ in scored) / count,
        baseline_chars=sum(baseline for _, _, baseline in scored) / count,
    )
