"""How far what a pair says to its judge moves the judge; prints Markdown.

    python benchmarks/votes.py WORK [--data DATA] [--model MODEL] [--parts innocent,damage,attacks] [--tiny]

DATA is the project's data folder, by default $ASKBACK_SHARED_DATA. WORK keeps every answer of the model: run it again to go
on. Each form of votes.json is put at the end of an answer, in its middle, and behind an instruction; half of the pairs are
sound, half have another one's answer. What counts is the score minus that of a neutral sentence of the same length in the
same place, in standard deviations of the plain scores. `held_out` forms served for no choice in the code.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean, quantiles, stdev
from typing import Any, NamedTuple
from unittest.mock import patch

from askback import models
from askback.curate.damage import KINDS, sentences
from askback.curate.measures import separation
from askback.curate.scorers import scorer
from askback.curate.scorers.trial import Noting
from askback.curate.teach import TRIED, damage
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import Engine
from askback.engines.scripted import Scripted
from askback.prompts.prompt import Prompt
from askback.recipe import EngineOptions, Score
from askback.records import Conversation, Example, Provenance, Rejection, draw, exchange

PLACES = ("end", "middle", "instruction")
PAIRS, DRAWN = 12, 4
"""Pairs that are attacked, and of these, how many by one form in one place."""
CANDIDATES = 36
"""Pairs whose plain scores give the standard deviation and the threshold, which a fifth of them reach."""
CHARS = 360
"""Characters of the longest pair."""
DAMAGED = 16
"""Pairs that are scored as they are and with every kind of damage."""
INNOCENT, SCORED, READ = 1000, 24, 900
"""Innocent pairs; how many of those are scored in which something is left out; characters of the longest of them."""
LONE = re.compile(r"(?<![\w.])(?<!^)\d(?!\w|\.\d)", re.MULTILINE)
PIECE = 48
"""Prompts that are answered before the answers are kept."""
LENGTHS = (8, 16, 28, 45, 70)
"""Characters of neutral sentences; a form is compared with those of the nearest length."""
NEUTRAL = (
    "Boats.|Grey clouds.|The shop is down the road.|A green bus stops near the old market hall.|"
    "In autumn the leaves of the chestnut trees cover the path by the river.",
    "Lamps.|A wooden box.|Her coat hangs by the door.|The train to the coast leaves from this side.|"
    "My neighbour keeps some bees behind the shed and sells honey in spring.",
)
"""Two neutral sentences of each length."""


class Remembering:
    """An engine whose ratings are kept in a file; `asked` counts prompts, whether answered from the file or not."""

    def __init__(self, path: Path, opened: Callable[[], Engine]) -> None:
        self.calls = frozenset({"choose"})
        self.asked = 0
        self._path, self._opened = path, opened
        self._engine: Engine | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self._known: dict[str, list[float]] = dict(map(json.loads, lines))

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return the log-probabilities of the choices; asks what is not known yet, in pieces."""
        self.asked += len(prompts)
        keys = [hashlib.sha256(f"{one.text}\0{one.answer_start}".encode()).hexdigest()[:24] for one in prompts]
        new = {key: one for key, one in zip(keys, prompts, strict=True) if key not in self._known}
        missing = sorted(new, key=lambda key: len(new[key].text))
        for at in range(0, len(missing), PIECE):
            self._engine = self._engine or self._opened()
            piece = missing[at : at + PIECE]
            found = self._engine.choose([new[key] for key in piece], choices)
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps([key, list(row)]) + "\n" for key, row in zip(piece, found, strict=True))
            self._known |= zip(piece, map(list, found), strict=True)
            print(f"{at + len(piece)} of {len(missing)} prompts", flush=True)
        return [self._known[key] for key in keys]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the whole text: no pair here is long."""
        return text

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} is not asked here")


def ratings(engine: Any, pairs: Sequence[Conversation], guarded: bool) -> list[float]:
    """Return the rubric's scores, by the code as it is, or with everything shown to the judge."""
    open_to_all = patch.multiple(
        "askback.prompts", without_votes=str.strip, without_numbered=lambda text, numbers: text
    )
    with nullcontext() if guarded else open_to_all:
        found = scorer("rubric").judge(engine, "", Score(), pairs, 0)
    return [one.score or 0.0 for one in found]


def pair(id: str, instruction: str, output: str) -> Conversation:
    """Return a pair."""
    return Conversation(id, exchange(instruction, output), Provenance())


def rows(path: Path, output: str = "output") -> list[Conversation]:
    """Return the pairs of a file, in an order drawn by their ids."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    pairs = [pair(str(at), row["instruction"], row[output]) for at, row in enumerate(found)]
    return sorted(pairs, key=lambda one: draw(0, "votes", one.id))


def candidates(every: Sequence[Conversation], count: int) -> list[Conversation]:
    """Return short pairs: by turns a sound one, and an instruction with the answer of the pair before."""
    short = [
        one for one in every if len(one.instruction) + len(one.output) <= CHARS and len(sentences(one.output)[0]) > 1
    ]
    return [
        pair(one.id, one.instruction, before.output if at % 2 else one.output)
        for at, (before, one) in enumerate(zip(short[-1:] + short, short, strict=False))
    ][:count]


def with_sentence(one: Conversation, sentence: str, place: str) -> Conversation:
    """Return a pair with a sentence in a place."""
    if place == "instruction":
        return pair(one.id, f"{one.instruction}\n\n{sentence}", one.output)
    if place == "end":
        return pair(one.id, one.instruction, f"{one.output}\n\n{sentence}")
    parts, gaps = sentences(one.output)
    half = len(parts) // 2
    before, after = (
        "".join(part + gap for part, gap in zip(*side, strict=True))
        for side in ((parts[:half], gaps[:half]), (parts[half:], gaps[half:]))
    )
    return pair(one.id, one.instruction, f"{before.rstrip()}\n\n{sentence}\n\n{after}")


class Tried(NamedTuple):
    """A form in a place in one pair, with its scores: plain, with two neutral sentences, with the form."""

    form: str
    place: str
    plain: float
    neutral: tuple[float, float]
    score: float

    @property
    def excess(self) -> float:
        """What the form gives beyond a neutral sentence."""
        return self.score - fmean(self.neutral)

    def crosses(self, threshold: float) -> bool:
        """Whether only the form brings the pair over the threshold."""
        return self.score >= threshold > max(self.plain, *self.neutral)


def tried(engine: Any, pairs: Sequence[Conversation], forms: Sequence[str], drawn: int, guarded: bool) -> list[Tried]:
    """Return every form in every place, each in `drawn` of the pairs."""
    asked: list[tuple[str, str, Conversation, list[str]]] = []
    for number, form in enumerate(forms):
        nearest = min(range(len(LENGTHS)), key=lambda at: abs(LENGTHS[at] - len(form)))
        for at, place in enumerate(PLACES):
            first = (number * len(PLACES) + at) * DRAWN
            for step in range(drawn):
                one = pairs[(first + step) % len(pairs)]
                asked.append((form, place, one, [texts.split("|")[nearest] for texts in NEUTRAL]))
    shown = [
        version
        for form, place, one, neutral in asked
        for version in (one, *(with_sentence(one, text, place) for text in (*neutral, form)))
    ]
    scores = iter(ratings(engine, shown, guarded))
    return [Tried(form, place, next(scores), (next(scores), next(scores)), next(scores)) for form, place, _, _ in asked]


def show_attacks(found: Sequence[Tried], forms: dict[str, list[str]], deviation: float, threshold: float) -> None:
    """Print what the forms do, by kind; and what one of the neutral sentences does against the other, which is noise."""
    heads = (
        "kind",
        "forms",
        "mean excess",
        "below 0.2",
        "largest",
        *PLACES,
        "over the pair alone",
        "cross the threshold",
    )
    print(f"| {' | '.join(heads)} |\n" + "| --- " * len(heads) + "|")
    noise = [one._replace(neutral=(one.neutral[1], one.neutral[1]), score=one.neutral[0]) for one in found]
    every = [text for texts in forms.values() for text in texts]
    for kind, own, rows in [
        *((*item, found) for item in forms.items()),
        ("all", every, found),
        ("noise", every, noise),
    ]:
        rows = [one for one in rows if one.form in own]
        means = [fmean(one.excess for one in rows if one.form == form) / deviation for form in own]
        places = [fmean(one.excess for one in rows if one.place == place) / deviation for place in PLACES]
        gain = fmean(one.score - one.plain for one in rows) / deviation
        crossing = fmean(one.crosses(threshold) for one in rows)
        print(
            f"| {kind} | {len(own)} | {fmean(means):+.2f} | {fmean(value < 0.2 for value in means):.0%} | "
            f"{max(means):+.2f} | {' | '.join(f'{value:+.2f}' for value in (*places, gain))} | {crossing:.1%} |"
        )


def show_forms(found: Sequence[Tried], deviation: float) -> None:
    """Print the forms that do the most."""
    names = list(dict.fromkeys(one.form for one in found))
    means = {name: fmean(one.excess for one in found if one.form == name) / deviation for name in names}
    print(
        "\n" + ", ".join(f"{name!r} {means[name]:+.2f}" for name in sorted(names, key=means.__getitem__, reverse=True))
    )


def attacks(engine: Any, every: Sequence[Conversation], tiny: bool, sets: Sequence[str]) -> None:
    """Measure the forms, with everything shown to the judge, and by the code as it is."""
    forms: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("votes.json").read_text("utf-8"))
    plain = candidates(every, 6 if tiny else CANDIDATES)
    for name in sets:
        own = {kind: texts[: 1 if tiny else None] for kind, texts in forms[name].items()}
        for guarded in (False, True):
            deviation, threshold = spread(engine, plain, guarded)
            attacked, drawn = plain[: 4 if tiny else PAIRS], 2 if tiny else DRAWN
            found = tried(engine, attacked, [text for texts in own.values() for text in texts], drawn, guarded)
            noise = stdev(one.neutral[0] - one.neutral[1] for one in found) / deviation
            print(f"\n## {name}, {'guarded' if guarded else 'everything shown'}\n")
            print(f"SD of the scores {deviation:.3f}; of two neutral sentences' difference {noise:.2f} SD.\n")
            show_attacks(found, own, deviation, threshold)
            if name == "developed":
                show_forms(found, deviation)


def spread(engine: Any, plain: Sequence[Conversation], guarded: bool) -> tuple[float, float]:
    """Return the standard deviation of plain scores, and the threshold that a fifth of them reach."""
    scores = ratings(engine, plain, guarded)
    return stdev(scores), quantiles(scores, n=5)[-1]


def damaged(engine: Any, every: Sequence[Conversation], tiny: bool) -> None:
    """Print how well the judge tells damage, with everything shown and by the code as it is."""
    short = [one for one in every if len(one.instruction) + len(one.output) <= CHARS][: 6 if tiny else DAMAGED]
    sound = [Example(one.id, one.messages, Provenance(), "seed", "held-out") for one in short]
    shown = [("true", one) for one in short]
    for at in range(len(sound)):
        for kind in KINDS:
            made = damage(sound, at, kind, 0, TRIED, "probes")
            shown += [] if isinstance(made, Rejection) else [(kind, pair(sound[at].id, *made))]
    print("\n| AUROC | " + " | ".join([*KINDS, "mean"]) + " |\n" + "| --- " * (len(KINDS) + 2) + "|")
    for guarded in (False, True):
        scores: dict[str, dict[str, float]] = {}
        for (kind, one), score in zip(shown, ratings(engine, [one for _, one in shown], guarded), strict=True):
            scores.setdefault(kind, {})[one.id] = score
        found = separation(scores.pop("true"), scores)
        cells = [f"{found[kind][0]:.3f}" if kind in found else "" for kind in [*KINDS, "mean"]]
        print(f"| {'guarded' if guarded else 'everything shown'} | {' | '.join(cells)} |")


def prompts_of(one: Conversation, guarded: bool) -> list[Prompt]:
    """Return the prompts that are asked about a pair."""
    noting = Noting({"choose"})
    ratings(noting, [one], guarded)
    return [prompt for prompt, _ in noting.read]


def innocent(engine: Any, every: Sequence[Conversation], tiny: bool) -> None:
    """Print how many innocent pairs with a lone digit are moved by what is done against votes, and the calls it costs."""
    deviation, _ = spread(engine, candidates(every, 6 if tiny else CANDIDATES), True)
    calls = fmean(len(prompts_of(one, True)) for one in every[:INNOCENT])
    found = [one for one in every if LONE.search(f"{one.instruction}\n{one.output}")][:INNOCENT]
    touched = [one for one in found if prompts_of(one, True) != prompts_of(one, False)]
    scored = [one for one in touched if len(one.instruction) + len(one.output) <= READ][: 4 if tiny else SCORED]
    sides = zip(ratings(engine, scored, False), ratings(engine, scored, True), strict=True)
    changes = [(after - before) / deviation for before, after in sides]
    moved = fmean(abs(change) >= 0.2 for change in changes) if changes else 0.0
    share = len(touched) / len(found)
    print(
        f"\n{len(found)} innocent pairs with a lone digit: of {share:.1%} something is left out, at once or at", end=" "
    )
    print(f"asking again. Of {len(scored)} of those, {moved:.0%} move by 0.2 SD or more: {1 - share * moved:.1%} stay.")
    print(f"{calls:.3f} prompts a pair over {min(INNOCENT, len(every))} pairs of any kind.")
    print(f"Moves of those scored: {', '.join(f'{change:+.2f}' for change in sorted(changes))}")


def engine(model: str, tiny: bool) -> Engine:
    """Return the model, or, to try the script, the engine without one."""
    if tiny:
        return Scripted()
    return TransformersLocal(str(models.resolve(model)), EngineOptions())


def main() -> None:
    """Ask what is missing, and print."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("work", type=Path)
    given.add_argument("--data", type=Path, default=Path(os.environ.get("ASKBACK_SHARED_DATA", "shared/data")))
    given.add_argument("--model", default="builtin:smollm2-135m")
    given.add_argument("--parts", default="innocent,damage,attacks")
    given.add_argument("--sets", default="developed,held_out")
    given.add_argument("--tiny", action="store_true")
    arguments = given.parse_args()
    kept = Remembering(arguments.work / "answers.jsonl", lambda: engine(arguments.model, arguments.tiny))
    every = rows(arguments.data / "seed/oasst1_train_pairs.jsonl.gz")
    if "innocent" in arguments.parts:
        more = rows(arguments.data / "labels/oasst1_validation_quality.jsonl.gz", "response")
        innocent(kept, [*every, *more], arguments.tiny)
    if "damage" in arguments.parts:
        damaged(kept, every, arguments.tiny)
    if "attacks" in arguments.parts:
        attacks(kept, every, arguments.tiny, arguments.sets.split(","))


if __name__ == "__main__":
    main()
