"""Lessons for the judge made of seed pairs (method.md 4.1), and probes to test a judge on.

Self-Rewarding Language Models teaches a 70B judge with human rankings and its own reasoning. Here a pair that people wrote
is a 5, and a damaged copy has the level of its damage; seed/ranked.py adds replies that people ranked lower.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from askback.curate.damage import KINDS, Pair
from askback.curate.measures import FEWEST
from askback.errors import EmptyStep
from askback.execution.forecast import Forecast, ForecastContext, Pairs, spread
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome, R
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Judge
from askback.records import Candidate, Example, Lesson, Probe, Rejection, draw, exchange, record_id, reject
from askback.text.words import join, pieces

BEST = 5
"""The level of a pair as people wrote it."""
TAUGHT, TRIED = 0, 1
"""The `wording` of damage.py, in lessons and in probes."""


def forecast_of_lessons(options: Judge, context: ForecastContext) -> Forecast:
    """Count on every pair's being damaged as often as asked for."""
    seed = context.pairs("seed")
    short = tuple(pair for pair in seed.sample if len("".join(pair)) <= options.max_chars)
    pairs = min(options.pairs, math.ceil(seed.count * len(short) / max(1, len(seed.sample))))
    return Forecast(Pairs(pairs * (1 + options.per_pair), short, origin="judgement"), pairs)


@recorded(version=4, prompts=("rubric",), forecast=forecast_of_lessons)
def teach_judge(step: Step, options: Judge, *, seed: Records[Example]) -> Records[Lesson]:
    """Make lessons of training pairs, true and damaged by `kinds` in turn; their score is the level.

    The rubric counts as a prompt of this step, since training shows lessons in it: so it is part of the identity of every
    taught model, and of no other.
    """
    outcome = Outcome[Lesson]()
    pairs = _short_enough(_in_order(step.random_seed, seed, "train"), options.pairs, options.max_chars, outcome)
    for at, pair in enumerate(pairs):
        outcome.keep("judgements", _lesson(pair, Pair(pair.instruction, pair.output), BEST))
        left = options.per_pair
        kinds = list(dict.fromkeys(options.kinds))
        for number in range(len(kinds)):
            # A pair that one kind cannot damage is damaged by the next kind, so that the number of bad pairs is kept.
            kind = kinds[(at * options.per_pair + number) % len(kinds)]
            damaged = damage(pairs, at, kind, step.random_seed, TAUGHT, "judgements")
            if isinstance(damaged, Rejection):
                outcome.drop(damaged)
                continue
            outcome.keep("judgements", _lesson(pair, damaged, KINDS[kind][1]))
            left -= 1
            if not left:
                break
    return step.write(Lesson, [outcome])


def forecast_of_probes(options: Judge, context: ForecastContext) -> Forecast:
    """Look at all held-out pairs; every kind of damage is taken to be possible."""
    held_out = context.pairs("seed").tried
    fitting = [pair for pair in held_out if len("".join(pair)) <= options.max_chars]
    with context.refusals.noted():
        check_length(len(held_out), len(fitting), options.max_chars, context.folder)
    pairs = min(options.probes, len(fitting))
    few = f"too few held-out pairs to check the judge ({pairs}, at least {FEWEST}); going on"
    made = Pairs(pairs * (len(KINDS) + 2), spread(fitting))
    return Forecast(made, pairs, notes=(few,) if 0 < pairs < FEWEST else ())


@recorded(version=3, forecast=forecast_of_probes)
def make_probes(step: Step, options: Judge, *, seed: Records[Example]) -> Records[Probe]:
    """Make probes of held-out pairs: each as it is, with every kind of damage, and with shuffled words.

    Damage inserts other words here than in lessons.

    Raises:
        EmptyStep: every held-out pair is longer than `max_chars`.
    """
    outcome = Outcome[Probe]()
    found = _in_order(step.random_seed, seed, "held-out")
    pairs = _short_enough(found, options.probes, options.max_chars, outcome)
    check_length(len(found), len(pairs), options.max_chars, step.folder)
    for at, pair in enumerate(pairs):
        outcome.keep("probes", probe(pair, "true", Pair(pair.instruction, pair.output)))
        for kind in KINDS:
            damaged = damage(pairs, at, kind, step.random_seed, TRIED, "probes")
            if isinstance(damaged, Rejection):
                outcome.drop(damaged)
            else:
                outcome.keep("probes", probe(pair, kind, damaged))
        outcome.keep("probes", probe(pair, "scrambled", _scrambled(pair, step.random_seed)))
    return step.write(Probe, [outcome])


def check_length(found: int, fitting: int, max_chars: int, folder: Path) -> None:
    """Check that some of the held-out pairs are no longer than `max_chars`.

    Raises:
        EmptyStep: there are held-out pairs, and none fits.
    """
    if found and not fitting:
        raise EmptyStep(
            f"{folder}: each of {found:,} held-out pairs is longer than judge.max_chars {max_chars}, so there is none to "
            "try the judge on. Raise it, give shorter held-out pairs, or run without a check (judge.check: false)."
        )


def damage(
    pairs: Sequence[Example], at: int, kind: str, random_seed: int, wording: int, stage: str
) -> Pair | Rejection:
    """Return pair number `at`, damaged, or the rejection in `stage` of a pair that this kind cannot damage."""
    pair = pairs[at]
    random = Random(draw(random_seed, "damage", kind, pair.id))
    other = pairs[(at + random.randrange(1, len(pairs))) % len(pairs)] if len(pairs) > 1 else pair
    apply = KINDS[kind][0]
    damaged = apply(Pair(pair.instruction, pair.output), Pair(other.instruction, other.output), random, wording)
    detail = " ".join((apply.__doc__ or "").split())
    return damaged or reject(record_id(pair.id, kind), stage, f"no-{kind}", detail, uri=pair.provenance.uri)


def _short_enough(pairs: Iterable[Example], count: int, max_chars: int, outcome: Outcome[R]) -> list[Example]:
    """Return the first `count` pairs that are not too long; all that are read count in the stage "pairs"."""
    found: list[Example] = []
    for pair in pairs:
        size = len(pair.instruction) + len(pair.output)
        if size > max_chars:
            detail = f"{size} characters, at most {max_chars}"
            outcome.drop(reject(pair.id, "pairs", "too-long", detail, uri=pair.provenance.uri))
            continue
        outcome.passed("pairs")
        found.append(pair)
        if len(found) == count:
            break
    return found


def _in_order(random_seed: int, seed: Records[Example], split: str) -> list[Example]:
    pairs: list[Example] = [pair for pair in seed if pair.split == split]
    return sorted(pairs, key=lambda pair: draw(random_seed, "judge", pair.id))


def _lesson(pair: Example, shown: Pair, level: int) -> Lesson:
    return Lesson(record_id("judgement", pair.id, *shown), exchange(*shown), pair.provenance, level)


def probe(pair: Example | Candidate, kind: str, shown: Pair) -> Probe:
    """Return a probe made of a pair."""
    return Probe(record_id(kind, pair.id, *shown), exchange(*shown), pair.provenance, pair.id, kind)


def _scrambled(pair: Example, random_seed: int) -> Pair:
    random = Random(draw(random_seed, "scrambled", pair.id))
    instruction, output = pieces(pair.instruction), pieces(pair.output)
    random.shuffle(instruction)
    random.shuffle(output)
    return Pair(join(instruction), join(output))
