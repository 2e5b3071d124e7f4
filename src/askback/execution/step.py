"""One step at work: its folder, and the means to do work in pieces, in processes of its own or on a Ray cluster.

A step's folder: ``plan.json`` (its identity and how its work is cut into pieces) is written first, pieces follow, and
``step.json`` comes last: done is a file.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askback import owned
from askback.engines import kind_of
from askback.engines.response_cache import kept_in
from askback.engines.usage import Tokens
from askback.errors import Drift, EmptyStep
from askback.execution.budget import Meter
from askback.execution.on_disk import IdentityRecord, read_json
from askback.execution.outcome import Counts, Outcome
from askback.execution.processes import Drain, Report, run_pieces
from askback.execution.progress import Bar, Progress
from askback.execution.shards import (
    Range,
    Records,
    is_done,
    piece_outcome,
    read_records,
    rejections,
    write_json,
    write_outcome,
)
from askback.recipe import Resources

if TYPE_CHECKING:
    from askback.execution.identity import Model


@dataclass
class Step:
    """One step at work: its folder, and the means to do work in pieces, in processes of its own."""

    name: str
    folder: Path
    resources: Resources
    random_seed: int
    progress: Progress
    drain: Drain
    meter: Meter
    output: Any
    """The handle of what it makes."""
    asks_model: bool = False
    """Whether a worker may hold a model."""
    counts: dict[str, Counts] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    metrics: dict[str, Any] = field(default_factory=dict)

    def map(self, work: Callable[..., Outcome], records: Records, kind: type, piece_size: int, unit: str) -> Records:
        """Call ``work(records)`` on consecutive records and keep what it returns.

        The cut is written down, so that it stays the same whatever changes between two runs of one step.

        Args:
            piece_size: how many records a piece holds, unless there are many (`larger`).
        """
        total = len(records)
        size = self._recall("piece_size", larger(piece_size, total))
        pieces = [(ranges,) for ranges in records.cut(size)]
        sizes = [min(size, total - start) for start in range(0, total, size)]
        return self.pieces(partial(_work_on_rows, work), pieces, kind, unit, sizes)

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
        self._same_cut(len(pieces))
        todo = [number for number in range(len(pieces)) if not is_done(self.folder, number)]
        undone = set(todo)
        workers = min(self.resources.workers, max(1, len(todo)))
        total = sum(sizes) if sizes else None
        before = sum(size for number, size in enumerate(sizes) if number not in undone) if sizes else 0
        task = partial(_do_piece, work, self.folder, kind)
        arguments = [(number, *pieces[number]) for number in todo]
        with self.progress.bar(self.name, total, before, unit) as bar:
            if todo:
                for _ in self._share_out(task, arguments, workers, self._reporter(bar), self._models):
                    pass
        for number in range(len(pieces)):
            outcome = piece_outcome(self.folder, number)
            self._count(outcome.counts, outcome.reasons)
            for name, count in outcome.tallies.items():
                self.metrics[name] = self.metrics.get(name, 0) + count
        assert isinstance(self.output, Records)
        return self.output

    def each(self, work: Callable[..., Any], pieces: Sequence[tuple[Any, ...]], unit: str, total: int) -> list[Any]:
        """Call ``work(*piece)`` for every piece, in worker processes, and return what each returned, in any order.

        For what a step has to know before its records can be written; `work` keeps what is worth keeping in a file.

        Args:
            total: how many units these pieces hold, for the progress; pieces done before are the caller's to leave out.
        """
        workers = min(self.resources.workers, max(1, len(pieces)))
        with self.progress.bar(self.name, total, 0, unit) as bar:
            return list(self._share_out(work, pieces, workers, self._reporter(bar), self._models))

    def write(self, kind: type, outcomes: Iterable[Outcome]) -> Records:
        """Keep what is worked out here, a piece per outcome; so little work that it is done again after a kill."""
        for number, outcome in enumerate(outcomes):
            write_outcome(self.folder, number, kind, outcome)
            self._count(outcome.counts, outcome.reasons)
        assert isinstance(self.output, Records)
        return self.output

    def take_over(self, model: "Model") -> None:
        """Link a trained model, in both its forms, as what this step makes."""
        assert model.bfloat16 is not None
        for source, target in ((model.path, self.output.path), (model.bfloat16, self.output.bfloat16)):
            made = owned.unfinished(target)
            owned.copy(source, made)
            owned.put(made, target)

    def alone(self, work: Callable[..., Any], *arguments: Any, total: int | None, unit: str, processes: int = 1) -> Any:
        """Call ``work(*arguments)`` in a process of its own and return what it returns.

        Args:
            processes: how many it starts itself that hold a model each, on the node where it is.
        """
        with self.progress.bar(self.name, total, 0, unit) as bar:
            (result,) = self._share_out(work, [arguments], 1, self._reporter(bar), processes)
        return result

    def _share_out(
        self,
        work: Callable[..., Any],
        pieces: Sequence[tuple[Any, ...]],
        workers: int,
        on_report: Report,
        models: int,
    ) -> Iterator[Any]:
        """Have pieces done where `resources.executor` says; each worker holds `models` models."""
        if self.resources.executor == "ray":
            from askback.execution import ray_tasks

            return ray_tasks.run_pieces(work, pieces, workers, self.log, self.drain, on_report, self.resources, models)
        return run_pieces(work, pieces, workers, self.log, self.drain, on_report)

    @property
    def _models(self) -> int:
        """How many models a worker holds: one, or none if it asks none or asks a server."""
        return int(self.asks_model and not kind_of(self.resources.engine.kind).served)

    @property
    def log(self) -> Path:
        """The file into which worker processes, and the libraries in them, write their messages."""
        return self.folder / "log.txt"

    def _reporter(self, bar: Bar) -> Report:
        """Return the function that takes the records and tokens that workers report."""

        def report(records: int, tokens: Tokens) -> None:
            bar.add(records, sum(tokens))
            self.meter.add(tokens)

        return report

    def _same_cut(self, pieces: int) -> None:
        """Refuse to go on when the work would be cut otherwise than when it was begun: two cuts must not mix."""
        if self._recall("pieces", pieces) != pieces:
            raise Drift(
                f"{self.folder}: step '{self.name}' was begun in another number of pieces than the {pieces} of now. "
                f"Make it again with --redo {self.name}."
            )

    def _count(self, counts: dict[str, Counts], reasons: dict[str, int]) -> None:
        for stage, count in counts.items():
            self.counts.setdefault(stage, Counts()).add(count)
        self.reasons.update(reasons)

    def _recall(self, key: str, value: int) -> int:
        """Return `value` as it was when the step was begun."""
        path = self.folder / "plan.json"
        plan = read_json(path, IdentityRecord)
        if key not in plan:
            write_json(path, {**plan, key: value})
        found: dict[str, Any] = {key: value, **plan}
        return int(found[key])


def nothing_kept(folder: Path, counts: Mapping[str, Counts], reasons: Mapping[str, int]) -> EmptyStep:
    """Return the error of a step whose last stage keeps nothing: how many came in, and what dropped them."""
    entered = next(reversed(list(counts.values())), Counts()).entered
    most = Counter(dict(reasons)).most_common(5)
    why = ", ".join(f"{reason.partition('/')[2]} {count:,}" for reason, count in most) or "nothing came in"
    failed = next((one.detail for one in rejections(folder) if one.outcome == "failed" and one.detail), "")
    why += f"; the first that failed: {failed[:300]}" if failed else ""
    return EmptyStep(
        f"{folder}: step '{folder.name}' would output nothing: of {entered:,} in, 0 kept ({why}). The dropped records are "
        f"in its rejected-*.parquet. Change the recipe, then --redo {folder.name}."
    )


MANY_PIECES = 500
"""Pieces of a step: enough for many workers to end together, and for a kill to lose little of much work."""
LARGEST_PIECE = 1000
"""Records."""


def larger(piece_size: int, total: int) -> int:
    """Return how many records a piece holds: `piece_size`, or more where `total` would make over `MANY_PIECES` pieces.

    At most `LARGEST_PIECE`, as a worker holds a piece in memory.
    """
    return max(piece_size, min(-(-total // MANY_PIECES), LARGEST_PIECE))


def _work_on_rows(work: Callable[..., Outcome], ranges: list[Range]) -> Outcome:
    return work([record for found in ranges for record in read_records(*found)])


def _do_piece(work: Callable[..., Outcome], folder: Path, kind: type, number: int, *piece: Any) -> None:
    """In a worker: do one piece and write what it gave; until then, a server's answers are kept beside it."""
    with kept_in(folder / f"asked-{number:05d}.jsonl"):
        write_outcome(folder, number, kind, work(*piece))
