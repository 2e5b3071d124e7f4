"""Teaching, trying and calibrating a judge: the real steps in a run folder, with the scripted engine."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from askback import prompts
from askback.curate.check import check
from askback.curate.damage import FURNITURE, KINDS
from askback.curate.judge_figures import good_from, measure, thresholds
from askback.curate.score import score
from askback.curate.teach import make_probes, teach_judge
from askback.errors import EmptyStep, InputError, JudgeTooWeak
from askback.execution.identity import Input, fingerprint, identify
from askback.execution.run import Run
from askback.execution.shards import Records, rejections
from askback.recipe import Check, Labels, RecipeFile
from askback.records import Judgement, Lesson, Probe, Provenance, exchange
from askback.report.html import write_report
from askback.seed.load import load_seed
from askback.seed.ranked import load_ranked
from askback.studies import summary
from askback.studies.calibration import calibrate
from askback.train.steps import train_forward


def recipe(folder: Path, **judge: Any) -> RecipeFile:
    return RecipeFile.model_validate(
        {
            "name": "run",
            "recipe": {
                "seed": {"sources": [{"path": "builtin:demo"}], "held_out": 0.3},
                "corpus": {"sources": [{"format": "installed-docs"}]},
                "judge": judge,
                "score": {"scorers": ["rubric", "ifd"]},
                "select": {"top_n": 5},
            },
            "resources": {"runs": str(folder), "engine": {"kind": "scripted"}},
        }
    )


def test_only_training_pairs_teach_and_only_held_out_pairs_are_tried(tmp_path: Path) -> None:
    file = recipe(tmp_path, pairs=40, per_pair=2, probes=20, kinds=["swapped", "truncated", "furniture"])
    with Run(file) as run:
        seed = run.step("seed", load_seed, file.recipe.seed)
        taught: list[Lesson] = list(run.step("teach", teach_judge, file.recipe.judge, seed=seed))
        probes: list[Probe] = list(run.step("probes", make_probes, file.recipe.judge, seed=seed))
    split = {side: {p.instruction for p in seed if p.split == side} for side in ("train", "held-out")}
    assert {one.instruction for one in taught} <= split["train"]
    assert {one.instruction for one in probes if one.kind != "scrambled"} <= split["held-out"]
    assert all(isinstance(one, Lesson) for one in taught)
    levels = Counter(one.score for one in taught)
    assert levels[5] == 40 and set(levels) == {1, 2, 5}
    counts = json.loads((tmp_path / "run/teach/step.json").read_text())["counts"]["judgements"]
    assert counts["kept"] == 40 * 3, "where one kind cannot be done the next is"
    assert counts["rejected"] == len(list(rejections(tmp_path / "run/teach")))
    kinds = Counter(one.kind for one in probes)
    assert kinds["true"] == kinds["scrambled"] == 20 and set(kinds) == {"true", "scrambled", *KINDS}
    text = "\n".join(one.output for one in taught)
    assert any(line in text for line in FURNITURE[0]) and not any(line in text for line in FURNITURE[1])


def test_replies_that_people_ranked_lower_teach_lower_levels(tmp_path: Path, shared_data: Path) -> None:
    trees = {"path": str(shared_data / "seed/oasst1_sample_trees.jsonl.gz"), "format": "oasst-trees"}
    file = recipe(tmp_path, ranked=[trees], max_chars=20_000)
    with Run(file) as run:
        seed = run.step("seed", load_seed, file.recipe.seed)
        taught: list[Lesson] = list(run.step("ranked", load_ranked, file.recipe.judge, seed=seed))
    with gzip.open(trees["path"], "rt") as lines:
        prompts = [json.loads(line)["prompt"] for line in lines]
    ranks = {
        reply["text"].strip(): reply["rank"]
        for prompt in prompts
        for reply in prompt["replies"]
        if reply.get("rank") is not None
    }
    ranked = [one for one in taught if one.output in ranks]
    assert len(ranked) > 50
    assert all(one.score == max(3, 5 - ranks[one.output]) for one in ranked)


def test_a_broken_file_beside_good_replies_is_counted_and_no_more(tmp_path: Path) -> None:
    reply = {"role": "assistant", "lang": "en", "rank": 1, "text": "Two or three.", "message_id": "b"}
    tree = {"prompt": {"role": "prompter", "lang": "en", "text": "How many?", "message_id": "a", "replies": [reply]}}
    path = tmp_path / "trees.jsonl"
    path.write_text(json.dumps(tree) + "\nnot JSON\n")
    file = recipe(tmp_path, ranked=[{"path": str(path), "format": "oasst-trees"}])
    with Run(file) as run:
        seed = run.step("seed", load_seed, file.recipe.seed)
        taught = run.step("ranked", load_ranked, file.recipe.judge, seed=seed)
    assert [one.score for one in taught] == [4]
    assert json.loads((tmp_path / "run/ranked/step.json").read_text())["counts"] == {
        "replies": {"entered": 2, "kept": 1, "rejected": 0, "failed": 1}
    }


def test_the_rubric_is_part_of_what_is_taught_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def marks() -> dict[str, str]:
        found = {}
        for examples in ("contrast", "none"):
            file = recipe(tmp_path, examples=examples)
            options = file.recipe.judge.teaching()
            taught = {"teach": Records[Any](tmp_path, fingerprint(identify("teach", teach_judge, options, {}, file)))}
            inputs: dict[str, Input] = {"examples": list(taught.values()) if examples == "contrast" else []}
            identity = identify("m0", train_forward, file.recipe.training, inputs, file)
            found[examples] = fingerprint(identity)
        return found

    before = marks()
    real = prompts.prompt_id
    monkeypatch.setattr(prompts, "prompt_id", lambda name: "other" if name == "rubric" else real(name))
    after = marks()
    assert after["contrast"] != before["contrast"] and after["none"] == before["none"]


def test_held_out_pairs_that_are_too_long_are_counted_or_said(tmp_path: Path) -> None:
    file = recipe(tmp_path, probes=60, max_chars=400)
    with Run(file) as run:
        seed = run.step("seed", load_seed, file.recipe.seed)
        run.step("probes", make_probes, file.recipe.judge.probing(), seed=seed)
        held_out = [len(pair.instruction) + len(pair.output) for pair in seed if pair.split == "held-out"]
        short = sum(size <= 400 for size in held_out)
        counts = json.loads((run.folder / "probes/step.json").read_text())["counts"]["pairs"]
        assert counts == {"entered": len(held_out), "kept": short, "rejected": len(held_out) - short, "failed": 0}
        assert 0 < short < len(held_out)
        with pytest.raises(EmptyStep, match=r"longer than judge\.max_chars 9,"):
            run.step("none", make_probes, recipe(tmp_path, max_chars=9).recipe.judge.probing(), seed=seed)


def judged(probes: list[Probe], by: dict[str, float], scorer: str = "rubric") -> list[Judgement]:
    """Judge by the kind of probe alone, with a little of each pair's own."""
    return [
        Judgement(p.id, p.id, scorer, by[p.kind] + int(p.pair_id[:3], 16) / 4096, [], None, [], [], "", "")
        for p in probes
    ]


def test_a_judge_at_chance_stops_the_run_and_a_good_one_passes(tmp_path: Path) -> None:
    file = recipe(tmp_path, probes=30)
    options = file.recipe
    with Run(file) as run:
        base = run.base()
        seed = run.step("seed", load_seed, options.seed)
        probes = run.step("probes", make_probes, options.judge, seed=seed)
        judgements = run.step("probe-1", score, options.score, model=base, candidates=probes)
        with pytest.raises(
            JudgeTooWeak, match=r"well enough: mean AUROC 0\.\d\d.*minimum_auroc 0\.5.*judge\.check: false"
        ) as error:
            run.step("check-1", check, options.check, probes=probes, judgements=judgements)
        assert error.value.exit_code == 10
        assert not (run.folder / "check-1/step.json").exists()
        passed = run.step("check-1", check, Check(minimum_auroc=0.1), probes=probes, judgements=judgements)
        assert {one.kind for one in passed} == {*KINDS, "mean"}
        assert {one.scorer for one in passed} == {"combined", "rubric", "ifd"}
        assert "mean AUROC 0." in summary.checked(summary.checks(run.folder))[0]
        assert "ifd to score.scorers" not in str(error.value)
        few = run.step("few", make_probes, recipe(tmp_path, probes=4).recipe.judge.probing(), seed=seed)
        judgements = run.step("probe-2", score, options.score, model=base, candidates=few)
        said: list[str] = []
        run.progress.say = said.append  # type: ignore[method-assign, assignment]
        run.step("check-2", check, Check(minimum_auroc=0.99), probes=few, judgements=judgements)
        write_report([run.folder], tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text()
        assert "True pairs against damaged: ifd alone" in page and "Judge of round 2: mean AUROC" in page
        assert "check-2: too few held-out pairs to check the judge (4, at least 5); going on" in said


def test_the_figures_of_a_judge_made_up(tmp_path: Path) -> None:
    probes = [
        Probe(f"{at:03x}{kind}", exchange("Ask?", "word " * at), Provenance(), f"{at:03x}", kind)
        for at in range(0, 4096, 100)
        for kind in ("true", "swapped", "truncated")
    ]
    sees_swaps = judged(probes, {"true": 5, "swapped": 1, "truncated": 5})
    sees_cuts = judged(probes, {"true": 5, "swapped": 5, "truncated": 1}, "ifd")
    found = measure(probes, sees_swaps + sees_cuts, {})
    rubric = found["scorers"]["rubric"]
    assert rubric["auroc"]["swapped"][0] == 1 and rubric["auroc"]["truncated"][0] == 0.5
    assert rubric["auroc"]["mean"][0] == 0.75 and rubric["length"] == pytest.approx(1)
    assert found["scorers"]["combined"]["auroc"]["mean"][0] > 0.8
    best = found["recommended"]
    assert set(best["weights"]) == {"rubric", "ifd"} and best["auroc_on_the_rest"] > 0.8
    assert sum(count for _, count in rubric["histogram"]) == len(probes)


def test_comparisons_by_hand() -> None:
    """The judge is right of the first, wrong of the second, tied over the third; people tied over the fourth."""
    texts = [("long one", "short"), ("x", "xyz"), ("a", "b"), ("c", "d")]
    labels = [(1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.5)]
    scores = [(5.0, 1.0), (4.0, 2.0), (3.0, 3.0), (1.0, 2.0)]
    probes, judged = [], []
    for n, (two, given, said) in enumerate(zip(texts, labels, scores, strict=True)):
        for text, label, level in zip(two, given, said, strict=True):
            id = f"{n}{text}"
            probes.append(Probe(id, exchange("Why?", text), Provenance("u"), str(n), "compared", label))
            judged.append(Judgement(id, id, "rubric", level, [], None, [], [], "p", "m"))
    found = measure(probes, judged, {})
    assert (found["labelled"], found["compared"]) == (0, 4)
    figures = found["scorers"]["rubric"]["comparisons"]
    assert figures["pairs"] == 3 and figures["agreement"][0] == 0.5 and figures["length"][0] == pytest.approx(2.5 / 3)
    assert "labels" not in found["scorers"]["rubric"] and found["recommended"] is None


def test_thresholds_by_hand() -> None:
    rows = thresholds([(float(at), at >= 8) for at in range(10)])
    assert [row["threshold"] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert rows[7]["precision"][0] == 1 and rows[7]["recall"][0] == 1 and rows[7]["chosen"] == 0.2
    assert rows[5]["precision"][0] == 0.5 and rows[8]["recall"][0] == 0.5


@pytest.mark.parametrize(
    ("labels", "good"),
    [
        ([0, 1, 1], 1),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 9),
        ([0.5, 0.25, 0.75], 0.75),
        ([1] * 18 + [2, 3], 2),
        ([1, 2, 3, 4, 5, 5], 4),
    ],
)
def test_what_counts_as_good(labels: list[float], good: float) -> None:
    assert good_from(labels) == good


def test_calibrating_resumes_and_takes_labels(tmp_path: Path) -> None:
    file = recipe(tmp_path, probes=10)
    rows: list[dict[str, Any]] = [
        {"instruction": f"Ask {at}?", "output": f"Answer {at}.", "label": at % 2 == 0} for at in range(12)
    ]
    rows += [{"instruction": "No label", "output": "x"}, {"instruction": "Words", "output": "x", "label": "good"}]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(map(json.dumps, rows)))
    with Run(file) as run:
        folder = calibrate(file, run, file.recipe.score, labels=Labels(path=str(labels)))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["labelled"] == 13 and metrics["pairs"] == 10 and metrics["model"] == "builtin:smollm2-135m"
    assert set(metrics["scorers"]) == {"rubric", "ifd", "combined"}
    figures = metrics["scorers"]["rubric"]
    assert figures["labels"]["good_from"] == 1 and set(figures["digits"]) == {"true", "scrambled"}
    assert sum(figures["digits"]["scrambled"]) == pytest.approx(1)
    assert [one.rule for one in rejections(folder / "labels")] == ["broken"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert len(Records[Any](folder / "rubric-labels", "")) == 13
    with Run(file) as run:
        assert calibrate(file, run, file.recipe.score, labels=Labels(path=str(labels))) == folder
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before
        with pytest.raises(InputError, match="--model m7: neither"):
            calibrate(file, run, file.recipe.score, "m7")
    # What has changed has a folder of its own; nothing is refused.
    labels.write_text(json.dumps(rows[0]))
    with Run(file) as run:
        other = calibrate(file, run, file.recipe.score, labels=Labels(path=str(labels)))
    assert other != folder and json.loads((other / "metrics.json").read_text())["labelled"] == 1
    assert json.loads((other / "metrics.json").read_text())["taught"] == []
