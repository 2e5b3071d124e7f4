"""Selection: what each option keeps and why the rest is skipped, in whatever order the candidates come."""

import math
import random
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.curate.choose import RULES, Pool, choose, quality_bins, source_of
from askback.recipe import Select
from askback.text.similarity import NearCopies
from askback.text.words import word_set

SCORES = {"d": 4.5, "a": 4.5, "c": 3.0, "b": 4.49}


class Scored(NamedTuple):
    id: str
    score: float
    instruction: str
    length: int
    source: str
    document: str
    licence: str


def one(
    id: str, score: float, instruction: str = "", length: int = 1000, source: str = "", licence: str = "", uri: str = ""
) -> Scored:
    return Scored(id, score, instruction or f"Ask {id}", length, source, uri, licence)


def skipped(
    candidates: list[Scored], options: Select, total: int | None = None, kept: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """Return (rule, detail) of each candidate that is not chosen, by id."""
    ids, scores, *others = (list(column) for column in zip(*candidates, strict=True))
    pool = Pool(np.array(ids, np.bytes_), np.array(scores), dict(zip(Scored._fields[2:], others, strict=True)))
    wanted = np.array([id in kept for id in ids])
    rules, details = choose(pool, options, len(ids) if total is None else total, wanted)
    return {
        id: (RULES[rule], details.get(at, "")) for at, (id, rule) in enumerate(zip(ids, rules, strict=True)) if rule
    }


def chosen(candidates: list[Scored], options: Select, total: int | None = None, kept: Collection[str] = ()) -> set[str]:
    return {candidate.id for candidate in candidates} - set(skipped(candidates, options, total, kept))


def why(candidates: list[Scored], options: Select) -> dict[str, str]:
    return {id: rule for id, (rule, _) in skipped(candidates, options).items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Select(min_score=4.5), {"a", "d", "c"}),
        (Select(top_n=2), {"c", "a"}),
        (Select(top_fraction=0.2), {"c"}),
        (Select(top_n=2, max_per_source=1), {"c"}),  # it takes its source's place
        (Select(bins=2), {"a", "b", "c", "d"}),
    ],
)
def test_those_that_people_want_come_first(options: Select, expected: set[str]) -> None:
    candidates = [one(id, score) for id, score in SCORES.items()]
    assert chosen(candidates, options, 4, {"c"}) == expected
    without_score = chosen([*candidates, one("unscored", math.nan)], options, 4, {"c", "unscored"}) - {"unscored"}
    assert len(without_score) == len(expected) - (options.top_n == 2 and options.max_per_source is None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Select(min_score=4.5), {"a", "d"}),
        (Select(min_score=1), {"a", "b", "c", "d"}),
        (Select(top_n=1), {"a"}),  # a tie, broken by id
        (Select(top_n=3), {"a", "d", "b"}),
        (Select(top_n=99), {"a", "b", "c", "d"}),
        (Select(top_fraction=0.4), {"a", "d"}),  # of five, one of which has no score
        (Select(top_fraction=0.41), {"a", "d", "b"}),  # rounded up
        (Select(bins=2), {"a", "b", "c", "d"}),
    ],
)
def test_how_many(options: Select, expected: set[str]) -> None:
    assert chosen([one(id, score) for id, score in SCORES.items()], options, total=5) == expected


def test_a_near_copy_makes_room_for_the_next_best() -> None:
    candidates = [
        one("a", 5, "How do I boil an egg?"),
        one("b", 4, "how do I boil an EGG"),
        one("c", 3, "How do I boil two eggs?"),  # 4 of 8 words shared with a
        one("d", 2, "What is wax?"),
    ]
    assert chosen(candidates, Select(top_n=2, max_similarity=0.7)) == {"a", "c"}
    assert chosen(candidates, Select(top_n=3, max_similarity=0.5)) == {"a", "d"}
    assert chosen(candidates, Select(top_n=3, max_similarity=0.51)) == {"a", "c", "d"}
    assert why(candidates, Select(top_n=2, max_similarity=0.7)) == {"b": "near-copy", "d": "not-chosen"}
    found = skipped(candidates, Select(min_score=1, max_similarity=0.7))["b"]
    assert found == ("near-copy", "its instruction is like that of a, Jaccard 1.00")


LISTS = st.lists(st.frozensets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=12)


@given(LISTS, st.sampled_from([0.2, 0.5, 0.6, 2 / 3, 0.7, 0.75, 0.9, 1.0]))
def test_no_near_copy_is_missed_by_the_index(sets: list[frozenset[str]], threshold: float) -> None:
    texts = [" ".join(sorted(letters)) for letters in sets]
    index = NearCopies(threshold, Counter(word for text in texts for word in word_set(text)))
    for number, text in enumerate(texts):
        similarities = [len(sets[number] & other) / len(sets[number] | other) for other in sets[:number]]
        found = index.nearest(text)
        best = max(similarities, default=0.0)
        assert (found[1] if found else 0.0) == (best if best >= threshold else 0.0)
        index.add(str(number), text)


def test_caps_of_sources_and_licences() -> None:
    candidates = [one(f"{n}", 9 - n, source="x" if n < 6 else "y", licence="MIT" if n % 2 else "") for n in range(8)]
    assert chosen(candidates, Select(top_n=4, max_per_source=2)) == {"0", "1", "6", "7"}
    assert chosen(candidates, Select(top_n=4, max_per_source=0.5)) == {"0", "1", "6", "7"}  # half of four
    assert chosen(candidates, Select(top_n=4, max_per_source=0.1)) == {"0", "6"}  # one at least; nobody is left then
    assert chosen(candidates, Select(top_n=4, max_per_licence=1.0)) == {"0", "1"}
    assert chosen(candidates, Select(min_score=6, max_per_licence=0.5)) == {"0", "1", "2", "3"}
    assert chosen(candidates, Select(min_score=4, max_per_licence=0.4)) == {"0", "1", "2", "3"}  # 0.4 of six is two
    assert why(candidates, Select(top_n=3, max_per_source=2))["2"] == "source-cap"
    assert why(candidates, Select(top_n=3, max_per_licence=1))["2"] == "licence-cap"


def test_the_order_of_the_rules() -> None:
    twin = "How do I boil an egg?"
    candidates = [one("a", 5, twin, source="x", licence="l"), one("b", 4, twin, source="x", licence="l")]
    everything = Select(top_n=2, max_similarity=0.7, max_per_source=1, max_per_licence=1, match_lengths=True)
    assert why(candidates, everything)["b"] == "near-copy"
    assert why(candidates, everything.model_copy(update={"max_similarity": None}))["b"] == "source-cap"
    only_licence = everything.model_copy(update={"max_similarity": None, "max_per_source": None})
    assert why(candidates, only_licence)["b"] == "licence-cap"
    lengths_only = everything.model_copy(update={"top_n": 1, "max_similarity": None, "max_per_source": None})
    assert why(candidates, lengths_only.model_copy(update={"match_lengths": False}))["b"] == "not-chosen", (
        "before any other"
    )


def test_in_turns_over_sources() -> None:
    candidates = [one(f"x{n}", 9 - n, source="x", uri=f"x/{n % 2}") for n in range(5)]
    candidates += [one("y", 3, source="y", uri="y/0"), one("z", 1, source="z", uri="z/0")]
    assert chosen(candidates, Select(top_n=4, spread="source")) == {"x0", "y", "z", "x1"}
    assert chosen(candidates, Select(top_n=4, spread="document")) == {"x0", "x1", "y", "z"}
    assert chosen(candidates, Select(top_n=2, spread="document")) == {"x0", "x1"}


def test_the_lengths_chosen_are_those_of_all() -> None:
    draw = random.Random(1)
    candidates = [
        one(f"{n:04}", score=length, length=length) for n in range(1000) for length in [draw.randint(600, 3000)]
    ]
    mean = sum(c.length for c in candidates) / 1000
    by_id = {c.id: c.length for c in candidates}

    def mean_length(options: Select) -> float:
        ids = chosen(candidates, options)
        assert len(ids) == 103
        return sum(by_id[id] for id in ids) / len(ids)

    assert mean_length(Select(top_n=103)) > mean + 900  # the score is the length
    assert abs(mean_length(Select(top_n=103, match_lengths=True)) - mean) < 250  # within a fifth, longer ones still win
    assert why(candidates, Select(top_n=103, match_lengths=True)).keys() == by_id.keys() - chosen(
        candidates, Select(top_n=103, match_lengths=True)
    )


@pytest.mark.parametrize(
    "options",
    [
        Select(top_n=7, max_similarity=0.3, max_per_source=3),
        Select(top_fraction=0.4, spread="document", max_per_licence=0.5),
        Select(top_n=9, spread="source", match_lengths=True, max_similarity=0.5),
        Select(min_score=2, max_per_source=0.2, max_per_licence=4),
    ],
)
def test_the_order_of_the_candidates_is_of_no_account(options: Select) -> None:
    draw = random.Random(3)
    candidates = [
        one(
            f"{n:02}",
            draw.randint(1, 5),
            " ".join(draw.choices("how what egg boil wax seal".split(), k=3)),
            draw.randint(600, 3000),
            draw.choice("xyz"),
            draw.choice("lm"),
            draw.choice("uvw"),
        )
        for n in range(30)
    ]
    first = skipped(candidates, options)
    assert first
    for _ in range(5):
        draw.shuffle(candidates)
        assert skipped(candidates, options) == first


def test_where_a_document_is_from() -> None:
    assert source_of("https://www.example.org/a/b.html") == source_of("http://example.org/c") == "example.org"
    assert source_of("data/rows.jsonl#7") == "data/rows.jsonl"
    assert source_of("pages/a/index.html") == "pages/a"
    assert source_of("pypi:numpy@2.0") == "pypi:numpy@2.0"
    assert source_of("http://[x/y") == "http://[x"  # no address, and a source all the same
    assert source_of("file:///a/b.html") == "file:///a"


def test_quality_bins_are_even_and_in_order() -> None:
    assert quality_bins(np.arange(7.0), 3).tolist() == [1, 1, 1, 2, 2, 3, 3]
    assert quality_bins(np.array([1.0]), 5).tolist() == [5]
    assert quality_bins(np.array([]), 5).tolist() == []


def test_ties_share_a_bin_and_the_best_are_in_the_best() -> None:
    assert quality_bins(np.array([1.0, 2, 2, 2, 3, 3, 3, 3]), 4).tolist() == [1, 2, 2, 2, 4, 4, 4, 4]


def test_a_fraction_that_makes_a_whole_number_is_that_number() -> None:
    candidates = [Scored(f"{at:03}", 1.0, f"Ask {at}?", 100, "s", "d", "l") for at in range(100)]
    assert len(chosen(candidates, Select(top_fraction=0.07))) == 7
    assert len(chosen(candidates, Select(top_n=100, max_per_source=0.29))) == 29


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"top_n": 3, "bins": 3}, "found top_n and bins"),
        ({"min_score": 4, "spread": "source"}, "give top_n or top_fraction"),
        ({"bins": 3, "match_lengths": True}, "give top_n or top_fraction"),
        ({"top_n": 3, "max_per_source": 2.5}, "neither a share below 1 nor a whole number"),
        ({"top_n": [3, 0]}, "greater than or equal to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Select.model_validate(given)


def test_a_value_for_each_round() -> None:
    options = Select(min_score=[4.0, 4.5], max_per_source=0.1)
    assert [options.of_round(t).min_score for t in (1, 2)] == [4.0, 4.5]
    assert options.of_round(2) == Select(min_score=4.5, max_per_source=0.1)
    assert Select(top_n=5).of_round(7) == Select(top_n=5)
