"""The time, tokens and money that a run spends, and the limits at which it stops (`askback run --max-tokens` and others).

A step adds seconds, tokens and money to its ``timings.jsonl``, a line for every report with tokens, and every
`NOTE_SECONDS` otherwise, so a kill loses only the work in flight. The lines of a step that is made again move to the run
folder's file, as money spent stays spent; a step taken over from another run was paid there.
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
    """Limits on what a run may spend over all its attempts; None is no limit.

    What is in flight is finished beyond them: of servers the requests, else the pieces of work.
    """

    hours: float | None = None
    """Hours of wall time of all steps."""
    tokens: int | None = None
    """Number of tokens read, written and trained on."""
    usd: float | None = None
    """US dollars by the prices in the recipe's `resources:`."""


@dataclass(frozen=True)
class Spent:
    """Wall seconds, tokens by kind, and US dollars."""

    seconds: float = 0.0
    prompt: int = 0
    output: int = 0
    train: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Number of tokens of all kinds."""
        return self.prompt + self.output + self.train

    def __add__(self, more: "Spent") -> "Spent":
        return Spent(*(getattr(self, name) + getattr(more, name) for name in KINDS))

    def __str__(self) -> str:
        money = f", {self.usd:,.2f} USD" if self.usd else ""
        return f"{self.tokens:,} tokens, {duration(self.seconds)}{money}"


KINDS = tuple(field.name for field in fields(Spent))


def spent_in(*paths: Path) -> Spent:
    """Return the sum of the lines of these files; a file need not exist."""
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
    """Return the spending of a run over all its attempts."""
    return spent_in(folder / TIMINGS, *folder.glob(f"*/{TIMINGS}"))


def cost(tokens: Tokens, seconds: float, engine: EngineOptions, resources: Resources) -> float:
    """Return the cost in US dollars: of the tokens at the engine's server, and of the machine's time."""
    asked = tokens.prompt * engine.usd_per_million_prompt_tokens + tokens.output * engine.usd_per_million_output_tokens
    return asked / 1e6 + seconds / 3600 * resources.usd_per_hour


class Spending:
    """The spending of a run. When a limit of the budget is reached, it asks the drain to stop.

    Raises:
        RecipeError: the budget limits money, and the recipe has no price.
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
        """Add to the spending, and stop the run when a limit is reached."""
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
        """Return a timer that stops the run at a limit of hours, or of the machine's cost; None without such a limit."""
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
    """The spending of one step, in a `with` around its work; `add` takes the tokens that workers report."""

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
        """Write a line of the tokens, and of the time since the last line."""
        if any(tokens) or time.monotonic() - self._since > NOTE_SECONDS:
            self._note(tokens)

    def totals(self) -> Spent:
        """Return the spending of the step over all attempts."""
        return spent_in(self._path)

    def _note(self, tokens: Tokens) -> None:
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        usd = cost(tokens, seconds, self._engine, self._spending.resources)
        spent = Spent(round(seconds, 3), *tokens, usd=usd)
        line = {name: value for name in KINDS if (value := getattr(spent, name)) or name == "seconds"}
        try:
            with owned.append(self._path) as file:
                file.write(f"\n{json.dumps(line)}".encode())  # the break first, as a kill may have cut the last line
        except OSError as error:
            raise storage_error(self._path, error) from error
        self._spending.add(spent)
