"""One step at work: its folder, and the means to do work in pieces, in processes of its own or on a Ray cluster.

A step's folder: ``plan.json`` (its identity and how its work is cut into pieces) is written first, pieces follow, and
``step.json`` comes last: done is a file.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Never

from askback import owned
from askback.engines import kind_of
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.errors import Drift, EmptyStep
from askback.execution import ray_tasks
from askback.execution.budget import Meter
from askback.execution.identity import Model
from askback.execution.on_disk import IdentityRecord, read_json
from askback.execution.outcome import Counts, Outcome
from askback.execution.processes import A, B, Drain, Report, Work, run_pieces
from askback.execution.progress import Bar, Progress
from askback.execution.ray_tasks import Cluster
from askback.execution.shards import (
    Piece,
    Records,
    is_done,
    piece_outcome,
    rejections,
    write_json,
    write_outcome,
)
from askback.recipe import Resources


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
    output: Records[Any] | Model
    """The handle of what it makes."""
    cluster: Cluster = field(default_factory=Cluster)
    """Where its work is done if `resources.executor` is "ray"."""
    asks_model: bool = False
    """Whether a worker may hold a model."""
    counts: dict[str, Counts] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    metrics: dict[str, Any] = field(default_factory=dict)

    def cut(self, records: Records[A], piece_size: int) -> list[Piece[A]]:
        """Return consecutive pieces of records, of `piece_size` unless there are many (`larger`).

        The size is written down, so that it stays the same whatever changes between two runs of one step.
        """
        return records.cut(self._recall("piece_size", larger(piece_size, len(records))))

    def map(self, work: Work[A, Outcome[B]], pieces: Sequence[A], kind: type[B], unit: str) -> Records[B]:
        """Call ``work(worker, piece)`` for every piece that is not done, and write what each returns as it comes.

        How many units a piece holds is its length, for the progress; unknown if it has none.
        """
        self._same_cut(len(pieces))
        sizes = [len(piece) for piece in pieces if isinstance(piece, Sized)]
        todo = [number for number in range(len(pieces)) if not is_done(self.folder, number)]
        undone = set(todo)
        workers = min(self.resources.workers, max(1, len(todo)))
        preload = kind_of(self.resources.engine.kind).preload if self.asks_model else ""
        total = sum(sizes) if sizes else None
        before = sum(size for number, size in enumerate(sizes) if number not in undone) if sizes else 0
        task = partial(_do_piece, work, self.folder, kind)
        arguments = [(number, pieces[number]) for number in todo]
        with self.progress.bar(self.name, total, before, unit) as bar:
            if todo:
                for _ in self._share_out(task, arguments, workers, self._reporter(bar), self._models, preload):
                    pass
        for number in range(len(pieces)):
            outcome = piece_outcome(self.folder, number)
            self._count(outcome.counts, outcome.reasons)
            for name, count in outcome.tallies.items():
                self.metrics[name] = self.metrics.get(name, 0) + count
        return self._records

    def alone(
        self,
        work: Work[A, B],
        pieces: Sequence[A],
        unit: str,
        total: int | None = None,
        processes: int | None = None,
        preload: str = "",
    ) -> list[B]:
        """Call ``work(worker, piece)`` for every piece, in worker processes, and return what each returned, in any order.

        For what stands apart from the records: a training, or what has to be known before records can be written. `work`
        keeps what is worth keeping in a file, and pieces that were done before are the caller's to leave out.

        Args:
            total: units that these pieces hold, for the progress; unknown if not given.
            processes: how many processes that hold a model each `work` starts itself, on the node where it is.
            preload: a module that imports what `work` takes seconds to import (`run_pieces`).
        """
        workers = min(self.resources.workers, max(1, len(pieces)))
        models = self._models if processes is None else processes
        with self.progress.bar(self.name, total, 0, unit) as bar:
            return list(self._share_out(work, pieces, workers, self._reporter(bar), models, preload))

    def write(self, kind: type[B], outcomes: Iterable[Outcome[B]]) -> Records[B]:
        """Keep what is worked out here, a piece per outcome; so little work that it is done again after a kill."""
        for number, outcome in enumerate(outcomes):
            write_outcome(self.folder, number, kind, outcome)
            self._count(outcome.counts, outcome.reasons)
        return self._records

    @property
    def _records(self) -> Records[Any]:
        assert isinstance(self.output, Records)
        return self.output

    @property
    def model(self) -> Model:
        """The handle of the model that this step makes."""
        assert isinstance(self.output, Model)
        return self.output

    def take_over(self, model: Model) -> Model:
        """Link a trained model, in both its forms, as what this step makes."""
        own = self.model
        assert model.bfloat16 is not None and own.bfloat16 is not None
        for source, target in ((model.path, own.path), (model.bfloat16, own.bfloat16)):
            made = owned.unfinished(target)
            owned.copy(source, made)
            owned.put(made, target)
        return own

    def measured(self, counts: dict[str, Counts], metrics: dict[str, Any]) -> Records[Never]:
        """Return the output of a step that measures and keeps no records."""
        self.counts, self.metrics = counts, metrics
        return self._records

    def _share_out(
        self,
        work: Work[A, B],
        pieces: Sequence[A],
        workers: int,
        on_report: Report,
        models: int,
        preload: str,
    ) -> Iterator[B]:
        """Have pieces done where `resources.executor` says; each worker holds `models` models and imports `preload`."""
        if self.resources.executor == "ray":
            given = work, pieces, workers, self.log, self.drain, on_report, self.resources, models
            return ray_tasks.run_pieces(*given, self.cluster)
        return run_pieces(work, pieces, workers, self.log, self.drain, on_report, preload)

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


def _do_piece(
    work: Work[A, Outcome[B]], folder: Path, kind: type[B], worker: WorkerContext, numbered: tuple[int, A]
) -> None:
    """In a worker: do one piece and write what it gave; until then, a server's answers are kept beside it."""
    number, piece = numbered
    with worker.keeping(folder / f"asked-{number:05d}.jsonl"):
        write_outcome(folder, number, kind, work(worker, piece))
