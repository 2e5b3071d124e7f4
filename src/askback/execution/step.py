"""Steps: each runs once, and what it made is recorded so that it is never made twice nor silently reused.

``run.step(name, function, options, **inputs)`` runs the function now, or returns what is on disk. The arguments are the
dependency graph. What makes a step *the same step* is its identity: the function and its version, the options, the
prompts, the random seed, and the fingerprints of its inputs, each of which is the hash of an identity in turn. How it is
run (`Resources`) is no part of it.

A step's folder: ``plan.json`` (its identity and how its work is cut into pieces) is written first, pieces follow, and
``step.json`` comes last: done is a file. A folder made under another identity is refused with a readable diff.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeVar

from askback.config import Options, RecipeFile, Resources
from askback.errors import Drift, EmptyStep, InputError, RunBusy
from askback.execution.processes import Drain, run_pieces
from askback.execution.progress import Progress, duration
from askback.execution.shards import (
    Records,
    is_done,
    piece_counts,
    piece_tallies,
    rejections,
    storage_error,
    write_json,
    write_outcome,
)
from askback.records import Counts, Outcome

T = TypeVar("T", bound="Records | Model")


@dataclass(frozen=True)
class Model:
    """A checkpoint: a handle, small enough to hand to a worker process."""

    path: Path
    id: str
    fingerprint: str
    chat_template: str = ""
    """Path of a Jinja chat template; only for a base model that has none of its own."""
    steps: frozenset[str] = frozenset()


Input = Records | Model | Sequence[Records]


class Steps(Protocol):
    """What the page needs: something that makes, or plans, a step."""

    def base(self) -> Model:
        """Return the base model."""
        ...

    def step(self, name: str, function: Callable[..., T], options: Options, **inputs: Input) -> T:
        """Make the step, or return what is on disk."""
        ...


@dataclass(frozen=True)
class Recorded:
    """What a step function declares about itself; see `recorded`."""

    version: int
    output: str
    prompts: tuple[str, ...]
    sources: Callable[[Any], dict[str, str]]


def recorded(
    version: int,
    output: str = "records",
    prompts: tuple[str, ...] = (),
    sources: Callable[[Any], dict[str, str]] = lambda options: {},
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Declare a step function.

    Args:
        version: bump it when the same options and inputs would give another result.
        output: "records" or "model".
        prompts: names of the prompts it uses; their text is part of its identity.
        sources: from its options, the outside inputs: what it reads → a fingerprint of that.
    """

    def declare(function: Callable[..., T]) -> Callable[..., T]:
        function.recorded = Recorded(version, output, prompts, sources)  # type: ignore[attr-defined]
        return function

    return declare


def fingerprint(identity: dict[str, Any]) -> str:
    """Return the hash of an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def identify(
    name: str, function: Callable[..., Any], options: Options, inputs: dict[str, Input], random_seed: int
) -> dict[str, Any]:
    """Return what makes this step this step."""
    from askback.prompts import prompt_id

    declared: Recorded = function.recorded  # type: ignore[attr-defined]
    return {
        "step": name,
        "function": f"{function.__module__}:{function.__name__}",
        "version": declared.version,
        "options": options.model_dump(mode="json"),
        "random_seed": random_seed,
        "prompts": {prompt: prompt_id(prompt) for prompt in declared.prompts},
        "sources": declared.sources(options),
        "inputs": {key: _fingerprints(value) for key, value in inputs.items()},
    }


def _fingerprints(value: Input) -> Any:
    return value.fingerprint if isinstance(value, Records | Model) else [records.fingerprint for records in value]


def ancestors(inputs: dict[str, Input]) -> frozenset[str]:
    """Return the names of every step these inputs came through."""
    handles = [h for value in inputs.values() for h in ([value] if isinstance(value, Records | Model) else value)]
    return frozenset().union(*(handle.steps for handle in handles))


@lru_cache(maxsize=256)
def file_fingerprint(*paths: Path) -> str:
    """Return a hash of names, sizes and first 64 KiB of files: enough to notice another file, cheap for a large crawl."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(f"{path.name} {path.stat().st_size} ".encode())
                digest.update(file.read(65536))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return f"{len(paths)} file(s) {digest.hexdigest()[:16]}"


def handle(
    folder: Path, name: str, function: Callable[..., Any], identity: dict[str, Any], steps: frozenset[str]
) -> Any:
    """Return the handle of a step's output, whether or not it is made yet."""
    mark = fingerprint(identity)
    through = steps | {name}
    if function.recorded.output == "model":  # type: ignore[attr-defined]
        return Model(folder / "model", f"{name}-{mark[:8]}", mark, steps=through)
    return Records(folder, mark, through)


def difference(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return, a line each, where two identities differ, as ``options.min_chars: 600 → 300``."""
    lines = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += [f"{key}.{line}" for line in difference(old, new)]
        elif old != new:
            lines.append(f"{key}: {old!r} → {new!r}")
    return lines


def check_drift(folder: Path, name: str, identity: dict[str, Any]) -> None:
    """Refuse a folder that was begun or finished under another identity.

    Raises:
        Drift: with what differs, and what to do.
    """
    plan = folder / "plan.json"
    if not plan.exists():
        return
    before = json.loads(plan.read_text("utf-8"))["identity"]
    changes = difference(before, identity)
    if changes:
        raise Drift(
            f"{folder}: step '{name}' was made with something else:\n  "
            + "\n  ".join(changes)
            + f"\nUndo the change, or make it again with --redo {name}, or start a run of another name and take over "
            "what is still right with --from."
        )


@dataclass
class Step:
    """One step at work: its folder, and the means to do work in pieces, in processes of its own."""

    name: str
    folder: Path
    resources: Resources
    random_seed: int
    progress: Progress
    drain: Drain
    output: Any
    """The handle of what it makes."""
    counts: dict[str, Counts] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def map(self, work: Callable[..., Outcome], records: Records, kind: type, piece_size: int, unit: str) -> Records:
        """Call ``work(records)`` on consecutive records and keep what it returns.

        A piece holds `piece_size` records, or more so that there are at most 1,000 pieces; the cut is written down, so
        that it stays the same whatever changes between two runs of one step.
        """
        total = len(records)
        size = self._recall("piece_size", max(piece_size, -(-total // 1000)))
        pieces = [(records, start, min(start + size, total)) for start in range(0, total, size)]
        return self.pieces(
            partial(_work_on_rows, work), pieces, kind, unit, [stop - start for _, start, stop in pieces]
        )

    def pieces(
        self,
        work: Callable[..., Outcome],
        pieces: Sequence[tuple[Any, ...]],
        kind: type,
        unit: str,
        sizes: list[int] | None = None,
    ) -> Records:
        """Call ``work(*piece)`` for every piece that is not done, and write what each returns as it comes.

        Args:
            sizes: how many units each piece holds, for the progress; unknown if not given.
        """
        done = [number for number in range(len(pieces)) if is_done(self.folder, number)]
        todo = [number for number in range(len(pieces)) if not is_done(self.folder, number)]
        workers = min(self.resources.workers, max(1, len(todo)))
        before = sum(sizes[number] for number in done) if sizes else 0
        task = partial(_do_piece, work, self.folder, kind)
        with self.progress.bar(self.name, sum(sizes) if sizes else None, before, unit) as bar:
            results = (
                run_pieces(
                    task,
                    [(number, *pieces[number]) for number in todo],
                    workers,
                    self.folder / "log.txt",
                    self.drain,
                    bar.add,
                )
                if todo
                else iter(())
            )
            for seconds in results:
                self._timing(seconds)
            self._timing(0.0, bar.tokens)
        for number in range(len(pieces)):
            self._count(piece_counts(self.folder, number))
            for name, count in piece_tallies(self.folder, number).items():
                self.metrics[name] = self.metrics.get(name, 0) + count
        assert isinstance(self.output, Records)
        return self.output

    def write(self, kind: type, outcomes: Iterable[Outcome]) -> Records:
        """Keep what is worked out here, a piece per outcome; so little work that it is done again after a kill."""
        for number, outcome in enumerate(outcomes):
            write_outcome(self.folder, number, kind, outcome)
            self._count(outcome.counts)
        assert isinstance(self.output, Records)
        return self.output

    def alone(self, work: Callable[..., Any], *arguments: Any, total: int | None, unit: str) -> Any:
        """Call ``work(*arguments)`` in a process of its own and return what it returns."""
        with self.progress.bar(self.name, total, 0, unit) as bar:
            (result,) = run_pieces(work, [arguments], 1, self.folder / "log.txt", self.drain, bar.add)
            self._timing(0.0, bar.tokens)
        return result

    def _count(self, counts: dict[str, Counts]) -> None:
        for stage, count in counts.items():
            self.counts.setdefault(stage, Counts()).add(count)

    def _recall(self, key: str, value: int) -> int:
        """Return `value` as it was when the step was begun."""
        path = self.folder / "plan.json"
        plan = json.loads(path.read_text("utf-8"))
        if key not in plan:
            write_json(path, {**plan, key: value})
        return int(plan.get(key, value))

    def _timing(self, seconds: float, tokens: int = 0) -> None:
        if seconds or tokens:
            with (self.folder / "timings.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"seconds": round(seconds, 3), "tokens": tokens}) + "\n")


def _work_on_rows(work: Callable[..., Outcome], records: Records, start: int, stop: int) -> Outcome:
    return work(list(records.rows(start, stop)))


def _do_piece(work: Callable[..., Outcome], folder: Path, kind: type, number: int, *piece: Any) -> float:
    """In a worker: do one piece and write what it gave; return its seconds."""
    start = time.monotonic()
    write_outcome(folder, number, kind, work(*piece))
    return time.monotonic() - start


class Run:
    """A run folder in use by this process: makes steps, or returns what is on disk.

    Use as a context manager; it holds the folder's lock and listens for Ctrl-C.

    Raises:
        RunBusy: another live process holds the folder.
    """

    def __init__(
        self,
        file: RecipeFile,
        progress: Progress | None = None,
        source: Path | None = None,
    ) -> None:
        self.file = file
        self.folder = Path(file.resources.runs) / file.name
        self.progress = progress or Progress(quiet=True)
        self.source = source
        self.drain = Drain(self.progress.say)
        self._lock: Any = None

    def __enter__(self) -> "Run":
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunBusy(
                f"{self.folder}: another process is using this run folder. Wait for it, stop it, or give this run "
                "another name."
            ) from error
        except OSError as error:
            raise storage_error(self.folder, error) from error
        self.drain.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.drain.__exit__(*error)
        self._lock.release()

    def base(self) -> Model:
        """Return the base model, fetched if it is a builtin that is not here yet."""
        from askback.models import resolve

        return base_model(self.file.recipe.base, self.file.recipe.chat_template, resolve)

    def step(self, name: str, function: Callable[..., T], options: Options, **inputs: Input) -> T:
        """Make the step, or return what is on disk.

        Raises:
            Drift: the folder was made with something else.
            EmptyStep: it would output nothing.
            Interrupted: Ctrl-C.
        """
        folder = self.folder / name
        identity = identify(name, function, options, inputs, self.file.recipe.random_seed)
        output: T = handle(folder, name, function, identity, ancestors(inputs))
        check_drift(folder, name, identity)
        if (folder / "step.json").exists():
            return output
        if self.source is not None and _take_over(self.source / name, folder, output.fingerprint):
            self.progress.say(f"{name}: taken over from {self.source}")
            return output
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(folder, error) from error
        if not (folder / "plan.json").exists():
            write_json(folder / "plan.json", {"identity": identity})
        step = Step(name, folder, self.file.resources, self.file.recipe.random_seed, self.progress, self.drain, output)
        started = time.time()
        function(step, options, **inputs)
        self._finish(step, identity, started)
        return output

    def _finish(self, step: Step, identity: dict[str, Any], started: float) -> None:
        """Check that nothing vanished and something is there, then write ``step.json``: the step is done."""
        for stage, counts in step.counts.items():
            assert counts.balanced(), (step.name, stage, counts)
        reasons = Counter(f"{drop.stage}/{drop.rule}" for drop in rejections(step.folder))
        last = next(reversed(step.counts.values()), Counts())
        if last.kept == 0:
            why = ", ".join(f"{reason.partition('/')[2]} {n:,}" for reason, n in reasons.most_common(5))
            raise EmptyStep(
                f"{step.folder}: step '{step.name}' would output nothing: of {last.entered:,} in, 0 kept "
                f"({why or 'nothing came in'}). The dropped records are in its rejected-*.parquet. Change the recipe, "
                f"then --redo {step.name}."
            )
        timings = _timings(step.folder)
        write_json(
            step.folder / "step.json",
            {
                "step": step.name,
                "fingerprint": fingerprint(identity),
                "identity": identity,
                "counts": {stage: asdict(counts) for stage, counts in step.counts.items()},
                "reasons": dict(reasons.most_common()),
                "metrics": step.metrics,
                "tokens": sum(entry["tokens"] for entry in timings),
                "started": round(started, 3),
                "seconds": round(time.time() - started, 3),
                "versions": _versions(),
                "commit": _commit(),
            },
        )
        self.progress.say(f"{step.name}: {_summary(step.counts)} in {duration(time.time() - started)}")


def _summary(counts: dict[str, Counts]) -> str:
    return "; ".join(
        f"{count.entered:,} {stage} → {count.kept:,} kept"
        + (f", {count.rejected:,} rejected" if count.rejected else "")
        + (f", {count.failed:,} failed" if count.failed else "")
        for stage, count in counts.items()
    )


def base_model(name: str, chat_template: str, resolve: Callable[[str], Path]) -> Model:
    """Return the handle of a base model. A local folder is known by its files, a builtin or hub model by its name."""
    path = resolve(name)
    files = tuple(sorted(p for p in Path(name).glob("*") if p.is_file())) if Path(name).is_dir() else ()
    template = (Path(chat_template),) if chat_template else ()
    mark = f"{name if not files else 'model'} {file_fingerprint(*files, *template)}"
    return Model(path, name, mark, chat_template)


def redo(folder: Path, name: str, dependants: Iterable[str]) -> list[str]:
    """Delete a step and every step made from it; return the names of those that were there."""
    gone = [step for step in [name, *dependants] if (folder / step).exists()]
    for step in gone:
        shutil.rmtree(folder / step)
    return gone


def _take_over(source: Path, folder: Path, mark: str) -> bool:
    """Link a finished step of another run into this one, if it is the same step."""
    record = source / "step.json"
    if not record.exists() or json.loads(record.read_text("utf-8"))["fingerprint"] != mark:
        return False
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary, copy_function=_link)
    temporary.replace(folder)
    return True


def _link(source: str, target: str) -> None:
    """Hard-link, as nothing in a finished step is ever written again; copy where links cannot be had."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _timings(folder: Path) -> list[dict[str, Any]]:
    path = folder / "timings.jsonl"
    if not path.exists():
        return []
    # A kill may have cut the last line.
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.endswith("}")]


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
    """Return the commit of the source tree this code runs from, "" for an installed package."""
    here = Path(__file__).parent
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()
