"""The step: every candidate is accounted for, and says of two rounds how far they agree."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.curate.label_file import NAME, Event, LabelFile, Shown, now, pair_of
from askback.curate.select import select
from askback.errors import Drift, InputError
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import Records, rejections, write_records
from askback.recipe import RecipeFile, Select
from askback.records import Candidate, Example, Judgement, Message, Provenance, exchange


def judgement(number: int, score: float | None, scorer: str = "rubric", losses: list[float] | None = None) -> Judgement:
    return Judgement(f"{scorer}{number}", f"c{number}", scorer, score, [], None, [], losses or [], "p", "m")


def candidates() -> list[Candidate]:
    return [
        Candidate(
            f"c{n}", exchange(f"Ask {n}?", "y" * 700, f"s{n}"), Provenance("u", "html", language="en"), [], "p", "m", 0
        )
        for n in range(6)
    ]


def stored(folder: Path, kind: type, records: list[Any]) -> Records[Any]:
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "kept-00000.parquet", kind, records)
    return Records[Any](folder, folder.name)


def run(
    folder: Path, judgements: list[Judgement], options: Select, before: Any, progress: Progress | None = None
) -> dict[str, Any]:
    source = {"format": "text", "path": str(folder)}
    tree = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [source]}}
    file = RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": {"runs": str(folder)}})
    pool = stored(folder / "augment", Candidate, candidates())
    with Run(file, progress) as here:
        judged = stored(folder / "score", Judgement, judgements)
        here.step("select-1", select, options, candidates=pool, judgements=judged, before=before)
    step: dict[str, Any] = json.loads((folder / "x/select-1/step.json").read_text())
    return step


def test_every_candidate_is_chosen_or_says_why_not(tmp_path: Path) -> None:
    scores = [5.0, 4.0, 3.0, 2.0, 1.0, None]
    judgements = [judgement(n, score) for n, score in enumerate(scores)]
    # Losses given the instruction, and alone: 0 and 3 are helped, 1 is not by a hair, 2 not at all.
    pairs = [[1.0, 1.2], [1.5, 1.5], [2.0, 1.0], [1.4999, 1.5], [1.0, 2.0], []]
    judgements += [judgement(n, 0.1 if p else None, "ifd", p) for n, p in enumerate(pairs)]
    options = Select(top_n=2, weights={"rubric": 1, "ifd": 0}, max_unscored=0.2)
    step = run(tmp_path, judgements, options, [])
    assert step["counts"]["candidates"] == {"entered": 6, "kept": 2, "rejected": 3, "failed": 1}
    assert [example.id for example in Records[Any](tmp_path / "x/select-1", "")] == ["c0", "c3"]
    rules = {drop.id: (drop.rule, drop.outcome) for drop in rejections(tmp_path / "x/select-1")}
    assert rules == {
        "c1": ("not-helped", "rejected"),
        "c2": ("not-helped", "rejected"),
        "c4": ("not-chosen", "rejected"),
        "c5": ("unscored", "failed"),
    }
    assert step["metrics"] == {}


def test_what_does_not_help_can_be_left_in(tmp_path: Path) -> None:
    judgements = [judgement(n, -1.0, "ifd", [2.0, 1.0]) for n in range(6)]
    step = run(tmp_path, judgements, Select(top_n=2, drop_unhelpful=False), [])
    assert step["counts"]["candidates"]["kept"] == 2


def test_the_agreement_with_the_round_before_is_recorded(tmp_path: Path) -> None:
    earlier = stored(tmp_path / "earlier", Judgement, [judgement(n, float(n)) for n in range(6)])
    examples = [
        Example(f"c{n}", exchange("Ask", "y"), Provenance("u", "html", language="en"), "augmented", "train", float(n))
        for n in (4, 5)
    ]
    chosen = stored(tmp_path / "chosen", Example, examples)
    now = [judgement(n, score) for n, score in enumerate([0.0, 1.0, 2.0, 3.0, 5.0, 4.0])]
    step = run(tmp_path, now, Select(top_n=1), [earlier, chosen])
    found = step["metrics"]["agreement"]
    assert found == {"shared": 1.0, "jaccard": 0.5, "rank_correlation": pytest.approx(1 - 6 * 2 / (6 * 35))}


def test_bins_keep_all_that_have_a_score_with_their_quantile(tmp_path: Path) -> None:
    judgements = [judgement(n, float(n) if n < 5 else None) for n in range(6)]
    step = run(tmp_path, judgements, Select(bins=5, max_unscored=0.2), [])
    assert step["counts"]["candidates"] == {"entered": 6, "kept": 5, "rejected": 0, "failed": 1}
    assert [one.quality for one in Records[Any](tmp_path / "x/select-1", "")] == [f"{n} of 5" for n in range(1, 6)]


def test_too_many_without_a_score_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 6 candidates have no score"):
        run(tmp_path, [judgement(n, float(n) if n else None) for n in range(6)], Select(top_n=1), [])


def say(path: Path, number: int, given: str, by: str = "ada", edited: tuple[Message, ...] = ()) -> None:
    pair = candidates()[number].messages
    shown, about = (Shown(pair_of(pair), pair),), {"by": by, "at": now()}
    file = LabelFile(path)
    if edited:
        file.add(Event(id=f"e{number}{by}", kind="edit", pairs=shown, edited=edited, **about))  # type: ignore[arg-type]
    file.add(Event(id=f"{number}{by}", kind="label", pairs=shown, given=given, **about))  # type: ignore[arg-type]


def labelled(path: Path) -> None:
    say(path, 0, "n")  # the judge's best is dropped,
    say(path, 4, "4", edited=exchange("Ask better?", "y" * 600))  # its worst is wanted, in other words,
    say(path, 5, "y")  # and so is what it left unscored;
    say(path, 1, "3")  # of this one nothing is said,
    say(path, 2, "5")
    say(path, 2, "1", by="bob")  # and of this one people differ.


def judged() -> list[Judgement]:
    scores = [5.0, 4.0, 3.0, 2.0, 1.0, None]
    return [judgement(n, score) for n, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ({"top_n": 3}, {1, 4, 5}),
        ({"min_score": 3.5}, {1, 4, 5}),
        ({"top_n": 1}, {4, 5}),
        ({"top_fraction": 0.5}, {1, 4, 5}),
    ],
    ids=str,
)
def test_what_people_say_goes(rule: dict[str, Any], chosen: set[int], tmp_path: Path) -> None:
    labelled(tmp_path / NAME)
    step = run(tmp_path, judged(), Select(**rule, labels=str(tmp_path / NAME), max_unscored=0.2), [])
    kept = {one.id: one for one in Records[Example](tmp_path / "x/select-1", "")}
    assert set(kept) == {f"c{n}" for n in chosen}
    assert step["counts"]["candidates"] == {"entered": 6, "kept": len(kept), "rejected": 6 - len(kept), "failed": 0}
    assert step["metrics"]["reviewed"] == {"kept": 2, "edited": 1, "dropped": 1}
    rules = {drop.id: (drop.rule, drop.detail) for drop in rejections(tmp_path / "x/select-1")}
    assert rules["c0"] == ("reviewed", "dropped by ada")
    assert {id for id, one in kept.items() if one.human_reviewed} == {"c4", "c5"}
    assert kept["c4"].instruction == "Ask better?" and kept["c4"].messages[-1].content == "y" * 600
    assert kept["c5"].score is None and kept["c5"].instruction == "Ask 5?"


def test_other_labels_are_drift_and_other_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("instruction,output,label\nAsk 3?," + "y" * 700 + ",good\nAsk 9?,elsewhere,bad\n")
    options = Select(top_n=1, labels=str(path), max_unscored=0.2)
    assert run(tmp_path, judged(), options, [])["metrics"]["reviewed"] == {"kept": 1, "edited": 0, "dropped": 0}
    assert [one.id for one in Records[Example](tmp_path / "x/select-1", "")] == ["c3"]
    path.write_text("instruction,output,label\nAsk 3?," + "y" * 700 + ",bad\n")
    with pytest.raises(Drift, match=r"mine\.csv"):
        run(tmp_path, judged(), options, [])


def test_it_says_how_many_labelled_pairs_are_candidates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("instruction,output,label\nAsk 3?," + "y" * 700 + ",good\nAsk 9?,elsewhere,bad\n")
    run(tmp_path, judged(), Select(top_n=1, labels=str(path), max_unscored=0.2), [], Progress())
    assert "select-1: 1 of 2 labelled pairs are candidates" in capsys.readouterr().err
