"""Sets grow at equal steps and are measured alike; the curves say what was measured, and a second call makes nothing."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from askback.errors import InputError, RecipeError
from askback.evaluate.fit import fit_log
from askback.execution.shards import Records
from askback.report.pictures import write_curves
from askback.studies.scaling import Scaling, fits, scale


@pytest.mark.timeout(900)
def test_a_set_at_two_sizes(made_run: Path) -> None:
    wanted = Scaling(sizes=(8, 4), sets=("curated",), judge="base", limit=2)
    found = scale(made_run, wanted)
    assert [(point["set"], point["size"]) for point in found["points"]] == [("curated", 4), ("curated", 8)]
    assert all(point["loss"] > 0 and "win_rate" in point for point in found["points"])
    assert found["fits"]["loss"]["curated"]["points"] == 2 and found["fits"]["loss"]["curated"]["low"] is None
    small, large = (next(made_run.glob(f"scaling/take-curated-{size}-*")) for size in (4, 8))
    ids = [{one.id for one in Records[Any](folder, "")} for folder in (small, large)]
    assert ids[0] < ids[1] <= {one.id for one in Records[Any](made_run / "select-1", "")}, (
        "a smaller part is in the larger"
    )
    trained = [
        json.loads((path / "step.json").read_text())["metrics"]["steps"] for path in made_run.glob("scaling/train-*")
    ]
    assert trained == [2, 2]
    assert [file.name for file in write_curves(made_run / "scaling", found)] == ["loss.svg", "win_rate.svg"]
    assert ElementTree.parse(made_run / "scaling/loss.svg").getroot().tag.endswith("svg")
    before = {path: path.stat().st_mtime_ns for path in made_run.glob("scaling/*/step.json")}
    assert scale(made_run, wanted) == found
    assert {path: path.stat().st_mtime_ns for path in made_run.glob("scaling/*/step.json")} == before


def test_the_seed_beside_a_set_and_steps_of_ones_own(made_run: Path) -> None:
    found = scale(made_run, Scaling(sizes=(4,), sets=("seed+curated",), steps=1))
    (point,) = found["points"]
    assert (point["set"], point["size"]) == ("seed+curated", 4) and point["loss"] > 0
    (model,) = made_run.glob("scaling/train-seed+curated-4-*")
    record = json.loads((model / "step.json").read_text())
    assert record["metrics"]["steps"] == 1
    seed = [one for one in Records[Any](made_run / "seed", "") if one.split == "train"]
    assert record["counts"]["examples"]["entered"] == len(seed) + 4


def test_what_cannot_be_is_told(made_run: Path) -> None:
    with pytest.raises(InputError, match="fewer than 5,000"):
        scale(made_run, Scaling(sizes=(5000,), sets=("seed",)))
    with pytest.raises(RecipeError, match="no such set or file"):
        scale(made_run, Scaling(sizes=(4,), sets=("curate",)))
    with pytest.raises(RecipeError, match="--sizes"):
        scale(made_run, Scaling(sizes=()))


def test_files_of_any_format_of_the_seed_are_sets(made_run: Path, tmp_path: Path) -> None:
    alpaca = [{"instruction": "Add up.", "input": f"1 and {n}", "output": f"It is {n + 1}."} for n in range(3)]
    (tmp_path / "alpaca.json").write_text(json.dumps(alpaca))
    lima = [{"conversations": [f"Why is it {n}?", f"As it is {n}."], "source": "x"} for n in range(4)]
    (tmp_path / "lima.jsonl").write_text("\n".join(map(json.dumps, lima)))
    for name, count in (("alpaca:alpaca.json", 3), ("sharegpt:lima.jsonl", 4)):
        format, _, file = name.partition(":")
        with pytest.raises(InputError, match=f"has {count} examples to train on"):
            scale(made_run, Scaling(sizes=(5000,), sets=(f"{format}:{tmp_path / file}",)))
        (step,) = made_run.glob(f"scaling/pairs-{Path(file).stem}-*")
        assert len(Records[Any](step, "")) == count
    assert {one.instruction for one in Records[Any](next(made_run.glob("scaling/pairs-alpaca-*")), "")} == {
        f"Add up.\n\n1 and {n}" for n in range(3)
    }
    with pytest.raises(RecipeError, match=r"allowed: .* or FORMAT:FILE with pairs, alpaca"):
        scale(made_run, Scaling(sizes=(4,), sets=("alpaca:none.json",)))


def test_fits_of_points() -> None:
    points = [{"set": name, "size": size, "loss": 3 - size / 1000} for name in ("a", "b") for size in (100, 200, 400)]
    found = fits([*points, {"set": "c", "size": 100, "loss": 3.0}])
    assert set(found["loss"]) == {"a", "b"} and found["win_rate"] == {}
    assert found["loss"]["a"]["alpha"] == pytest.approx(fit_log([100, 200, 400], [2.9, 2.8, 2.6]).alpha)


def test_the_curves_say_what_was_measured(tmp_path: Path) -> None:
    points = [
        {"set": "curated <5>", "size": size, "loss": loss} for size, loss in ((100, 2.0), (400, 1.5), (1600, 1.1))
    ]
    points.append({"set": "seed", "size": 100, "loss": 2.2})
    (file,) = write_curves(tmp_path, {"points": points, "fits": fits(points)})
    picture = ElementTree.parse(file).getroot()
    texts = [element.text or "" for element in picture.iter() if element.tag.endswith("}text")]
    fit = fit_log([100, 400, 1600], [2.0, 1.5, 1.1])
    alpha = f"α {fit.alpha:.4g} ({fit.low:.4g} to {fit.high:.4g})".replace("-", "−")
    for wanted in (
        "held-out loss, nats per token",
        "examples N (logarithmic)",
        "1,600",
        f"curated <5>, {alpha}",
        "seed",
    ):
        assert wanted in texts
    assert "var(" not in file.read_text(), "viewers that know no variables of CSS show the colours too"
    marks = [element for element in picture.iter() if "dot" in element.attrib.get("class", "")]
    assert len(marks) == 4 + 2, "a mark for each point, and one for each set in the key"
    across = [float(mark.attrib["cx"]) for mark in marks if "cx" in mark.attrib and mark.attrib["class"][:4] == "mark"]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2), "the axis is logarithmic"
