"""Write what a finished run gave as Markdown, for docs/results.md: python benchmarks/results.py runs/oasst-web"""

import json
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

from askback.curate.combine import combine
from askback.execution.progress import duration
from askback.execution.shards import Records
from askback.records import Candidate, Judgement, draw
from askback.studies import run_folder, summary
from askback.studies.run_folder import look

SAMPLE_SEED = 20261122
"""Pairs are drawn by this seed, so that nobody picked the nice ones."""
SAMPLES = 10


def main(folder: Path) -> None:
    """Print the section."""
    steps = {step["step"]: step for step in run_folder.finished(folder)}
    print("| step | records | in | kept | rejected | failed | why |\n| --- | --- | ---: | ---: | ---: | ---: | --- |")
    for stage in summary.funnel(folder):
        why = ", ".join(f"{rule} {count:,}" for rule, count in stage.reasons.items())
        numbers = " | ".join(f"{n:,}" for n in (stage.entered, stage.kept, stage.rejected, stage.failed))
        print(f"| {stage.step} | {stage.name} | {numbers} | {why} |")

    print("\n| set | pairs | instruction, characters | output, characters |\n| --- | ---: | ---: | ---: |")
    for row in summary.lengths(folder):
        instruction = f"{row.instruction_mean:.0f} ± {row.instruction_sd:.0f}"
        print(f"| {row.name} | {row.pairs:,} | {instruction} | {row.output_mean:.0f} ± {row.output_sd:.0f} |")

    print("\n| model | held-out loss, nats per token | pairs | tokens |\n| --- | ---: | ---: | ---: |")
    for model, metrics in run_folder.losses(folder).items():
        print(f"| {model} | {metrics['loss']:.4f} | {metrics['examples']:,} | {metrics['tokens']:,} |")

    if (result := run_folder.result(folder)) is not None:
        print("\n" + "  \n".join(summary.verdict(result)))

    print("\n| step | wall time | tokens |\n| --- | ---: | ---: |")
    for name, step in steps.items():
        print(f"| {name} | {duration(step['seconds'])} | {step['tokens']:,} |")
    print(f"| all | {duration(sum(step['seconds'] for step in steps.values()))} | |")

    last = max(int(name[7:]) for name in steps if name.startswith("select-"))
    _scores(folder, last)
    candidates: dict[str, Candidate] = {one.id: one for one in Records[Any](folder / "augment", "")}
    scores = _combined(folder, last)
    chosen = {(pair.instruction, pair.output) for pair in run_folder.chosen(folder)}
    for title, wanted in (("Curated", True), ("Rejected", False)):
        pool = [one for one in candidates.values() if ((one.instruction, one.output) in chosen) == wanted]
        print(f"\n### {title}: {SAMPLES} of {len(pool):,}, drawn by seed {SAMPLE_SEED}\n")
        for one in sorted(pool, key=lambda one: draw(SAMPLE_SEED, one.id))[:SAMPLES]:
            uri = _line(one.provenance.uri, 120)
            print(f"- **{_line(one.instruction, 400)}** (score {scores[one.id] or 0.0:.2f}; {uri})  ")
            print(f"  {_line(one.output, 300)}\n")


def _combined(folder: Path, t: int) -> dict[str, float | None]:
    """Return candidate → score that round `t` chose by."""
    judgements: list[Judgement] = list(Records[Any](folder / f"score-{t}", ""))
    return combine(judgements, look(folder).file.recipe.select.weights)


def _scores(folder: Path, rounds: int) -> None:
    print("\n| round | scorer | mean | least | median | greatest | probability on the digits |\n" + "| --- " * 7 + "|")
    for t in range(1, rounds + 1):
        judgements: list[Judgement] = list(Records[Any](folder / f"score-{t}", ""))
        for name in dict.fromkeys(one.scorer for one in judgements):
            own = [one for one in judgements if one.scorer == name]
            scores = sorted(one.score for one in own if one.score is not None)
            masses = [one.mass for one in own if one.mass is not None]
            values = (fmean(scores), scores[0], scores[len(scores) // 2], scores[-1])
            cells = " | ".join(f"{value:.3f}" for value in values)
            print(f"| {t} | {name} | {cells} | {f'{fmean(masses):.3f}' if masses else ''} |")
    for number, found in summary.agreements(folder).items():
        print(
            f"\nOf round {number}'s pairs, {found['shared']:.0%} were chosen in the round before too (Jaccard "
            f"{found['jaccard']:.2f}); rank correlation of the two rounds' scores {found['rank_correlation'] or 0:.2f}."
        )


def _line(text: str, limit: int) -> str:
    flat = json.dumps(" ".join(text.split()), ensure_ascii=False)[1:-1]
    return (flat[:limit] + "…" if len(flat) > limit else flat).replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
