"""One person's review of a run: the next pair, what the page shows after a label, and the lines written."""

import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from askback.curate.choose import source_of
from askback.curate.label_file import DROP, KEEP, LEVELS, NAME, SIDES, Event, Kind, LabelFile, Labels, Shown, now
from askback.curate.measures import auroc
from askback.records import Conversation, Message, draw
from askback.review.pairs import Known, Pairs
from askback.review.queues import Queues, View

REPEATS = 10
"""One in this number of labels is a repeat: it is asked for again, of a pair labelled at least `AGO` labels before."""
AGO = 8
PAUSE = 120
"""Seconds between two labels after which the person was away."""
RECENT = 50
"""Number of latest labels over which the page measures the pace."""
EVENT = re.compile("[0-9a-f]{16}")


class Refused(Exception):
    """A form that the page would not send: nothing is written."""


@dataclass(frozen=True, slots=True)
class Card:
    """A pair as it is shown: its text, edited or not, and where it is from; nothing that a judge said."""

    pair: str
    messages: tuple[Message, ...]
    edited: bool
    comment: str
    given: str
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Screen:
    """All that is on the page. `cards` has one pair or two, none where the queue is done. `event` is the id of what will be
    written from here, so that a form that is sent twice is written once."""

    view: View
    cards: tuple[Card, ...]
    event: str
    repeat: bool
    done: int
    total: int
    queued: int
    pace: int
    before: str
    after: str
    last: Mapping[str, Any] | None
    so_far: Mapping[str, Any]
    agreement: Mapping[str, Any]


class Session:
    """What one person sees and says of a run.

    Raises:
        InputError: the run has no pairs yet.
    """

    def __init__(self, folder: Path, by: str) -> None:
        self.by = by
        self.pairs = Pairs(folder)
        self.queues = Queues(self.pairs)
        self.file = LabelFile(folder / NAME)

    def choices(self) -> dict[str, list[str]]:
        """Return what the filters offer: rules, kinds of damage, sources and languages, the most frequent first."""
        known = self.pairs.known.values()
        found = {
            "rule": Counter(one.rule for one in known),
            "damage": Counter(one.kind for one in known if one.kind != "true"),
            "source": Counter(one.source for one in known if not one.kind),
            "language": Counter(one.language for one in known if not one.kind),
        }
        return {name: [one for one, _ in counts.most_common(50) if one] for name, counts in found.items()}

    def screen(self, view: View) -> Screen:
        """Return what is on the page."""
        labels = self.file.refresh()
        ids = self._queue(view, labels)
        done = self._done(labels) & set(ids)
        shown, repeat = self._next(view, ids, done, labels)
        at = ids.index(shown) if shown in ids else len(ids)
        cards = tuple(self._card(id, labels) for id in shown.split("-") if shown)
        return Screen(
            view=view,
            cards=cards,
            event=secrets.token_hex(8),
            repeat=repeat,
            done=len(done),
            total=len(ids),
            queued=len(self.queues.ids(view)),
            pace=self._pace(labels),
            before=ids[at - 1] if at else "",
            after=ids[at + 1] if at + 1 < len(ids) else "",
            last=self._last(labels, shown),
            so_far=self._so_far(labels),
            agreement=labels.agreement(),
        )

    def _queue(self, view: View, labels: Labels) -> list[str]:
        ids = self.queues.ids(view)
        if view.queue == "unseen":
            others = {pair for by, pair in labels.labels if by != self.by}
            ids = [id for id in ids if not others & set(id.split("-"))]
        return ids[: view.count]

    def _done(self, labels: Labels) -> set[str]:
        """Return what this person has labelled, and the pairs compared, as a queue names them in either order."""
        compared = ([one.pair for one in event.pairs] for (by, _), event in labels.comparisons.items() if by == self.by)
        two = {"-".join(order) for a, b in compared for order in ((a, b), (b, a))}
        return two | {pair for by, pair in labels.standing if by == self.by}

    def _next(self, view: View, ids: list[str], done: set[str], labels: Labels) -> tuple[str, bool]:
        """Return what to show, and whether it is asked for again: what the address names, a pair to ask for again, the next
        one without a label, one that was put off, or nothing."""
        if view.at and all(one in self.pairs.known for one in view.at.split("-")):
            return view.at, view.again == "1"
        if view.mode == "one" and (again := self._again(set(ids), labels)):
            return again, True
        put_off = {pair: None for by, pair in labels.deferred if by == self.by}
        waiting = [id for id in ids if id not in done]
        fresh = next((id for id in waiting if id not in put_off), "") if put_off else next(iter(waiting), "")
        return fresh or next((id for id in put_off if id in waiting), ""), False

    def _again(self, ids: set[str], labels: Labels) -> str:
        """Return the pair that is due to be asked for again, "" if none is."""
        mine = [event for event in labels.by_person[self.by] if event.kind == "label"]
        asked = {event.pairs[0].pair for event in mine if event.repeat}
        first = [event.pairs[0].pair for event in mine if not event.repeat]
        if len(asked) >= len(set(first)) // REPEATS:
            return ""
        recent = set(first[-AGO:])
        due = [pair for pair in set(first) - asked - recent if pair in ids]
        return min(due, key=lambda pair: draw(0, "again", self.by, pair), default="")

    def _card(self, id: str, labels: Labels) -> Card:
        pair = self.pairs.text(id)
        edit, given = labels.edits.get((self.by, id)), labels.label(self.by, id)
        comment = labels.comments.get((self.by, id))
        return Card(
            pair=id,
            messages=edit.edited if edit else pair.messages,
            edited=bool(edit),
            comment=comment.given if comment else "",
            given=given.given if given else "",
            about=_about(pair),
        )

    def _pace(self, labels: Labels) -> int:
        """Return the number of labels an hour, of the last ones, without the time in which nobody was there."""
        mine = [one for one in labels.by_person[self.by] if one.kind in ("label", "comparison")][-RECENT:]
        times = [datetime.fromisoformat(one.at).timestamp() for one in mine]
        steps = [after - before for before, after in pairwise(times) if after - before <= PAUSE]
        return round(3600 * len(steps) / sum(steps)) if sum(steps) > 0 else 0

    def _last(self, labels: Labels, shown: str) -> dict[str, Any] | None:
        """Return what the judge said of the pairs labelled last, None where these are on the page again."""
        mine = [one for one in labels.by_person[self.by] if one.kind in ("label", "comparison")]
        last = mine[-1] if mine else None
        if last is None or set(shown.split("-")) & {one.pair for one in last.pairs}:
            return None
        known = [self.pairs.known.get(one.pair) for one in last.pairs]
        about = {"round": self.pairs.round, "judge": self.pairs.judge}
        return {"given": last.given, "pairs": [one for one in known if one], **about}

    def _so_far(self, labels: Labels) -> dict[str, Any]:
        """Return how the judge does on this person's labels: the AUROC of its score between pairs kept and dropped, and how
        many of either it chose; of comparisons, in how many the better pair has the higher score."""
        sides: dict[bool, list[Known]] = {True: [], False: []}
        for (by, pair), event in labels.standing.items():
            known = self.pairs.known.get(pair)
            if by == self.by and known and (event.level >= KEEP or event.level <= DROP):
                sides[event.level >= KEEP].append(known)
        scores = {kept: [one.score for one in some if one.score is not None] for kept, some in sides.items()}
        chosen = {
            kept: (sum(one.chosen is True for one in some), sum(one.chosen is not None for one in some))
            for kept, some in sides.items()
        }
        won = [found for event in labels.comparisons.values() if (found := self._agrees(event)) is not None]
        return {
            "kept": chosen[True],
            "dropped": chosen[False],
            "auroc": auroc(scores[True], scores[False]) if all(scores.values()) else None,
            "compared": len(won),
            "agreed": sum(won),
        }

    def _agrees(self, event: Event) -> float | None:
        """Return whether the better pair of a comparison has the higher score, 0.5 of equal ones, None in a tie."""
        left, right = (self.pairs.known.get(one.pair) for one in event.pairs)
        if event.by != self.by or event.given == "tie" or not left or not right:
            return None
        if left.score is None or right.score is None:
            return None
        better, other = (left.score, right.score) if event.given == "left" else (right.score, left.score)
        return (better > other) + (better == other) / 2

    def act(self, view: View, form: Mapping[str, str]) -> View:
        """Write what a form says, and return what to look at next.

        Raises:
            Refused: the page would not send that.
            StorageError: it cannot be written.
        """
        action, id = form.get("action", ""), form.get("event", "")
        labels = self.file.refresh()
        if not EVENT.fullmatch(id):
            raise Refused("the form has no id")
        if action == "undo":
            last = labels.last(self.by)
            if last is None or id in labels.seen:
                return replace(view, at="", open="")
            self._write(id, "undo", (), last.id)
            return replace(view, at="-".join(one.pair for one in last.pairs), again="1" * last.repeat, open="")
        pairs = form.get("pair", "").split("-")
        if not all(pair in self.pairs.known for pair in pairs) or len(pairs) != 1 + (action == "comparison"):
            raise Refused("there is no such pair")
        cards = tuple(self._card(pair, labels) for pair in pairs)
        shown = tuple(Shown(card.pair, card.messages) for card in cards)
        if action in ("label", "comparison", "defer"):
            allowed = {"label": LEVELS, "comparison": SIDES, "defer": ("",)}[action]
            given = form.get("given", "")
            if given not in allowed:
                raise Refused(f"{given[:20]!r} is no answer here")
            again = action == "label" and form.get("repeat") == "1" and bool(cards[0].given)
            self._write(id, action, shown, given, repeat=again)  # type: ignore[arg-type]
            return replace(view, at="", again="", open="")
        if action == "comment":
            self._write(id, "comment", shown, _lines(form.get("given", "")).strip())
        elif action == "edit":
            self._edit(id, cards[0], form)
        else:
            raise Refused("there is no such action")
        return replace(view, at=form["pair"], open="")

    def _edit(self, id: str, card: Card, form: Mapping[str, str]) -> None:
        """Write an edit of the last exchange, beside the pair's own text."""
        *earlier, asked, answered = card.messages
        edited = (*earlier, _changed(asked, form.get("instruction", "")), _changed(answered, form.get("output", "")))
        if edited != card.messages:
            own = self.pairs.text(card.pair).messages
            self._write(id, "edit", (Shown(card.pair, own),), edited=edited)

    def _write(
        self,
        id: str,
        kind: Kind,
        pairs: tuple[Shown, ...],
        given: str = "",
        *,
        repeat: bool = False,
        edited: tuple[Message, ...] = (),
    ) -> None:
        self.file.add(
            Event(id=id, kind=kind, by=self.by, at=now(), pairs=pairs, given=given, repeat=repeat, edited=edited)
        )


def _changed(message: Message, text: str) -> Message:
    """Return a message with the text of a form, in which all ends of line are alike."""
    text = _lines(text)
    if not text.strip():
        raise Refused("an instruction or an answer would be empty")
    return message if text == _lines(message.content) else replace(message, content=text)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _about(pair: Conversation) -> dict[str, str]:
    """Return where a pair is from, in words."""
    about = pair.provenance
    path = " › ".join(getattr(pair, "header_path", []))
    found = {
        "Page": about.title,
        "Under": path,
        "Address": about.uri,
        "Source": source_of(about.uri),
        "Licence": about.licence,
        "Language": about.language,
        "Date": about.date,
    }
    return {name: text for name, text in found.items() if text}
