"""The paper's tables, worked out by hand on a few pairs."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.evaluate.options import Describing
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Select
from askback.records import Candidate, Example, Judgement, Provenance, exchange
from askback.studies.description import describe, describe_set, lengths, shares
from askback.studies.run_folder import metrics
from tests.execution.test_step import recipe


def pair(number: int, instruction: str, output: str = "An answer.", licence: str = "CC0-1.0") -> Example:
    return Example(
        f"p{number}", exchange(instruction, output), Provenance(f"f:{number}", "pairs", licence, "en"), "seed", "train"
    )


def test_one_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askback.studies.description.parser", lambda: "")
    asked = ["Write a story about rain in the old town.", "Write a story about rain in the old town!", "Why is it so?"]
    pairs = [pair(number, text, "x" * (10 + 10 * number)) for number, text in enumerate(asked)]
    pairs.append(pair(3, "Give an example.", "y" * 40, ""))
    found = describe_set(list(pairs), Describing())
    assert found["pairs"] == 4 and found["output"] == {"mean": 25, "sd": pytest.approx(11.18034)}
    assert found["near_copies"] == 0.25, "the second is the first but for its last character"
    assert found["verbs"]["coverage"] == 0.75 and found["verbs"]["top"][0] == ("write", 2, [("story", 2)])
    assert found["verbs"]["by"] == "rules"
    assert found["licence"] == {"CC0-1.0": 0.75, "not stated": 0.25}
    assert "evaluation_prompts" not in found


def test_evaluation_prompts_are_looked_for_on_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "Why does the river run so slowly past the old bridge?"}))
    pairs = [
        pair(0, "Why does the river run so slowly past the old bridge?"),
        pair(1, "What did he ask?", "He asked: why does the river run so slowly past the old bridge?"),
        pair(2, "Why does it rain?"),
    ]
    assert describe_set(list(pairs), Describing(prompts=(str(path),)))["evaluation_prompts"] == 2


def test_lengths_and_shares() -> None:
    assert lengths(["ab", "abcd"]) == {"mean": 3, "sd": 1}
    found = shares([str(number // 2) for number in range(24)], most=10)
    assert len(found) == 11 and found["others"] == pytest.approx(2 / 12) and sum(found.values()) == pytest.approx(1)


@recorded(version=1)
def made(step: Step, options: Select, *, of: Records[Any] | None = None) -> Records[Any]:
    outcome = Outcome[Any]()
    for number in range(6):
        if step.name == "seed":
            outcome.keep("pairs", pair(number, f"Question {number}?"))
        elif step.name == "augment":
            outcome.keep(
                "pairs",
                Candidate(
                    f"c{number}",
                    exchange(f"Ask {number}?", "z" * number, "s"),
                    Provenance("u", "html", language="en"),
                    [],
                    "p",
                    "m",
                    0,
                ),
            )
        else:
            score = None if number == 5 else float(number)
            outcome.keep("pairs", Judgement(f"j{number}", f"c{number}", "rubric", score, [], None, [], [], "p", "m"))
    kind = {"seed": Example, "augment": Candidate}.get(step.name, Judgement)
    return step.write(kind, [outcome])


def test_the_sets_of_a_run(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        options = Select(top_n=1)
        seed, candidates, scores = (run.step(name, made, options) for name in ("seed", "augment", "score-1"))
        alone = metrics(run.step("data", describe, Describing(), seed=seed))
        found = metrics(run.step("more", describe, Describing(), seed=seed, candidates=candidates, judgements=scores))
    assert list(alone) == ["seed"]
    assert {name: row["pairs"] for name, row in found.items()} == {"seed": 6, "A_4": 1, "all candidates": 6}
