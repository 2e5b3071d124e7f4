"""A study trains sets at equal steps with several seeds, measures them on both sides, and a second call makes nothing."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from askback.curate.choose import LENGTH_BINS
from askback.errors import BudgetReached, InputError, RecipeError
from askback.evaluate.fit import fit_log
from askback.evaluate.options import Subset
from askback.execution.budget import Budget
from askback.execution.forecast import CHARS_PER_TOKEN, Ruler
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.prompts import pairwise
from askback.recipe import EngineOptions
from askback.records import Candidate, Example, Loss
from askback.report.pictures import write_figures
from askback.studies import study as studies
from askback.studies.comparisons import Arm, Result, comparisons, conclusion, fits, summary
from askback.studies.run_folder import look
from askback.studies.sets import _quotas, set_of, take_alike
from askback.studies.sides import DOCUMENTS, HELD_OUT, title
from askback.studies.study import Study, planned, study
from tests.untrained import copied

SEED = title(HELD_OUT)


@recorded(version=1)
def shortest(step: Step, options: Subset, *, examples: Records[Candidate]) -> Records[Example]:
    outcome = Outcome[Example]()
    for one in sorted(examples, key=lambda one: (len(one.output), one.id))[: options.size]:
        outcome.keep("examples", Example(one.id, one.messages, one.provenance, "augmented", "train"))
    return step.write(Example, [outcome])


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that copy the base model."""
    monkeypatch.setattr(studies, "train_forward", copied)


def taken(made_run: Path, name: str) -> list[list[Example]]:
    return [list(Records[Example](folder, "")) for folder in sorted(made_run.glob(f"study/take-{name}-*"))]


@pytest.mark.timeout(900)
def test_a_set_at_two_sizes(made_run: Path) -> None:
    wanted = Study(sets=("curated",), sizes=(8, 4), seeds=1, judge="base", limit=2)
    found = study(made_run, wanted)
    assert [(point["set"], point["size"]) for point in found["points"]] == [("curated", 4), ("curated", 8)]
    assert all(point[SEED] > 0 and "win rate against M_0" in point for point in found["points"])
    assert found["fits"][SEED]["curated"]["points"] == 2 and found["fits"][SEED]["curated"]["low"] is None
    (small,), (large,) = (taken(made_run, f"curated-{size}") for size in (4, 8))
    ids = [{one.id for one in part} for part in (small, large)]
    assert ids[0] < ids[1] <= {one.id for one in Records[Any](made_run / "select-1", "")}, (
        "a smaller part is in the larger"
    )
    trained = [
        json.loads((path / "step.json").read_text())["metrics"]["steps"]
        for path in made_run.glob("study/train-curated-*")
    ]
    assert trained == [2, 2]
    files = write_figures(made_run / "study", found)
    assert {"growth-held-out-seed-pairs.svg", "growth-win-rate-against-m-0.svg"} <= {file.name for file in files}
    assert ElementTree.parse(files[0]).getroot().tag.endswith("svg")
    before = {path: path.stat().st_mtime_ns for path in made_run.glob("study/*/step.json")}
    assert study(made_run, wanted) == found
    assert {path: path.stat().st_mtime_ns for path in made_run.glob("study/*/step.json")} == before


@pytest.mark.usefixtures("untrained")
def test_controls_beside_the_seed_with_two_seeds(made_run: Path) -> None:
    sets = ("seed+curated", "seed+random", "seed+swapped")
    wanted = Study(sets=sets, sizes=(5,), seeds=2, steps=1)
    with pytest.raises(BudgetReached):
        study(made_run, wanted, budget=Budget(tokens=1))
    found = study(made_run, wanted)
    assert [(point["set"], point["size"]) for point in found["points"]] == [("m0", 0), *((name, 5) for name in sets)]
    assert {(row["set"], row["against"], row["trainings"]) for row in found["contrasts"]} == {
        ("seed+curated", other, 2) for other in ("m0", "seed+random", "seed+swapped")
    }
    assert len(found["claims"]) == 3 and all(row["verdict"] for row in found["contrasts"])
    trained = [json.loads(path.read_text())["identity"] for path in made_run.glob("study/train-*/step.json")]
    trained = [one for one in trained if one["step"].startswith(("train-m0", "train-seed+"))]
    assert [len(one["inputs"]["examples"]) for one in trained if "seed+" in one["step"]] == [2] * 6, (
        "the seed and a set"
    )
    assert len({json.dumps(one["options"]) for one in trained}) == 1, "equal steps"
    assert Counter(one["random_seed"] for one in trained) == {0: 4, 1: 4}, "M_0 is trained with each seed too"
    chosen = {one.id: one for one in Records[Example](made_run / "select-1", "")}
    for part in taken(made_run, "swapped-5"):
        asked = {one.id: one.instruction for one in part}
        assert all(one.output == chosen[one.id].output for one in part), "the documents are the same"
        assert all(instruction != chosen[id].instruction for id, instruction in asked.items())
        assert Counter(asked.values()) == Counter(chosen[id].instruction for id in asked), "each has another's"
    first, second = taken(made_run, "random-5")
    assert {one.id for one in first} != {one.id for one in second}, "drawn anew for each seed"


@pytest.mark.usefixtures("untrained")
def test_the_first_training_of_the_runs_own_sets_is_the_runs_own(made_run: Path) -> None:
    before = set(made_run.glob("study/train-*"))
    found = study(made_run, Study(sets=("seed+curated",), seeds=1))
    assert set(made_run.glob("study/train-*")) == before, "M_0 and M_1 are there already"
    assert found == study(made_run, Study(sets=("seed+curated",), seeds=1))
    losses = [list(Records[Loss](made_run / f"loss-{name}", "")) for name in ("m0", "m1")]
    own = [sum(one.nats for one in of) / sum(one.tokens for one in of) for of in losses]
    assert [point[SEED] for point in found["points"]] == pytest.approx(own, abs=1e-6)


@pytest.mark.usefixtures("untrained")
def test_lessons_that_only_a_scorer_learns_from_are_not_trained_on(made_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(made_run, tmp_path / "made", ignore=shutil.ignore_patterns("study"))
    shutil.copytree(run / "seed", run / "teach")
    step = json.loads((run / "teach/step.json").read_text())
    (run / "teach/step.json").write_text(json.dumps(step | {"step": "teach"}))
    study(run, Study(sets=("seed+curated",), seeds=1))
    assert not [*run.glob("study/train-*")], "M_0 and M_1 are as the run trained them"


def test_random_candidates_are_as_long_as_the_chosen_ones(made_run: Path) -> None:
    made = look(made_run)
    every = sorted(made.records("augment"), key=lambda one: (len(one.output), one.id))
    short = [one.id for one in every[: len(every) // LENGTH_BINS]]
    with made.inside("study", None) as run:
        like = run.step("like-short", shortest, Subset(size=len(short) // 2), examples=made.records("augment"))
        drawn = run.step("drawn", take_alike, Subset(size=len(short)), examples=made.records("augment"), like=like)
        assert {one.id for one in drawn} == set(short), "of a choice of short texts, the others are short too"


def test_quotas_are_as_the_counts_are() -> None:
    assert _quotas([0, 1, 3, 0, 0], 4) == [0, 1, 3, 0, 0]
    assert _quotas([2, 1, 1, 0, 0], 8) == [4, 2, 2, 0, 0]
    assert sum(_quotas([7, 3, 3, 1, 2], 5)) == 5


def test_what_cannot_be_is_told(made_run: Path) -> None:
    with pytest.raises(InputError, match="fewer than 5,000"):
        study(made_run, Study(sets=("seed",), sizes=(5000,)))
    for sets, message in (
        (("curate",), "no such set or file"),
        ((), "give one set or more"),
    ):
        with pytest.raises(RecipeError, match=message):
            study(made_run, Study(sets=sets, sizes=(4,)))
    with pytest.raises(RecipeError, match="--sizes"):
        study(made_run, Study(sizes=(0,)))
    with pytest.raises(RecipeError, match="none of the study's sets"):
        study(made_run, Study(sets=("seed+curated",), contrasts=(("seed+curated", "seed+other"),)))
    with pytest.raises(InputError, match="no round-7 set"):
        study(made_run, Study(sets=("round-7",), sizes=(4,)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sets": ("seed", "curate")}, "no such set or file"),
        ({"sets": ("curated", "seed+swapped"), "sizes": (4, 5000)}, "fewer than 5,000"),
        ({"sets": ("seed",), "sizes": (4,), "pairs": ("none.jsonl",)}, "none.jsonl: no such"),
        ({"sets": ("seed",), "sizes": (4,), "judge": "m7"}, "m7: no such"),
        ({"sets": ("seed",), "sizes": (4,), "judge": "base", "prompts": "none.jsonl"}, "none.jsonl"),
    ],
)
def test_a_mistake_is_found_before_anything_is_trained(
    made_run: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    def trained(*_: Any) -> None:
        raise AssertionError("a training began")

    monkeypatch.setattr(studies, "_result", trained)
    steps = set(made_run.glob("*/*/step.json"))
    with pytest.raises((InputError, RecipeError), match=message):
        planned(made_run, Study(**options))
    assert set(made_run.glob("*/*/step.json")) == steps, "a plan leaves nothing in the run"
    with pytest.raises((InputError, RecipeError), match=message):
        study(made_run, Study(**options))


def test_levels_are_those_of_one_rubric(made_run: Path) -> None:
    made = look(made_run)
    with made.inside("study", None) as run:
        low, high = ([getattr(one, "score", 0.0) for one in set_of(name, made, run)] for name in ("A_1", "A_3"))
        assert len(low) >= len(high) and min(high) >= 3
        made.file.recipe.score.scorers.append("ifd")
        with pytest.raises(RecipeError, match="levels of one scorer"):
            set_of("A_5", made, run)


def test_the_plan_of_a_study(made_run: Path) -> None:
    words = planned(made_run, Study(seeds=4))
    assert words.startswith("16 trainings: 4 sets and sizes, 4 seeds, 2 of them made already") and words.endswith(
        "own M_0"
    )
    assert "made already" not in planned(made_run, Study(seeds=4, steps=3))


def test_the_plan_of_a_study_has_its_judge_and_its_price(made_run: Path, tmp_path: Path) -> None:
    rows = [{"instruction": "a" * 42, "output": "b" * 420}, {"instruction": "c" * 42}]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    engine = EngineOptions(
        kind="openai_http",
        url="http://127.0.0.1:9/v1",
        usd_per_million_prompt_tokens=3,
        usd_per_million_output_tokens=5,
    )
    words = planned(made_run, Study(seeds=2, prompts=str(tmp_path / "asked.jsonl"), judge_engine=engine))
    around = Ruler().prompt(pairwise("", "", "")) + 42 / CHARS_PER_TOKEN
    # 8 trainings; each prompt in two orders, with two answers of 100 tokens, or of 512 where no reference tells.
    read = 8 * 2 * (2 * around + 2 * 100 + 2 * 512)
    usd = (3 * read + 5 * 8 * 4 * 64) / 1e6
    found = re.search(
        r"compares at most 32 times, .*: some ([\d,]+) tokens read and at most 2,048 written, ([\d.]+) USD", words
    )
    assert found, words
    assert float(found[1].replace(",", "")) == pytest.approx(read, abs=8)
    assert float(found[2]) == pytest.approx(usd, abs=0.005)


@pytest.mark.usefixtures("untrained")
def test_files_of_any_format_of_the_seed_are_sets(made_run: Path, tmp_path: Path) -> None:
    alpaca = [{"instruction": "Add up.", "input": f"1 and {n}", "output": f"It is {n + 1}."} for n in range(3)]
    (tmp_path / "alpaca.json").write_text(json.dumps(alpaca))
    lima = [{"conversations": [f"Why is it {n}?", f"As it is {n}."], "source": "x"} for n in range(4)]
    (tmp_path / "lima.jsonl").write_text("\n".join(map(json.dumps, lima)))
    for name, count in (("alpaca:alpaca.json", 3), ("sharegpt:lima.jsonl", 4)):
        format, _, file = name.partition(":")
        with pytest.raises(InputError, match=f"has {count} examples to train on"):
            study(made_run, Study(sets=(f"{format}:{tmp_path / file}",), sizes=(5000,)))
        (step,) = made_run.glob(f"study/pairs-{Path(file).stem}-*")
        assert len(Records[Any](step, "")) == count
    assert {one.instruction for one in Records[Any](next(made_run.glob("study/pairs-alpaca-*")), "")} == {
        f"Add up.\n\n1 and {n}" for n in range(3)
    }
    with pytest.raises(RecipeError, match=r"allowed: .* FORMAT:FILE with pairs, alpaca"):
        study(made_run, Study(sets=("alpaca:none.json",), sizes=(4,)))


@pytest.mark.usefixtures("untrained")
def test_two_files_of_one_name_are_told_apart(made_run: Path, tmp_path: Path) -> None:
    files = [str(tmp_path / folder / "people.jsonl") for folder in ("ann", "bob")]
    for file in files:
        rows = [{"instruction": f"Why is it {n} in {file}?", "output": f"As it is {n}."} for n in range(6)]
        Path(file).parent.mkdir()
        Path(file).write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "curated").touch()
    for sets in (files, ["curated", str(tmp_path / "curated")], [f"seed+{files[0]}", f"seed+alpaca:{files[1]}"]):
        with pytest.raises(RecipeError, match="two sets would be called"):
            study(made_run, Study(sets=tuple(sets), sizes=(4,)))
    found = study(made_run, Study(sets=("curated",), sizes=(4,), seeds=1, steps=1, pairs=tuple(files)))
    assert set(files) <= set(found["points"][0]["by_training"])


@pytest.mark.usefixtures("untrained")
def test_a_file_beside_the_seed_is_tagged_and_measured_on(made_run: Path, tmp_path: Path) -> None:
    rows = [{"instruction": f"Why is it {n}?", "output": f"As it is {n}."} for n in range(6)]
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, rows)))
    people = str(tmp_path / "people.jsonl")
    found = study(made_run, Study(sets=(f"seed+{people}",), sizes=(4,), seeds=1, steps=1, pairs=(people,)))
    assert [point["set"] for point in found["points"]] == ["m0", "seed+people.jsonl"]
    assert all(point["people.jsonl"] > 0 for point in found["points"])
    (part,) = taken(made_run, "people-4")
    assert {one.origin for one in part} == {"augmented"}, "on top of M_0's batches, with the tag of what is added"


def points_of(losses: dict[tuple[str, int], float]) -> list[dict[str, Any]]:
    return [
        {"set": name, "size": size, "loss": value, "by_training": {"loss": [value]}}
        for (name, size), value in losses.items()
    ]


def test_fits_of_points() -> None:
    values = {(name, size): 3 - size / 1000 for name in ("a", "b") for size in (100, 200, 400)}
    found = fits([*points_of(values | {("c", 100): 3.0}), *points_of({("c", 100): 3.1})])
    assert set(found["loss"]) == {"a", "b"}
    assert found["loss"]["a"]["alpha"] == pytest.approx(fit_log([100, 200, 400], [2.9, 2.8, 2.6]).alpha)


def test_claims_are_told_with_their_power() -> None:
    def result(shift: float, training: int) -> Result:
        wobble = (-0.001, 0.0, 0.001)[training]
        return Result({SEED: [Loss("", str(n), "", 50 * (2 + shift + wobble + n / 100), 50) for n in range(30)]}, {})

    shifts = {"m0": 0.0, "seed+curated": -0.1, "seed+random": -0.1, "seed+swapped": -0.2}
    arms = {name: Arm(name, 0 if name == "m0" else 8) for name in shifts}
    noise = {"m0": 0, "seed+curated": 1, "seed+random": 2, "seed+swapped": 0}
    results = [{arms[name]: result(shifts[name], (t + noise[name]) % 3) for name in shifts} for t in range(3)]
    found = summary(results)
    verdicts = {row["against"]: row["verdict"] for row in found["contrasts"]}
    assert verdicts == {"m0": "supported", "seed+random": "not told apart", "seed+swapped": "contradicted"}
    assert all(row["level"] == pytest.approx(1 - 0.05 / 3) for row in found["contrasts"])
    told = next(words for words in found["claims"] if words.startswith("Choosing helps"))
    assert "(N = 8): not told apart on held-out seed pairs (0.0" in told and "would be, four times in five)" in told


def test_m0_is_compared_with_a_set_of_each_size() -> None:
    arms = [Arm("m0", 0), Arm("seed+curated", 4), Arm("seed+curated", 8)]
    one = Result({SEED: [Loss("", str(n), "", 100.0 + n, 50) for n in range(30)]}, {})
    found = summary([dict.fromkeys(arms, one)] * 2, [("m0", "seed+curated")])
    rows = [(row["set"], row["against"], row["size"]) for row in found["contrasts"]]
    assert rows == [("m0", "seed+curated", 4), ("m0", "seed+curated", 8)]
    assert ["not told apart" in words for words in found["claims"]] == [True, True]
    with pytest.raises(RecipeError, match="no size in common"):
        comparisons([Arm("curated", 4), Arm("seed", 8)], [("curated", "seed")])


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ({}, ""),
        ({"m0": "not told apart"}, "Better on text like yours: not told apart."),
        (
            {"m0": "supported", "seed+swapped": "not told apart"},
            "Better on text like yours. That it learnt to answer is not",
        ),
        ({"m0": "supported", "seed+swapped": "supported"}, "Better on text like yours, and learnt to answer"),
    ],
)
def test_learnt_to_answer_is_said_only_where_swapped_instructions_teach_less(
    verdicts: dict[str, str], words: str
) -> None:
    rows = [
        {"set": "seed+curated", "against": other, "size": 8, "measure": DOCUMENTS, "verdict": verdict}
        for other, verdict in verdicts.items()
    ]
    assert conclusion(rows).startswith(words) and bool(conclusion(rows)) == bool(words)


def test_the_figures_say_what_was_measured(tmp_path: Path) -> None:
    points = points_of(
        {("curated <5>", 100): 2.0, ("curated <5>", 400): 1.5, ("curated <5>", 1600): 1.1, ("seed", 100): 2.2}
    )
    row = {"set": "a", "against": "b", "size": 100, "measure": "loss", "difference": -0.1, "low": -0.2, "high": 0.1}
    files = write_figures(tmp_path, {"points": points, "fits": fits(points), "contrasts": [row]})
    assert [file.name for file in files] == ["comparisons-on-loss.svg", "growth-loss.svg"]
    assert "a − b, N = 100" in files[0].read_text()
    picture = ElementTree.parse(files[1]).getroot()
    texts = [element.text or "" for element in picture.iter() if element.tag.endswith("}text")]
    fit = fit_log([100, 400, 1600], [2.0, 1.5, 1.1])
    alpha = f"α {fit.alpha:.4g} ({fit.low:.4g} to {fit.high:.4g})".replace("-", "−")
    for wanted in (
        "nats per token (less is better)",
        "examples N (logarithmic)",
        "1,600",
        f"curated <5>, {alpha}",
        "seed",
    ):
        assert wanted in texts
    assert "var(" not in files[1].read_text(), "viewers that know no variables of CSS show the colours too"
    marks = [element for element in picture.iter() if "dot" in element.attrib.get("class", "")]
    assert len(marks) == 4 + 2, "a mark for each point, and one for each set in the key"
    across = [float(mark.attrib["cx"]) for mark in marks if "cx" in mark.attrib and mark.attrib["class"][:4] == "mark"]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2), "the axis is logarithmic"
