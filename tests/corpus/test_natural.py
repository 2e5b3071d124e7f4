"""Natural pairs are headers that ask and the text that answers; what only looks like one is told apart, and counted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from askback.augment.write import write_instructions, write_unseen
from askback.corpus import cut
from askback.corpus.build import drop_duplicates
from askback.corpus.explain import explain
from askback.corpus.natural import fault, find_natural, is_natural, request
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records, rejections
from askback.execution.step import Step
from askback.recipe import Augment, Corpus, Natural, Options
from askback.records import Document, Example, Provenance, Segment, exchange, record_id
from tests.corpus.test_held_out import recipe


def segment(header: str, *above: str, text: str = "The water comes back.", uri: str = "u", **fields: Any) -> Segment:
    about = Provenance(uri, language=fields.pop("language", "en"))
    return Segment(record_id(header, text, uri), text, [*above, header], about, **fields)


@pytest.mark.parametrize(
    ("header", "above", "asked"),
    [
        ("How to File a Claim Online", ["Agent Orange"], "How to File a Claim Online"),
        ("What is photosynthesis?", [], "What is photosynthesis?"),
        ("What Is Ethnicity?", ["Racial, Ethnic, and Minority Groups"], "What Is Ethnicity?"),
        ("3.2 How do I convert a spousal policy?", ["Life Insurance Policies"], "How do I convert a spousal policy?"),
        ("Question 6. What is service design?", ["Understanding design"], "What is service design?"),
        ("🍰 **What services does VA care cover?**", ["About VA Care"], "What services does VA care cover?"),
        ("What is a &#8220;Civic Hacker&#8221;?", [], "What is a “Civic Hacker”?"),
        ("Can I transfer benefits?", ["Transfer Your GI Bill Benefits"], "Can I transfer benefits?"),
        ("How long does it take to boil an egg?", ["Eggs"], "How long does it take to boil an egg?"),
        ("Why shouldn't I use Rensa?", ["Rensa"], "Why shouldn't I use Rensa?"),
        ("How do you calculate price elasticity?", ["Elasticity"], "How do you calculate price elasticity?"),
        ("What are the signs that someone is ill?", ["Signs of illness"], "What are the signs that someone is ill?"),
    ],
)
def test_requests_as_people_type_them(header: str, above: list[str], asked: str) -> None:
    assert request(header) == asked and fault(asked, segment(header, *above)) is None


@pytest.mark.parametrize(
    ("header", "above", "rule"),
    [
        ("What's new?", [], "length"),
        ("What's New in 2015?", ["Our blog"], "leans-on-page"),
        ("Why us?", [], "length"),
        ("Questions?", [], "length"),
        ("Have any more questions?", [], "no-question"),
        ("Mobile App or Sociologist?", [], "no-question"),
        ("Trends on Tuesday: Are QR Codes Still Relevant?", [], "no-question"),
        ("Is Your Site Mobile-Friendly?", [], "no-question"),
        ("What to Do with Big Data?", [], "no-question"),
        ("What if I have more questions?", ["Records"], "leans-on-page"),
        ("What happens next?", ["Elections"], "leans-on-page"),
        ("Why is it important?", ["Accessibility"], "leans-on-page"),
        ("How do I get these benefits?", ["Life Insurance"], "leans-on-page"),
        ("What did we learn?", ["A sprint"], "leans-on-page"),
        ("How did you find usability?", ["Usability"], "leans-on-page"),
        ("How does the memo strengthen accessibility?", ["Accessibility"], "leans-on-page"),
        ("What other options do I have?", ["Mental health"], "leans-on-page"),
        ("What is power?", ["Sociology"], "leans-on-page"),
        ("How to Get Started", ["Engaging Audiences"], "leans-on-page"),
        ("How to Use It", ["Developer Tools"], "leans-on-page"),
        ("What Is Marriage? What Is a Family?", [], "two-in-one"),
        ("How to Tell the War's Story: Make it Personal", [], "two-in-one"),
    ],
)
def test_headers_that_only_look_alike(header: str, above: list[str], rule: str) -> None:
    asked = request(header)
    assert asked, "it is counted"
    found = fault(asked, segment(header, *above))
    assert found is not None and found[0] == rule, found


@pytest.mark.parametrize(
    "header", ["How Bones Grow", "Contact us", "", "How to", "What we learned", "Why this matters"]
)
def test_other_headers_do_not_ask(header: str) -> None:
    assert request(header) == ""


def test_the_text_has_to_be_a_whole_answer_of_nobody_in_particular() -> None:
    whole = segment("What is photosynthesis?")
    assert is_natural(whole)
    for other, rule in [
        (replace(whole, lead=True), "not-whole"),
        (replace(whole, part=1), "not-whole"),
        (replace(whole, text="There are two steps:"), "not-whole"),
        (replace(whole, text="I like plants. My garden is big. It grows."), "first-person"),
        (replace(whole, provenance=Provenance(language="de")), "not-english"),
    ]:
        found = fault("What is photosynthesis?", other)
        assert found is not None and found[0] == rule and not is_natural(other)
    assert not is_natural(replace(whole, header_path=[]))


SEGMENTS: list[Segment] = []


@recorded(version=1)
def given(step: Step, options: Options) -> Records[Any]:
    outcome = Outcome[Any]()
    for one in SEGMENTS:
        outcome.keep("segments", one)
    return step.write(Segment, [outcome])


@recorded(version=1)
def known(step: Step, options: Options) -> Records[Any]:
    outcome = Outcome[Any]()
    outcome.keep("pairs", Example("s", exchange("what is a SEED pair?", "This."), Provenance(), "seed", "train"))
    return step.write(Example, [outcome])


def test_each_instruction_once_and_none_on_both_sides(tmp_path: Path) -> None:
    SEGMENTS[:] = [
        segment("What is photosynthesis?", uri="a"),
        segment("What is Photosynthesis?", uri="b", split="held-out"),
        segment("What is a seed pair?"),
        segment("What is osmosis?", uri="c"),
        segment("WHAT IS OSMOSIS?", uri="d"),
        segment("What happens next?"),
        segment("Photosynthesis"),
    ]
    with Run(recipe(tmp_path)) as run:
        segments, seed = run.step("given", given, Options()), run.step("known", known, Options())
        found = list(run.step("natural", find_natural, Natural(), segments=segments, seed=seed))
    assert [(one.instruction, one.origin, one.split) for one in found] == [
        ("What is Photosynthesis?", "natural", "held-out"),
        ("What is osmosis?", "natural", "train"),
    ]
    assert [one.messages[-1].segment_id for one in found] == [SEGMENTS[1].id, SEGMENTS[3].id]
    assert [drop.rule for drop in rejections(run.folder / "natural")] == ["duplicate"] * 3 + ["leans-on-page"]
    counts = json.loads((run.folder / "natural/step.json").read_text())["counts"]["headers that ask"]
    assert counts == {"entered": 6, "kept": 2, "rejected": 4, "failed": 0}


def test_the_backward_model_is_not_asked_for_what_a_person_has_asked(tmp_path: Path) -> None:
    SEGMENTS[:] = [
        segment(f"What is harbour number {at}?" if at % 2 else f"Harbour {at}", split="held-out" if at < 4 else "train")
        for at in range(8)
    ]
    model = Model(Path(), "scripted", "")
    with Run(recipe(tmp_path)) as run:
        segments, seed = run.step("given", given, Options()), run.step("known", known, Options())
        natural = run.step("natural", find_natural, Natural(), segments=segments, seed=seed)
        inputs: Any = {"model": model, "segments": segments, "natural": natural}
        written = run.step("augment", write_instructions, Augment(), **inputs)
        aside = run.step("ask-unseen", write_unseen, Augment(), **inputs)
        without = run.step("all", write_instructions, Augment(), model=model, segments=segments)
    for made, wanted in ((written, (4, 6)), (aside, (0, 2)), (without, (4, 5, 6, 7))):
        dropped = [drop for drop in rejections(made.folder) if drop.rule != "natural-pair"]
        assert not dropped, "the scripted engine's instructions pass"
        assert {one.messages[-1].segment_id for one in made} == {SEGMENTS[at].id for at in wanted}
        counts = json.loads((made.folder / "step.json").read_text())["counts"]["instructions"]
        assert counts["entered"] == 4 and counts["rejected"] == 4 - len(wanted)


def test_natural_pairs_of_documents_set_aside_have_a_limit_of_their_own(tmp_path: Path) -> None:
    def text(at: int) -> str:
        return " ".join(f"word{at}x{n}" for n in range(40))

    SEGMENTS[:] = [
        segment(f"What is harbour number {at}?" if at % 3 == 0 else "Harbour", text=text(at), uri=f"page {at}")
        for at in range(200)
    ]
    file = recipe(tmp_path, held_out=0.4, held_out_limit=9, limit=50)
    with Run(file) as run:
        segments = run.step("given", given, Options())
        found = list(run.step("dedup", drop_duplicates, file.recipe.corpus, segments=segments))
    assert [is_natural(one) for one in found if one.split == "held-out"].count(True) == 9
    assert [is_natural(one) for one in found if one.split == "held-out"].count(False) == 9
    assert [one.split for one in found].count("train") == 50


def test_explain_says_what_is_a_natural_pair(tmp_path: Path) -> None:
    texts = [
        "Water moves through a membrane to where less of it is.",
        "In living cells it goes on all the time, unseen.",
    ]
    parts = zip(("What is osmosis?", "What is it?"), texts, strict=True)
    page = "".join(f"<h2>{header}</h2><p>{text}</p>" for header, text in parts)
    (tmp_path / "a.html").write_text(f"<h1>Osmosis</h1>{page}")
    tree = {"sources": [{"format": "html", "path": "x"}], "min_chars": 20, "max_chars": 100, "languages": []}
    rows = [row for row in explain(tmp_path / "a.html", Corpus.model_validate(tree)).rows if row.verdict == "kept"]
    assert [(row.header, row.rule) for row in rows] == [
        ("What is osmosis?", "natural pair"),
        ("What is it?", "no natural pair"),
    ]
    assert rows[0].detail == "What is osmosis?" and rows[1].detail.startswith("leans-on-page: ")


def test_of_real_pages_few_segments_are_natural_pairs(web_pages: list[Document]) -> None:
    """Of 120 of these that were read, 8 were none: titles that tease, and questions about a thing of the page."""
    options = Corpus.model_validate({"sources": [{"format": "html", "path": "x"}], "languages": []})
    kept = cut(web_pages, options).kept
    asked = [one for one in kept if one.header_path and request(one.header_path[-1])]
    natural = list(filter(is_natural, kept))
    assert 0.008 < len(natural) / len(kept) < 0.03 and len(natural) < len(asked) / 2


def test_a_header_with_a_number_of_any_length_is_no_request() -> None:
    assert request(f"What is &#{'1' * 4400};?") == ""
