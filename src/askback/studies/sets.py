"""The sets of examples that a study trains on, each cut to a size and drawn anew for each training seed."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from askback.curate.choose import LENGTH_BINS
from askback.curate.scorers import scorer
from askback.curate.select import select
from askback.errors import InputError, RecipeError
from askback.evaluate.options import Subset
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.methods import names
from askback.recipe import SeedSource, Select
from askback.recipe.names import PAIRS
from askback.records import Candidate, Example, Message, draw, reject
from askback.seed.load import load_pairs
from askback.studies.run_folder import RunFolder, side_by_side

SETS = {
    "seed": "the seed's training pairs",
    "curated": "the run's data",
    "uncurated": "all candidates",
    "random": "candidates drawn from the same fifths of length as the curated ones",
    "swapped": "the curated documents, each with another's instruction",
}
"""Sets of a run; beside them `round-T`, the choice of M_{T-1}, `A_K`, the candidates of a score from K on, and files."""
BESIDE = "seed+"
"""Prefix of a set that is trained on together with the whole seed, as in the paper's own row."""
M0 = names.model(0)
"""The set of no examples beside the seed, which makes M_0."""
ROUND, LEVEL = re.compile(r"round-([1-9]\d*)"), re.compile(r"A_([1-9]\d*(?:\.\d+)?)")
HIGHEST = {5.0: 4.5}
"""The paper's A_5 begins at 4.5 (method.md 1.7)."""
STAGE = "examples"

Pair = Example | Candidate


@recorded(version=3)
def take(step: Step, options: Subset, *, examples: Records[Pair]) -> Records[Example]:
    """Draw `size` examples to train on; a smaller draw is part of a larger one. Candidates become examples."""
    taught = [one for one in examples if is_taught(one)]
    _check_enough(examples, len(taught), options.size)
    return _write(step, options, examples, _first(step.random_seed, taught, options.size))


@recorded(version=1)
def take_alike(step: Step, options: Subset, *, examples: Records[Pair], like: Records[Pair]) -> Records[Example]:
    """Draw `size` candidates whose outputs are as long as those of `like`: as many from each fifth of all lengths.

    So what is seen of a choice is not the length of what it chose (ours; the paper's random set is drawn from all).
    """
    ordered = sorted(examples, key=_length)
    _check_enough(examples, len(ordered), options.size)
    fifths = [
        ordered[len(ordered) * n // LENGTH_BINS : len(ordered) * (n + 1) // LENGTH_BINS] for n in range(LENGTH_BINS)
    ]
    tops = [_length(fifth[-1]) for fifth in fifths if fifth]
    found = Counter(sum(top < _length(one) for top in tops[:-1]) for one in like)
    chosen: set[str] = set()
    for number, quota in enumerate(_quotas([found[n] for n in range(len(tops))], options.size)):
        chosen |= _first(step.random_seed, [fifth for fifth in fifths if fifth][number], quota)
    # A fifth that holds fewer than its quota is made up from the others.
    rest = [one for one in ordered if one.id not in chosen]
    return _write(step, options, examples, chosen | _first(step.random_seed, rest, options.size - len(chosen)))


@recorded(version=1)
def swap(step: Step, options: Subset, *, examples: Records[Pair]) -> Records[Example]:
    """Draw `size` examples, as `take` does, and give each document the instruction of another one.

    What is learnt of them beside the text alone is nothing, so a set that does no better is not learnt from as a request
    and its answer.
    """
    taught = [one for one in examples if is_taught(one)]
    _check_enough(examples, len(taught), max(2, options.size))
    chosen = _first(step.random_seed, taught, options.size)
    ring = sorted(
        (one for one in taught if one.id in chosen), key=lambda one: draw(step.random_seed, one.id, "swapped")
    )
    asked = {one.id: other.instruction for one, other in zip(ring, [*ring[1:], *ring[:1]], strict=True)}
    return _write(step, options, examples, chosen, asked)


def is_taught(one: Pair) -> bool:
    """Tell whether a model may be trained on it."""
    return isinstance(one, Candidate) or one.split == "train"


def _length(one: Pair) -> tuple[int, str]:
    return len(one.output), one.id


def _check_enough(examples: Records[Pair], count: int, size: int) -> None:
    if count < size:
        raise InputError(f"{examples.folder}: has {count:,} examples to train on, fewer than {size:,}")


def _first(random_seed: int, examples: Sequence[Pair], size: int) -> set[str]:
    ranked = sorted((draw(random_seed, one.id, "study"), one.id) for one in examples)
    return {id for _, id in ranked[:size]}


def _quotas(counts: Sequence[int], size: int) -> list[int]:
    """Return whole numbers that sum to `size` and are as `counts` are to each other, within 1."""
    ends = [round(size * sum(counts[: n + 1]) / max(1, sum(counts))) for n in range(len(counts))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _write(
    step: Step, options: Subset, examples: Records[Pair], chosen: set[str], asked: dict[str, str] | None = None
) -> Records[Example]:
    outcome = Outcome[Example]()
    for one in examples:
        if one.id in chosen:
            outcome.keep(STAGE, _example(one, options.added, asked[one.id] if asked else ""))
        else:
            why = "not-drawn" if is_taught(one) else "held-out"
            outcome.drop(reject(one.id, STAGE, why, uri=one.provenance.uri))
    return step.write(Example, [outcome])


def _example(one: Pair, added: bool, asked: str) -> Example:
    made = one if isinstance(one, Example) else Example(one.id, one.messages, one.provenance, "augmented", "train")
    turns = made.messages
    if asked:
        made = replace(made, messages=(*turns[:-2], Message("user", asked), turns[-1]))
    return replace(made, origin="augmented") if added else made


Set = Callable[[RunFolder, Run], Records[Pair]]


def set_of(name: str, made: RunFolder, run: Run) -> Records[Pair]:
    """Return the examples that a set is cut from.

    Raises:
        RecipeError: there is no such set.
        InputError: it is not made yet.
    """
    if name in SETS:
        chosen = str(made.chosen)
        step = {"seed": names.SEED, "curated": chosen, "swapped": chosen}.get(name, names.CANDIDATES)
        return _made(name, step, made)
    if found := ROUND.fullmatch(name):
        return _made(name, names.choice(int(found[1])), made)
    if found := LEVEL.fullmatch(name):
        return _level(name, float(found[1]), made, run)
    format, path = file_of(name)
    if not path.is_file():
        raise RecipeError(
            f"--sets {name}: no such set or file of pairs; allowed: {', '.join(SETS)}, round-T, A_K, a file, or "
            f"FORMAT:FILE with {', '.join(PAIRS)}; after {BESIDE} the whole seed is there too"
        )
    return pairs_of(path, format, "train", made, run)


def check_set(name: str, size: int, made: RunFolder, run: Run) -> None:
    """Check that a set, perhaps after BESIDE, is there and has `size` examples.

    Raises:
        RecipeError: there is no such set.
        InputError: it is not made yet, or has fewer examples.
    """
    plain = name.removeprefix(BESIDE)
    examples = set_of(plain, made, run)
    if plain == "random":
        _made(plain, str(made.chosen), made)
    _check_enough(examples, sum(map(is_taught, examples)), max(size, 2) if plain == "swapped" else size)


def _made(name: str, step: str, made: RunFolder) -> Records[Pair]:
    if step not in made.steps:
        raise InputError(f"{made.folder}: there is no {name} set yet. Finish the run first: askback run RECIPE")
    return made.records(step)


def _level(name: str, level: float, made: RunFolder, run: Run) -> Records[Pair]:
    """Return the candidates that the last judge gives at least `level`; the recipe's other rules of choice hold too."""
    scorers = made.file.recipe.score.scorers
    if not made.judged or len(scorers) > 1 or not scorer(scorers[0]).rated:
        raise RecipeError(
            f"--sets {name}: needs the levels of one scorer that rates, such as rubric, alone; the run has "
            f"{', '.join(scorers)}"
        )
    least = HIGHEST.get(level, level)
    options = Select(min_score=least, drop_unhelpful=made.file.recipe.select.drop_unhelpful)
    candidates, judged = made.records(names.CANDIDATES), made.records(made.judged)
    return side_by_side(run, f"level-{level:g}", select, options, candidates=candidates, judgements=judged)


def pairs_of(
    path: Path, format: str, split: Literal["train", "held-out"], made: RunFolder, run: Run
) -> Records[Example]:
    """Return the pairs of a file."""
    source = SeedSource.model_validate({"path": str(path), "format": format, "split": split})
    return side_by_side(run, f"pairs-{path.stem}", load_pairs, source, seed=made.records(names.SEED))


def file_of(name: str) -> tuple[str, Path]:
    """Return the format and the path of a set's name; a name of SETS is its own path."""
    format, _, path = name.partition(":")
    return (format, Path(path)) if format in PAIRS else ("pairs", Path(name))


def draw_of(name: str, size: int, made: RunFolder, run: Run) -> Records[Example]:
    """Return `size` examples of a set, drawn by the run's random seed; after BESIDE, to be added to the seed."""
    plain = name.removeprefix(BESIDE)
    options, examples = Subset(size=size, added=plain != name), set_of(plain, made, run)
    step = f"take-{file_of(plain)[1].stem}-{size}"
    if plain == "curated" != name and size == len(examples):
        return made.records(str(made.chosen))  # as the run trained on them, so that its model of them is known
    if plain == "random":
        like = _made(plain, str(made.chosen), made)
        return side_by_side(run, step, take_alike, options, examples=examples, like=like)
    return side_by_side(run, step, swap if plain == "swapped" else take, options, examples=examples)
