"""Method back_and_forth: what its page asks for, and that originals and rewrites are kept, whole, killed and resumed."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from askback.cli import app
from askback.engines.protocol import Completion, Sampling
from askback.engines.scripted import Scripted
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.execution.identity import Model
from askback.execution.shards import Records, rejections
from askback.export import export
from askback.methods import page_of
from askback.methods.back_and_forth import back_and_forth
from askback.plan import Plan
from askback.plan.running import run
from askback.prompts.prompt import Prompt
from askback.recipe import EngineOptions, Engines, Preferring, RecipeFile, Resources, Rewriting
from askback.recipe import Recipe as RecipeOptions
from askback.records import Example, Provenance, exchange
from askback.report.html import write_report
from askback.rewrite.prefer import prefer_piece
from askback.rewrite.write import REWRITING, WEAK, Written, ask, read, rewrite_piece
from askback.studies.run_folder import chosen
from tests.methods.test_humpback import CORPUS, SERVER, Names
from tests.untrained import Untrained, as_rewritten, write_recipe

SEED = {"sources": [{"path": "s"}]}
ALONE = {"backward": {"mode": "prompted"}, "base": ""}
"""No model is trained."""


def recipe(**changed: Any) -> RecipeOptions:
    return RecipeOptions.model_validate({"method": "back_and_forth", "corpus": CORPUS, **changed})


def walked(options: RecipeOptions, **engines: EngineOptions) -> tuple[Names, Any]:
    names = Names(Engines(**engines))
    return names, back_and_forth(options, names)


def test_the_papers_page() -> None:
    """M_yx and M_0 learn from the seed, M_0 judges, another model rewrites."""
    training = {"forward": {}, "judge": {"check": False}, "natural": {"use": "none"}}
    names, result = walked(recipe(seed=SEED, corpus=CORPUS | {"held_out": 0}, **training), rewrite=SERVER)
    assert page_of(recipe(seed=SEED)) is back_and_forth
    loop = ["score-1", "select-1", "rewrite", "grounded", "m1", "loss-m1", "result"]
    assert list(names.made) == ["seed", "segment", "dedup", "backward", "augment", "loss-base", "m0", "loss-m0", *loop]
    assert names.made["rewrite"]["model"].id == "strong" and names.made["score-1"]["model"].id == "m0"
    assert [one.folder.name for one in names.made["m1"]["examples"]] == ["seed", "grounded"]
    assert isinstance(result, Model)


def test_the_forward_model_rewrites_where_no_other_does() -> None:
    names, _ = walked(recipe(seed=SEED, forward={}))
    assert names.made["rewrite"]["model"].id == "m0"


def test_rewrite_only() -> None:
    names, result = walked(recipe(seed=SEED, curate="none"))
    steps = ["seed", "segment", "dedup", "backward", "augment", "select-1", "rewrite", "grounded"]
    assert list(names.made) == steps and isinstance(result, Records)
    names, _ = walked(recipe(curate="none", **ALONE), augment=SERVER, rewrite=SERVER)
    assert list(names.made) == ["segment", "dedup", "augment", "select-1", "rewrite", "grounded"]


def test_without_a_training() -> None:
    names, result = walked(recipe(**ALONE), augment=SERVER, score=SERVER, rewrite=SERVER)
    judged = ["probes", "probe-1", "check-1", "score-1", "select-1"]
    assert list(names.made) == ["segment", "dedup", "augment", *judged, "rewrite", "grounded"]
    assert result.folder == Path("grounded")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "learns from seed pairs"),
        ({"seed": SEED, "rounds": 2, "forward": {}}, "after one round of curation"),
        ({"backward": {"mode": "prompted"}, "seed": SEED, "forward": {}}, "leave out backward.mode"),
        ({"seed": SEED, "curate": "none", "select": {"top_n": 5}}, "leave one of them out"),
        ({"seed": SEED, "select": {"min_score": 3, "until": 5}}, "goes with method: prompted"),
        ({"seed": SEED, "method": "humpback", "curate": "none"}, "curate goes with method: back_and_forth"),
        ({"method": "prompted", "rewrite": {"retries": 1}}, "rewrite goes with method: back_and_forth"),
        ({"seed": SEED, "grounded": {"min_copied": 0.5, "max_copied": 0.4}}, "is above max_copied"),
    ],
)
def test_what_does_not_go_together(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(**changed)


def test_the_plan_warns_of_a_rewriter_that_is_the_runs_own(tmp_path: Path) -> None:
    file = as_rewritten(write_recipe(tmp_path, Path("none")))
    plan = Plan(file)
    assert WEAK in plan.notes
    rewriting = next(step for step in plan.steps if step.name == "rewrite")
    scoring = next(step for step in plan.steps if step.name == "score-1")
    assert rewriting.engine == "rewrite" and rewriting.forecast.tokens.output > 10 * scoring.forecast.tokens.output
    served = {"kind": "openai_http", "url": "http://127.0.0.1:9/v1", "usd_per_million_output_tokens": 10.0}
    other = file.resources.model_dump() | {"engines": {"rewrite": served}}
    plan = Plan(RecipeFile.model_validate(file.as_written() | {"resources": other}))
    assert WEAK not in plan.notes
    assert next(step for step in plan.steps if step.name == "rewrite").usd > 0


def test_it_keeps_originals_beside_rewrites(tmp_path: Path) -> None:
    # So many that some are invented whatever the ids, which follow the path of `tmp_path`.
    file = as_rewritten(write_recipe(tmp_path, Path("none"), pages=18))
    planned = [step.name for step in Plan(file).steps]
    folder = run(file)
    assert {path.parent.name for path in folder.glob("*/step.json")} == set(planned)
    selected = {one.id: one for one in Records[Example](folder / "select-1", "")}
    rewritten = {one.id: one for one in Records[Example](folder / "rewrite", "")}
    kept = {one.id: one for one in Records[Example](folder / "grounded", "")}
    for id, one in rewritten.items():
        assert one.original == selected[id].output and one.instruction == selected[id].instruction
        assert "<" not in one.output and replace(one, messages=selected[id].messages, original="") == selected[id]
    step = json.loads((folder / "rewrite/step.json").read_text())
    unmarked = {one.id for one in rejections(folder / "rewrite")}
    assert step["metrics"]["retries"] > 0 and unmarked == selected.keys() - rewritten.keys()
    dropped = {one.id: one for one in rejections(folder / "grounded")}
    invented = {id for id, one in rewritten.items() if "It took 4711 years" in one.output}
    assert invented and {id for id, one in dropped.items() if one.rule == "numbers"} == invented
    assert dropped.keys() == rewritten.keys() - kept.keys() and len(kept) > len(dropped)
    counts = json.loads((folder / "grounded/step.json").read_text())
    assert counts["reasons"] == {f"grounded/{rule}": n for rule, n in Counter(d.rule for d in dropped.values()).items()}
    assert {one.id for one in chosen(folder)} == set(kept)
    looked_at(folder, tmp_path, kept)


def looked_at(folder: Path, here: Path, kept: dict[str, Example]) -> None:
    """Check what people see of a run: the data are the rewrites."""
    assert export(folder, here / "data", file_type="jsonl") == len(kept)
    rows = [json.loads(line) for line in (here / "data/train.jsonl").read_text().splitlines()]
    assert {row["id"]: row["messages"][1]["content"] for row in rows} == {id: one.output for id, one in kept.items()}
    card = (here / "data/README.md").read_text()
    assert "a model rewrote for the instruction" in card and "rewrote the outputs" in card
    write_report([folder], here / "report.html")
    page = (here / "report.html").read_text()
    before_and_after = max(kept.values(), key=lambda one: one.score or 0)
    assert "before it was rewritten" in page and "grounded" in page
    assert page.count(before_and_after.original[:200]) >= 2, "as it was, and as it is"
    for command in ("status", "evaluate"):
        shown = CliRunner().invoke(app, [command, str(folder)])
        assert shown.exit_code == 0, shown.output


def test_other_bounds_ask_nothing_again(tmp_path: Path) -> None:
    file = as_rewritten(write_recipe(tmp_path, Path("none")), curate="none")
    folder = run(file)
    stricter = as_rewritten(
        write_recipe(tmp_path / "again", Path("none")), curate="none", grounded={"max_copied": 0.98}
    )
    stricter = RecipeFile.model_validate(stricter.as_written() | {"resources": file.resources.model_dump()})
    recipe = file.recipe.model_copy(update={"grounded": stricter.recipe.grounded})
    again = Plan(file.model_copy(update={"recipe": recipe}))
    assert [step.name for step in again.steps if step.state != "done"] == ["grounded"]
    assert len(Records[Any](folder / "select-1", "")) == len(Records[Any](folder / "augment", ""))


def test_a_model_learns_from_the_rewrites(tmp_path: Path, tiny_model: Path) -> None:
    file = as_rewritten(write_recipe(tmp_path, tiny_model), trained=True)
    with Untrained(file) as made:
        page_of(file.recipe)(file.recipe, made)
    folder = made.folder
    assert {"backward", "m0", "m1", "result"} <= {path.parent.name for path in folder.glob("*/step.json")}
    learnt = json.loads((folder / "m1/plan.json").read_text())["identity"]["inputs"]["examples"]
    grounded = json.loads((folder / "grounded/step.json").read_text())["fingerprint"]
    assert grounded in learnt
    write_report([folder], tmp_path / "report.html")


def test_a_preference_pair_is_a_rewrite_that_the_judge_prefers_at_equal_length(tmp_path: Path) -> None:
    folder = run(as_rewritten(write_recipe(tmp_path, Path("none")), curate="none", prefer={}))
    step = json.loads((folder / "prefer/step.json").read_text())
    counts, kept = step["counts"]["preferences"], {one.id: one for one in Records[Example](folder / "prefer", "")}
    assert counts["entered"] == len(Records[Any](folder / "grounded", "")) and 0 < len(kept) < counts["entered"]
    assert set(step["reasons"]) == {"preferences/not-preferred"}, (
        "the scripted rewrites are about as long as their originals"
    )
    assert export(folder, tmp_path / "pairs", "preference", "jsonl") == len(kept)
    rows = [json.loads(line) for line in (tmp_path / "pairs/train.jsonl").read_text().splitlines()]
    for row in rows:
        one = kept[row["id"]]
        assert [turn["content"] for turn in row["prompt"]] == [one.instruction]
        assert row["chosen"] == [{"role": "assistant", "content": one.output}]
        assert row["rejected"] == [{"role": "assistant", "content": one.original}]
    assert "DPOTrainer" in (tmp_path / "pairs/README.md").read_text()
    assert export(folder, tmp_path / "data") == counts["entered"]


def test_what_is_longer_or_the_same_is_not_compared() -> None:
    before = "It was so. " * 9
    after = {"other": "It is so. " * 9, "longer": "It is so. " * 12, "same": before}
    pairs = [
        Example(id, exchange("Why?", text), Provenance(), "augmented", "train", original=before)
        for id, text in after.items()
    ]
    resources = Resources.model_validate({"engine": {"kind": "scripted"}})
    made = prefer_piece(Preferring(), resources, Model(Path(), "x", ""), WorkerContext(), pairs)
    rules = {one.id: one.rule for one in made.dropped}
    assert rules.pop("longer") == "length" and rules.pop("same") == "unchanged"
    assert set(rules.values()) <= {"not-preferred"}


def test_a_run_without_comparisons_has_no_preferences(made_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="where the recipe gives prefer"):
        export(made_run, tmp_path / "pairs", "preference")


def completion(text: str, finished: bool = True) -> Completion:
    return Completion(text, len(text), finished)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is so.</answer>", Written("It is so.")),
        ("<answer>It is so.</answer>\nI hope this helps!", Written("It is so.")),
        ("Sure!\n<answer>\nThe tag </answer> ends it.\n</answer>", Written("The tag </answer> ends it.")),
        ("It is so.", Written("It is so.", "unmarked", "no </answer> within 9 tokens")),
        ("<answer></answer>", Written("", "empty", "nothing between the markers")),
    ],
)
def test_a_rewrite_stands_between_markers(text: str, found: Written) -> None:
    assert read(completion(text)) == found


def test_what_is_cut_and_what_is_not_answered_fails() -> None:
    assert read(completion("It is", finished=False)).fault == "unfinished"
    assert read(Completion("", 0, False, "HTTP 500")) == Written("", "no-answer", "HTTP 500")


class Forgetful(Scripted):
    """Leaves out the markers until it is asked a third time."""

    asked = 0

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        self.asked += 1
        return [completion("It is so.</answer>" if self.asked == 3 else "It is so.") for _ in prompts]


@pytest.mark.parametrize(("retries", "faults"), [(1, {"unmarked"}), (2, {""})])
def test_a_rewriter_that_leaves_out_the_markers_is_asked_again(retries: int, faults: set[str]) -> None:
    pairs = [Example(str(n), exchange("Why?", "It was so."), Provenance(), "augmented", "train") for n in range(3)]
    written, again = ask(Forgetful(), REWRITING, Rewriting(retries=retries), pairs, 0)
    assert {one.fault for one in written} == faults and again == 3 * retries


def test_an_answer_that_is_too_long_to_be_a_draft_is_dropped() -> None:
    pair = Example("a", exchange("Why?", "It was so. " * 100), Provenance(), "augmented", "train")
    resources = Resources.model_validate({"engine": {"kind": "scripted"}})
    options = Rewriting(max_draft_tokens=16)
    made = rewrite_piece(REWRITING, options, resources, Model(Path(), "x", ""), 0, WorkerContext(), [pair])
    assert [one.rule for one in made.dropped] == ["too-long"] and not made.kept
