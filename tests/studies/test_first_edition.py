"""A run folder of version 0.1, kept without its models, is looked at, reported and exported; a run goes on from none."""

import tarfile
from pathlib import Path

import datasets
import pytest

from askback.errors import InputError
from askback.execution.run import claim_run
from askback.execution.shards import Records
from askback.export import export
from askback.methods import names
from askback.records import Candidate, Example
from askback.report.gather import gather
from askback.report.html import write_report
from askback.studies.run_folder import chosen, data_round, losses, result

KEPT = Path(__file__).parents[1] / "golden/first-edition-run.tar.gz"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with tarfile.open(KEPT) as packed:
        packed.extractall(tmp_path / "first")  # ours; Python 3.11.2 knows no filter
    return tmp_path / "first"


def test_its_records_are_conversations(run: Path) -> None:
    candidates = list(Records[Candidate](run / names.CANDIDATES, ""))
    pairs = list(chosen(run))
    assert len(candidates) == 36 and len(pairs) == 18
    assert {pair.id for pair in pairs} <= {one.id for one in candidates}
    for one in [*candidates, *pairs]:
        asked, answered = one.messages
        assert (asked.role, answered.role) == ("user", "assistant")
        assert one.instruction == asked.content and one.output == answered.content and one.provenance.uri
    seed = list(Records[Example](run / names.SEED, ""))
    assert {one.origin for one in seed} == {"seed"} and {one.split for one in seed} == {"train", "held-out"}


def test_its_result_and_losses_are_read(run: Path) -> None:
    found = result(run)
    assert found is not None and found.data_round == data_round(run) == 1
    assert list(losses(run)) == ["base", "m0", "m1"]


def test_it_is_reported_and_exported(run: Path, tmp_path: Path) -> None:
    write_report([run], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert gather(run).name in page and next(iter(chosen(run))).instruction[:40] in page
    export(run, tmp_path / "data")
    rows = datasets.load_dataset(str(tmp_path / "data"), split="train", cache_dir=str(tmp_path / "cache"))
    asked = {row["messages"][0]["content"] for row in rows}
    assert len(rows) == 18 and asked == {pair.instruction for pair in chosen(run)}


def test_a_run_does_not_go_on_in_it(run: Path) -> None:
    with pytest.raises(
        InputError, match=r"of a run of version 0\.1, finished steps that are still right are taken over"
    ):
        claim_run(run)
