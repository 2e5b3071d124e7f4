"""What askback itself takes: python benchmarks/overhead.py [records|workers|cluster|select|rerun ...] [--sizes N ...]

The scripted engine answers at once, so what the steps of a run take with it is ours: reading and writing records, prompts,
the rules for instructions, judgements, processes. The steps are made as `askback run` makes them, of synthetic segments of
about 1 kB: sentences of the demo's seed pairs, drawn by the number of the segment. Shown are wall time and CPU time, of all
processes, since other work on a machine stretches the one and hardly the other. A worker takes a second or two to start,
which is most of what a thousand records take.

records  Records a second through augment and through score with two workers, for each of the sizes; the peak of memory,
         all processes together; and what a further record costs between one size and the next, which says whether cost is
         linear.
workers  The same with one worker and with two, by turns, at `--workers-at` records.
cluster  Augment on a Ray cluster of this machine with eight workers, of segments of about 100 bytes, for each of the sizes:
         the memory of the process that drives it, and the files that it leaves. Needs askback[ray].
select   Seconds and memory of choosing the best half of each of the sizes: of candidates of about 100 bytes of text, each
         with one judgement, which are made for it; and by each of `--options`, in JSON, beside.
rerun    With `--recipe`, of a finished run: seconds that `askback run` takes on it, and our share of the time that its
         steps augment and score took, by the CPU time per record measured here. Needs `records`.
"""

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from askback.augment.write import write_instructions
from askback.curate.score import score
from askback.curate.select import select
from askback.execution.identity import Model
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import ROW_GROUP, Records, kept_path, write_outcome
from askback.owned import link
from askback.recipe import RecipeFile, Seed, SeedSource, Select
from askback.recipe.file import load_recipe
from askback.records import Candidate, Judgement, Provenance, Segment, record_id, schema
from askback.seed.load import gather
from askback.studies.run_folder import finished

PARTS = ("records", "workers", "cluster", "select", "rerun")
RATE, FLAT, LINEAR, TWO_WORKERS, RERUN, SHARE, SELECT, SELECT_MB = 20_000, 1.2, 1.2, 1.8, 2.0, 0.05, 300, 4000
"""The targets: records a second, most memory and most cost of a further record over that at the size before, two workers
over one, seconds of a rerun, our share of a real run, seconds and MB to select from ten million."""
PART = 1000
"""Segments in a file."""
CHARS = 1000
WORDS = "rivers bridges seasons orchards letters harbours windows clocks gardens kitchens markets engines".split()


class Taken(NamedTuple):
    """What a step took: wall and CPU seconds, most memory of all processes in MB."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    """Measure the parts asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--workers-at", type=int, default=600_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--options", nargs="*", default=[], help='of select, as {"max_similarity": 0.7}, beside top_fraction'
    )
    parser.add_argument(
        "--folder", type=Path, help="to make candidates in, and find those of another call; else a temporary one"
    )
    parser.add_argument("--recipe", type=Path, help="of a finished run, for rerun")
    given = parser.parse_args()
    parts = given.parts or [part for part in PARTS if part != "rerun" or given.recipe]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if "rerun" in parts and not (given.recipe and "records" in parts):
        parser.error("rerun needs --recipe and the part records")
    if wrong := [size for size in (*given.sizes, given.workers_at) if size % PART]:
        parser.error(f"sizes are multiples of {PART}, found {wrong[0]}")
    print("| figure | value | target | met |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        if wanted := [given.workers_at] * ("workers" in parts) + given.sizes * ("records" in parts):
            write_segments(folder / "segments", max(wanted))
        if "records" in parts:
            made = records(folder, sorted(given.sizes))
            if "rerun" in parts:
                rerun(given.recipe, made)
        if "workers" in parts:
            workers(folder, given.workers_at, given.repeats)
        if "cluster" in parts:
            for size in given.sizes:
                cluster(folder, size)
        if "select" in parts:
            for size in given.sizes:
                choose(folder, size, given.options)


def records(folder: Path, sizes: list[int]) -> dict[str, float]:
    """Make both steps at every size; return the CPU seconds per record of each, at the smallest size beyond 1,000."""
    found: dict[str, dict[int, Taken]] = {"augment": {}, "score": {}}
    for size in sizes:
        for step, taken in steps(folder, f"records-{size}", size, 2).items():
            found[step][size] = taken
            rates = f"{size / taken.wall:,.0f} in wall time, {2 * size / taken.cpu:,.0f} in CPU time of two cores"
            cost = f"{taken.wall:.1f} s, CPU {taken.cpu:.1f} s, {1e4 * taken.cpu / size:.2f} s per 10,000"
            large = size == sizes[-1]
            row(f"records a second, {step}, {size:,}", f"{rates} ({cost}; {taken.peak:,.0f} MB)",
                f"at least {RATE:,}" if large else "", size / taken.wall >= RATE if large else None)  # fmt: skip
        both = [found[step][size] for step in found]
        wall, cpu = (sum(getattr(taken, kind) for taken in both) for kind in ("wall", "cpu"))
        row(f"records a second, augment then score, {size:,}", f"{size / wall:,.0f} in wall time, "
            f"{2 * size / cpu:,.0f} in CPU time of two cores", "", None)  # fmt: skip
    for step, by_size in found.items():
        further = [
            1e6 * (by_size[large].cpu - by_size[small].cpu) / (large - small) for small, large in pairwise(sizes)
        ]
        shown = ", ".join(f"{cost:.0f} µs to {size:,}" for cost, size in zip(further, sizes[1:], strict=True))
        met = further[-1] <= LINEAR * further[-2] if len(further) > 1 else None
        row(f"CPU time of a further record, {step}", shown, "not growing", met)
        peaks = [by_size[size].peak for size in sizes]
        shown = ", ".join(f"{peak:,.0f} MB at {size:,}" for peak, size in zip(peaks, sizes, strict=True))
        row(f"peak memory, {step}", shown, "flat within 20 %", peaks[-1] <= FLAT * peaks[0])
    usual = next((size for size in sizes if size > PART), sizes[-1])
    return {step: by_size[usual].cpu / usual for step, by_size in found.items()}


def workers(folder: Path, size: int, repeats: int) -> None:
    """Make both steps with one worker and with two."""
    walls: dict[int, list[float]] = {1: [], 2: []}
    for number in range(repeats):
        for count, taken in walls.items():
            both = steps(folder, f"workers-{count}-{number}", size, count)
            taken.append(sum(step.wall for step in both.values()))
    one, two = (size / statistics.median(taken) for taken in walls.values())
    shown = f"{one:,.0f} with one, {two:,.0f} with two: {two / one:.2f} times"
    row(f"records a second, augment then score, {size:,}", shown, f"at least {TWO_WORKERS:g} times",
        two / one >= TWO_WORKERS)  # fmt: skip


def cluster(folder: Path, size: int) -> None:
    """Make augment of `size` short segments with eight workers of Ray, each a process."""
    segments = folder / f"short-{size}"
    if not segments.exists():
        write_short(segments, size)
    with open_run(folder, f"cluster-{size}", 8, executor="ray", cpus_per_worker=0.25) as run:
        given: dict[str, Any] = {"model": Model(Path("no-model"), "scripted", "scripted")}
        given["segments"] = Records[Any](segments, f"{size}")
        options = run.file.recipe.augment
        taken = measured(lambda: run.step("augment", write_instructions, options, **given), alone=True)
        files = sum(path.is_file() for path in run.folder.rglob("*"))
        counts = json.loads((run.folder / "augment/step.json").read_bytes())["counts"]
    row(f"augment of {size:,} on Ray, eight workers", f"{taken.wall:.0f} s; the driver {taken.peak:,.0f} MB, CPU "
        f"{taken.cpu:.0f} s; {files:,} files; {counts}", "", None)  # fmt: skip


def choose(folder: Path, size: int, more: list[str]) -> None:
    """Choose the best half of `size` candidates, and by each of `more` options beside."""
    candidates, judgements = (Records[Any](folder / f"{name}-{size}", name) for name in ("candidates", "judgements"))
    if not candidates.folder.exists():
        write_judged(folder, size)
    for number, given in enumerate(["{}", *more]):
        options = Select.model_validate({"top_fraction": 0.5, **json.loads(given)})
        with open_run(folder, f"select-{size}-{number}", 1) as run:
            taken = measured(lambda: run.step("select", select, options, candidates=candidates, judgements=judgements))  # noqa: B023
        most = SELECT * size / 1e7
        shown = "the best half" + (f", {given}," if number else "")
        row(f"select {shown} of {size:,}", f"{taken.wall:.1f} s, CPU {taken.cpu:.1f} s, {taken.peak:,.0f} MB",
            f"CPU under {most:g} s, {SELECT_MB:,} MB", taken.cpu < most and taken.peak < SELECT_MB)  # fmt: skip


def rerun(recipe: Path, cost: dict[str, float]) -> None:
    """Run a finished run again, and read what its steps took."""
    command = [sys.executable, "-m", "askback", "run", str(recipe)]
    walls = [measured(lambda: subprocess.run(command, check=True, capture_output=True)).wall for _ in range(3)]
    least = statistics.median(walls)
    row("seconds of a rerun of a finished run", f"{least:.2f}", f"under {RERUN:g}", least < RERUN)
    file = load_recipe(recipe)
    made = [(step["step"].partition("-")[0], step) for step in finished(Path(file.resources.runs) / file.name)]
    asked = [(cost[name], step) for name, step in made if name in cost]
    ours = sum(each * next(iter(step["counts"].values()))["entered"] for each, step in asked)
    share = ours / sum(step["seconds"] for _, step in asked)
    row("our share of a run's augment and score", f"{share:.2%}", f"at most {SHARE:.0%}", share <= SHARE)


def row(figure: str, value: str, target: str, met: bool | None) -> None:
    """Print a row of the table."""
    print(f"| {figure} | {value} | {target} | {'' if met is None else 'yes' if met else 'no'} |", flush=True)


def steps(folder: Path, name: str, size: int, count: int) -> dict[str, Taken]:
    """Make augment and score of the first `size` segments."""
    segments = folder / f"segments-{size}"
    if not segments.exists():
        segments.mkdir()
        for part in sorted((folder / "segments").glob("kept-*"))[: size // PART]:
            link(part, segments / part.name)
    model = Model(Path("no-model"), "scripted", "scripted")
    with open_run(folder, name, count) as run:
        recipe = run.file.recipe
        given: dict[str, Any] = {"model": model, "segments": Records[Any](segments, f"{size}")}
        augment = measured(lambda: run.step("augment", write_instructions, recipe.augment, **given))
        candidates = Records[Any](run.folder / "augment", "candidates")
        judge = measured(lambda: run.step("score", score, recipe.score, model=model, candidates=candidates))
    return {"augment": augment, "score": judge}


def open_run(folder: Path, name: str, count: int, **resources: Any) -> Run:
    """Return a run of the recipe's defaults with the scripted engine."""
    return Run(
        RecipeFile.model_validate(
            {
                "name": name,
                "recipe": {
                    "seed": {"sources": [{"path": "builtin:demo"}]},
                    "corpus": {"sources": [{"format": "text", "path": "none.txt"}]},
                },
                "resources": {"runs": str(folder), "workers": count, "engine": {"kind": "scripted"}, **resources},
            }
        )
    )


def measured(work: Callable[[], object], alone: bool = False) -> Taken:
    """Do the work, and look at the memory of all processes, or of this one `alone`, 20 times a second meanwhile."""
    over, peaks = threading.Event(), [0.0]
    watch = threading.Thread(target=_watch, args=(over, peaks, alone))
    watch.start()
    wall, cpu = time.perf_counter(), _cpu()
    work()
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    over.set()
    watch.join()
    return Taken(wall, cpu, peaks[0])


def _cpu() -> float:
    """Return the CPU seconds of this process and of those it has started that have ended."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _watch(over: threading.Event, peaks: list[float], alone: bool) -> None:
    me = psutil.Process()
    while not over.wait(0.05):
        held = 0
        for process in (me, *([] if alone else me.children(recursive=True))):
            try:
                held += process.memory_info().rss
            except psutil.NoSuchProcess:  # it has just ended
                continue
        peaks[0] = max(peaks[0], held / 1e6)


def write_segments(folder: Path, total: int) -> None:
    """Write segments of sentences of the demo's seed pairs."""
    folder.mkdir()
    pairs = gather(Seed(sources=[SeedSource(path="builtin:demo", format="pairs")])).kept
    sentences = [one for pair in pairs for one in re.split(r"(?<=[.!?])\s+", pair.output) if len(one) > 30]
    for start in range(0, total, PART):
        outcome = Outcome[Any]()
        for number in range(start, start + PART):
            outcome.keep("segments", _segment(number, sentences))
        write_outcome(folder, start // PART, Segment, outcome)


def write_short(folder: Path, size: int) -> None:
    """Write segments of some 100 bytes of text, as columns."""
    for part in range(size // PART):
        numbers = range(part * PART, (part + 1) * PART)
        ids = [f"{random.Random(number).getrandbits(64):016x}" for number in numbers]
        texts = [
            f"Part {number} tells of {WORDS[number % 12]}, and of {WORDS[number % 7]} beside. " * 2
            for number in numbers
        ]
        about = [
            (f"https://site{number % 997}.example/{number}", "synthetic", "", "en", "", "", "") for number in numbers
        ]
        _write(folder, part, Segment, ids, texts, ["Guide"], about, 0, "train", False)


def write_judged(folder: Path, size: int) -> None:
    """Write candidates of some 100 bytes of text, each with a judgement whose score is drawn.

    They are written as columns, since ten million records would take longer to make than to choose from.
    """
    for part in range(size // PART):
        drawn, numbers = random.Random(part), range(part * PART, (part + 1) * PART)
        pairs = []
        for number in numbers:
            one, other, third = (drawn.choice(WORDS) for _ in range(3))
            ask, tell = f"What does {one} tell about {other} in part {number}?", f"Of {other} it tells {third}, " * 2
            pairs.append([("user", ask, ""), ("assistant", tell, "")])
        uris = (f"https://site{number % 997}.example/{number}" for number in numbers)
        ids = [f"{drawn.getrandbits(64):016x}" for _ in numbers]
        scores = [1 + 4 * drawn.random() for _ in numbers]
        about = [(uri, "synthetic", "CC0-1.0", "en", "", "", "") for uri in uris]
        _write(folder / f"candidates-{size}", part, Candidate, ids, pairs, about, ["Guide"], "prompt", "model", 0, "")
        said = (ids, "rubric", scores, [0.1, 0.1, 0.2, 0.3, 0.3], 0.9, list[str](), list[float](), "prompt", "model")
        _write(folder / f"judgements-{size}", part, Judgement, ids, *said)


def _write(folder: Path, part: int, kind: type, *columns: Any) -> None:
    """Write the records of a file, given by column; what is no list of `PART` values is that of all."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = [each if isinstance(each, list) and len(each) == PART else [each] * PART for each in columns]
    arrays = [pa.array(values, field.type) for values, field in zip(whole, schema(kind), strict=True)]
    table = pa.Table.from_arrays(arrays, schema=schema(kind))
    pq.write_table(table, kept_path(folder, part), compression="zstd", row_group_size=ROW_GROUP)


def _segment(number: int, sentences: list[str]) -> Segment:
    drawn, parts, size = random.Random(number), [], 0
    while size < CHARS:
        parts.append(drawn.choice(sentences))
        size += len(parts[-1]) + 1
    text, uri = " ".join(parts), f"https://site{number % 997}.example/{number}"
    about = Provenance(uri, "synthetic", "CC0-1.0", "en")
    return Segment(record_id(uri, text), text, ["Guide", f"Part {number}"], about)


if __name__ == "__main__":
    main()
