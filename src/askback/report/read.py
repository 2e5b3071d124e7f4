"""What a run folder says about itself, as plain values."""

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from askback.curate.levels import Spread, spreads
from askback.errors import InputError
from askback.evaluate.difference import HOLDS
from askback.execution.on_disk import (
    Agreement,
    ForecastFile,
    LossRecord,
    ResultRecord,
    TrainingLine,
    lines,
    read_json,
    reading,
    step_record,
)
from askback.execution.on_disk import checked as checked_on_disk
from askback.execution.shards import Records
from askback.plan.saved import FORECAST
from askback.records import Example, Separation

PROMPTS = {
    "loss": "nats per token, S_a",
    "loss_augmented": "S_w",
    "loss_inference": "S_a + S_w",
}
"""A measure of a loss step → the tag that its prompts end with."""


@dataclass(frozen=True)
class Stage:
    """One row of the funnel: how many entered a stage of a step and what became of them."""

    step: str
    name: str
    entered: int
    kept: int
    rejected: int
    failed: int
    reasons: dict[str, int]


def finished(folder: Path) -> list[dict[str, Any]]:
    """Return the record (``step.json``) of every finished step, in the order they were made.

    Raises:
        InputError: this is no run folder.
    """
    if not (folder / "recipe.yaml").exists():
        raise InputError(
            f"{folder}: not a run folder (it has no recipe.yaml). Run folders are made by: askback run RECIPE"
        )
    rounds = checked_on_disk(folder / "recipe.yaml", recipe_tree(folder).get("rounds", 0), int)
    names = [path for path in folder.glob("*/step.json") if not path.parent.name.startswith(".")]
    found: list[dict[str, Any]] = [
        {"seconds": 0.0, "tokens": 0, **step_record(path.parent), "step": path.parent.name}
        for path in names
        if _round(path.parent.name) <= rounds
    ]
    return sorted(found, key=lambda step: float(step["finished"]))


def recipe_tree(folder: Path) -> dict[str, Any]:
    """Return the part `recipe` of a run's recipe, as it was written down.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / "recipe.yaml"
    with reading(path):
        tree = yaml.safe_load(path.read_bytes())["recipe"]
    return checked_on_disk(path, tree, dict[str, Any])


def _round(step: str) -> int:
    """Return the round a step belongs to, 0 for those before the first; a recipe may have fewer rounds than it had."""
    number = re.fullmatch(r"(?:probe-|check-|score-|select-|m|loss-m)(\d+)", step)
    return int(number[1]) if number else 0


def funnel(folder: Path) -> Iterator[Stage]:
    """Yield every stage that drops records, from documents to chosen pairs."""
    for step in finished(folder):
        for name, counts in step["counts"].items():
            prefix = f"{name}/"
            reasons = {key.removeprefix(prefix): n for key, n in step["reasons"].items() if key.startswith(prefix)}
            yield Stage(step["step"], name, **counts, reasons=reasons)


def redacted(folder: Path) -> dict[str, int]:
    """Return how many e-mail addresses and so on were redacted, by kind."""
    found = {
        key: count for step in finished(folder) if step["step"] == "segment" for key, count in step["metrics"].items()
    }
    return {key.removeprefix("redacted "): count for key, count in found.items() if key.startswith("redacted ")}


def losses(folder: Path) -> dict[str, dict[str, float]]:
    """Return, by model ("base", "m0", …), the held-out loss in nats per token and on how much it was measured."""
    steps = [step for step in finished(folder) if step["step"].startswith("loss-")]
    for step in steps:
        checked_on_disk(folder / step["step"] / "step.json", step["metrics"], LossRecord)
    return {step["step"].removeprefix("loss-"): step["metrics"] for step in steps}


@dataclass(frozen=True)
class Result:
    """What the gate said (evaluate/gate.py): the round of the result, and the comparison of each later round.

    `data_round` is the round whose chosen pairs are the run's data: the result's, or, when that is M_0, which was trained
    on the seed alone, the one whose model came closest.
    """

    round: int
    data_round: int
    rounds: int
    enabled: bool
    gates: list[dict[str, Any]]


def result(folder: Path) -> Result | None:
    """Return what the gate said, None while the run is not finished."""
    for step in finished(folder):
        if step["step"] == "result":
            found = checked_on_disk(folder / "result/step.json", step["metrics"], ResultRecord)
            with reading(folder / "result/step.json"):
                measured = losses(folder)
                losses_by_round = {gate["round"]: measured[f"m{gate['round']}"]["loss"] for gate in found["gates"]}
            closest = min(losses_by_round, key=lambda t: losses_by_round[t], default=0)
            rounds, gates = len(found["gates"]), [dict(gate) for gate in found["gates"]]
            return Result(found["round"], found["round"] or closest, rounds, found["enabled"], gates)
    return None


def verdict(found: Result) -> list[str]:
    """Say in words what the gate decided, a line each."""
    lines = []
    for gate in found.gates:
        bounds = "no interval" if gate["low"] is None else f"[{gate['low']:+.4f}, {gate['high']:+.4f}]"
        interval = f"{gate['difference']:+.4f} {bounds} nats per token"
        said = "not told apart" if gate["passed"] else "worse"
        said = "better" if gate["high"] is not None and gate["high"] < 0 else said
        lines.append(f"m{gate['round']} against m{gate['against']}: {interval}: {said} on held-out seed pairs")
    if any(gate["low"] is not None for gate in found.gates):
        lines.append(HOLDS)
    if not found.enabled:
        return [*lines, f"The result is m{found.round}, the last one; the gate is off."]
    if found.round == found.rounds:
        return [*lines, f"The result is m{found.round}."]
    lines.append(f"The result is m{found.round}, as no later model does as well on held-out seed pairs.")
    if found.round == 0:
        lines.append(
            "It was trained on the seed alone: with the pairs chosen here, models predict held-out seed pairs worse; how "
            "they do on text like the documents is not measured. "
            f"The data set is that of round {found.data_round}, whose model came closest."
        )
    return lines


def checks(folder: Path) -> dict[str, list[Separation]]:
    """Return, by round, how well its judge, and each scorer of it, told true pairs from damaged ones (curate/check.py)."""
    names = [step["step"] for step in finished(folder) if step["step"].startswith("check-")]
    return {name.removeprefix("check-"): list(Records(folder / name, "")) for name in names}


def checked(found: dict[str, list[Separation]]) -> list[str]:
    """Say in words how well the judge of each round did, a line each."""
    return [
        f"Judge of round {t}: mean AUROC {one.auroc:.2f} (95 % from {one.low:.2f} to {one.high:.2f}) over {one.pairs} "
        "held-out pairs, true against damaged; 0.5 is chance."
        for t, separations in found.items()
        for one in separations
        if one.kind == "mean" and one.scorer == "combined"
    ]


def scores(folder: Path) -> dict[str, list[Spread]]:
    """Return, by round, how the scores of each scorer are spread."""
    names = [step["step"] for step in finished(folder) if re.fullmatch(r"score-\d+", step["step"])]
    return {name.removeprefix("score-"): spreads(Records(folder / name, "")) for name in names}


def agreements(folder: Path) -> dict[str, dict[str, float | None]]:
    """Return, for each round after the first, how far it agrees with the one before (curate/agreement.py)."""
    found = {}
    for step in finished(folder):
        if "agreement" in step["metrics"]:
            path = folder / step["step"] / "step.json"
            agreement: Any = checked_on_disk(path, step["metrics"]["agreement"], Agreement)
            found[step["step"].removeprefix("select-")] = agreement
    return found


def chosen(folder: Path) -> Records:
    """Return the chosen pairs of the result's round (`Result.data_round`); before the run is finished, the last round's.

    Raises:
        InputError: no round is finished.
    """
    rounds = [
        int(step["step"].removeprefix("select-")) for step in finished(folder) if step["step"].startswith("select-")
    ]
    if not rounds:
        raise InputError(f"{folder}: no pairs are selected yet. Finish the run first: askback run RECIPE")
    found = result(folder)
    return Records(folder / f"select-{found.data_round if found else max(rounds)}", "")


@dataclass(frozen=True)
class Lengths:
    """A row of the paper's table 2, in characters."""

    name: str
    pairs: int
    instruction_mean: float
    instruction_sd: float
    output_mean: float
    output_sd: float


def lengths(folder: Path) -> Iterator[Lengths]:
    """Yield the paper's length table: seed, each round's chosen pairs, all candidates (method.md 1.8)."""
    names = [step["step"] for step in finished(folder)]
    sets = [("seed", "seed")] + [(name, f"chosen, round {name[7:]}") for name in names if name.startswith("select-")]
    for step, name in [*sets, ("augment", "all candidates")]:
        if step in names:
            yield _lengths(name, Records(folder / step, ""))


def _lengths(name: str, pairs: Records) -> Lengths:
    sizes = [(len(pair.instruction), len(pair.output)) for pair in pairs]
    (instruction_mean, instruction_sd), (output_mean, output_sd) = (
        (statistics.fmean(side), statistics.pstdev(side)) for side in zip(*sizes, strict=True)
    )
    return Lengths(name, len(sizes), instruction_mean, instruction_sd, output_mean, output_sd)


def best(folder: Path, count: int) -> list[Example]:
    """Return the chosen pairs with the highest scores."""
    return sorted(chosen(folder), key=lambda pair: (-(pair.score or 0.0), pair.id))[:count]


def progress(folder: Path, name: str, state: str) -> dict[str, Any]:
    """Return where one step stands: state, records kept, seconds, tokens, pieces written."""
    record = folder / name / "step.json"
    pieces = len(Records(folder / name, "").parts())
    if not record.exists():
        trained = folder / name / "metrics.jsonl"
        steps = len(lines(trained, TrainingLine)) if trained.exists() else 0
        return {"step": name, "state": state, "pieces": pieces, "training_steps": steps}
    step: Any = {"seconds": 0.0, "tokens": 0, **step_record(folder / name)}
    kept = list(step["counts"].values())[-1]["kept"]
    return {
        "step": name,
        "state": state,
        "pieces": pieces,
        "kept": kept,
        **{key: step[key] for key in ("seconds", "tokens")},
    }


def forecast(folder: Path, name: str) -> dict[str, Any] | None:
    """Return what was forecast of a step when the run began: records that enter, tokens by kind, seconds, usd."""
    path = folder / FORECAST
    if not path.exists():
        return None
    steps = read_json(path, ForecastFile)["steps"]
    return dict(steps[name]) if name in steps else None


def training(folder: Path, name: str) -> Iterator[dict[str, float]]:
    """Yield what a training wrote of each optimiser step; nothing for a step that trains nothing."""
    path = folder / name / "metrics.jsonl"
    if path.exists():
        yield from (dict(line) for line in lines(path, TrainingLine))  # type: ignore[misc]
