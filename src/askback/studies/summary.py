"""The results of a run as plain values and sentences, for reports, cards and the terminal."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askback.curate.check import HELD_OUT, MEAN, SWAPPED
from askback.curate.levels import Spread, spreads
from askback.evaluate.difference import HOLDS
from askback.evaluate.gate import figures, outcome
from askback.execution.on_disk import FORECAST, Agreement, ForecastFile, TrainingLine, lines, read_json, step_record
from askback.execution.on_disk import checked as checked_on_disk
from askback.execution.shards import Records
from askback.methods import names
from askback.records import Candidate, Example, Separation
from askback.studies.run_folder import Result, chosen, finished

NO_PEOPLE = "For want of seed pairs, it was not tried on answers that people wrote."


@dataclass(frozen=True)
class Stage:
    """One row of the funnel: the numbers of records that entered a stage of a step, and of its outcomes."""

    step: str
    name: str
    entered: int
    kept: int
    rejected: int
    failed: int
    reasons: dict[str, int]


def funnel(folder: Path) -> Iterator[Stage]:
    """Yield every stage that drops records, from documents to chosen pairs."""
    for step in finished(folder):
        for name, counts in step["counts"].items() if not names.is_block(step["step"]) else ():
            prefix = f"{name}/"
            reasons = {key.removeprefix(prefix): n for key, n in step["reasons"].items() if key.startswith(prefix)}
            yield Stage(step["step"], name, **counts, reasons=reasons)


def redacted(folder: Path) -> dict[str, int]:
    """Return the numbers of redactions by kind, such as e-mail addresses."""
    found = {
        key: count
        for step in finished(folder)
        if step["step"] == names.SEGMENTS
        for key, count in step["metrics"].items()
    }
    return {key.removeprefix("redacted "): count for key, count in found.items() if key.startswith("redacted ")}


def verdict(found: Result) -> list[str]:
    """Return the gate's decisions in words, a line each."""
    lines = []
    for gate in found.gates:
        if documents := gate.get("documents"):
            lines.append(f"{_compared(gate['round'], documents)} on pairs of documents that were set aside")
        allowed = f", where up to {gate['allowed']:+.4f} is allowed" if gate.get("allowed") else ""
        lines.append(f"{_compared(gate['round'], gate)} on held-out seed pairs{allowed}")
    if any(gate["low"] is not None for gate in found.gates):
        lines.append(HOLDS)
    said = [found.said] if found.said else []
    if not found.enabled:
        return [*lines, f"The result is m{found.round}, the last one; the gate is off.", *said]
    if found.round == found.rounds:
        return [*lines, f"The result is m{found.round}.", *said]
    both = any(gate.get("documents") for gate in found.gates)
    sides = "text like your documents, or costs too much on the seed's kind" if both else "held-out seed pairs"
    lines.append(f"The result is m{found.round}, as no later model does as well on {sides}.")
    if found.round == 0:
        unknown = "" if both else " How they do on text like the documents is not measured."
        lines.append(
            f"It was trained on the seed alone: the pairs chosen here did not help models.{unknown} "
            f"The data set is that of round {found.data_round}, whose model came closest."
        )
    return [*lines, *said]


def learnt(found: Result, pairs: int) -> str:
    """Return in one sentence what the last model learnt from the `pairs` chosen, on both sides, against M_0."""
    gate = found.gates[-1]
    sides = [f"on the seed's kind, {outcome(gate)}, {figures(gate)}"]
    if documents := gate.get("documents"):
        sides.insert(0, f"on texts like these that it had not seen, {outcome(documents)}, {figures(documents)}")
    return (
        f"What {pairs:,} pairs taught the model beside the seed: {'; '.join(sides)} (against a model that learnt from the "
        "seed alone; below 0 is better)."
    )


def _compared(round: int, found: Mapping[str, Any]) -> str:
    models = f"{names.model(round)} against {names.model(found['against'])}"
    return f"{models}: {figures(found)}: {outcome(found)}"


def lacking(folder: Path) -> list[str]:
    """Return a sentence where fewer pairs were chosen than the recipe wants (`select.until`)."""
    lines = []
    for step in finished(folder):
        kept, wanted = list(step["counts"].values())[-1]["kept"], step["metrics"].get("wanted", 0)
        if kept < wanted:
            lines.append(
                f"{kept:,} of the {wanted:,} pairs wanted were found: all segments were asked about, or as many as "
                "select.max_candidates allows."
            )
    return lines


def checks(folder: Path) -> dict[str, list[Separation]]:
    """Return, by round, how well its judge and each scorer separate true pairs from damaged ones (curate/check.py)."""
    rounds = names.rounds(names.check, (step["step"] for step in finished(folder)))
    return {str(t): list(Records(folder / names.check(t), "")) for t in rounds}


def checked(found: dict[str, list[Separation]]) -> list[str]:
    """Return the AUROC of the judge of each round in words, a line each."""
    lines = []
    for t, separations in found.items():
        kinds = {one.kind for one in separations}
        what = f"{HELD_OUT}, true against damaged; 0.5 is chance."
        if kinds == {"swapped", MEAN}:
            what = f"{SWAPPED}; 0.5 is chance. {NO_PEOPLE}"
        lines += [
            f"Judge of round {t}: mean AUROC {one.auroc:.2f} (95 % from {one.low:.2f} to {one.high:.2f}) over {one.pairs} "
            f"{what}"
            for one in separations
            if one.kind == MEAN and one.scorer == "combined"
        ]
    return lines


def scores(folder: Path) -> dict[str, list[Spread]]:
    """Return, by round, the spread of each scorer's scores."""
    rounds = names.rounds(names.judgements, (step["step"] for step in finished(folder)))
    return {str(t): spreads(Records(folder / names.judgements(t), "")) for t in rounds}


def agreements(folder: Path) -> dict[str, dict[str, float | None]]:
    """Return, for each round after the first, its agreement with the one before (curate/agreement.py)."""
    found = {}
    for step in finished(folder):
        if "agreement" in step["metrics"]:
            path = folder / step["step"] / "step.json"
            agreement: Any = checked_on_disk(path, step["metrics"]["agreement"], Agreement)
            found[str(names.round_of(step["step"]))] = agreement
    return found


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
    made = [step["step"] for step in finished(folder)]
    sets = {
        names.SEED: "seed",
        names.NATURAL: "natural pairs",
        **{names.choice(t): f"chosen, round {t}" for t in names.rounds(names.choice, made)},
        names.GROUNDED: "rewritten",
    }
    for step, name in {**sets, names.CANDIDATES: "all candidates"}.items():
        if step in made and len(pairs := Records[Example | Candidate](folder / step, "")):
            yield _lengths(name, pairs)


def _lengths(name: str, pairs: Records[Example | Candidate]) -> Lengths:
    sizes = [(len(pair.instruction), len(pair.output)) for pair in pairs]
    (instruction_mean, instruction_sd), (output_mean, output_sd) = (
        (statistics.fmean(side), statistics.pstdev(side)) for side in zip(*sizes, strict=True)
    )
    return Lengths(name, len(sizes), instruction_mean, instruction_sd, output_mean, output_sd)


def best(folder: Path, count: int) -> list[Example]:
    """Return the chosen pairs with the highest scores."""
    return sorted(chosen(folder), key=lambda pair: (-(pair.score or 0.0), pair.id))[:count]


def progress(folder: Path, name: str, state: str) -> dict[str, Any]:
    """Return the progress of one step: state, records kept, seconds, tokens, pieces written."""
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
    """Return the forecast of a step from when the run began: records that enter, tokens by kind, seconds, usd."""
    path = folder / FORECAST
    if not path.exists():
        return None
    steps = read_json(path, ForecastFile)["steps"]
    return dict(steps[name]) if name in steps else None


def training(folder: Path, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the metrics of each optimiser step of a training; nothing for other steps."""
    path = folder / name / "metrics.jsonl"
    if path.exists():
        yield from lines(path, TrainingLine)
