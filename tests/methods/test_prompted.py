"""Method prompted: what its page asks for, and that it makes data without a training, a base model or torch."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from askback import prompts
from askback.augment.prompted import drawn_style
from askback.augment.shots import choose_shots, form_of
from askback.cli import app
from askback.curate.check import SWAPPED
from askback.curate.until import next_block
from askback.execution.shards import Records, rejections
from askback.export import export
from askback.methods import page_of
from askback.methods.prompted import prompted
from askback.plan import Plan
from askback.plan.running import run
from askback.recipe import EngineOptions, Engines, Prompted, RecipeFile, Selection, StyleName
from askback.recipe import Recipe as RecipeOptions
from askback.records import Candidate, Example, Probe, Provenance, Segment, exchange
from askback.report.html import write_report
from askback.studies.summary import funnel, lacking
from tests.methods.test_humpback import Names
from tests.untrained import as_prompted, write_recipe

CORPUS = {"sources": [{"format": "text", "path": "t"}]}
SERVER = EngineOptions(kind="openai_http", url="http://127.0.0.1:9/v1", model="strong")


def recipe(**changed: Any) -> RecipeOptions:
    return RecipeOptions.model_validate({"method": "prompted", "corpus": CORPUS, **changed})


def walked(options: RecipeOptions, **engines: EngineOptions) -> Names:
    names = Names(Engines(**engines))
    prompted(options, names)
    return names


def test_the_page_without_seed_pairs() -> None:
    names = walked(recipe(), augment=SERVER, score=SERVER)
    assert list(names.made) == ["segment", "dedup", "augment", "probes", "probe-1", "check-1", "score-1", "select-1"]
    assert page_of(recipe()) is prompted
    assert set(names.made["probes"]) == {"candidates"}, "the judge is tried on what it is to judge"
    assert names.made["augment"].keys() == {"model", "segments"}
    assert names.made["augment"]["model"].id == names.made["score-1"]["model"].id == "strong"


def test_the_page_with_seed_pairs() -> None:
    seed = {"sources": [{"path": "s"}]}
    names = walked(recipe(seed=seed, backward={"shots": 3}))
    assert "seed" in names.made["augment"] and set(names.made["probes"]) == {"seed"}
    assert names.made["augment"]["model"].id == "base", "where no server is named"
    names = walked(recipe(seed=seed))
    assert "seed" not in names.made["augment"] and set(names.made["probes"]) == {"seed"}
    assert "probes" not in names.made["score-1"], "another trial changes no judgement"
    assert "probes" not in walked(recipe(judge={"check": False})).made


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"forward": {}}, "trains nothing, and forward is of method humpback"),
        ({"gate": {"enabled": False}}, "gate is of method humpback"),
        ({"backward": {"shots": 2}}, "give some under seed"),
        ({"backward": {"styles": {"question": 0}}}, "at least one share must be above 0"),
        ({"rounds": 2}, "rounds must be 1"),
        ({"method": "humpback"}, "seed"),
        ({"method": "humpback", "seed": {"sources": []}}, "learns from seed pairs"),
        (
            {"method": "humpback", "seed": {"sources": [{"path": "s"}]}, "backward": {"mode": "prompted"}},
            "goes with method",
        ),
    ],
)
def test_what_does_not_go_together(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(**changed)


def test_somebody_has_to_be_asked() -> None:
    tree = {"name": "x", "recipe": {"method": "prompted", "corpus": CORPUS}}
    with pytest.raises(ValidationError, match="names no model to ask"):
        RecipeFile.model_validate(tree)
    for engine in ({"kind": "openai_http", "url": "http://a/v1"}, {"kind": "scripted"}):
        file = RecipeFile.model_validate(tree | {"resources": {"engine": engine}})
        again = RecipeFile.model_validate(file.as_written())
        assert again == file and isinstance(again.recipe.backward, Prompted)


def test_styles_are_mixed_by_their_shares_whatever_the_order() -> None:
    options = recipe(backward={"styles": {"question": 3, "search-query": 1, "role": 0}}).asking
    drawn = Counter(drawn_style(options, f"s{number}", 0, 7) for number in range(4000))
    assert set(drawn) == {"question", "search-query"} and 0.22 < drawn["search-query"] / 4000 < 0.28
    assert set(prompts.STYLES) == set(StyleName.__args__)  # type: ignore[attr-defined]


def pair(number: int, output: str, split: str = "train") -> Example:
    return Example(f"e{number:03d}", exchange(f"Ask {number}?", output), Provenance(), "seed", split)  # type: ignore[arg-type]


class Few(Records[Any]):
    """Records that are not on disk."""

    def __iter__(self) -> Any:
        return iter(PAIRS)


LIST, PROSE = "\n".join(f"- Item {n} of the list." for n in range(12)), "A sentence of prose. " * 12
PAIRS = [
    *(pair(n, LIST) for n in range(20)),
    *(pair(100 + n, PROSE) for n in range(20)),
    *(pair(200 + n, PROSE * 30) for n in range(20)),
    pair(300, LIST, "held-out"),
]


def test_examples_are_like_the_segment_and_never_held_out() -> None:
    seed = Few(Path("few"), "few")
    for text, first in ((LIST.replace("Item", "Point"), "e0"), (PROSE + "So.", "e1"), (PROSE * 29, "e2")):
        segment = Segment("s", text, [], Provenance())
        shots = choose_shots(seed, segment, 4, 0)
        assert len({shot.id for shot in shots}) == 4 and all(shot.id.startswith(first) for shot in shots)
        assert shots == choose_shots(seed, segment, 4, 0)
    others = [choose_shots(seed, Segment(f"s{n}", LIST, [], Provenance()), 4, 0) for n in range(20)]
    assert len({tuple(shot.id for shot in shots) for shots in others}) > 10, "like segments show different ones"
    assert "e300" not in {shot.id for shots in others for shot in shots}
    assert form_of("") != form_of(LIST)


def test_it_gives_data_without_seed_pairs_or_a_base_model(tmp_path: Path) -> None:
    file = as_prompted(write_recipe(tmp_path, Path("none")))
    planned = [step.name for step in Plan(file).steps]
    folder = run(file)
    assert {path.parent.name for path in folder.glob("*/step.json")} == set(planned)
    candidates: list[Candidate] = list(Records(folder / "augment", ""))
    styles = {one.style for one in candidates}  # drawn by ids, which go by the folder: a rare one may not come up
    assert styles <= set(prompts.STYLES) and len(styles) >= len(prompts.STYLES) - 2
    assert {one.prompt_id for one in candidates} == {prompts.prompt_id("writer")}
    probes: list[Probe] = list(Records(folder / "probes", ""))
    assert Counter(probe.kind for probe in probes) == {"true": len(candidates), "swapped": len(candidates)}
    by_pair = {one.id: one for one in candidates}
    for probe in probes:
        own = by_pair[probe.pair_id]
        assert probe.output == own.output and (probe.instruction == own.instruction) == (probe.kind == "true")
    count = export(folder, tmp_path / "data")
    assert count == len(Records[Any](folder / "select-1", "")) > 0
    card = (tmp_path / "data/README.md").read_text()
    assert SWAPPED in card and "no model was trained" in card and "Loss on" not in card and "- base:" not in card
    write_report([folder], tmp_path / "report.html")
    assert SWAPPED in (tmp_path / "report.html").read_text()
    for command in ("status", "evaluate"):
        shown = CliRunner().invoke(app, [command, str(folder)])
        assert shown.exit_code == 0, shown.output
    refused = CliRunner().invoke(app, ["evaluate", str(folder), "--prompts", "held-out"])
    assert "has no model to evaluate" in str(refused.exception)


def test_seed_pairs_are_examples_and_a_trial(tmp_path: Path) -> None:
    file = as_prompted(write_recipe(tmp_path, Path("none")), seed=True, backward={"shots": 2})
    folder = run(file)
    assert {"scrambled", "true", "swapped"} <= {probe.kind for probe in Records[Any](folder / "probes", "")}
    step = json.loads((folder / "augment/step.json").read_text())
    assert step["identity"]["inputs"].keys() == {"model", "segments", "seed"}
    assert not [one for one in rejections(folder / "augment") if one.outcome == "failed"]


WITHOUT_TORCH = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuse())
from askback.cli import main
if __name__ == "__main__":
    for arguments in json.loads(sys.argv[1]):
        sys.argv = ["askback", *arguments]
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
"""


def test_no_torch_is_asked_for(tmp_path: Path) -> None:
    file = as_prompted(write_recipe(tmp_path, Path("none")))
    (tmp_path / "recipe.yaml").write_text(json.dumps(file.as_written()))
    (tmp_path / "askback_without_torch.py").write_text(WITHOUT_TORCH)
    commands = (["plan", "recipe.yaml"], ["run", "recipe.yaml"], ["report", str(tmp_path / "runs/made")])
    command = [sys.executable, "askback_without_torch.py", json.dumps(commands)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/made/report.html").exists()


WANTED = Selection(min_score=3, until=1000, max_candidates=20_000)


@pytest.mark.parametrize(
    ("asked", "chosen", "most", "size"),
    [
        (0, 0, 10_000, 500),  # half of what is wanted
        (0, 0, 40, 40),
        (500, 250, 10_000, 1500),  # 750 lack, and one in two is chosen
        (500, 10, 10_000, 1500),  # three times those before: the share of so few is not well known
        (500, 0, 10_000, 1500),
        (5000, 999, 10_000, 32),
        (9990, 900, 10_000, 10),
        (5000, 1000, 10_000, 0),
        (10_000, 3, 10_000, 0),
    ],
)
def test_the_size_of_a_block(asked: int, chosen: int, most: int, size: int) -> None:
    assert next_block(asked, chosen, WANTED, most) == size


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"select": {"top_n": 5, "until": 5}}, "needs a threshold that does not move"),
        ({"select": {"min_score": 3, "max_candidates": 5}}, "give until"),
        (
            {"augment": {"per_segment": 3}, "select": {"min_score": 3, "until": 5, "max_candidates": 2}},
            "max_candidates 2 is below augment.per_segment 3",
        ),
        ({"select": {"min_score": 0.5, "until": 5}, "score": {"scorers": ["rubric", "whole"]}}, "let one scorer count"),
        ({"method": "humpback", "select": {"min_score": 3, "until": 5}}, "goes with method: prompted"),
    ],
)
def test_a_number_is_wanted_of_an_absolute_threshold_alone(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(seed={"sources": [{"path": "s"}]}, **changed)


def wanting(folder: Path, until: int, **select: Any) -> RecipeFile:
    """Return a recipe over 216 segments of which the scripted judge finds about every second one good."""
    file = as_prompted(write_recipe(folder, Path("none")), select={"min_score": 3, "until": until} | select)
    for page in sorted((folder / "pages").glob("*.html")):
        text = page.read_text()
        for copy in range(5):
            other = (
                text.replace(" river ", f" brook{copy} ")
                .replace(" stone ", f" rock{copy} ")
                .replace("0.", f"{copy + 1}.")
            )
            page.with_stem(f"{page.stem}-{copy}").write_text(shuffled(other, copy))
    return file


def shuffled(page: str, seed: int) -> str:
    """Return a page with the words of its paragraphs in another order, so that it is no near-copy."""
    words = re.findall(r"[\w.]+", re.sub("<[^>]*>", " ", page))
    Random(seed).shuffle(words)
    parts = [" ".join(words[at : at + 120]).capitalize() + "." for at in range(0, len(words) - 120, 120)]
    return (
        "<html><body>" + "".join(f"<h2>About {n}</h2><p>{part}</p>" for n, part in enumerate(parts)) + "</body></html>"
    )


def test_until_so_many_are_chosen(tmp_path: Path) -> None:
    file = wanting(tmp_path, 40)
    before = Plan(file)
    assert [step.name for step in before.steps if step.engine == "augment"] == ["augment-block-1", "augment-block-2"]
    total = sum(step.forecast.entered for step in before.steps if step.engine == "augment")
    folder = run(file)
    counts = {
        name: json.loads((folder / f"{name}/step.json").read_text())["counts"] for name in ("augment", "select-1")
    }
    segments, chosen = counts["augment"]["segments"], counts["select-1"]["candidates"]
    assert chosen["kept"] == 40 and total == segments["entered"] == len(Records[Any](folder / "dedup", ""))
    assert 40 < segments["kept"] < segments["entered"] == segments["kept"] + segments["rejected"]
    reasons = json.loads((folder / "augment/step.json").read_text())["reasons"]
    assert reasons["segments/not-needed"] == segments["rejected"]
    blocks = len(list(folder.glob("augment-block-*")))
    assert blocks == len(list(folder.glob("score-block-*"))) >= 2
    asked = [one.id for n in range(1, blocks + 1) for one in Records[Any](folder / f"augment-block-{n}", "")]
    assert [one.id for one in Records[Any](folder / "augment", "")] == asked and len(set(asked)) == len(asked)
    after = Plan(file)
    assert all(step.state == "done" for step in after.steps)
    assert {step.name for step in after.steps} == {path.parent.name for path in folder.glob("*/step.json")}
    assert not [stage for stage in funnel(folder) if "block" in stage.step]

    again = RecipeFile.model_validate(file.as_written() | {"name": "again"})
    monkey = again.model_copy(update={"resources": again.resources.model_copy(update={"workers": 7})})
    other = run(monkey)
    for path in folder.glob("*/*.parquet"):
        assert path.read_bytes() == (other / path.relative_to(folder)).read_bytes(), path


def test_when_there_are_too_few(tmp_path: Path) -> None:
    file = wanting(tmp_path, 400, max_candidates=70)
    folder = run(file)
    counts = json.loads((folder / "augment/step.json").read_text())["counts"]
    assert counts["segments"]["kept"] == 70
    kept = len(Records[Any](folder / "select-1", ""))
    (said,) = lacking(folder)
    assert 0 < kept < 70 and f"{kept} of the 400 pairs wanted" in said
    export(folder, tmp_path / "data")
    assert said in (tmp_path / "data/README.md").read_text()
    write_report([folder], tmp_path / "report.html")
    assert said in (tmp_path / "report.html").read_text()
