"""What a run would refuse, a plan refuses: with the same words and exit code, after it has shown its figures."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from askback.errors import AskbackError, MissingExtra
from askback.plan import Plan, machine
from askback.plan.running import run
from askback.recipe import RecipeFile
from askback.recipe.file import load_recipe
from tests.tiny import build_tiny_model

Change = Callable[[Path, dict[str, Any]], None]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def given(model: Path, tmp_path: Path) -> dict[str, Any]:
    """A recipe that would run."""
    rows = [{"instruction": f"What of {n}?", "output": f"Number {n} follows {n - 1}."} for n in range(80)]
    (tmp_path / "seed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = "".join(f"Boat number {n} went down the river to the market. " for n in range(20))
    (tmp_path / "page.md").write_text(f"# Title\n\n## Boats\n\n{text}\n")
    recipe = {
        "base": str(model),
        "seed": {"sources": [{"path": str(tmp_path / "seed.jsonl")}], "held_out": 0.3},
        "corpus": {"sources": [{"format": "markdown", "path": str(tmp_path / "page.md")}], "languages": []},
        "select": {"top_n": 5},
    }
    return {"name": "run", "recipe": recipe, "resources": {"runs": str(tmp_path / "runs"), "device": "cpu"}}


def plan(given: dict[str, Any]) -> Plan:
    return Plan(RecipeFile.model_validate(given))


def refused(given: dict[str, Any]) -> AskbackError:
    with pytest.raises(AskbackError) as found:
        plan(given).refusals.refuse()
    return found.value


def test_a_recipe_that_would_run_is_not_refused(given: dict[str, Any]) -> None:
    made = plan(given)
    made.refusals.refuse()
    assert made.refusals.found == [] and made.notes == []


def no_pairs(folder: Path, given: dict[str, Any]) -> None:
    (folder / "seed.jsonl").write_text("")


def broken_pairs(folder: Path, given: dict[str, Any]) -> None:
    (folder / "seed.jsonl").write_text('{"question": "Why?"}\n' * 9)


def none_held_out(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["seed"]["held_out"] = 0


def all_held_out(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["seed"]["held_out"] = 1


def no_documents(folder: Path, given: dict[str, Any]) -> None:
    (folder / "docs.jsonl").write_text("")
    given["recipe"]["corpus"]["sources"] = [{"format": "jsonl", "path": str(folder / "docs.jsonl")}]


def no_segments(folder: Path, given: dict[str, Any]) -> None:
    (folder / "page.md").write_text("# Title\n\nToo short.\n")


def long_pairs(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["judge"] = {"max_chars": 5}


EARLY: dict[str, tuple[Change, int]] = {
    "no pairs": (no_pairs, 3),
    "broken pairs": (broken_pairs, 3),
    "none held out": (none_held_out, 3),
    "all held out": (all_held_out, 3),
    "no documents": (no_documents, 4),
    "no segments": (no_segments, 4),
    "held-out pairs too long": (long_pairs, 4),
}


@pytest.mark.parametrize("name", EARLY)
def test_a_run_refuses_in_the_same_words(name: str, given: dict[str, Any], tmp_path: Path) -> None:
    change, code = EARLY[name]
    change(tmp_path, given)
    foreseen = refused(given)
    with pytest.raises(AskbackError) as met:
        run(RecipeFile.model_validate(given))
    assert (type(foreseen), foreseen.exit_code) == (type(met.value), code) == (type(met.value), met.value.exit_code)
    assert str(met.value) in str(foreseen).splitlines()


def split_unevenly(folder: Path, given: dict[str, Any]) -> None:
    given["resources"]["training"] = {"processes": 3}


def unknown_trl(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["forward"] = {"trl": {"warmup_step": 3}}


def own_trl(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["backward"] = {"trl": {"max_steps": 3}}


def no_weights(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["base"] = str(copied(given["recipe"]["base"], folder / "copy", leave="model.safetensors"))


def no_template(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["base"] = str(copied(given["recipe"]["base"], folder / "copy", leave="chat_template.jinja"))


def no_tokenizer(folder: Path, given: dict[str, Any]) -> None:
    given["recipe"]["base"] = str(copied(given["recipe"]["base"], folder / "copy", leave="tokenizer.json"))


def copied(model: str, folder: Path, leave: str) -> Path:
    folder.mkdir()
    for path in Path(model).iterdir():
        if path.name != leave:
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


LATER: dict[str, tuple[Change, int, str]] = {
    "processes": (split_unevenly, 2, "3 processes cannot share a batch of 8"),
    "unknown option of TRL": (unknown_trl, 2, "no such option. Did you mean 'warmup_steps'?"),
    "option of TRL that is ours": (own_trl, 2, "trl.max_steps: cannot be set here; use steps:"),
    "no weights": (no_weights, 3, "no weights; expected *.safetensors"),
    "no template": (no_template, 3, "has no chat template"),
    "no tokenizer": (no_tokenizer, 3, "has no tokenizer"),
}


@pytest.mark.parametrize("name", LATER)
def test_what_would_stop_a_run_later_is_refused_before(name: str, given: dict[str, Any], tmp_path: Path) -> None:
    change, code, words = LATER[name]
    change(tmp_path, given)
    error = refused(given)
    assert error.exit_code == code and words in str(error)
    assert plan(given).steps[-1].name == "result", "its figures are made all the same"


@pytest.mark.parametrize(
    ("package", "change", "words"),
    [
        ("torch", {}, "training needs torch, which is not installed. Install it with: pip install 'askback[local]'"),
        ("trl", {}, "training needs trl"),
        (
            "bitsandbytes",
            {"recipe": {"forward": {"lora": {"quantised": "nf4"}}}},
            "lora.quantised: nf4 needs bitsandbytes",
        ),
        ("ray", {"resources": {"executor": "ray"}}, "executor 'ray' needs ray"),
        ("httpx2", {"resources": {"engine": {"kind": "vllm_server"}}}, "the engine 'vllm_server' needs httpx2"),
        ("wandb", {"resources": {"trackers": ["wandb"]}}, "resources.trackers: wandb needs wandb"),
    ],
)
def test_a_missing_package_is_refused(
    package: str, change: dict[str, Any], words: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> object:
        return None if name == package else find_spec(name)

    monkeypatch.setattr(machine, "find_spec", without)
    monkeypatch.setattr("askback.train.trackers.find_spec", without)
    for half, options in change.items():
        given[half] |= options
    error = refused(given)
    assert isinstance(error, MissingExtra) and error.exit_code == 8 and words in str(error)


def test_several_refusals_are_told_together_the_first_decides(given: dict[str, Any], tmp_path: Path) -> None:
    no_pairs(tmp_path, given)
    split_unevenly(tmp_path, given)
    error = refused(given)
    assert error.exit_code == 3 and len(str(error).splitlines()) == 2


def test_few_held_out_pairs_are_said_and_not_refused(given: dict[str, Any], tmp_path: Path) -> None:
    given["recipe"]["seed"]["held_out"] = 0.02
    made = plan(given)
    made.refusals.refuse()
    assert any("too few held-out pairs to check the judge (" in note for note in made.notes)


def test_steps_that_pass_over_most_examples_are_said() -> None:
    demo = Path(__file__).parents[2] / "recipes/demo.yaml"
    notes = Plan(
        load_recipe(demo, ["recipe.forward.steps=3", "recipe.corpus.sources.0={format: text, path: README.md}"])
    ).notes
    assert "m0: 3 steps of 8 go over 24 of 96 examples; leave steps out for the paper's number" in notes


def test_more_than_the_disk_has_is_said(tmp_path: Path) -> None:
    assert machine.no_room(tmp_path / "runs/x", 10) == []
    (said,) = machine.no_room(tmp_path / "runs/x", 10**18)
    assert "1,000,000,000.0 GB of disk" in said and str(tmp_path) in said
