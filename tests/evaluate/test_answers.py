"""Prompt sets and baseline files as they are published, and written as they are to be submitted."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.evaluate.answers import answer_piece, prompt, read_baseline, read_prompts, write_outputs
from askback.evaluate.options import Answering, BaselineFile, PromptFile
from askback.execution.identity import Model
from askback.execution.run import Run
from askback.execution.shards import Records, rejections
from askback.recipe import EngineOptions, Resources
from askback.records import Message, Provenance
from tests.execution.test_step import recipe


def read(run: Run, path: Path, limit: int | None = None) -> Records[Any]:
    return run.step("prompts", read_prompts, PromptFile(path=str(path), limit=limit))


@pytest.mark.parametrize(
    ("name", "count", "starts", "references"),
    [
        ("vicuna_bench_question", 80, "How can I improve my time management skills?", 0),
        ("koala_test_set", 180, "Can you list the top 20 films", 0),
        ("self_instruct_user_oriented_252", 252, "The sentence you are given might be too wordy", 252),
    ],
)
def test_the_shared_evaluation_sets(
    name: str, count: int, starts: str, references: int, shared_data: Path, tmp_path: Path
) -> None:
    with Run(recipe(tmp_path)) as run:
        kept = list(read(run, shared_data / f"eval/{name}.jsonl"))
        dropped = list(rejections(run.folder / "prompts"))
    assert len(kept) + len(dropped) == count and all(drop.rule == "duplicate" for drop in dropped)
    assert kept[0].instruction.startswith(starts)
    assert sum(bool(one.reference) for one in kept) == references - (len(dropped) if references else 0)


def test_a_row_of_any_kind(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Add.", "input": "2 and 3", "output": "5"},
        {"instruction": "Sum up.", "instances": [{"input": "A text.", "output": "It."}]},
        {"turns": ["First?", "Second?"]},
        {"words": "none"},
        {"prompt": "First?  "},
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n{cut")
    with Run(recipe(tmp_path)) as run:
        kept = list(read(run, path))
        dropped = list(rejections(run.folder / "prompts"))
    assert [(one.instruction, one.reference) for one in kept] == [
        ("Add.\n\n2 and 3", "5"),
        ("Sum up.\n\nA text.", "It."),
        ("First?", ""),
    ]
    assert sorted((drop.rule, drop.outcome) for drop in dropped) == [
        ("broken", "failed"),
        ("broken", "failed"),
        ("duplicate", "rejected"),
    ]


def test_answers_are_written_and_read_back_as_a_baseline(tmp_path: Path) -> None:
    asked = [prompt((Message("user", f"Question {number}?"),), "", Provenance()) for number in range(3)]
    long = prompt((Message("user", "word " * 400),), "", Provenance())
    engine = Resources(engine=EngineOptions(kind="scripted"))
    options = Answering(max_prompt_tokens=100)
    made = answer_piece(options, engine, Model(Path(), "m2-1234", "0"), 0, WorkerContext(), [*asked, long])
    assert [one.instruction for one in made.kept] == [one.instruction for one in asked]
    assert [drop.rule for drop in made.dropped] == ["over-max-tokens"]
    again = answer_piece(options, engine, Model(Path(), "m2-1234", "0"), 0, WorkerContext(), asked[::-1])
    assert {one.id for one in again.kept} == {one.id for one in made.kept}, (
        "an answer does not depend on its neighbours"
    )
    path = tmp_path / "model_outputs.json"
    write_outputs(path, made.kept, "mine")
    rows = json.loads(path.read_text("utf-8"))
    assert rows[0] == {"instruction": "Question 0?", "output": made.kept[0].output, "generator": "mine"}
    path.write_text(json.dumps([*rows[:2], {"instruction": "Another?", "output": "x"}, {"instruction": "Question 2?"}]))
    (tmp_path / "asked.jsonl").write_text("\n".join(json.dumps({"prompt": one.instruction}) for one in asked))
    with Run(recipe(tmp_path)) as run:
        prompts = read(run, tmp_path / "asked.jsonl")
        kept = list(run.step("answers", read_baseline, BaselineFile(path=str(path)), prompts=prompts))
        dropped = [drop.rule for drop in rejections(run.folder / "answers")]
    assert [(one.instruction, one.output, one.model_id) for one in kept] == [
        (row["instruction"], row["output"], "mine") for row in rows[:2]
    ]
    assert dropped == ["no-such-prompt", "broken"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run, pytest.raises(InputError, match="no such file"):
        read(run, tmp_path / "none.jsonl")


@pytest.mark.parametrize("given", [97, ["pear"], {"n": 97}, 0, "text"])
def test_input_of_any_type_follows_the_prompt(given: object, tmp_path: Path) -> None:
    rows = [{"instruction": "Is it?", "input": given}, {"instruction": "And so?", "instances": [{"input": given}]}]
    shown = given if isinstance(given, str) else json.dumps(given)
    path = tmp_path / "set.json"
    path.write_text(json.dumps(rows))
    with Run(recipe(tmp_path)) as run:
        assert {one.instruction for one in read(run, path)} == {f"Is it?\n\n{shown}", f"And so?\n\n{shown}"}
