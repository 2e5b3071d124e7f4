"""lm-eval's command line and its results; the program itself, where it is installed (ASKBACK_LM_EVAL_PYTHON)."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from askback.errors import InputError, MissingExtra, WorkerDied
from askback.evaluate.benchmarks import PAPER, check_installed, command, read_results, run_benchmarks
from askback.evaluate.options import Benchmarks
from askback.execution.identity import Model
from askback.execution.run import Run
from askback.studies.run_folder import metrics
from tests.execution.test_step import recipe

TASK = """
task: capitals
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def test_the_command_line(tmp_path: Path) -> None:
    options = Benchmarks(tasks=list(PAPER), few_shot=0, limit=10, include_path="tasks")
    words = command("python", Model(tmp_path / "m2/model", "m2", "0"), options, tmp_path / "out")
    assert words[:8] == [
        "python",
        "-m",
        "lm_eval",
        "run",
        "--model",
        "hf",
        "--model_args",
        f"pretrained={tmp_path}/m2/model,dtype=float32,trust_remote_code=False",
    ]
    pairs = dict(zip(words[8::2], words[9::2], strict=True))
    assert pairs["--tasks"].split(",") == list(PAPER) and pairs["--output_path"] == str(tmp_path / "out")
    assert (pairs["--num_fewshot"], pairs["--limit"], pairs["--include_path"]) == ("0", "10", "tasks")
    assert "--num_fewshot" not in command("python", Model(tmp_path, "m", "0"), Benchmarks(tasks=["piqa"]), tmp_path)


def test_results_are_read(tmp_path: Path) -> None:
    results = {
        "piqa": {"alias": "piqa", "sample_len": 9, "acc,none": 0.6, "acc_stderr,none": 0.1, "acc_norm,none": 0.7},
        "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.1, "exact_match_stderr,strict-match": "N/A"},
    }
    (tmp_path / "name").mkdir()
    (tmp_path / "name/results_2026-01-01.json").write_text(json.dumps({"results": results, "config": {}}))
    assert read_results(tmp_path) == {
        "piqa": {"acc": 0.6, "acc_stderr": 0.1, "acc_norm": 0.7},
        "gsm8k": {"exact_match,strict-match": 0.1},
    }
    with pytest.raises(WorkerDied, match="left no results"):
        read_results(tmp_path / "none")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be run"):
        check_installed(str(tmp_path / "python"))
    if importlib.util.find_spec("lm_eval") is None:
        with pytest.raises(MissingExtra, match=r"askback\[eval\]"):
            check_installed(sys.executable)


def test_the_papers_tasks_are_there() -> None:
    """Their names only: the questions themselves are on the hub."""
    python = python_with_lm_eval()
    known = "from lm_eval.tasks import TaskManager; print(*TaskManager().all_tasks)"
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(
        [python, "-c", known], capture_output=True, text=True, check=True, env=offline
    ).stdout.split()
    assert set(PAPER) <= set(found), set(PAPER) - set(found)


def python_with_lm_eval() -> str:
    python = os.environ.get("ASKBACK_LM_EVAL_PYTHON", sys.executable)
    try:
        check_installed(python)
    except MissingExtra as missing:
        pytest.skip(f"{missing}; or set ASKBACK_LM_EVAL_PYTHON")
    return python


def test_the_program_itself(tiny_model: Path, tmp_path: Path) -> None:
    python = python_with_lm_eval()
    rows = [
        {"question": f"The capital of {c} is", "choices": ["Paris", "Rome"], "answer": n}
        for n, c in enumerate(["France", "Italy"])
    ]
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/capitals.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks/capitals.yaml").write_text(TASK.format(path=tmp_path / "tasks/capitals.jsonl"))
    options = Benchmarks(tasks=["capitals"], include_path=str(tmp_path / "tasks"), python=python)
    with Run(recipe(tmp_path)) as run:
        done = run.step("benchmarks", run_benchmarks, options, model=Model(tiny_model, "tiny", "0"))
        found = metrics(done)
        assert 0 <= found["capitals"]["acc"] <= 1 and found["capitals"]["acc_stderr"] > 0
        wrong = Benchmarks(tasks=["no_such_task"], python=python)
        with pytest.raises(WorkerDied, match="exit code"):
            run.step("wrong", run_benchmarks, wrong, model=Model(tiny_model, "tiny", "0"))
