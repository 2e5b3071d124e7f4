"""Speed and memory of the corpus room: python benchmarks/corpus.py [speed|memory|workers ...] --warc FILE

Each figure is of a whole ``askback corpus`` run with the default rules, from the start of the command to its end: read,
cut, sift, drop duplicates, write. The file is a crawl with one gzip member per record. A run with `speed` needs the peer:

    python -m venv peer
    peer/bin/pip install 'datatrove[io,processing]' lxml_html_clean py3langid spacy
    python benchmarks/corpus.py speed --warc FILE --peer-python peer/bin/python

speed    Pages a second beside datatrove's own pipeline (datatrove_peer.py says which blocks, and what stands in for the
         one that needs the network). Both run on one core, by turns; the ratio is that of the medians. CPU time counts,
         of all processes, since a shared machine stretches wall time; both are shown. We read the whole file, from the
         start of the command to its end; the peer the first `--pages` pages, and its start, its imports and the
         stand-in's time are not counted.
memory   Peak resident memory, all processes together, at 1, 4 and 16 times the file. A copy is the file again with
         its longer words altered, so that no segment is a near-duplicate of one in another copy.
workers  Pages a second with two workers and with one, at 4 times the file, by turns.
"""

import argparse
import gzip
import io
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastwarc.warc import ArchiveIterator, WarcRecordType

PARTS = ("speed", "memory", "workers")
FASTER, FLAT, TWO_WORKERS = 10.0, 1.2, 1.8
"""The targets: times datatrove's pages a second, most memory at 16 times over that at once, two workers over one."""

RECIPE = """
name: benchmark
recipe:
  base: builtin:smollm2-135m
  seed: {{sources: [{{path: "builtin:demo"}}]}}
  corpus: {{sources: [{{format: warc, path: {path}}}]}}
resources: {{workers: {workers}, runs: {runs}}}
"""


class Run(NamedTuple):
    """What a run took: pages read, wall and CPU seconds, most memory of `segment` and of `dedup` in MB."""

    pages: int
    wall: float
    cpu: float
    segment: float = 0.0
    dedup: float = 0.0


def main() -> None:
    """Measure the parts asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--warc", type=Path, required=True)
    parser.add_argument("--peer-python", type=Path, help="a Python that has datatrove, for speed")
    parser.add_argument("--pages", type=int, default=600, help="pages that the peer reads for speed")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    parts = given.parts or PARTS
    if wrong := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(wrong))}; there are {', '.join(PARTS)}")
    if "speed" in parts and not given.peer_python:
        parser.error("speed needs --peer-python")
    print("| figure | value | target | met |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        if "speed" in parts:
            speed(given.warc, given.peer_python, given.pages, given.repeats, Path(folder))
        if "memory" in parts:
            memory(given.warc, Path(folder))
        if "workers" in parts:
            workers(given.warc, given.repeats, Path(folder))


def speed(warc: Path, peer_python: Path, pages: int, repeats: int, folder: Path) -> None:
    """Run both by turns on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    ours, peers = [], []
    for _ in range(repeats):
        ours.append(askback(warc, 1))
        peers.append(datatrove(peer_python, warc, pages))
    os.sched_setaffinity(0, cores)
    for kind in ("cpu", "wall"):
        mine, theirs = (statistics.median(run.pages / getattr(run, kind) for run in runs) for runs in (ours, peers))
        target = (f"at least {FASTER:g} times", mine / theirs >= FASTER) if kind == "cpu" else ("", None)
        row(
            f"pages a second of {kind} time, {ours[0].pages:,} pages (peer {pages:,}), {repeats} repeats",
            f"{mine:,.0f}, datatrove {theirs:,.1f}: {mine / theirs:.1f} times",
            *target,
        )


def memory(warc: Path, folder: Path) -> None:
    """Run over more and more of the same."""
    found: dict[int, Run] = {}
    for times in (1, 4, 16):
        larger = folder / f"{times}.warc.gz"
        write(larger, warc, times)
        found[times] = askback(larger, 1)
        larger.unlink()
    for step in ("segment", "dedup"):
        peaks = [getattr(run, step) for run in found.values()]
        shown = ", ".join(f"{peak:,.0f} MB at {times}x" for times, peak in zip(found, peaks, strict=True))
        row(
            f"peak memory of {step}, {found[1].pages:,} pages at 1x",
            shown,
            "flat within 20 %",
            peaks[-1] <= FLAT * peaks[0],
        )


def workers(warc: Path, repeats: int, folder: Path) -> None:
    """Run with one worker and with two, by turns."""
    larger = folder / "workers.warc.gz"
    write(larger, warc, 4)
    runs: dict[int, list[Run]] = {1: [], 2: []}
    for _ in range(repeats):
        for count, done in runs.items():
            done.append(askback(larger, count))
    one, two = (statistics.median(run.pages / run.wall for run in done) for done in runs.values())
    shown = f"{one:,.0f} with one, {two:,.0f} with two: {two / one:.2f} times"
    row("pages a second, whole run", shown, f"at least {TWO_WORKERS:g} times", two / one >= TWO_WORKERS)


def row(figure: str, value: str, target: str, met: bool | None) -> None:
    """Print a row of the table."""
    print(f"| {figure} | {value} | {target} | {'' if met is None else 'yes' if met else 'no'} |", flush=True)


def askback(warc: Path, workers: int) -> Run:
    """Run ``askback corpus`` on a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = RECIPE.format(path=json.dumps(str(warc)), workers=workers, runs=json.dumps(name))
        (folder / "recipe.yaml").write_text(recipe, "utf-8")
        before, start = _cpu(), time.perf_counter()
        command = [sys.executable, "-m", "askback", "corpus", str(folder / "recipe.yaml"), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        peaks = {"segment": 0.0, "dedup": 0.0}
        watch = threading.Thread(target=_watch, args=(process, folder / "benchmark", peaks))
        watch.start()
        stages = json.loads(process.communicate()[0])
        watch.join()
        return Run(stages[0]["entered"], time.perf_counter() - start, _cpu() - before, **peaks)


def datatrove(python: Path, warc: Path, pages: int) -> Run:
    """Run the peer on a file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), str(Path(__file__).with_name("datatrove_peer.py")), str(warc), folder, str(pages)]
        told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    found = json.loads(told)
    return Run(found["pages"], found["wall"], found["cpu"])


def _cpu() -> float:
    """Return the CPU seconds of all processes that this one has started and that have ended, with those of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(process: subprocess.Popen[bytes], run: Path, peaks: dict[str, float]) -> None:
    """Note the most memory that a process and its children hold, step by step, 20 times a second."""
    while process.poll() is None:
        step = "dedup" if (run / "segment" / "step.json").exists() else "segment"
        peaks[step] = max(peaks[step], sum(map(_resident, _family(process.pid))))
        time.sleep(0.05)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = file.read_text().split()
        except OSError:  # it has just ended
            continue
        for child in children:
            yield from _family(int(child))


def _resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except (OSError, IndexError):
        return 0.0


LETTERS = b"abcdefghijklmnopqrstuvwxyz"
WORD_END = re.compile(rb"(?<= [a-z]{4})([a-z]*)([a-z])(?= )")


def write(target: Path, warc: Path, copies: int) -> None:
    """Write a file `copies` times, each copy after the first altered.

    In copy n, the last letter of a word of five or more is moved n places on in the alphabet. That leaves lengths, tags
    and the words by which English is known as they are, and of five words in a row hardly ever all.
    """
    with target.open("wb") as out:
        for copy in range(copies):
            letters = bytes.maketrans(LETTERS, LETTERS[copy:] + LETTERS[:copy])
            with warc.open("rb") as file:
                for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                    content = record.reader.read()
                    moved = WORD_END.sub(lambda word: word[1] + word[2].translate(letters), content)  # noqa: B023
                    record.set_bytes_content(moved)
                    member = io.BytesIO()
                    record.write(member)
                    out.write(gzip.compress(member.getvalue(), 1))


if __name__ == "__main__":
    main()
