"""Method reinstruct: what its page asks for, and that texts, questions and answers are kept or dropped by rule."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from askback.engines.protocol import Completion
from askback.execution.identity import Model
from askback.execution.shards import Records, rejections
from askback.export import export
from askback.methods import names, page_of
from askback.methods.reinstruct import reinstruct
from askback.plan import Plan
from askback.recipe import EngineOptions, Engines, PostFilters, RecipeFile
from askback.recipe import Recipe as RecipeOptions
from askback.records import Example
from askback.report.html import OPENING, write_report
from askback.rewrite.answer import read_answer
from askback.rewrite.post_filters import answer_fault, question_fault
from askback.rewrite.write import Written
from askback.seed.triples import MADE
from askback.studies.run_folder import chosen, data_step
from tests.methods.test_humpback import CORPUS, SERVER, Names
from tests.untrained import Untrained, as_answered, write_recipe

SEED = {"sources": [{"path": "s"}]}
PAGE = ["seed", "segment", "dedup", "backward", "augment", "select-1", "triples", "rewriter", "rewrite", "filtered"]


def recipe(**changed: Any) -> RecipeOptions:
    return RecipeOptions.model_validate({"method": "reinstruct", "seed": SEED, "corpus": CORPUS, **changed})


def walked(options: RecipeOptions, **engines: EngineOptions) -> tuple[Names, Any]:
    walk = Names(Engines(**engines))
    return walk, reinstruct(options, walk)


def test_the_papers_page() -> None:
    """Two models are trained on what people wrote, and nothing is judged."""
    walk, result = walked(recipe())
    assert page_of(recipe()) is reinstruct
    assert list(walk.made) == [*PAGE, "grounded"] and result.folder == Path("grounded")
    assert walk.made["rewrite"]["model"].id == "rewriter" and walk.made["augment"]["model"].id == "backward"
    assert [one.folder.name for one in walk.made["rewriter"]["examples"]] == ["triples"]
    assert {walk.functions[step].engine for step in walk.made} == {"", "augment", "rewrite"}


def test_the_seed_stands_twice_beside_the_pairs() -> None:
    walk, result = walked(recipe(forward={}, corpus=CORPUS | {"held_out": 0}, natural={"use": "none"}))
    assert isinstance(result, Model) and result.id == "result"
    assert [one.folder.name for one in walk.made["m0"]["examples"]] == ["seed"]
    assert [one.folder.name for one in walk.made["m1"]["examples"]] == ["seed", "seed", "grounded"]
    walk, _ = walked(recipe(forward={}, corpus=CORPUS | {"held_out": 0}, natural={"use": "none"}, seed_copies=1))
    assert [one.folder.name for one in walk.made["m1"]["examples"]] == ["seed", "grounded"]


def test_a_server_answers_in_place_of_a_rewriter_of_the_runs_own() -> None:
    walk, _ = walked(recipe(), rewrite=SERVER)
    assert list(walk.made) == [step for step in PAGE if step not in ("triples", "rewriter")] + ["grounded"]
    assert walk.made["rewrite"]["model"].id == "strong"


def test_its_defaults_are_the_papers_and_single_values_change_them() -> None:
    own = recipe(rewrite={"max_new_tokens": 300}, corpus=CORPUS | {"limit": 9})
    assert (own.rewrite.temperature, own.rewrite.max_new_tokens, own.rewrite.retries) == (0, 300, 0)
    assert own.corpus.preset == "reinstruct" and own.corpus.min_chars == 1200 and own.corpus.limit == 9
    assert recipe(corpus=CORPUS | {"preset": "web"}).corpus.min_chars == 600


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": {"sources": []}}, "learns from seed pairs"),
        ({"rounds": 2, "forward": {}}, "after one round of curation"),
        ({"backward": {"mode": "prompted"}}, "goes with method: prompted, and the method is reinstruct"),
        ({"select": {"top_n": 5}}, "judges nothing, so select is of no use"),
        ({"score": {"scorers": ["ifd"]}}, "judges nothing, so score is of no use"),
        ({"curate": "none"}, "curate goes with method: back_and_forth"),
        ({"method": "back_and_forth", "filters": {"max_dashes": 3}}, "filters goes with method: reinstruct"),
        ({"method": "humpback", "triples": {"sources": [{"path": "t"}]}}, "triples goes with method: reinstruct"),
    ],
)
def test_what_does_not_go_together(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(**changed)


def test_the_plan_forecasts_it(tmp_path: Path, tiny_model: Path) -> None:
    file = as_answered(write_recipe(tmp_path, tiny_model), rewriter={})
    plan = Plan(file)
    steps = {step.name: step for step in plan.steps}
    assert [*steps] == [*PAGE, "grounded"] and MADE in plan.notes
    assert steps["rewriter"].forecast.entered == steps["seed"].forecast.made.count
    assert steps["rewriter"].forecast.tokens.train > steps["backward"].forecast.tokens.train, "the text is longer"
    asked = steps["rewrite"].forecast
    assert steps["rewrite"].engine == "rewrite" and asked.tokens.prompt > 4 * asked.tokens.output > 0
    triples = tmp_path / "triples.jsonl"
    rows = [
        {"context": f"The boat is {n} feet long.", "question": "How long?", "answer": f"{n} feet"} for n in range(9)
    ]
    triples.write_text("\n".join(map(json.dumps, rows)))
    given = file.as_written()
    given["recipe"]["triples"]["sources"] = [{"path": str(triples)}]
    plan = Plan(RecipeFile.model_validate(given))
    assert MADE not in plan.notes
    assert next(step for step in plan.steps if step.name == "rewriter").forecast.entered == 9


def test_it_keeps_texts_beside_answers(tmp_path: Path, tiny_model: Path) -> None:
    # So many that some are invented, and some kept, whatever the ids, which follow the path of `tmp_path`.
    file = as_answered(write_recipe(tmp_path, tiny_model, pages=18), filters={"unseen_words": ["explain"]})
    planned = [step.name for step in Plan(file).steps]
    with Untrained(file) as made:
        reinstruct(file.recipe, made)
    folder = made.folder
    assert {path.parent.name for path in folder.glob("*/step.json")} == set(planned)
    segments = {one.text for one in Records[Any](folder / "dedup", "")}
    questions = {one.id: one for one in Records[Example](folder / "select-1", "")}
    answers = {one.id: one for one in Records[Example](folder / "rewrite", "")}
    kept = {one.id: one for one in Records[Example](folder / "grounded", "")}
    assert answers.keys() == questions.keys() and 0 < len(kept) < len(answers)
    for id, one in answers.items():
        assert one.original == questions[id].output and one.original in segments and one.output != one.original
    unseen = {one.rule for one in rejections(folder / "select-1")}
    assert unseen == {"unseen"} and not [one for one in kept.values() if "explain" in one.instruction.lower()]
    invented = {id for id, one in answers.items() if "It took 4711 years" in one.output}
    assert invented and {one.id for one in rejections(folder / "grounded") if one.rule == "numbers"} == invented
    assert data_step(folder) == names.GROUNDED and {one.id for one in chosen(folder)} == set(kept)
    looked_at(folder, tmp_path, kept)


def looked_at(folder: Path, here: Path, kept: dict[str, Example]) -> None:
    """Check what people see of a run: before and after."""
    assert export(folder, here / "data", file_type="jsonl") == len(kept)
    card = (here / "data/README.md").read_text()
    assert "a model trained to answer from a text, prompt answer-" in card and "a model rewrote" in card
    write_report([folder], here / "report.html")
    page = (here / "report.html").read_text()
    times = [page.count(one.original[:200]) for one in kept.values()]
    assert min(times) >= 1 and sum(count > 1 for count in times) >= OPENING, "all below, some at the top too"
    assert "before it was rewritten" in page and "unseen" in page


def test_without_grounding_every_answer_that_passes_the_papers_rules_is_kept(tmp_path: Path, tiny_model: Path) -> None:
    file = as_answered(write_recipe(tmp_path, tiny_model), grounded={"skip_rules": ["all"]})
    with Untrained(file) as made:
        reinstruct(file.recipe, made)
    assert len(Records[Any](made.folder / "grounded", "")) == len(Records[Any](made.folder / "filtered", ""))
    export(made.folder, tmp_path / "data")
    assert "rules dropped those with names" not in (tmp_path / "data/README.md").read_text()


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("How is bread made?", None),
        ("How is this made?", "unseen"),
        ("What does This say?", "unseen"),
        ("How are thistles and Mathisen's bread made?", None),
        ("Why? " * 101, "too-long"),
    ],
)
def test_questions_that_the_paper_drops(question: str, rule: str | None) -> None:
    found = question_fault(question, PostFilters())
    assert (found and found[0]) == rule


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("Take water.\n" + "- a thing\n" * 10, None),
        ("Take water.\n" + "- a thing\n" * 11, "dashes"),
        ("As the web text says, take water.", "mentions-text"),
        ("Based on the information provided, take water.", "mentions-text"),
        ("I'm sorry, but I do not know.", "refusal"),
        ("Take water, and do not be late.", None),
    ],
)
def test_answers_that_the_paper_drops(answer: str, rule: str | None) -> None:
    found = answer_fault(answer, PostFilters())
    assert (found and found[0]) == rule
    assert rule != "refusal" or answer_fault(answer, PostFilters(drop_refusals=False)) is None


@pytest.mark.parametrize(
    ("completion", "found"),
    [
        (Completion(" It is so.\n", 4, True), Written("It is so.")),
        (Completion("It is", 2, False), Written("It is", "unfinished", "not ended within 2 tokens")),
        (Completion(" ", 1, True), Written("", "empty", "no word in it")),
        (Completion("", 0, False, "HTTP 500"), Written("", "no-answer", "HTTP 500")),
    ],
)
def test_an_answer_is_all_that_was_written_if_it_has_an_end(completion: Completion, found: Written) -> None:
    assert read_answer(completion) == found
