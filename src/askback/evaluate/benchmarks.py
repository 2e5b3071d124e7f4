"""Multiple-choice benchmarks through lm-evaluation-harness, run as a separate program (method.md 1.9).

They do not measure what this data improves (method.md 6.2), but whether it does harm.
"""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Never

from askback.engines.worker_context import WorkerContext
from askback.errors import InputError, Interrupted, MissingExtra, WorkerDied
from askback.evaluate.options import Benchmarks
from askback.execution.identity import Model, file_fingerprint, recorded
from askback.execution.outcome import Counts
from askback.execution.processes import SAFE_PATH
from askback.execution.shards import Records
from askback.execution.step import Step

PAPER = ("arc_easy", "arc_challenge", "piqa", "social_iqa", "openbookqa", "mmlu", "crows_pairs_english")
"""The paper's: 0-shot ARC, PIQA, SIQA, OpenBookQA, MMLU and CrowS-Pairs, under lm-eval's names."""


def _task_files(options: Benchmarks) -> dict[str, str]:
    folder = Path(options.include_path)
    found = sorted(path for path in folder.rglob("*") if path.is_file()) if options.include_path else []
    if options.include_path and not found:
        raise InputError(f"{folder}: no task files there; give a folder of lm-eval's YAML tasks")
    return {options.include_path: file_fingerprint(*found)} if found else {}


@recorded(version=2, sources=_task_files)
def run_benchmarks(step: Step, options: Benchmarks, *, model: Model) -> Records[Never]:
    """Run tasks on a model. In `step.json`, metrics: task → its scores and their standard errors; lm-eval's own results
    stay in the step's folder.

    Raises:
        MissingExtra: lm-eval is not installed.
        WorkerDied: it failed; its output is in the step's log.
    """
    python = options.python or sys.executable
    check_installed(python)
    out = step.folder / "lm-eval"
    step.alone(partial(run_program, str(step.log)), [command(python, model, options, out)], "tasks", processes=1)
    found = read_results(out)
    return step.measured({"tasks": Counts(len(found), len(found))}, found)


def command(python: str, model: Model, options: Benchmarks, out: Path) -> list[str]:
    """Return the command line: the model as plain text continuation, without chat template, as the paper has it."""
    words = [python, "-m", "lm_eval", "run", "--model", "hf", "--model_args", _model(model)]
    words += ["--tasks", ",".join(options.tasks), "--batch_size", str(options.batch_size), "--output_path", str(out)]
    for name, value in (("num_fewshot", options.few_shot), ("limit", options.limit)):
        words += [f"--{name}", str(value)] if value is not None else []
    return words + (["--include_path", options.include_path] if options.include_path else [])


def _model(model: Model) -> str:
    """Return lm-eval's model arguments: float32, as for losses, and no code of the model's folder."""
    return f"pretrained={model.path},dtype=float32,trust_remote_code=False"


def check_installed(python: str) -> None:
    """Check that `python` has lm-eval.

    Raises:
        MissingExtra: it has not.
        InputError: there is no such Python.
    """
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('lm_eval') is None)"
    try:
        asked = [python, "-c", look]
        done = subprocess.run(
            asked, stdin=subprocess.DEVNULL, env=os.environ | SAFE_PATH, capture_output=True, check=False
        )
        found = done.returncode == 0
    except OSError as error:
        raise InputError(
            f"{python}: cannot be run: {error.strerror}; give the path of a Python that has lm-eval"
        ) from error
    if not found:
        raise MissingExtra("lm-eval", "eval", "Running benchmarks")


def run_program(log: str, worker: WorkerContext, words: list[str]) -> None:
    """In a worker process: run a program to its end; its output goes to the step's log."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=os.environ | SAFE_PATH)
    while True:
        try:
            code = process.wait(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            if worker.stopping():
                process.kill()
                raise Interrupted("stopped; the benchmarks begin anew with the same command.") from None
    if code:
        raise WorkerDied(f"lm-eval ended with exit code {code}. Its output is in {log}")


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    """Return task → metric → value from lm-eval's newest results, as ``{"piqa": {"acc": …, "acc_stderr": …}}``.

    A metric's name there includes its filter (``acc,none``); the filter "none" is left out here.
    """
    files = sorted(out.rglob("results_*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise WorkerDied(f"{out}: lm-eval succeeded but left no results_*.json; see the step's log")
    results: dict[str, dict[str, Any]] = json.loads(files[-1].read_text("utf-8"))["results"]
    return {
        task: {
            name.removesuffix(",none"): value
            for name, value in found.items()
            if "," in name and isinstance(value, int | float)
        }
        for task, found in results.items()
    }
