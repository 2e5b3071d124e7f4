"""Segments that lean on what is not in them."""

import pytest

from askback.corpus import cut
from askback.corpus.filters.standalone import leans_on, standalone
from askback.recipe import Corpus
from askback.records import Document


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("However, the wheel turns.", "opens with 'However'"),
        ("This was not what they wanted.", "opens with 'This'"),
        ("As we saw, the wheel turns.", "opens with 'As we saw'"),
        ("- And a second one.", "opens with 'And'"),
        ("Turn the wheel as described above.", "speaks of 'described above'"),
        ("The wheel of the previous chapter turns.", "speaks of 'the previous chapter'"),
        ("The wheel turns (see Figure 3).", "points to 'Figure 3'"),
        ("Go back to step 4.\n\n1. Turn.\n2. Stop.", "points to 'step 4'"),
        ("The sizes are in Table 2.", "points to 'Table 2'"),
    ],
)
def test_what_leans(text: str, found: str) -> None:
    assert leans_on(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "This guide tells how a wheel is trued.",
        "It is easy to true a wheel.",
        "So-called dishes are uneven wheels.",
        "Thunder follows lightning.",
        "Andrew trues wheels.",
        "Go back to step 2.\n\n1. Turn.\n2. Stop.",
        "The sizes are in Table 2.\n\n| a | b |\n| --- | --- |\n| c | d |",
        "Look at Figure 3.\n\nFigure 3: A wheel.",
        "The shelf above the stove is warm.",
        "",
    ],
)
def test_what_stands_alone(text: str) -> None:
    assert leans_on(text) is None


def test_it_is_counted_and_dropped_only_on_demand() -> None:
    text = "However, the wheel turns without end. " * 3
    for wanted in (False, True):
        options = {
            "sources": [{"format": "installed-docs"}],
            "min_chars": 20,
            "standalone": wanted,
            "repeat_jaccard": None,
        }
        corpus = Corpus.model_validate(options)
        made = cut([Document("u", f"# Wheels\n\n{text}", "markdown", "x")], corpus)
        assert (standalone(text, corpus) is None) != wanted
        assert len(made.kept) == (not wanted) and made.reasons == ({"segments/leans-on-others": 1} if wanted else {})
        assert made.tallies.get("segments that lean on what is not in them", 0) == (not wanted)
