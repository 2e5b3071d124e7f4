"""What makes a step another step, and what does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback import prompts
from askback.augment.write import write_instructions
from askback.curate.score import score
from askback.curate.select import select
from askback.evaluate.answers import write_answers
from askback.evaluate.loss import measure_loss
from askback.execution import identity
from askback.execution.identity import Model, StepFunction, asked, base_model, file_fingerprint, identify, trained_model
from askback.execution.shards import Records
from askback.recipe import Augment, RecipeFile, Resources, Score, Select
from askback.train.steps import train_forward


def file(rounds: int = 2, **resources: object) -> RecipeFile:
    recipe = {
        "rounds": rounds,
        "seed": {"sources": [{"path": "builtin:demo"}]},
        "corpus": {"sources": [{"format": "installed-docs"}]},
    }
    return RecipeFile.model_validate({"name": "x", "recipe": recipe, "resources": resources})


def test_the_engine_counts_where_a_model_is_asked_and_only_there() -> None:
    plain, scripted = file(), file(engine={"kind": "scripted"})
    quicker = file(workers=2, engine={"batch_tokens": 9})
    known = [identify("augment", write_instructions, Augment(), {}, one) for one in (plain, scripted, quicker)]
    assert known[0] == known[2] != known[1]
    chosen = [identify("select-1", select, Select(top_n=1), {}, one) for one in (plain, scripted)]
    assert chosen[0] == chosen[1]


def test_a_servers_own_model_stands_in_for_ours_in_its_role_alone() -> None:
    server = {"kind": "openai_http", "url": "http://host/v1", "model": "judge", "api_key_env": "KEY"}
    judged = file(rounds=1, engines={"score": server})
    trained = Model(Path("m0"), "m0-abc", "abc", steps=frozenset({"m0"}))
    found = asked(score, {"model": trained}, judged.resources)["model"]
    assert isinstance(found, Model)
    assert (found.id, found.steps) == ("judge", frozenset())
    assert asked(measure_loss, {"model": trained}, judged.resources) == {"model": trained}

    def of(**change: object) -> dict[str, object]:
        changed = file(rounds=1, engines={"score": server | change})
        inputs = asked(score, {"model": trained}, changed.resources)
        return identify("score-1", score, Score(), inputs, changed)

    assert of() == of(api_key_env="OTHER", concurrency=2, timeout_s=1, retries=0)
    assert len({json.dumps(of(**one)) for one in ({}, {"url": "http://b/v1"}, {"model": "b"}, {"api": "chat"})}) == 4
    assert "KEY" not in json.dumps(of())


def test_the_tags_are_part_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify("m0", train_forward, file().recipe.training, {}, file())
    monkeypatch.setitem(prompts.TAGS, "seed", "Answer otherwise.")
    assert identify("m0", train_forward, file().recipe.training, {}, file()) != before


def test_a_change_anywhere_in_a_file_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = set()
    for number, at in enumerate((0, 70_000, 199_999)):
        path = tmp_path / str(number) / "x"
        path.parent.mkdir()
        data = bytearray(200_000)
        data[at] = 1
        path.write_bytes(data)
        marks.add(file_fingerprint(path))
    assert len(marks) == 3
    monkeypatch.setattr(identity, "WHOLE", 1000)
    ends = []
    for number in (10, 11):
        path = tmp_path / str(number) / "x"
        path.parent.mkdir()
        path.write_bytes(bytes(3_000_000) + bytes([number]))
        ends.append(file_fingerprint(path))
    assert ends[0] != ends[1], "the last block of a large file is read"


def test_a_base_model_is_known_by_its_files_wherever_it_lies(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("{}")
    one, other = (base_model(str(tmp_path / name), "", tmp_path) for name in "ab")
    assert one.fingerprint == other.fingerprint
    (tmp_path / "b/config.json").write_text("[]")
    assert base_model(str(tmp_path / "b"), "", tmp_path).fingerprint != one.fingerprint
    assert base_model("builtin:smollm2-135m", "", tmp_path).fingerprint != "builtin:smollm2-135m"


def test_an_engine_reads_the_form_of_its_dtype(tmp_path: Path) -> None:
    """Losses read float32, all else the bfloat16 form, unless a dtype is given; each is another step."""
    model = trained_model(tmp_path / "m0", "m0", "mark", frozenset({"seed", "m0"}))
    base = Model(tmp_path, "base", "mark")
    read: dict[tuple[str, str, str], str] = {}
    marks = set()
    for kind in ("transformers", "vllm_server"):
        for dtype in ("auto", "bfloat16", "float32"):
            resources = Resources.model_validate({"engine": {"kind": kind, "dtype": dtype}})
            functions: dict[str, StepFunction[Any, Any, Any]]
            functions = {"loss": measure_loss, "score": score, "answer": write_answers}
            for role, function in functions.items():
                found = asked(function, {"model": model, "examples": Records[Any](tmp_path, "r")}, resources)["model"]
                assert isinstance(found, Model) and found.steps == model.steps and found.id == model.id
                assert asked(function, {"model": base}, resources)["model"] == base
                read[kind, dtype, role] = found.path.name
                marks.add((found.path.name, found.fingerprint))
    for kind in ("transformers", "vllm_server"):
        assert read[kind, "auto", "loss"] == "model"
        assert read[kind, "auto", "score"] == read[kind, "auto", "answer"] == "model-bfloat16"
        assert {read[kind, "bfloat16", role] for role in ("loss", "score", "answer")} == {"model-bfloat16"}
        assert {read[kind, "float32", role] for role in ("loss", "score", "answer")} == {"model"}
    assert len(marks) == 2 and len({mark for _, mark in marks}) == 2


def test_a_folder_with_its_bfloat16_form_beside_it_is_read_so(tmp_path: Path) -> None:
    for name in ("model", "alone", "model-bfloat16"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(name)
    found = base_model(str(tmp_path / "model"), "", tmp_path / "model")
    assert found.read_in("bfloat16").path == tmp_path / "model-bfloat16"
    assert found.read_in("float32") == found
    alone = base_model(str(tmp_path / "alone"), "", tmp_path / "alone")
    assert alone.read_in("bfloat16") == alone
