"""What is counted is all that was dropped, however much of it: rejected files hold a sample, and nobody counts that."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askback.corpus.build import cut_documents, drop_duplicates
from askback.curate.labels import load_labels
from askback.curate.select import select
from askback.curate.teach import make_probes, teach_judge
from askback.evaluate.answers import held_out_prompts, read_baseline, read_prompts
from askback.evaluate.options import BaselineFile, HeldOutPrompts, PromptFile, Subset
from askback.execution.outcome import SAMPLED, Outcome
from askback.execution.run import Run
from askback.execution.shards import Records, piece_outcome, rejections, write_outcome
from askback.recipe import Corpus, Judge, Labels, RecipeFile, Seed, SeedSource, Select
from askback.records import Candidate, Example, Judgement, Provenance, Segment, Split, exchange
from askback.seed.load import load_pairs, load_seed
from askback.seed.ranked import load_ranked
from askback.studies.sets import take
from askback.studies.summary import funnel

MANY = 2 * SAMPLED + 500
"""Of each of two rules: more than are kept of either, and than are held before a sample is drawn."""


def rows(path: Path, found: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(map(json.dumps, found)))
    return str(path)


def records(folder: Path, kind: type, found: list[Any]) -> Records[Any]:
    folder.mkdir(parents=True)
    write_outcome(folder, 0, kind, Outcome[Any](kept=found))
    return Records[Any](folder, folder.name, frozenset({folder.name}))


def example(number: int, output: str = "An answer.", split: Split = "train") -> Example:
    return Example(f"e{number}", exchange(f"What is {number}?", output), Provenance(language="en"), "seed", split)


def candidate(number: int) -> Candidate:
    return Candidate(
        f"c{number}", exchange(f"What is {number}?", "Text."), Provenance("u/x", language="en"), [], "", "", 0
    )


def judged(number: int, score: float | None) -> Judgement:
    losses = [] if score is None else [1.0, 1.0 + score]
    return Judgement(f"j{number}", f"c{number}", "ifd", score, [], None, [], losses, "", "")


def pairs_file(folder: Path) -> str:
    """Pairs of which MANY are empty and MANY too short, and some good ones."""
    found = [{"instruction": f"Q{number}", "output": ""} for number in range(MANY)]
    found += [{"instruction": f"Why {number}?", "output": "No."} for number in range(MANY)]
    found += [{"instruction": f"How {number}?", "output": "As everybody does it."} for number in range(40)]
    return rows(folder / "pairs.jsonl", found)


def made_seed(folder: Path, run: Run) -> None:
    source = SeedSource(path=pairs_file(folder))
    run.step("seed", load_seed, Seed(sources=[source], min_output_chars=10, held_out=0.5))


def made_pairs(folder: Path, run: Run) -> None:
    seed = records(folder / "given", Example, [example(number) for number in range(MANY)])
    found = [{"instruction": f"Q{number}", "output": ""} for number in range(MANY)]
    found += [{"instruction": f"What is {number}?", "output": "Yes."} for number in range(MANY)]  # in the seed
    found += [{"instruction": f"How {number}?", "output": "So."} for number in range(40)]
    run.step("pairs", load_pairs, SeedSource(path=rows(folder / "p.jsonl", found)), seed=seed)


def made_ranked(folder: Path, run: Run) -> None:
    seed = records(folder / "given", Example, [example(number, split="held-out") for number in range(MANY)])

    def tree(number: int, question: str, answer: str) -> dict[str, Any]:
        reply = {
            "message_id": f"r{number}",
            "role": "assistant",
            "text": answer,
            "lang": "en",
            "rank": 0,
            "replies": [],
        }
        ask = {"message_id": f"q{number}", "role": "prompter", "text": question, "lang": "en", "replies": [reply]}
        return {"message_tree_id": f"q{number}", "prompt": ask}

    found = [tree(number, f"What is {number}?", "Yes.") for number in range(MANY)]
    found += [tree(MANY + number, f"Why {number}?", "Because. " * 300) for number in range(MANY)]
    found += [tree(2 * MANY + number, f"How {number}?", "So.") for number in range(40)]
    source = SeedSource(path=rows(folder / "trees.jsonl", found), format="oasst-trees")
    run.step("ranked", load_ranked, Judge(ranked=[source]), seed=seed)


def made_segments(folder: Path, run: Run) -> None:
    page = "# Title\n\n" + "".join(f"## Part {number}\n\nshort\n\n##\n\nmore\n\n" for number in range(MANY))
    page += "## The river\n\n" + " ".join(
        f"The river carried boat {n} past bridge {n * 7} to market." for n in range(20)
    )
    (folder / "page.md").write_text(page)
    source = {"format": "markdown", "path": str(folder / "page.md")}
    options = {"sources": [source], "languages": [], "preset": "paper"}
    run.step("segment", cut_documents, Corpus.model_validate(options))


def made_unique(folder: Path, run: Run) -> None:
    def text(number: int) -> str:
        return " ".join(hashlib.sha256(f"{number} {word}".encode()).hexdigest()[:8] for word in range(12))

    texts = [text(number % 40) for number in range(MANY)] + [text(MANY + number) for number in range(MANY)]
    found = [Segment(f"s{number}", text, [], Provenance(language="en")) for number, text in enumerate(texts)]
    options = Corpus.model_validate({"sources": [{"format": "text", "path": "x"}], "limit": 20})
    run.step("dedup", drop_duplicates, options, segments=records(folder / "given", Segment, found))


def made_choice(folder: Path, run: Run) -> None:
    given = records(folder / "given", Candidate, [candidate(number) for number in range(2 * MANY + 40)])
    scores = [-0.5] * MANY + [0.1] * MANY + [0.9] * 40
    found = records(folder / "judged", Judgement, [judged(number, score) for number, score in enumerate(scores)])
    run.step("select-1", select, Select(top_n=40), candidates=given, judgements=found)


def made_lessons(folder: Path, run: Run) -> None:
    long = [example(number, "Word " * 400) for number in range(MANY)]
    short = [example(MANY + number, "one") for number in range(MANY)]
    options = Judge(pairs=MANY, kinds=["truncated", "shuffled"], per_pair=2)
    run.step("teach", teach_judge, options, seed=records(folder / "given", Example, long + short))


def made_probes(folder: Path, run: Run) -> None:
    long = [example(number, "Word " * 400, "held-out") for number in range(MANY)]
    short = [example(MANY + number, "one", "held-out") for number in range(MANY)]
    run.step("probes", make_probes, Judge(probes=MANY), seed=records(folder / "given", Example, long + short))


def made_labels(folder: Path, run: Run) -> None:
    found = [{"instruction": f"Q{number}", "output": "A", "label": "so-so"} for number in range(2 * MANY)]
    found += [{"instruction": f"Q{number}", "output": "A", "label": "good"} for number in range(40)]
    run.step("labels", load_labels, Labels(path=rows(folder / "labels.jsonl", found)))


def made_prompts(folder: Path, run: Run) -> None:
    found: list[dict[str, Any]] = [{"instruction": "The same question?"}] * MANY
    found += [{"nothing": number} for number in range(MANY)]
    run.step("prompts", read_prompts, PromptFile(path=rows(folder / "prompts.jsonl", found)))


def made_baseline(folder: Path, run: Run) -> None:
    held_out = records(folder / "given", Example, [example(1, split="held-out")])
    asked = run.step("asked", held_out_prompts, HeldOutPrompts(), examples=held_out)
    found = [{"instruction": "What is 1?", "output": "A"}] * (MANY + 1)
    found += [{"instruction": f"Unknown {number}?", "output": "A"} for number in range(MANY)]
    run.step("baseline", read_baseline, BaselineFile(path=rows(folder / "b.jsonl", found)), prompts=asked)


def made_draw(folder: Path, run: Run) -> None:
    found = [example(number) for number in range(MANY + 40)]
    found += [example(2 * MANY + number, split="held-out") for number in range(MANY)]
    run.step("drawn", take, Subset(size=40), examples=records(folder / "given", Example, found))


STEPS: dict[str, tuple[Callable[[Path, Run], None], dict[str, int]]] = {
    "seed": (made_seed, {"pairs/empty": MANY, "pairs/too-short": MANY}),
    "pairs": (made_pairs, {"pairs/empty": MANY, "pairs/other-split": MANY}),
    "ranked": (made_ranked, {"replies/held-out": MANY, "replies/too-long": MANY}),
    "segment": (made_segments, {"segments/too-short": MANY, "segments/empty-header": MANY}),
    "dedup": (made_unique, {"unique segments/over-limit": MANY + 20, "unique segments/duplicate": MANY - 40}),
    "select-1": (made_choice, {"candidates/not-helped": MANY, "candidates/not-chosen": MANY}),
    "teach": (made_lessons, {"pairs/too-long": MANY, "judgements/no-truncated": MANY}),
    "probes": (made_probes, {"pairs/too-long": MANY, "probes/no-truncated": MANY}),
    "labels": (made_labels, {"labels/broken": 2 * MANY}),
    "prompts": (made_prompts, {"prompts/duplicate": MANY - 1, "prompts/broken": MANY}),
    "baseline": (made_baseline, {"answers/duplicate": MANY, "answers/no-such-prompt": MANY}),
    "drawn": (made_draw, {"examples/not-drawn": MANY, "examples/held-out": MANY}),
}


@pytest.mark.parametrize("name", STEPS)
def test_all_that_a_step_drops_is_counted(name: str, tmp_path: Path) -> None:
    make, expected = STEPS[name]
    inputs = {
        "seed": {"sources": [{"path": "builtin:demo"}]},
        "corpus": {"sources": [{"format": "text", "path": __file__}]},
    }
    file = {"name": "run", "recipe": inputs, "resources": {"runs": str(tmp_path / "runs")}}
    with Run(RecipeFile.model_validate(file)) as run:
        run.begin()
        make(tmp_path, run)
    step = json.loads((run.folder / name / "step.json").read_text())
    assert {rule: step["reasons"].get(rule) for rule in expected} == expected
    dropped = sum(counts["rejected"] + counts["failed"] for counts in step["counts"].values())
    assert dropped == sum(step["reasons"].values()) >= 2 * MANY - 40
    for counts in step["counts"].values():
        assert counts["entered"] == counts["kept"] + counts["rejected"] + counts["failed"]
    # The files hold a sample of each rule, and whoever tells of the run tells the count.
    kept = list(rejections(run.folder / name))
    assert all(sum(f"{one.stage}/{one.rule}" == rule for one in kept) < MANY - 40 for rule in expected)
    told = {f"{stage.name}/{rule}": n for stage in funnel(run.folder) for rule, n in stage.reasons.items()}
    assert {rule: told[rule] for rule in expected} == expected


def test_what_is_taken_back_is_counted_once(tmp_path: Path) -> None:
    outcome = Outcome[Any]()
    for number in range(5):
        outcome.keep("pairs", example(number))
    assert len(outcome.take_back("pairs")) == 5
    outcome.keep("pairs", example(7))
    write_outcome(tmp_path, 0, Example, outcome)
    found = piece_outcome(tmp_path, 0).counts["pairs"]
    assert (found.entered, found.kept, found.rejected) == (1, 1, 0)
