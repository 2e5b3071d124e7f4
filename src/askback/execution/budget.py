"""What a run has spent, noted as it goes, and the limits at which it stops (`askback run --max-tokens` and the like).

A step notes seconds, tokens and money in its ``timings.jsonl``, a line for every report that has tokens, and every
`NOTE_SECONDS` otherwise, so a kill loses what was in flight at most. Steps made again leave theirs in that of the run
folder, as what is spent stays spent; a step taken over from another run was paid there.
"""

import json
import threading
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from askback import owned
from askback.engines.usage import Tokens
from askback.errors import BudgetReached, RecipeError, storage_error
from askback.execution.processes import Drain
from askback.execution.progress import duration
from askback.recipe import EngineOptions, Resources

NOTE_SECONDS = 10.0
TIMINGS = "timings.jsonl"


@dataclass(frozen=True)
class Budget:
    """Limits on what a run may spend over all its attempts; None is no limit. Work in flight is finished beyond them."""

    hours: float | None = None
    """Hours of wall time in which steps are made."""
    tokens: int | None = None
    """Read, written and trained on together."""
    usd: float | None = None
    """By the prices in the recipe's `resources:`."""


@dataclass(frozen=True)
class Spent:
    """Wall seconds, tokens by kind, and money by the prices given."""

    seconds: float = 0.0
    prompt: int = 0
    output: int = 0
    train: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens of all kinds."""
        return self.prompt + self.output + self.train

    def __add__(self, more: "Spent") -> "Spent":
        return Spent(*(getattr(self, name) + getattr(more, name) for name in KINDS))

    def __str__(self) -> str:
        money = f", {self.usd:,.2f} USD" if self.usd else ""
        return f"{self.tokens:,} tokens, {duration(self.seconds)}{money}"


KINDS = tuple(field.name for field in fields(Spent))


def spent_in(*paths: Path) -> Spent:
    """Return the sum of what these files note; one that is not there notes nothing."""
    total = Spent()
    for path in paths:
        for line in path.read_bytes().splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                numbers = {name: entry.get(name, 0) for name in KINDS}
            except (ValueError, AttributeError, RecursionError):
                continue  # blank, or cut by a kill
            if all(type(number) in (int, float) and 0 <= number < 1e15 for number in numbers.values()):
                total += Spent(**numbers)
    return total


def spent_by(folder: Path) -> Spent:
    """Return what a run has spent over all its attempts."""
    return spent_in(folder / TIMINGS, *folder.glob(f"*/{TIMINGS}"))


def cost(tokens: Tokens, seconds: float, engine: EngineOptions, resources: Resources) -> float:
    """Return US dollars: what the engine's server charges for the tokens, and the machine for the time."""
    asked = tokens.prompt * engine.usd_per_million_prompt_tokens + tokens.output * engine.usd_per_million_output_tokens
    return asked / 1e6 + seconds / 3600 * resources.usd_per_hour


class Spending:
    """All that a run has spent. Where a limit of the budget is reached, it asks the drain to stop.

    Raises:
        RecipeError: a limit in money, and no price.
    """

    def __init__(self, folder: Path, resources: Resources, budget: Budget, drain: Drain) -> None:
        if budget.usd is not None and not resources.priced:
            raise RecipeError(
                "max_usd: the recipe has no price to reckon with; give resources.usd_per_hour, or "
                "usd_per_million_prompt_tokens and usd_per_million_output_tokens under resources.engines"
            )
        self.resources, self.budget = resources, budget
        self.total = spent_by(folder)
        self._drain = drain
        self._reached = ""

    def add(self, spent: Spent) -> None:
        """Add what was spent, and stop the run where a limit is reached."""
        self.total += spent
        limits = (
            (self.budget.tokens, self.total.tokens, "max-tokens {:,}"),
            (self.budget.hours, self.total.seconds / 3600, "max-hours {:g}"),
            (self.budget.usd, self.total.usd, "max-usd {:,.2f}"),
        )
        for most, now, name in limits:
            if most is not None and now >= most:
                self.stop(name.format(most))

    def stop(self, limit: str) -> None:
        """Stop the run at this limit."""
        self._reached = self._reached or limit
        self._drain.ask(f"Stopping at {limit}")

    def check(self) -> None:
        """Raise if the budget is used up.

        Raises:
            BudgetReached: with what was spent.
        """
        self.add(Spent())
        if self._reached:
            raise BudgetReached(
                f"stopped at {self._reached}: {self.total} spent in all, everything finished is saved. The same command "
                "with a higher limit, or none, goes on from there."
            )

    def timer(self) -> threading.Timer | None:
        """Return what stops the run when its time, or the machine's money, is used up; None without such a limit."""
        left = []
        if self.budget.hours is not None:
            left.append((self.budget.hours * 3600 - self.total.seconds, f"max-hours {self.budget.hours:g}"))
        if self.budget.usd is not None and self.resources.usd_per_hour:
            hours = (self.budget.usd - self.total.usd) / self.resources.usd_per_hour
            left.append((hours * 3600, f"max-usd {self.budget.usd:,.2f}"))
        if not left:
            return None
        seconds, limit = min(left)
        timer = threading.Timer(min(max(0.0, seconds), threading.TIMEOUT_MAX), self.stop, (limit,))
        timer.daemon = True
        return timer


class Meter:
    """What one step spends. Used in a `with`, around its work; `add` takes the tokens as workers report them."""

    def __init__(self, path: Path, engine: EngineOptions, spending: Spending) -> None:
        self._path, self._engine, self._spending = path, engine, spending
        self._since = time.monotonic()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> "Meter":
        self._since = time.monotonic()
        self._timer = self._spending.timer()
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._note(Tokens())

    def add(self, tokens: Tokens) -> None:
        """Note tokens, and the time since the last note."""
        if any(tokens) or time.monotonic() - self._since > NOTE_SECONDS:
            self._note(tokens)

    def totals(self) -> Spent:
        """Return what the step has spent over all attempts."""
        return spent_in(self._path)

    def _note(self, tokens: Tokens) -> None:
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        usd = cost(tokens, seconds, self._engine, self._spending.resources)
        spent = Spent(round(seconds, 3), *tokens, usd=usd)
        line = {name: value for name in KINDS if (value := getattr(spent, name)) or name == "seconds"}
        try:
            with owned.append(self._path) as file:
                file.write(
                    f"\n{json.dumps(line)}".encode()
                )  # the break comes first, as a kill may have cut the last line
        except OSError as error:
            raise storage_error(self._path, error) from error
        self._spending.add(spent)
