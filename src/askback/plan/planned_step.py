"""One step of a plan, and what is on disk of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askback.errors import Drift
from askback.execution.forecast import Forecast
from askback.execution.identity import check_drift
from askback.methods import names


@dataclass
class PlannedStep:
    """One step of the plan. `state` is done, begun, to do, or changed (its folder was made with something else)."""

    name: str
    state: str
    inputs: frozenset[str]
    engine: str = ""
    """In which role it asks an engine, "" if it asks none."""
    forecast: Forecast = field(default_factory=Forecast)
    seconds: float = 0.0
    usd: float = 0.0
    drift: str = ""

    @property
    def role(self) -> str:
        """Whose rates it goes at: its engine's, or those of training; "" for what asks no model."""
        return self.engine or (names.TRAINING if self.forecast.tokens.train else "")

    def look_at_disk(self, folder: Path, identity: dict[str, Any]) -> None:
        """Set the state: how far the step is, and whether its folder was made with other options or inputs."""
        try:
            check_drift(folder, self.name, identity)
        except Drift as drift:
            self.state, self.drift = "changed", str(drift)
            return
        if (folder / "step.json").exists():
            self.state = "done"
        elif (folder / "plan.json").exists():
            self.state = "begun"

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        own = {name: getattr(self, name) for name in ("name", "state", "seconds", "usd")}
        foreseen = {name: getattr(self.forecast, name) for name in ("entered", "disk", "scratch", "memory")}
        tokens = {kind: count for kind, count in self.forecast.tokens._asdict().items() if count}
        return own | foreseen | {"tokens": tokens}
