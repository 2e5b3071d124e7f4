"""A run folder: ``run.step(name, function, options, **inputs)`` makes a step, or returns what is on disk.

The arguments are the dependency graph; there is no other. A step is made once, and is never silently reused under another
identity (identity.py) nor overwritten.
"""

import os
import platform
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from askback import owned
from askback.engines.usage import Tokens
from askback.engines.vllm.vllm_server import LOGS, Serving, log_name
from askback.errors import Interrupted, RunBusy, storage_error
from askback.execution.budget import TIMINGS, Budget, Meter, Spending
from askback.execution.identity import (
    NO_MODEL,
    Model,
    P,
    StepFunction,
    T,
    Wanted,
    ancestors,
    asked,
    base_model,
    check_drift,
    check_sources,
    fingerprint,
    given,
    handle,
    holds_work,
    identify,
    server_model,
)
from askback.execution.metrics import write_metrics
from askback.execution.on_disk import made_by
from askback.execution.outcome import Counts
from askback.execution.processes import Drain
from askback.execution.progress import Progress, duration
from askback.execution.ray_tasks import Cluster
from askback.execution.shards import Records, write_json
from askback.execution.step import Step, nothing_kept
from askback.recipe import RecipeFile


def claim_run(folder: Path) -> None:
    """Claim a folder for a run: a new one, or the folder of an earlier attempt.

    Raises:
        InputError: it is not ours, or was made by version 0.1.
    """
    owned.claim(
        folder,
        "run",
        "Give this run another name (`name:`); of a run of version 0.1, finished steps that are still right are taken over "
        f"with --from {folder}.",
    )


class Steps(Protocol):
    """The argument of a page, which makes its steps or plans them."""

    def base(self) -> Model:
        """Return the base model."""
        ...

    def server(self, role: str) -> Model | None:
        """Return the model of the server of a role, None where the role's engine runs the run's own models."""
        ...

    def has(self, records: Records[Any]) -> bool:
        """Return whether the records of a step are there to be read: always, but in a plan that looks ahead."""
        ...

    def step(
        self, name: str, function: StepFunction[Wanted, P, T], options: Wanted, *args: P.args, **inputs: P.kwargs
    ) -> T:
        """Make the step, or return what is on disk. Inputs are given by name; one that is None counts as not given."""
        ...


class Run:
    """A run folder in use by this process (`Steps`).

    Use as a context manager; it holds the folder's lock and handles Ctrl-C.

    Raises:
        RunBusy: another live process holds the folder.
    """

    def __init__(
        self,
        file: RecipeFile,
        progress: Progress | None = None,
        source: Path | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.file = file
        self.folder = Path(file.resources.runs) / file.name
        self.progress = progress or Progress(quiet=True)
        self.source = source
        self.drain = Drain(self.progress.say)
        self.spending = Spending(self.folder, file.resources, budget or Budget(), self.drain)
        self._lock: Any = None
        self._begun = False
        self._serving = Serving()
        self._cluster = Cluster()

    def __enter__(self) -> "Run":
        from filelock import FileLock, Timeout

        claim_run(self.folder)
        try:
            self._lock = FileLock(self.folder / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunBusy(
                f"{self.folder}: another process is using this run folder. Wait for it, stop it, or give this run "
                "another name."
            ) from error
        except OSError as error:
            raise storage_error(self.folder, error) from error
        owned.clear(self.folder)
        self.drain.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._serving.close()
        self._cluster.close()
        self.drain.__exit__(*error)
        self._lock.release()

    def begin(self) -> None:
        """Write ``recipe.yaml``, once."""
        import yaml

        if self._begun:
            return
        with owned.atomic(self.folder / "recipe.yaml") as temporary:
            tree = self.file.as_written()
            temporary.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), "utf-8")
        self._begun = True

    def base(self) -> Model:
        """Return the base model, fetched if it is not here yet. A page asks for it first, so the run begins here."""
        from askback.models import resolve
        from askback.models.builtin import cached

        self.begin()
        recipe = self.file.recipe
        if not recipe.base:
            return NO_MODEL
        if recipe.base.startswith("builtin:") and cached(recipe.base) is None:
            self.progress.say(f"base: fetching {recipe.base}, about 100 MB, once")
        return base_model(recipe.base, recipe.chat_template, resolve(recipe.base, recipe.chat_template))

    def server(self, role: str) -> Model | None:
        return server_model(self.file.resources.engine_for(role))

    def has(self, records: Records[Any]) -> bool:
        return True

    def step(
        self, name: str, function: StepFunction[Wanted, P, T], options: Wanted, *args: P.args, **inputs: P.kwargs
    ) -> T:
        """Make the step, or return what is on disk.

        Raises:
            Drift: the step on disk has another identity, or its outside files changed meanwhile.
            EmptyStep: it would output nothing.
            BudgetReached: a limit of the budget is reached.
            Interrupted: Ctrl-C.
        """
        folder = self.folder / name
        found = asked(function, given(inputs), self.file.resources)
        identity = identify(name, function, options, found, self.file)
        output = handle(folder, name, function, identity, ancestors(found))
        check_drift(folder, name, identity)
        if (folder / "step.json").exists():
            return output
        if self.source is not None and _take_over(self.source / name, folder, output.fingerprint):
            write_metrics(self.folder)
            self.progress.say(f"{name}: taken over from {self.source}")
            return output
        self.spending.check()
        owned.claim(folder, "step")
        owned.clear(folder)
        if not holds_work(folder):
            write_json(folder / "plan.json", {"identity": identity})
        resources = self._serving.ready(
            function.engine, found, self.file.resources, folder / log_name(), self.progress.say
        )
        meter = Meter(folder / TIMINGS, resources.engine, self.spending)
        random_seed = self.file.recipe.random_seed
        step = Step(
            *(name, folder, resources, random_seed, self.progress, self.drain, meter, output, self._cluster),
            asks_model=bool(function.engine),
        )
        try:
            with meter:
                function.make(step, options, found)
            check_sources(folder, function.sources(options))
        except Interrupted:
            self.spending.check()  # raises BudgetReached if it was the budget that asked to stop
            raise
        self._finish(step, identity, function.may_be_empty)
        return output

    def _finish(self, step: Step, identity: dict[str, Any], may_be_empty: bool) -> None:
        """Check that the counts balance and some records are kept, then write ``step.json``: the step is done."""
        for stage, counts in step.counts.items():
            assert counts.balanced(), (step.name, stage, counts)
        reasons = step.reasons
        step.counts = step.counts or {"records": Counts()}
        if next(reversed(step.counts.values())).kept == 0 and not may_be_empty:
            raise nothing_kept(step.folder, step.counts, reasons)
        owned.close(step.folder, but={path.name for path in step.folder.glob(LOGS)})
        spent = step.meter.totals()
        write_json(
            step.folder / "step.json",
            {
                "step": step.name,
                "fingerprint": fingerprint(identity),
                "identity": identity,
                "counts": {stage: asdict(counts) for stage, counts in step.counts.items()},
                "reasons": dict(reasons.most_common()),
                "metrics": step.metrics,
                **self._serving.chosen,
                "tokens": spent.tokens,
                **{f"{kind}_tokens": getattr(spent, kind) for kind in Tokens._fields},
                "usd": round(spent.usd, 6),
                "finished": round(time.time(), 3),
                "seconds": round(spent.seconds, 3),
                "versions": _versions(),
                "commit": _commit(),
            },
        )
        write_metrics(self.folder)
        self.progress.made(step.name, f"{_summary(step.counts)} in {duration(spent.seconds)}")


def _summary(counts: dict[str, Counts]) -> str:
    return "; ".join(
        f"{count.entered:,} {stage} → {count.kept:,} kept"
        + (f", {count.rejected:,} rejected" if count.rejected else "")
        + (f", {count.failed:,} failed" if count.failed else "")
        for stage, count in counts.items()
    )


def redo(folder: Path, name: str, dependants: Iterable[str]) -> list[str]:
    """Delete a step and every step made from it; return the names of the deleted steps.

    The last goes first, and each is renamed before it is deleted, so that a kill leaves neither half a step nor a step
    whose input is gone.

    Raises:
        InputError: one of them holds a file that askback did not write; then none is deleted.
    """
    gone = [step for step in [name, *dependants] if os.path.lexists(folder / step)]
    for step in gone:
        owned.claim(folder / step, "step")
        owned.refuse_foreign(folder / step)
    for step in reversed(gone):
        _keep_spent(folder, step)
        owned.discard(folder / step, "step")
    return gone


def _keep_spent(folder: Path, step: str) -> None:
    """Add the spending of a step to that of the run folder, where it stays."""
    timings = folder / step / TIMINGS
    if timings.exists():
        with owned.append(folder / TIMINGS) as file:
            file.write(b"\n" + timings.read_bytes())


def _take_over(source: Path, folder: Path, mark: str) -> bool:
    """Link a finished step of another run into this one, if it is the same step."""
    record = source / "step.json"
    if not record.exists() or made_by(source) != mark:
        return False
    made = owned.unfinished(folder)
    owned.claim(made, "step")
    owned.copy(source, made, but=(TIMINGS,))  # paid there
    if os.path.lexists(folder):
        owned.discard(folder, "step")  # at most an unfinished attempt at the same step
    made.replace(folder)
    return True


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("askback", "torch", "transformers", "trl", "pyarrow", "selectolax"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache
def _commit() -> str:
    """Return the commit of the source tree, "" for an installed package."""
    here = Path(__file__).parents[3]
    if not (here / "src/askback").is_dir():
        return ""
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()
