"""In which order people are asked about which pairs; the order tells nothing of the judge's score or choice."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from urllib.parse import parse_qs, urlencode

from askback.records import draw
from askback.review.pairs import Known, Pairs

QUEUES = {
    "random": "Random",
    "unseen": "Not seen by anybody",
    "uncertain": "Judge most uncertain",
    "disagree": "Scorers disagree",
    "threshold": "Near the threshold",
    "rule": "One rejection rule",
    "damage": "One kind of damage",
}
NOTHING = {
    "uncertain": "The judge has given no probabilities of levels.",
    "disagree": "Fewer than two scorers have judged the pairs.",
    "threshold": "No pair is chosen yet.",
    "rule": "No rule has rejected a pair yet.",
    "damage": "The judge was not tried on damaged pairs.",
}
"""Why a queue may hold nothing."""
MODES = {"one": "One pair", "two": "Two pairs"}
LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at, as the address of the page has it.

    `of` is the rule or the kind of damage, "" for any; `count` the number of pairs to ask about, the first of the queue;
    `at` the pair that is shown, of two both with a dash between, "" for the next one; `again` is "1" where
    that was asked for again; `open` "edit" or "comment" where that is being written; `raw` is
    "1" where texts are shown as they are written.
    """

    queue: str = "random"
    of: str = ""
    source: str = ""
    language: str = ""
    mode: str = "one"
    count: int = 100
    at: str = ""
    again: str = ""
    open: str = ""
    raw: str = ""

    def query(self, **changes: object) -> str:
        """Return this as a query, with changes; what is as usual is left out, but for the number of pairs."""
        usual = asdict(View())
        tree = asdict(self) | changes
        return urlencode({name: value for name, value in tree.items() if value != usual[name] or name == "count"})


def view_of(query: str, count: int) -> View:
    """Return the view of an address; what it does not know is as usual."""
    given = {name: values[-1] for name, values in parse_qs(query).items()}
    usual = View(count=count)
    known = {name: given[name] for name in ("of", "source", "language", "at", "again", "open", "raw") if name in given}
    digits = given.get("count", "")
    return replace(
        usual,
        queue=given["queue"] if given.get("queue") in QUEUES else usual.queue,
        mode=given["mode"] if given.get("mode") in MODES else usual.mode,
        count=min(LARGEST, int(digits)) if digits.isdecimal() and len(digits) < 10 else count,
        **known,
    )


class Queues:
    """The queues of a run, each made once."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self._made: dict[View, list[str]] = {}

    def ids(self, view: View) -> list[str]:
        """Return the pairs of a view's queue; of two at a time, two ids with a dash between, the left one first."""
        key = replace(view, at="", again="", open="", raw="", count=0)
        if key not in self._made:
            found = self._order(view)
            self._made[key] = self._two_by_two(found) if view.mode == "two" else found
        return self._made[key]

    def _order(self, view: View) -> list[str]:
        known = {
            id: one
            for id, one in self.pairs.known.items()
            if view.source in ("", one.source) and view.language in ("", one.language)
        }
        if view.queue == "damage":
            wanted = [id for id, one in known.items() if one.kind not in ("", "true") and view.of in ("", one.kind)]
            true = [id for id, one in known.items() if one.kind == "true"]
            return self._among(wanted, true or [id for id, one in known.items() if not one.kind])
        known = {id: one for id, one in known.items() if not one.kind}
        if view.queue == "rule":
            wanted = [id for id, one in known.items() if one.rule and view.of in ("", one.rule)]
            return self._among(wanted, sorted(set(known) - set(wanted)))
        keys: dict[str, Callable[[Known], float | None]] = {
            "uncertain": lambda one: None if one.uncertainty is None else -one.uncertainty,
            "disagree": lambda one: None if one.disagreement is None else -one.disagreement,
            "threshold": self._from_threshold(),
        }
        of = keys.get(view.queue, _alike)
        ranked = [(value, by_chance(id), id) for id, one in known.items() if (value := of(one)) is not None]
        return [id for *_, id in sorted(ranked)]

    def _among(self, wanted: Sequence[str], others: Sequence[str]) -> list[str]:
        """Return the wanted pairs among as many others, in a random order, so that nobody knows which is which."""
        drawn = sorted(others, key=by_chance)[: len(wanted)]
        return sorted({*wanted, *drawn}, key=by_chance)

    def _from_threshold(self) -> Callable[[Known], float | None]:
        """Return how far a pair's score is from the lowest one chosen."""
        least = min(
            (one.score for one in self.pairs.known.values() if one.chosen and one.score is not None), default=None
        )
        return lambda one: None if least is None or one.score is None else abs(one.score - least)

    def _two_by_two(self, ids: Sequence[str]) -> list[str]:
        """Return pairs two by two: of the same segment, and else those of the most similar length; a pair is in one."""
        known, place = self.pairs.known, {id: at for at, id in enumerate(ids)}
        groups: dict[str, list[str]] = defaultdict(list)
        for id in ids:
            groups[known[id].segment or id].append(id)
        found = [two for group in groups.values() for two in zip(group[::2], group[1::2], strict=False)]
        rest = sorted((group[-1] for group in groups.values() if len(group) % 2), key=lambda id: known[id].length)
        found += zip(rest[::2], rest[1::2], strict=False)
        found.sort(key=lambda two: min(place[id] for id in two))
        return ["-".join(two if draw(0, "left", *two) % 2 else two[::-1]) for two in found]


def _alike(_: Known) -> float | None:
    return 0.0


def by_chance(id: str) -> int:
    """Return a number to order pairs by at random; it is the same for everybody, so that people label the same pairs."""
    return draw(0, "review", id)
