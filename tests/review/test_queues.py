"""Each queue holds what it says, in an order that tells nothing of the judge's choice."""

import pytest

from askback.curate.combine import mid_ranks
from askback.review.pairs import Pairs
from askback.review.queues import Queues, View, by_chance, view_of
from tests.review.runs import JUDGE, candidate, score_of, write_run

COUNT = 30


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    second = [float(n % 7) for n in range(COUNT)]
    return Pairs(write_run(tmp_path_factory.mktemp("runs") / "run", [candidate(n) for n in range(COUNT)], 8, second))


def numbers(pairs: Pairs, ids: list[str]) -> list[int]:
    return [int(pairs.text(id).instruction.split()[-1].rstrip("?")) for id in ids]


def test_what_is_known_is_what_the_judge_said(pairs: Pairs) -> None:
    assert (pairs.round, pairs.judge) == (1, JUDGE)
    ids = {number: id for id, number in zip(pairs.known, numbers(pairs, list(pairs.known)[:COUNT]), strict=False)}
    rubric, ifd = (mid_ranks([of(n) for n in range(COUNT)]) for of in (score_of, lambda n: float(n % 7)))
    for number in range(COUNT):
        known = pairs.known[ids[number]]
        assert known.score == pytest.approx((rubric[number] * ifd[number]) ** 0.5)
        assert known.disagreement == pytest.approx(abs(rubric[number] - ifd[number]))
        assert known.rule == ("" if known.chosen else "not-chosen")
        assert known.source == f"{'abc'[number % 3]}.example"


def test_the_orders(pairs: Pairs) -> None:
    queues, known = Queues(pairs), pairs.known
    uncertain = numbers(pairs, queues.ids(View("uncertain")))
    assert uncertain == list(range(COUNT)), "the larger the number the surer"
    disagree = [known[id].disagreement or 0.0 for id in queues.ids(View("disagree"))]
    assert disagree == sorted(disagree, reverse=True) and len(disagree) == COUNT
    least = min(one.score or 9 for one in known.values() if one.chosen)
    near = [abs((known[id].score or 9) - least) for id in queues.ids(View("threshold"))]
    assert near == sorted(near) and near[0] == 0
    random = queues.ids(View())
    assert random == sorted(random, key=by_chance) and len(random) == COUNT
    assert not [id for id in random if known[id].kind], "probes are asked about in their own queue alone"


def test_a_rule_and_a_kind_of_damage_are_half_others(pairs: Pairs) -> None:
    queues, known = Queues(pairs), pairs.known
    chosen = [bool(known[id].chosen) for id in queues.ids(View("rule", "not-chosen"))]
    assert chosen.count(False) == chosen.count(True) == COUNT // 2 and chosen != sorted(chosen)
    kinds = [known[id].kind for id in queues.ids(View("damage", "swapped"))]
    assert sorted(kinds) == ["swapped"] * 4 + ["true"] * 4 and kinds != sorted(kinds)
    assert queues.ids(View("rule", "no-such-rule")) == []


def test_two_by_two_each_pair_once(pairs: Pairs) -> None:
    queues = Queues(pairs)
    two = [id.split("-") for id in queues.ids(View(mode="two"))]
    assert len({id for one in two for id in one}) == COUNT == 2 * len(two)
    assert all(pairs.known[a].segment == pairs.known[b].segment for a, b in two)
    some = queues.ids(View(mode="two", language="de"))
    lengths = [abs(pairs.known[a].length - pairs.known[b].length) for a, b in (id.split("-") for id in some)]
    assert len(some) == COUNT // 4 and max(lengths) <= 1, "of other segments, those of like length"


@pytest.mark.parametrize(
    ("query", "view"),
    [
        ("", View(count=7)),
        (
            "queue=rule&of=not-chosen&mode=two&count=20&at=a&open=edit",
            View("rule", "not-chosen", mode="two", count=20, at="a", open="edit"),
        ),
        ("queue=x&mode=y&count=-1&other=1&source=%3Cb%3E", View(source="<b>", count=7)),
        ("count=99999999999999999999999", View(count=7)),
    ],
)
def test_an_address_is_a_view(query: str, view: View) -> None:
    assert view_of(query, 7) == view
    assert view_of(view.query(), 60) == view
