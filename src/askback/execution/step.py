"""A running step: its folder, and its work in pieces, in worker processes or on a Ray cluster.

In a step's folder, ``plan.json`` (its identity and how its work is cut into pieces) is written first, pieces follow, and
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
from askback.engines.response_cache import PREVIEW
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
    kept_path,
    piece_outcome,
    rejections,
    write_json,
    write_outcome,
)
from askback.recipe import Resources


@dataclass
class Step:
    """A running step."""

    name: str
    folder: Path
    resources: Resources
    random_seed: int
    progress: Progress
    drain: Drain
    meter: Meter
    output: Records[Any] | Model
    """The handle of its output."""
    cluster: Cluster = field(default_factory=Cluster)
    """The Ray cluster, used if `resources.executor` is "ray"."""
    asks_model: bool = False
    """Whether a worker may hold a model."""
    counts: dict[str, Counts] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    metrics: dict[str, Any] = field(default_factory=dict)

    def cut(self, records: Records[A], piece_size: int) -> list[Piece[A]]:
        """Return consecutive pieces of `piece_size` records, or of more where there are many (`larger`).

        The size is written to ``plan.json``, so that it stays the same in later attempts.
        """
        return records.cut(self._recall("piece_size", larger(piece_size, len(records))))

    def cut_drawn(self, records: Records[A], first: int, stop: int | None, piece_size: int) -> list[Piece[A]]:
        """Return pieces as `cut` does, of the records at these places of a drawn order (`Records.cut_drawn`)."""
        size = larger(piece_size, (len(records) if stop is None else min(stop, len(records))) - first)
        return records.cut_drawn(self.random_seed, first, stop, self._recall("piece_size", size))

    def map(self, work: Work[A, Outcome[B]], pieces: Sequence[A], kind: type[B], unit: str) -> Records[B]:
        """Call ``work(worker, piece)`` for every piece that is not done, and write each outcome as it comes.

        For the progress, a piece counts as many units as its length, if it has one.
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
                keep = self._models > 0
                for number in self._share_out(
                    task, arguments, workers, self._reporter(bar), self._models, keep, preload
                ):
                    self.progress.wrote(self.name, kept_path(self.folder, number))
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
            keep = processes is None and models > 0
            return list(self._share_out(work, pieces, workers, self._reporter(bar), models, keep, preload))

    def write(self, kind: type[B], outcomes: Iterable[Outcome[B]]) -> Records[B]:
        """Write outcomes that this process computed, each as a piece; after a kill they are computed again."""
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
        """The handle of the step's output, a model."""
        assert isinstance(self.output, Model)
        return self.output

    def take_over(self, model: Model) -> Model:
        """Link a trained model, in both its forms, as the step's output."""
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
        keep: bool,
        preload: str,
    ) -> Iterator[B]:
        """Have pieces done where `resources.executor` says; each worker holds `models` models and imports `preload`, and a
        cluster may `keep` it, with its model, for the next step."""
        if self.resources.executor == "ray":
            wanted = ray_tasks.Wanted(self.resources, models, keep)
            return ray_tasks.run_pieces(work, pieces, workers, self.log, self.drain, on_report, wanted, self.cluster)
        return run_pieces(work, pieces, workers, self.log, self.drain, on_report, preload)

    @property
    def _models(self) -> int:
        """Number of models that a worker holds: 1, or 0 if it asks none or asks a server."""
        return int(self.asks_model and not kind_of(self.resources.engine.kind).served)

    @property
    def log(self) -> Path:
        """The file for the output of worker processes and the libraries in them."""
        return self.folder / "log.txt"

    def _reporter(self, bar: Bar) -> Report:
        """Return the function that receives the workers' reports."""

        def report(records: int, tokens: Tokens) -> None:
            bar.add(records, sum(tokens))
            self.meter.add(tokens)

        return report

    def _same_cut(self, pieces: int) -> None:
        """Refuse to go on where the work is cut otherwise than when it began: two cuts must not mix."""
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
        """Return `value` as it was when the step began."""
        path = self.folder / "plan.json"
        plan = read_json(path, IdentityRecord)
        if key not in plan:
            write_json(path, {**plan, key: value})
        found: dict[str, Any] = {key: value, **plan}
        return int(found[key])


def nothing_kept(folder: Path, counts: Mapping[str, Counts], reasons: Mapping[str, int]) -> EmptyStep:
    """Return the error of a step whose last stage keeps nothing, with the numbers that entered and were dropped."""
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
"""Number of pieces of a large step: enough that many workers end together, and that a kill loses little."""
LARGEST_PIECE = 1000
"""Largest number of records in a piece, as a worker holds it in memory."""


def larger(piece_size: int, total: int) -> int:
    """Return the number of records in a piece: `piece_size`, or more where `total` would make over `MANY_PIECES` pieces."""
    return max(piece_size, min(-(-total // MANY_PIECES), LARGEST_PIECE))


def _do_piece(
    work: Work[A, Outcome[B]], folder: Path, kind: type[B], worker: WorkerContext, numbered: tuple[int, A]
) -> int:
    """In a worker: do one piece, write its outcome, and return its number.

    Until then, a server's answers are cached in a file beside it, and those of a preview are known.
    """
    number, piece = numbered
    with worker.keeping(folder / f"asked-{number:05d}.jsonl", folder.parent / PREVIEW):
        write_outcome(folder, number, kind, work(worker, piece))
    return number
