"""What is spent is counted over all attempts, and a limit stops a run as one Ctrl-C does."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from askback import owned
from askback.augment.write import write_instructions
from askback.engines.usage import Tokens
from askback.errors import BudgetReached, RecipeError
from askback.execution.budget import TIMINGS, Budget, Meter, Spending, Spent, cost, spent_in
from askback.execution.identity import Model
from askback.execution.processes import Drain
from askback.execution.run import Run, redo
from askback.recipe import Augment, RecipeFile, Resources, Select
from tests.commands import askback
from tests.engines import paid_run
from tests.engines.fault_server import FaultServer
from tests.engines.served import Body, rating
from tests.execution.test_step import make, sift
from tests.execution.test_step import recipe as small
from tests.test_smoke_run import write_inputs

CHANGES = ("resources.engine.kind=scripted", "recipe.rounds=1", "recipe.backward.steps=5", "recipe.judge.check=false")
QUICK = [word for change in CHANGES for word in ("--set", change)]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_inputs(tmp_path)


def run(recipe: Path, name: str, *more: str) -> CompletedProcess[str]:
    return askback("run", recipe, "--set", f"name={name}", *QUICK, *more)


def results(folder: Path) -> dict[str, str]:
    found = [*folder.rglob("*.parquet"), *folder.rglob("*.safetensors")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def spent(folder: Path) -> Spent:
    return spent_in(*folder.glob(f"*/{TIMINGS}"))


@pytest.mark.timeout(900)
def test_a_budget_stops_cleanly_and_a_larger_one_gives_the_same_bytes(recipe: Path, tmp_path: Path) -> None:
    assert run(recipe, "whole").returncode == 0
    needed = spent(tmp_path / "runs/whole").tokens
    stopped, at = tmp_path / "runs/stopped", 0
    for share in (0.3, 0.8):
        limit = round(share * needed)
        ended = run(recipe, "stopped", "--max-tokens", str(limit))
        assert ended.returncode == 11, ended.stderr
        said = ended.stderr.splitlines()[-1]
        assert said.startswith(f"stopped at max-tokens {limit:,}:") and "with a higher limit" in said
        assert limit <= spent(stopped).tokens < limit + 0.5 * needed and spent(stopped).tokens > at
        at = spent(stopped).tokens
    again = run(recipe, "stopped", "--max-tokens", str(limit))
    assert again.returncode == 11 and spent(stopped).tokens == at, "nothing more is begun"
    assert run(recipe, "stopped", "--max-tokens", str(2 * needed)).returncode == 0
    assert results(stopped) == results(tmp_path / "runs/whole")
    assert spent(stopped).tokens == needed, "no work was done twice"
    step = json.loads((stopped / "score-1/step.json").read_text())
    assert step["prompt_tokens"] == step["tokens"] > 0
    step = json.loads((stopped / "augment/step.json").read_text())
    assert step["prompt_tokens"] > step["output_tokens"] > 0
    step = json.loads((stopped / "m1/step.json").read_text())
    assert step["train_tokens"] == step["tokens"] == step["metrics"]["tokens"]


def test_hours_stop_a_run_in_the_middle_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker_processes: None
) -> None:
    monkeypatch.setenv("SIFT_SECONDS", "0.6")
    with Run(small(tmp_path)) as run:
        segments = run.step("make", make, Select(top_n=30))
        limit = run.spending.total.seconds + 1
    limited = Run(small(tmp_path), budget=Budget(hours=limit / 3600))
    with pytest.raises(BudgetReached, match="stopped at max-hours"), limited as run:
        run.step("sift", sift, Select(top_n=1), segments=segments)
    assert 0 < len(list((tmp_path / "run/sift").glob("kept-*.parquet"))) < 8
    monkeypatch.setenv("SIFT_SECONDS", "0")
    with Run(small(tmp_path), budget=Budget(hours=1)) as run:
        assert len(run.step("sift", sift, Select(top_n=1), segments=segments)) == 15


def test_a_limit_stops_between_two_requests_and_what_is_paid_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker_processes: None
) -> None:
    """A piece of work is sixteen requests, and may be a thousand."""
    monkeypatch.setenv("PLANTED", "sk-planted")
    monkeypatch.setattr(paid_run, "SEGMENTS", 16)
    asked: Counter[str] = Counter()

    def answer(path: str, payload: Body) -> tuple[int, Body]:
        asked.update(re.findall(r"Text number \d+", str(payload)))
        return rating(path, payload)

    with FaultServer(answer, delay=0.3) as server:
        tree = paid_run.recipe(tmp_path, server.url).as_written()
        tree["resources"]["workers"] = 1
        tree["resources"]["engines"]["augment"]["concurrency"] = 1
        file = RecipeFile.model_validate(tree)

        def write(budget: Budget) -> int:
            with Run(file, budget=budget) as run:
                segments = run.step("segments", paid_run.make, Select(top_n=1))
                base = Model(Path(), "base", "base")
                return len(run.step("ask", write_instructions, Augment(), model=base, segments=segments))

        with pytest.raises(BudgetReached, match="stopped at max-tokens 1: "):
            write(Budget(tokens=1))
        assert 1 <= len(asked) < 10, "the rest of the piece is not asked for"
        assert spent(tmp_path / "run").output >= 7 * len(asked)
        assert write(Budget()) == 16
        assert asked == {f"Text number {number}": 1 for number in range(16)}, "nothing is paid for twice"
        assert spent(tmp_path / "run").output >= 7 * 16


def test_what_is_spent_is_on_disk_at_once(tmp_path: Path) -> None:
    """So that a kill loses only what was in flight."""
    spending = Spending(tmp_path, Resources(), Budget(), Drain(print))
    (tmp_path / "m0").mkdir()
    with Meter(tmp_path / "m0" / TIMINGS, Resources().engine, spending) as meter:
        meter.add(Tokens(train=640))
        meter.add(Tokens(prompt=3, output=4))
        assert spent(tmp_path).tokens == 647


def test_money_follows_from_a_price_list() -> None:
    resources = Resources.model_validate(
        {
            "usd_per_hour": 2.0,
            "engines": {
                "score": {
                    "kind": "openai_http",
                    "url": "http://x/v1",
                    "usd_per_million_prompt_tokens": 0.5,
                    "usd_per_million_output_tokens": 1.5,
                }
            },
        }
    )
    tokens = Tokens(prompt=3_000_000, output=200_000, train=5_000_000)
    assert cost(tokens, 1800, resources.engine_for("score"), resources) == pytest.approx(1.5 + 0.3 + 1.0)
    assert cost(tokens, 1800, resources.engine_for("augment"), resources) == pytest.approx(1.0)


def test_a_limit_in_money_counts_what_servers_and_the_machine_cost(tmp_path: Path) -> None:
    engine = {"kind": "openai_http", "url": "http://x/v1", "usd_per_million_prompt_tokens": 10.0}
    resources = Resources.model_validate({"engines": {"score": engine}})
    drain = Drain(print)
    spending = Spending(tmp_path, resources, Budget(usd=1.0), drain)
    (tmp_path / "score-1").mkdir()
    with Meter(tmp_path / "score-1" / TIMINGS, resources.engine_for("score"), spending) as meter:
        meter.add(Tokens(prompt=99_000))
        assert not drain.asked.is_set()
        meter.add(Tokens(prompt=1_000))
        assert drain.asked.is_set()
    with pytest.raises(BudgetReached, match=r"max-usd 1\.00: 100,000 tokens, 0 s, 1\.00 USD"):
        spending.check()
    later = Spending(tmp_path, resources, Budget(usd=1.5), Drain(print))
    later.check()
    assert later.total.usd == pytest.approx(1.0)


def test_a_limit_in_money_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="usd_per_hour"):
        Spending(tmp_path, Resources(), Budget(usd=1.0), Drain(print))


def test_what_is_made_again_stays_spent(tmp_path: Path) -> None:
    for name, tokens in (("augment", 5), ("score-1", 7)):
        owned.claim(tmp_path / name, "step")
        with owned.append(tmp_path / name / TIMINGS) as file:
            file.write(f'\n{{"seconds": 1.5, "prompt": {tokens}}}\n{{"seco'.encode())
    redo(tmp_path, "augment", ["score-1"])
    found = Spending(tmp_path, Resources(), Budget(), Drain(print)).total
    assert (found.prompt, found.seconds) == (12, 3.0)


def test_prices_are_of_servers() -> None:
    with pytest.raises(ValueError, match="usd_per_hour"):
        RecipeFile.model_validate(
            {
                "name": "x",
                "recipe": {
                    "seed": {"sources": [{"path": "builtin:demo"}]},
                    "corpus": {"sources": [{"format": "text"}]},
                },
                "resources": {"engine": {"usd_per_million_prompt_tokens": 1.0}},
            }
        )
