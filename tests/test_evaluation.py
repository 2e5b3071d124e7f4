"""A whole run evaluated as a user does it: every number from its records, nothing made twice, other runs refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.errors import InputError, RecipeError
from askback.evaluate.options import Answering, Questions
from askback.execution.shards import Records
from askback.recipe import SeedSource
from askback.studies import evaluation
from askback.studies.run_folder import look
from tests.commands import askback, one_error


def steps(run: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in run.glob("evaluate/*/step.json")}


def test_a_run_evaluated(made_run: Path, tmp_path: Path) -> None:
    asked = [{"instruction": f"Tell me about {n}.", "output": f"It is {n}."} for n in range(12)]
    (tmp_path / "set.json").write_text(json.dumps(asked))
    rows = [{"instruction": row["instruction"], "output": "No.", "generator": "other"} for row in asked[:-1]]
    (tmp_path / "other.json").write_text(json.dumps(rows))
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in asked))
    questions = Questions(
        against=("m0", str(tmp_path / "other.json")),
        prompts=(str(tmp_path / "set.json"),),
        pairs=(SeedSource(path=str(tmp_path / "pairs.jsonl")),),
        answering=Answering(max_new_tokens=64),
    )
    found = evaluation.evaluate(made_run, questions)

    held_out = found["losses"]["held-out"]
    assert list(held_out) == ["base", "m0", "m1"] and held_out["base"]["pairs"] > 10
    losses = list(Records[Any](made_run / "loss-m1", ""))
    assert held_out["m1"]["loss"] == pytest.approx(sum(one.nats for one in losses) / sum(one.tokens for one in losses))
    difference = held_out["m1"]["against_m0"]
    assert difference["difference"] == pytest.approx(held_out["m1"]["loss"] - held_out["m0"]["loss"])
    assert difference["low"] <= difference["difference"] <= difference["high"]
    assert found["losses"]["pairs.jsonl"]["m0"]["pairs"] == 12

    by_baseline = {row["baseline"]: row for row in found["win_rates"].values()}
    other = by_baseline["other.json"]
    assert other["total"]["prompts"] == 12 and other["total"]["unscored"] == 1, (
        "the unanswered prompt stays in the total"
    )
    assert any("1 of 12 prompts unscored" in said for said in other["cautions"])
    assert any("weak evidence" in said for said in other["cautions"])
    kept = Records[Any](next(made_run.glob("evaluate/compare-m1-other-set-*")), "")
    assert len(kept) == 24 and {one.judge_id for one in kept} == {str(look(made_run).base.id)}
    # The copies answer alike, so that every comparison with M_0 is a tie.
    assert by_baseline["m0"]["total"]["ties"] == 12 and by_baseline["m0"]["total"]["win_rate"] == 50
    assert {row["model"] for row in found["references"].values()} == {"m1", "m0", "other.json"}
    outputs = json.loads((made_run / "evaluate/model_outputs/m1-set.json").read_text())
    assert len(outputs) == 12 and outputs[0]["generator"] == "made-m1"
    assert found["data"]["chosen"]["pairs"] == len(Records[Any](made_run / "select-1", ""))

    before = steps(made_run)
    again = evaluation.evaluate(made_run, questions)
    assert steps(made_run) == before and again == found == json.loads((made_run / "evaluate/summary.json").read_text())
    more = evaluation.evaluate(made_run, Questions(prompts=("held-out",), limit=3, judge="m1"))
    assert len(more["win_rates"]) == len(found["win_rates"]) + 1, "what was found before is kept"
    assert set(before) < set(steps(made_run))
    assert more["losses"].keys() == found["losses"].keys()


def test_files_of_one_name_have_a_result_each(made_run: Path, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a/test.jsonl", "b/test.jsonl", "my.v1.json", "my.v2.json")]
    for number, file in enumerate(files, 1):
        rows = [{"instruction": f"What of {n} in {file}?", "output": "It is."} for n in range(number)]
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text("\n".join(map(json.dumps, rows)))
    questions = Questions(
        against=(),
        pairs=tuple(SeedSource(path=file) for file in files[:2]),
        prompts=tuple(files[2:]),
        answering=Answering(max_new_tokens=8),
    )
    found = evaluation.evaluate(made_run, questions)
    assert [found["losses"][file]["m0"]["pairs"] for file in files[:2]] == [1, 2]
    written = [json.loads(path.read_text()) for path in made_run.glob("evaluate/model_outputs/m1-my-*.json")]
    assert sorted(map(len, written)) == [3, 4]


def test_a_mistake_is_found_before_anything_is_measured(made_run: Path, tmp_path: Path) -> None:
    (tmp_path / "fine.jsonl").write_text(json.dumps({"instruction": "Is it found in time?", "output": "It is."}))
    fine, none = str(tmp_path / "fine.jsonl"), str(tmp_path / "none.jsonl")
    first = SeedSource(path=fine)
    for questions in (
        Questions(pairs=(first, SeedSource(path=none))),
        Questions(pairs=(first,), prompts=(fine, none)),
        Questions(pairs=(first,), prompts=(fine,), judge="none"),
        Questions(pairs=(first,), prompts=(fine,), embedder=str(tmp_path)),
    ):
        with pytest.raises(InputError):
            evaluation.evaluate(made_run, questions)
        assert not [name for name in steps(made_run) if name.startswith(("loss-fine", "answers-m1-fine"))]


def test_it_stops_at_a_limit_and_goes_on(made_run: Path, tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps([{"instruction": f"What of {n}?"} for n in range(9)]))
    asked = ("evaluate", made_run, "--prompts", tmp_path / "set.json")
    stopped = askback(*asked, "--max-tokens", 1)
    assert "stopped at max-tokens 1" in one_error(stopped, 11)
    assert "set.json: the judge compares at most 18 times, " in stopped.stderr
    assert askback(*asked).returncode == 0


def test_the_command(made_run: Path, tmp_path: Path) -> None:
    shown = askback("evaluate", made_run, "--prompts", "held-out", "--limit", 2, "--max-new-tokens", 8)
    assert shown.returncode == 0, shown.stderr
    for said in ("against M_0", "Win rates", "ROUGE-L", "weak evidence", "all candidates", "summary.json"):
        assert said in shown.stdout, said
    printed = askback("evaluate", made_run, "--json")
    assert json.loads(printed.stdout)["losses"]["held-out"]["m0"]["loss"] > 0
    assert "Did you mean 'base'?" in one_error(askback("evaluate", made_run, "--model", "bas"), 2)
    assert "not a run folder" in one_error(askback("evaluate", tmp_path), 3)
    alone = one_error(askback("evaluate", made_run, "--embedder", "none", "--limit", 3), 2)
    assert "--embedder, --limit: only with --prompts" in alone
    assert "--pairs-format: only with --pairs" in one_error(askback("evaluate", made_run, "--pairs-format", "x"), 2)
    assert "--few-shot: only with --benchmarks" in one_error(askback("evaluate", made_run, "--few-shot", 0), 2)
    assert "no such file" in one_error(askback("evaluate", made_run, "--prompts", "none.jsonl"), 3)
    assert "no such folder" in one_error(askback("evaluate", made_run, "--prompts", "held-out", "--judge", "none"), 3)
    assert "askback[eval]" in one_error(askback("evaluate", made_run, "--benchmarks", "paper"), 8)


def test_a_run_that_is_not_far_yet(tmp_path: Path, made_run: Path) -> None:
    (tmp_path / "recipe.yaml").write_text((made_run / "recipe.yaml").read_text())
    with pytest.raises(InputError, match="seed is not loaded"):
        look(tmp_path)
    with pytest.raises(RecipeError, match="it has base, m0, m1"):
        look(made_run).model("m7")
