"""Takes README's transcript and docs/report.png from one demo: ``python benchmarks/transcript.py``, some five minutes.

``askback demo`` runs as a newcomer runs it, in an empty folder. What it prints goes into README between the lines
``<!-- transcript -->`` and ``<!-- /transcript -->``, without the lines of progress and with the first pairs alone of those
shown as they are written. The picture is the top of its report, in Chromium, if that is here. ``--said FILE`` takes what an
earlier demo printed, and ``--report FILE`` its report.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- transcript -->", "<!-- /transcript -->"
PROGRESS = re.compile(r" {6}\S")
"""Begins a line of progress, which a terminal shows in place."""
FIRST = 3
"""Pairs of those shown as they are written that README shows."""
KINDS = {
    "how long": r"This machine learns from [\d,]+ tokens a second: ",
    "phase": r"\d+:\d\d  (?P<words>\w.*) …$",
    "pair": r"  \S",
    "best pair": r"╭─",
    "learnt": r"What \d+ pairs taught",
    "report": r"Report: ",
    "data set": r"Data set: ",
    "next": r"Next: ",
}
SHAPE = [
    "how long",
    "Reading the documents",
    "Teaching the model to ask questions",
    "Asking what each text answers",
    "pair",
    "Asking the same of texts that are set aside to measure on",
    "Measuring how well the model predicts answers",
    "Teaching the model to answer, from the seed pairs alone",
    "Measuring how well the model predicts answers",
    "Judging the pairs",
    "Teaching the model to answer, with the best pairs added",
    "Measuring how well the model predicts answers",
    "best pair",
    "learnt",
    "report",
    "data set",
    "next",
]
"""What a demo says, in this order (`shape`)."""


def shape(said: str) -> list[str]:
    """Return the kinds of lines of a demo, each once in a row: phases by their words, lines of no kind left out."""
    found = list[str]()
    for line in said.splitlines():
        if PROGRESS.match(line):
            continue
        for kind, pattern in KINDS.items():
            if match := re.match(pattern, line):
                what = match["words"] if kind == "phase" else kind
                found += [what] if found[-1:] != [what] else []
    return found


def shown_in(readme: Path) -> str:
    """Return the transcript of a README."""
    return readme.read_text("utf-8").split(BEGIN)[1].split(END)[0]


def shortened(said: str) -> str:
    """Return a demo's words without lines of progress, and with the first alone of the pairs shown as they are written."""
    lines = [line.rstrip() for line in said.splitlines() if not PROGRESS.match(line)]
    kept, pairs = list[str](), 0
    for block in re.split(r"\n(?=\n|\d+:\d\d  |╭)", "\n".join(lines)):
        if re.match(r"\n?  … and", block):
            continue
        if re.match(r"\n?  \S", block):
            pairs += 1
            block = "\n  …" if pairs == FIRST + 1 else block
        if not re.match(r"\n?  \S", block) or pairs <= FIRST + 1:
            kept.append(block)
    return "\n".join(kept).strip("\n")


def main() -> int:
    """Take the transcript and the picture, and put them in their places."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--said", type=Path)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        if given.said is None:
            command = [sys.executable, "-m", "askback", "demo"]
            done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        said = given.said.read_text("utf-8") if given.said else done.stdout
        report = given.report or Path(folder) / "runs/demo/report.html"
        readme = ROOT / "README.md"
        text = readme.read_text("utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        readme.write_text(f"{before}{BEGIN}\n```\n{shortened(said)}\n```\n{END}{after}", "utf-8")
        if chromium := shutil.which("chromium") or shutil.which("google-chrome"):
            picture = f"--screenshot={ROOT / 'docs/report.png'}"
            how = [
                "--headless",
                "--no-sandbox",
                "--hide-scrollbars",
                "--window-size=1280,1000",
                "--virtual-time-budget=4000",
            ]
            subprocess.run([chromium, *how, picture, report.resolve().as_uri()], check=True, capture_output=True)
    print(f"shape as expected: {shape(said) == SHAPE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
