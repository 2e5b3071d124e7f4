"""What people say of pairs on the review page: ``labels.jsonl`` of a run folder, to which lines are added and nothing else.

A line is an event: a label, a comparison of two pairs, an edit, a comment, a pair put off, or the undoing of one of these.
It is on disk before the page answers. A line that a kill cut short has no end and counts as never written; one that was
sent twice has the same id and counts once.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from askback import owned
from askback.curate.measures import cohen_kappa, krippendorff_alpha
from askback.errors import storage_error
from askback.records import DRAWS, Message, draw, record_id

NAME = "labels.jsonl"
Kind = Literal["label", "comparison", "edit", "comment", "defer", "undo"]
KINDS = ("label", "comparison", "edit", "comment", "defer", "undo")
LEVELS = {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "y": 5, "n": 1}
"""Key → the level, from 1 to 5, that it gives a pair."""
SIDES = ("left", "right", "tie")
KEEP, DROP = 4, 2
"""A person keeps a pair of this level or a higher one, and drops one of this or a lower one; 3 leaves it to the judge."""
TEST_SHARE = 0.3
"""Share of the pairs whose labels only measure a judge, and teach none."""


def pair_of(messages: Sequence[Message]) -> str:
    """Return the id of a pair: a hash of its text alone, so that a label holds wherever the same pair comes up."""
    return record_id(*(part for one in messages for part in (one.role, one.content)))


@lru_cache(maxsize=1 << 17)
def split_of(pair: str) -> Literal["dev", "test"]:
    """Return whether labels of a pair may teach a judge (dev), or only measure one (test)."""
    return "test" if draw(0, "label", pair) < TEST_SHARE * DRAWS else "dev"


class Shown(NamedTuple):
    """A pair as a person saw it: the id of the pair as it was made, and the text, which that person may have edited."""

    pair: str
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of the file. `by` is a person's name, `at` the time in UTC; `pairs` holds one pair, of a comparison two, the
    left one first.

    `given` is the key of a label, the better side of a comparison or "tie", the words of a comment, or the id of what is
    undone. `repeat`: the same pair was shown to the same person again, to see whether the label comes out the same.
    `edited` is the text that an edit makes of the pair, which has its own text beside it.
    """

    id: str
    kind: Kind
    by: str
    at: str
    pairs: tuple[Shown, ...] = ()
    given: str = ""
    repeat: bool = False
    edited: tuple[Message, ...] = ()

    @property
    def level(self) -> int:
        """The level of a label, from 1 to 5."""
        return LEVELS[self.given]


def now() -> str:
    """Return the time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Verdict(NamedTuple):
    """What people want of a pair: `keep` or not, who said so, and the text that they made of it, () for its own."""

    keep: bool
    by: tuple[str, ...]
    edited: tuple[Message, ...] = ()


class Labels:
    """The events of a file so far. Texts are left out but for edits, so that it is small whatever the pairs are."""

    def __init__(self) -> None:
        self.labels: dict[tuple[str, str], list[Event]] = defaultdict(list)
        """(person, pair) → the labels that were not undone, repeats too."""
        self.standing: dict[tuple[str, str], Event] = {}
        """(person, pair) → the label that counts: the last one that is no repeat."""
        self.comparisons: dict[tuple[str, frozenset[str]], Event] = {}
        self.edits: dict[tuple[str, str], Event] = {}
        self.comments: dict[tuple[str, str], Event] = {}
        self.deferred: dict[tuple[str, str], Event] = {}
        self.by_person: dict[str, list[Event]] = defaultdict(list)
        """Person → the events that were not undone, in their order."""
        self.seen: set[str] = set()
        self.damaged = 0
        """Number of lines that cannot be read."""

    def add(self, event: Event) -> None:
        """Add an event, unless it is there already."""
        if event.id in self.seen:
            return
        self.seen.add(event.id)
        if event.kind == "undo":
            self._undo(event)
            return
        event = replace(event, pairs=tuple(Shown(one.pair) for one in event.pairs))
        self.by_person[event.by].append(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        key = event.by, event.pairs[0].pair
        if event.kind == "label":
            self.labels[key].append(event)
            if not event.repeat:
                self.standing[key] = event
            self.deferred.pop(key, None)
        elif event.kind == "comparison":
            self.comparisons[event.by, frozenset(one.pair for one in event.pairs)] = event
        else:
            {"edit": self.edits, "comment": self.comments, "defer": self.deferred}[event.kind][key] = event

    def _undo(self, event: Event) -> None:
        """Take back an event: what stood before it stands again."""
        mine = self.by_person[event.by]
        gone = next((one for one in mine if one.id == event.given), None)
        if gone is None:
            return
        mine.remove(gone)
        pairs = frozenset(one.pair for one in gone.pairs)
        if gone.kind == "comparison":
            self.comparisons.pop((event.by, pairs), None)
        else:
            for table in (self.labels, self.standing, self.edits, self.comments, self.deferred):
                table.pop((event.by, gone.pairs[0].pair), None)
        for one in mine:
            if pairs == {shown.pair for shown in one.pairs}:
                self._apply(one)

    def last(self, by: str) -> Event | None:
        """Return the event that a person would undo now."""
        return self.by_person[by][-1] if self.by_person[by] else None

    def label(self, by: str, pair: str) -> Event | None:
        """Return the label that a person gave a pair, None if there is none."""
        return self.standing.get((by, pair))

    def people(self) -> list[str]:
        """Return the names of those who have labelled or compared."""
        return sorted({by for by, _ in self.standing} | {by for by, _ in self.comparisons})

    def verdicts(self) -> dict[str, Verdict]:
        """Return pair → what the majority of those who labelled it want; a tie, and a 3, leave it to the judge.

        The text is that of the last edit of somebody who keeps the pair.
        """
        votes: dict[str, dict[bool, list[str]]] = defaultdict(lambda: {True: [], False: []})
        for (by, pair), event in self.standing.items():
            if event.level >= KEEP or event.level <= DROP:
                votes[pair][event.level >= KEEP].append(by)
        found = {}
        for pair, sides in votes.items():
            keep, drop = sides[True], sides[False]
            if len(keep) != len(drop):
                texts = sorted((one.at, one.edited) for by in keep if (one := self.edits.get((by, pair))))
                edited = texts[-1][1] if texts and len(keep) > len(drop) else ()
                found[pair] = Verdict(
                    len(keep) > len(drop), tuple(sorted(keep if len(keep) > len(drop) else drop)), edited
                )
        return found

    def agreement(self) -> dict[str, Any]:
        """Return how far people agree, with each other and with themselves, on the labels that count.

        `people` is each person's number of labels, `kappa` Cohen's, for each two people, of keep, drop and 3; `alpha` is
        Krippendorff's, of the levels in their order; `repeats` is how often a label came out within the same of these three
        when asked again. None where there is nothing to compare.
        """
        counts = Counter(by for by, _ in self.standing)
        people = sorted(counts)
        levels: dict[str, dict[str, int]] = defaultdict(dict)
        for (by, pair), event in self.standing.items() if len(people) > 1 else ():
            levels[pair][by] = event.level
        kappas = {}
        for at, one in enumerate(people):
            for other in people[at + 1 :]:
                both = [(_side(of[one]), _side(of[other])) for of in levels.values() if {one, other} <= of.keys()]
                kappas[f"{one}, {other}"] = {"pairs": len(both), "kappa": cohen_kappa(both)}
        again = [
            (_side(first.level), _side(one.level))
            for events in self.labels.values()
            for first, one in pairwise(events)
            if one.repeat
        ]
        return {
            "people": dict(counts),
            "pairs": len({pair for _, pair in self.standing}),
            "comparisons": len(self.comparisons),
            "kappa": kappas,
            "alpha": krippendorff_alpha([list(of.values()) for of in levels.values() if len(of) > 1]),
            "repeats": {"pairs": len(again), "same": sum(a == b for a, b in again), "kappa": cohen_kappa(again)},
            "damaged": self.damaged,
        }


def _side(level: int) -> str:
    return "keep" if level >= KEEP else "drop" if level <= DROP else "3"


class LabelFile:
    """A file of labels that is read as it grows: others may add to it too."""

    def __init__(self, path: Path) -> None:
        self.path, self.labels = path, Labels()
        self._read = 0

    def refresh(self) -> Labels:
        """Read what was added, and return all."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read)
                for line in whole_lines(file):
                    self._read += len(line)
                    _note(self.labels, line)
        return self.labels

    def add(self, event: Event) -> Labels:
        """Put an event on disk, unless it is there already, and return all.

        Raises:
            InputError: there is a file of this name that is not ours.
            StorageError: it cannot be written.
        """
        if event.id not in self.refresh().seen:
            _append(self.path, as_line(event))
        return self.refresh()


def read_labels(path: Path) -> Labels:
    """Return what a file says now."""
    return LabelFile(path).refresh()


def events(path: Path) -> Iterator[Event]:
    """Yield the events of a file with their texts, undone ones too, each once."""
    seen = set()
    with path.open("rb") as file:
        for line in whole_lines(file):
            event = event_of(line)
            if event and event.id not in seen:
                seen.add(event.id)
                yield event


def whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines that have an end."""
    return (line for line in file if line.endswith(b"\n"))


def _note(labels: Labels, line: bytes) -> None:
    event = event_of(line)
    if event:
        labels.add(event)
    else:
        labels.damaged += bool(line.strip())


def as_line(event: Event) -> bytes:
    """Return an event as a line of the file, with `split` and `level` for who reads it without this program."""
    tree: dict[str, Any] = asdict(event)
    tree["pairs"] = [{"id": one.pair, "messages": _plain(one.messages)} for one in event.pairs]
    tree["edited"] = _plain(event.edited)
    if event.kind == "label":
        tree |= {"level": event.level, "split": split_of(event.pairs[0].pair)}
    kept = {name: value for name, value in tree.items() if value or name in ("kind", "id", "by")}
    return json.dumps(kept, ensure_ascii=True).encode() + b"\n"


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": one.role, "content": one.content} for one in messages]


def event_of(line: bytes) -> Event | None:
    """Return the event of a line, None if it is none."""
    try:
        tree = json.loads(line)
        pairs = tuple(Shown(str(one["id"]), _messages(one["messages"])) for one in tree.get("pairs", []))
        texts = {name: str(tree.get(name, "")) for name in ("id", "kind", "by", "at", "given")}
        datetime.fromisoformat(texts["at"]).timestamp()
        event = Event(
            **texts,  # type: ignore[arg-type]
            pairs=pairs,
            repeat=tree.get("repeat") is True,
            edited=_messages(tree.get("edited", [])),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    wanted = {"label": (1, LEVELS), "comparison": (2, SIDES), "undo": (0, None)}.get(event.kind, (1, None))
    allowed: Any = wanted[1]
    fits = event.kind in KINDS and event.id and len(pairs) == wanted[0] and (not allowed or event.given in allowed)
    return event if fits else None


def _messages(tree: Any) -> tuple[Message, ...]:
    return tuple(Message(one["role"], str(one["content"])) for one in tree)


def _append(path: Path, line: bytes) -> None:
    """Add a line in one write, and have it on disk; what a kill cut short before it ends first."""
    new = not path.exists()
    try:
        with owned.append(path) as file:
            data = memoryview(line if new else b"\n" + line)
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        if new:
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except OSError as error:
        raise storage_error(path, error) from error
