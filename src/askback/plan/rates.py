"""How fast tokens go, by what is done with them: measured, known from a run's finished steps, or assumed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askback.engines import kind_of
from askback.engines.usage import Tokens
from askback.errors import InputError
from askback.execution.budget import Spent
from askback.execution.on_disk import MEASURED, RatesRecord, read_json, reading, step_record
from askback.methods import names
from askback.plan.card_rates import measured_rates
from askback.plan.machine import STARTUP, PerSecond, cards_asking, loading, prior
from askback.recipe import Resources
from askback.recipe.names import ENGINES


@dataclass
class Rates:
    """Tokens per second of each role ("augment", "score", "loss", "train") and kind, and where each is from.

    `first` are those of a role of which nothing is known, for the reason `assumed`, on one card where it asks a model;
    `cards` is how many there are.
    """

    first: PerSecond
    assumed: str
    rates: dict[str, PerSecond] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    cards: dict[str, float] = field(default_factory=dict)
    startup: float = STARTUP
    roles: tuple[str, ...] = names.ROLES
    """Those that the plan's steps have, beside the trainings."""

    def seconds(self, role: str, tokens: Tokens) -> float:
        """Return how long a step takes, its model's loading included."""
        if not any(tokens):
            return 0.0
        rates = self.rates.get(role) or self._first(role)
        return self.startup + sum(count / rate for count, rate in zip(tokens, rates, strict=True) if rate)

    def _first(self, role: str) -> PerSecond:
        cards = self.cards.get(role, 1.0)
        return PerSecond(cards * self.first.prompt, cards * self.first.output, self.first.train)

    def learn(self, spent: Mapping[str, Spent], source: str) -> None:
        """Take the rates at which roles worked; the time of one that read and wrote is split by how fast others read."""
        reading = [one for one in spent.values() if one.prompt and not one.output]
        read = sum(one.prompt for one in reading) / max(1e-3, sum(one.seconds for one in reading))
        for role, one in spent.items():
            known, seconds = (self.rates.get(role) or self._first(role))._asdict(), max(1e-3, one.seconds)
            if one.output:
                known["prompt"] = read or known["prompt"]
                # Reading never takes all of the time: something was written.
                known["output"] = one.output / max(0.2 * seconds, seconds - one.prompt / known["prompt"])
            elif one.prompt:
                known["prompt"] = one.prompt / seconds
            if one.train:
                known["train"] = one.train / seconds
            if one.tokens:
                self.rates[role], self.sources[role] = PerSecond(**known), source

    def __str__(self) -> str:
        """Say where the rates are from."""
        by_source: dict[str, list[str]] = {}
        for role in (*self.roles, names.TRAINING):
            by_source.setdefault(self.sources.get(role, self.assumed), []).append(role)
        if len(by_source) == 1:
            return next(iter(by_source))
        return "; ".join(f"{', '.join(roles)}: {source}" for source, roles in by_source.items())


def rates_for(
    folder: Path,
    resources: Resources,
    roles: Mapping[str, str],
    source: Path | None = None,
    size: int = 0,
    of_card: Path | None = None,
) -> Rates:
    """Return the rates of a run: measured for it, or those of its finished steps, of `source`'s, of a card, or assumed.

    Args:
        roles: in which each step asks an engine.
        size: parameters of the base model, 0 if they are not known.
        of_card: what ``benchmarks/gpu.py --json`` printed.

    Raises:
        InputError: `source` is no run folder, or `of_card` something else.
    """
    if source is not None and not (source / "recipe.yaml").exists():
        raise InputError(f"--from {source}: not a run folder (it has no recipe.yaml)")
    asked = tuple(role for role in names.ROLES if role in roles.values())
    first, assumed = measured_rates(of_card, size, resources) if of_card else prior(size, resources)
    cards = {role: cards_asking(resources, role) for role in asked}
    if (most := max(cards.values(), default=1)) > 1 or resources.training.total > 1:
        assumed += f", {most:g} to ask, {resources.training.total} to train"
    found = Rates(first, assumed, cards=cards, startup=loading(size), roles=asked)
    for role in names.ROLES:
        if rate := kind_of(resources.engine_for(role).kind).rate:
            found.rates[role] = PerSecond(rate, rate)
    for run, measured_in in ((source, f"measured in {source}"), (folder, "measured in this run's finished steps")):
        if run is not None:
            found.learn(_finished(run, resources, roles), measured_in)
    if (folder / MEASURED).exists():
        measured = read_json(folder / MEASURED, RatesRecord)
        found.startup = measured["startup"]
        with reading(folder / MEASURED):
            spent = {role: Spent(**one) for role, one in measured["spent"].items()}
        found.learn(_of_this_engine(spent, measured["engine"], resources), f"measured by plan --measure ({MEASURED})")
    return found


def _finished(folder: Path, resources: Resources, roles: Mapping[str, str]) -> dict[str, Spent]:
    """Return what a run's finished steps have spent, by role, each less the loading of its model."""
    spent: dict[str, Spent] = {}
    for path in folder.glob("*/step.json"):
        step: dict[str, Any] = {"seconds": 0.0, "identity": {}, **step_record(path.parent)}
        kinds = {kind: step.get(f"{kind}_tokens", 0) for kind in Tokens._fields}
        role = names.TRAINING if kinds["train"] else roles.get(path.parent.name, "")
        if not role or not any(kinds.values()):
            continue
        with reading(path):
            engine = step["identity"].get("engine", {}).get("kind", "")
        seconds = max(
            0.5 * step["seconds"], step["seconds"] - (0 if engine in ENGINES and kind_of(engine).rate else STARTUP)
        )
        kept = {role: Spent(seconds, **kinds)}
        for same, one in (kept if role == names.TRAINING else _of_this_engine(kept, engine, resources)).items():
            spent[same] = spent.get(same, Spent()) + one
    return spent


def _of_this_engine(spent: Mapping[str, Spent], engine: str, resources: Resources) -> dict[str, Spent]:
    return {role: one for role, one in spent.items() if role == "train" or resources.engine_for(role).kind == engine}
