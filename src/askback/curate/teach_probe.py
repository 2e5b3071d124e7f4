"""Teaching the scorer `probe`, on the hidden states of the model that it is asked of (ours; curate/linear.py)."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING, Never

from askback.curate.label_file import DROP, KEEP, pair_of
from askback.curate.labels import Rated, labels_fingerprint, rated, teaching
from askback.curate.linear import Examples, learning_curve, teach
from askback.curate.scorers.probe import FIGURES, WEIGHTS, represented
from askback.curate.scorers.trial import check_calls
from askback.engines import kind_of
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, Pairs, mean
from askback.execution.identity import Model, file_fingerprint, recorded
from askback.execution.outcome import Counts
from askback.execution.shards import Records, write_json
from askback.execution.step import Step
from askback.prompts.prompt import ask
from askback.recipe import Recipe, Resources, Score, TeachProbe
from askback.records import Conversation, Lesson, Provenance

if TYPE_CHECKING:
    from askback.curate.scorers.probe import Numbers

PIECE = 32
"""Pairs in a piece of work."""
KEPT = 3
"""Level of a lesson above which a pair is worth keeping."""


def forecast(options: TeachProbe, context: ForecastContext) -> Forecast:
    """Count on every lesson and label being read once."""
    lessons = context.inputs.get("lessons", [])
    sample = [pair for part in lessons for pair in part.sample]
    count = sum(part.count for part in lessons) + (len(_labels(options)) if options.labels else 0)
    ruler = context.base.ruler
    read = mean(
        ruler.prompt(ask(asked)) + ruler.answer(ruler.truncate(output, options.max_output_tokens))
        for asked, output in sample
    )
    return Forecast(Pairs(), count, Tokens(round(count * read)))


def check_engine(options: TeachProbe, recipe: Recipe, engine: str, calls: frozenset[str]) -> list[str]:
    """Refuse an engine that returns no hidden states, as the scorer does."""
    return check_calls(Score(scorers=["probe"]), engine, calls)


def sources(options: TeachProbe) -> dict[str, str]:
    """Return the file of labels."""
    return {options.labels: labels_fingerprint(Path(options.labels))} if options.labels else {}


@recorded(version=2, engine="score", prompts=("forward",), sources=sources, check=check_engine, forecast=forecast)
def teach_probe(step: Step, options: TeachProbe, *, model: Model, lessons: Sequence[Records[Lesson]]) -> Records[Never]:
    """Teach a linear judge what to keep, from lessons and the labels that may teach, by the hidden states of `model`.

    A lesson is kept from level 4 on. In the step's folder, ``probe.safetensors`` has the judge, which another run can use
    (`score.probe`), and ``probe.json`` how it was taught, with its figures on pairs of documents that it had not seen.

    Raises:
        InputError: there are too few pairs to learn from.
        MissingExtra: scikit-learn is not installed.
    """
    found = _examples(step, model, options, lessons)
    judge, metrics = teach(found, step.random_seed)
    judge.write(step.folder)
    write_json(step.folder / FIGURES, {"model": model.id, **metrics})
    return step.measured({"pairs": Counts(len(found), len(found))}, metrics)


@recorded(version=3, engine="score", prompts=("forward",), sources=sources, check=check_engine, forecast=forecast)
def measure_learning(
    step: Step, options: TeachProbe, *, model: Model, lessons: Sequence[Records[Lesson]]
) -> Records[Never]:
    """Measure how much better the judge tells what people keep with more of their labels (`learning_curve`).

    In `step.json`, metrics: `curve`.
    """
    found = _examples(step, model, options, lessons)
    with step.progress.bar(step.name, None, 0, "judges") as bar:
        curve = learning_curve(
            found.at(~found.labelled), found.at(found.labelled), step.random_seed, lambda: bar.add(1, 0)
        )
    return step.measured({"pairs": Counts(len(found), len(found))}, {"curve": curve})


def taught_before(folder: str) -> Records[Never]:
    """Return the handle of a judge that another run taught, known by its content.

    Raises:
        InputError: the folder holds none.
    """
    path = Path(folder).expanduser()
    return Records(path, file_fingerprint(path / WEIGHTS))


def _examples(step: Step, model: Model, options: TeachProbe, lessons: Sequence[Records[Lesson]]) -> Examples:
    """Return what is to be learnt from, with the states of each pair."""
    import numpy as np

    taught = [lesson for part in lessons for lesson in part]
    labels = _labels(options) if options.labels else []
    pairs = [*taught, *(pair for pair, *_ in labels)]
    pieces = [(at, pairs[at : at + PIECE]) for at in range(0, len(pairs), PIECE)]
    work = partial(states_of, options.max_output_tokens, step.resources, model)
    preload = kind_of(step.resources.engine.kind).preload
    found = dict(step.alone(work, pieces, "pairs", len(pairs), preload=preload))
    states = [one for at, _ in pieces for one in found[at]]
    groups = [one.provenance.uri or one.messages[0].content for one in taught]
    groups += [pair.messages[0].content for pair, *_ in labels]
    return Examples(
        np.stack(states) if states else np.zeros((0, 1, 2, 1)),
        np.array([float(lesson.score > KEPT) for lesson in taught] + [worth for _, worth, _ in labels], dtype=float),
        np.array([lesson.score > KEPT for lesson in taught] + [keep for *_, keep in labels], dtype=bool),
        np.array(groups),
        np.array([len(pair.output) for pair in pairs]),
        np.arange(len(pairs)) >= len(taught),
    )


def states_of(
    max_output_tokens: int,
    resources: Resources,
    model: Model,
    worker: WorkerContext,
    numbered: tuple[int, Sequence[Conversation]],
) -> "tuple[int, list[Numbers]]":
    """In a worker: return the number of a piece and the states of its pairs."""
    number, pairs = numbered
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    found = represented(engine, pairs, max_output_tokens)
    worker.report(len(pairs))
    return number, found


def _labels(options: TeachProbe) -> list[tuple[Conversation, float, bool]]:
    """Return the labelled pairs that may teach, how good each is, and whether to keep it."""
    taught, labels = teaching(Path(options.labels)), []
    for part in ([one for one in taught if not one.comparison], [one for one in taught if one.comparison]):
        found = list(wanted(part))
        for (one, keep), worth in zip(found, worths([one.label for one, _ in found]), strict=True):
            labels.append((Conversation(one.where, one.messages, Provenance(one.where)), worth, keep))
    return labels


def worths(labels: Sequence[float]) -> list[float]:
    """Return how good pairs with these labels are, with the mean and standard deviation of as many 1 as 0."""
    middle, spread = (fmean(labels), pstdev(labels)) if labels else (0.0, 0.0)
    return [0.5 + (0.5 * (label - middle) / spread if spread else 0.0) for label in labels]


def wanted(found: Sequence[Rated]) -> Iterator[tuple[Rated, bool]]:
    """Yield the pairs of which people say whether they would keep them, and whether.

    All are of one scale. Of levels from 1 to 5, a 3 says neither; of two pairs that are compared, the better one is kept,
    and a tie says nothing; of other ratings, those above the median are kept.
    """
    labels = [one.label for one in found]
    if found and found[0].scale == "levels":
        low, high = float(DROP), float(KEEP)
    elif found and (found[0].comparison or found[0].scale == "good or bad"):
        low, high = 0.0, 1.0
    else:
        middle = median(labels) if labels else 0.0
        high = min((label for label in labels if label > middle), default=middle)
        low = max((label for label in labels if label < high), default=middle)
    for one in found:
        if one.label <= low or one.label >= high:
            yield one, one.label >= high


def taught_pairs(labels: str, measured: str = "") -> frozenset[str]:
    """Return the ids of the pairs of a file of labels that may teach, as they were made and as people saw them; none of "".

    Args:
        measured: another file of labels; what people made of the same pairs there counts too.
    """
    taught = teaching(Path(labels)) if labels else []
    made = {one.pair for one in taught}
    others = rated(Path(measured)) if measured and made else []
    seen = [*taught, *(one for _, one in others if isinstance(one, Rated) and one.pair in made)]
    return frozenset(made | {pair_of(one.messages) for one in seen})
