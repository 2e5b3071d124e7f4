"""Does the demo help, whatever its seed: ``python benchmarks/demos.py WORK``, some ten minutes a seed on two idle cores.

For each random seed: ``askback demo`` as a newcomer runs it, in an empty folder, with the time of its first pair and its
whole time; then ``askback study`` with one training of each set, for what random pairs and swapped instructions teach in
the place of the chosen ones. Tables of docs/results.md are printed as Markdown. Run again with the same WORK, it goes on.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import stdev
from typing import Any

from reproduction import markdown, of_mean, told_apart

from askback.report.table import Table
from askback.studies.sides import SIDES, recorded, title

RUN = Path("runs/demo")
TOOL = [sys.executable, "-m", "askback"]
ARMS = {"seed+curated": "chosen", "seed+random": "random", "seed+swapped": "swapped"}
SHARE = 0.02
"""Of what M_0 gains over the base on the seed's kind: M_1 may lose as much there."""


def demo(folder: Path, seed: int, changes: list[str]) -> None:
    """Run a demo and write what it says and its times, in seconds, beside it; not again where that is done."""
    if (folder / "times.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    began, first = time.monotonic(), math.nan
    settings = [word for change in [f"recipe.random_seed={seed}", *changes] for word in ("--set", change)]
    with (
        (folder / "said.txt").open("w", encoding="utf-8") as said,
        subprocess.Popen([*TOOL, "demo", *settings], cwd=folder, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout
        for line in process.stdout:
            said.write(line)
            if math.isnan(first) and re.match(r"  \S", line):  # two spaces begin a pair, six a line of progress
                first = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{folder}: the demo ended with {process.returncode}")
    times = {"first_pair": round(first, 1), "whole": round(time.monotonic() - began, 1)}
    (folder / "times.json").write_text(json.dumps(times), "utf-8")


def study(folder: Path) -> dict[str, dict[str, float]]:
    """Study a finished demo; return each set's loss on each side, that of M_0 too. Finished trainings are not repeated."""
    done = subprocess.run([*TOOL, "study", str(RUN), "--seeds", "1", "--json"], cwd=folder, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"{folder}: the study ended with {done.returncode}")
    return {point["set"]: point for point in json.loads(done.stdout)["points"]}


def figures(folder: Path, controls: bool) -> dict[str, Any]:
    """Return the times, M_0's gain over the base, and the difference of each set to M_0, on both sides."""
    found: dict[str, Any] = json.loads((folder / "times.json").read_text("utf-8"))
    losses = {
        side: {model: _loss(of) for model, of in models.items()} for side, models in recorded(folder / RUN).items()
    }
    points = study(folder) if controls else {}
    for side in SIDES:
        found[side] = {
            "gain": losses[side]["base"] - losses[side]["m0"],
            "M_1": losses[side]["m1"] - losses[side]["m0"],
            **{name: points[arm][title(side)] - points["m0"][title(side)] for arm, name in ARMS.items() if points},
        }
    return found


def _loss(losses: list[Any]) -> float:
    return float(sum(one.nats for one in losses) / sum(one.tokens for one in losses))


def by_run(found: dict[int, dict[str, Any]]) -> Table:
    """Return the table of runs: times, and M_1 against M_0 on both sides."""
    seeds, documents = SIDES
    rows = [
        [
            str(seed),
            f"{one['first_pair']:.0f} s",
            f"{one['whole'] // 60:.0f} min {one['whole'] % 60:02.0f} s",
            f"{one[documents]['M_1']:+.4f}",
            f"{one[seeds]['M_1']:+.4f}",
            f"{SHARE * one[seeds]['gain']:.4f}",
        ]
        for seed, one in found.items()
    ]
    heads = ["random seed", "first pair", "whole", "M_1 − M_0, documents", "M_1 − M_0, seed", "2 % of M_0's gain"]
    return Table("Runs", heads, rows)


def by_set(found: dict[int, dict[str, Any]]) -> Table:
    """Return the table of sets: mean differences to M_0, their spread, and between sets, on both sides."""
    runs = list(found.values())
    found_sets = [name for name in runs[0][SIDES[0]] if name not in ("gain", "M_1")]
    names = found_sets or ["M_1"]  # M_1 is trained on the seed and the chosen
    wanted = [(name, "") for name in names]
    wanted += [("chosen", other) for other in ("random", "swapped") if "chosen" in names]
    rows = []
    for name, other in wanted:
        row = [f"{name} − {other or 'M_0'}"]
        for side in reversed(SIDES):
            values = [one[side][name] - (one[side][other] if other else 0.0) for one in runs]
            below = sum(value < 0 for value in values)
            power = ", ".join(f"{told_apart(values, count):.4f}" for count in (1, 3, 5))
            row += [of_mean(values), f"{below} of {len(values)}", f"{stdev(values):.4f}", power]
        rows.append(row)
    about = ["mean (95 % of runs)", "below 0", "SD", "told apart by 1, 3, 5"]
    heads = ["difference", *(f"{title(side)}: {what}" for side in reversed(SIDES) for what in about)]
    return Table("Sets", heads, rows)


def main() -> int:
    """Run, study, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--no-controls", action="store_true", help="demos alone")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of askback demo")
    given = parser.parse_args()
    found = {}
    for seed in given.seeds:
        folder = given.work / str(seed)
        demo(folder, seed, given.set)
        found[seed] = figures(folder, not given.no_controls)
        print(f"seed {seed}: {json.dumps(found[seed])}", file=sys.stderr, flush=True)
    print(markdown(by_run(found)))
    if len(found) > 1:
        print(markdown(by_set(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
