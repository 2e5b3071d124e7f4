"""A verdict is read from probabilities where there are any, else from the last well-formed one in the text."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from askback.engines.preference import parse
from askback.engines.worker_context import WorkerContext
from askback.evaluate.options import Answering, Judging, Questions
from askback.evaluate.pairwise import Trio, compare_piece, win_rate
from askback.execution.identity import Model
from askback.execution.shards import Records
from askback.recipe import EngineOptions, Resources
from askback.studies import evaluation
from tests.commands import askback, one_error
from tests.engines.fault_server import FaultServer
from tests.evaluate.test_pairwise import answer, example

SHOWN = re.compile(r"--- answer A \w+\n(.*)\n--- answer B \w+\n(.*)\n--- end", re.DOTALL)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Better answer: A", "A"),
        ("Better answer:B.", "B"),
        ("Better answer: **B**", "B"),
        ("**Better answer:** A\n\nIt is clearer.", "A"),
        ("better answer: Answer B", "B"),
        ("Better answer: [[A]]", "A"),
        ("Better answer: A would be wrong, so I say\nBetter answer: B", "B"),
        ("Better answer: A good answer would say why", ""),
        ("Better answer: A or B", ""),
        ("Better answer: both", ""),
        ("Better answer: I prefer answer A.", ""),
        ("A", ""),
        ("", ""),
    ],
)
def test_the_last_well_formed_verdict(text: str, letter: str) -> None:
    assert parse(text) == letter


def judge_of_length(probabilities: bool) -> Any:
    """Answer as a judge that prefers the longer answer, and has nothing to say where either speaks of Mars."""

    def answered(path: str, payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        found = SHOWN.search(payload["messages"][0]["content"])
        one, two = found.groups() if found else ("a", "b")
        letter = "A" if len(one) > len(two) else "B"
        said = "I would not know." if "Mars" in one + two else f"It is plain.\n\nBetter answer: {letter}"
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        if payload.get("logprobs") and probabilities:
            likely = [{"token": each, "logprob": math.log(0.7 if each == letter else 0.1)} for each in "AB"]
            choice["logprobs"] = {"content": [{"token": letter, "logprob": math.log(0.7), "top_logprobs": likely}]}
        return 200, {"choices": [choice], "usage": {"completion_tokens": 9}}

    return answered


def compared(server: FaultServer) -> Any:
    engine = EngineOptions(kind="openai_http", url=server.url, model="judge", timeout_s=1)
    resources = Resources().model_copy(update={"engine": engine})
    texts = ["Blue and wide.", "Red.", "On Mars.", "Green as grass and more."]
    trios: list[Trio] = [
        (example(n), answer(n, text, "m2"), answer(n, "Yellow.", "m0")) for n, text in enumerate(texts)
    ]
    return compare_piece(Judging(), resources, Model(Path(), "judge", "0"), ("m2", "m0"), WorkerContext(), trios)


def test_a_judge_without_probabilities_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a share of faults: what comes late is not lost, and what does not come is unscored."""
    monkeypatch.setattr("askback.engines.http.endpoint.FIRST_PAUSE", 0.01)
    with FaultServer(judge_of_length(False), share=0.3, seed=4) as server:
        made = compared(server)
    assert made.counts["comparisons"].kept == 8
    by_prompt = [[one.preference for one in made.kept if one.example_id == f"e{number}"] for number in range(4)]
    assert by_prompt == [[1, 1], [0, 0], [None, None], [1, 1]]
    raws = {one.raw for one in made.kept if one.preference is not None}
    assert all(raw.endswith(("Better answer: A", "Better answer: B")) for raw in raws), "what it said is kept"
    assert {one.raw.removeprefix("Better answer:") for one in made.kept if one.example_id == "e2"} == {
        "I would not know."
    }
    found = win_rate(made.kept)
    total = found.total
    assert (total.prompts, total.wins, total.losses, total.ties, total.unscored) == (4, 2, 1, 0, 1)
    assert total.win_rate == 100 * (1 + 0 + 0.5 + 1) / 4 and found.mass is None and found.first_preferred == 50


def test_a_judge_that_tells_its_probabilities_is_not_read() -> None:
    with FaultServer(judge_of_length(True)) as server:
        made = compared(server)
    first = made.kept[0]
    assert first.preference == pytest.approx(0.7 / 0.8) and first.mass == pytest.approx(0.8) and first.raw == ""
    # It has nothing to say of Mars, but its probabilities do: "On Mars." is longer than "Yellow.".
    assert [one.preference for one in made.kept if one.example_id == "e2"] == [pytest.approx(0.7 / 0.8)] * 2


def test_a_run_judged_behind_an_api(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [{"instruction": f"Tell me about {n}."} for n in range(4)]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    rows = [{**row, "output": "On Mars." if n == 3 else "No."} for n, row in enumerate(asked)]
    (tmp_path / "short.json").write_text(json.dumps(rows))
    monkeypatch.setenv("JUDGE_KEY", "sk-not-to-be-found")
    with FaultServer(judge_of_length(False)) as server:
        engine = EngineOptions(kind="openai_http", url=server.url, model="big-judge", api_key_env="JUDGE_KEY")
        prompts, against = (str(tmp_path / "asked.json"),), (str(tmp_path / "short.json"),)
        questions = Questions(
            prompts=prompts, against=against, answering=Answering(max_new_tokens=16), judge_engine=engine
        )
        found = evaluation.evaluate(made_run, questions)
        line = ["--prompts", prompts[0], "--against", against[0], "--max-new-tokens", 16]
        given = ["--judge-url", server.url, "--judge-model", "big-judge", "--judge-key-env", "JUDGE_KEY"]
        before = sum(server.delivered.values())
        done = askback("evaluate", made_run, *line, *given)
        assert done.returncode == 0, done.stderr
        assert sum(server.delivered.values()) == before, "the same judge asked again is not asked again"
    (row,) = [row for row in found["win_rates"].values() if row["judge"] == "big-judge"]
    assert row["baseline"] == "short.json"
    assert (row["total"]["prompts"], row["total"]["wins"], row["total"]["unscored"]) == (4, 3, 1)
    assert any("parsed from text" in said for said in row["cautions"])
    assert not any("weak evidence" in said for said in row["cautions"]), "it is no model of this run"
    (step,) = made_run.glob("evaluate/compare-m1-short-asked-*")
    assert {one.judge_id for one in Records[Any](step, "")} == {"big-judge"}
    assert server.keys == {"Bearer sk-not-to-be-found"} and "big-judge" in done.stdout
    kept = [path for path in made_run.rglob("*") if path.is_file() and b"sk-not-to-be-found" in path.read_bytes()]
    assert kept == [], "the key is on no disk"


def test_options_of_a_judge_that_do_not_go_together(made_run: Path) -> None:
    assert "need the server's --judge-url" in one_error(askback("evaluate", made_run, "--judge-model", "x"), 2)
    server = ("--judge-url", "https://h/v1", "--judge-key-env", "sk-secret")
    said = one_error(askback("evaluate", made_run, "--prompts", "held-out", *server), 2)
    assert "never the key itself" in said and "sk-secret" not in said
