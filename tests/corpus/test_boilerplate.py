"""Paragraphs that come back on a site's pages."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askback.corpus.build import drop_duplicates
from askback.corpus.repeated_paragraphs import Boilerplate, paragraphs_on_pages, repeated
from askback.corpus.sorted_files import write_array
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records, rejections
from askback.execution.step import Step
from askback.recipe import Corpus, RecipeFile
from askback.records import Provenance, Segment, record_id

Find = Callable[[list[Segment], int], Boilerplate]

NOTICE = "Sign up today and never miss another story of ours."


def on(url: str, text: str) -> Segment:
    return Segment(record_id(url, "A", text), text, ["A"], Provenance(url, "warc", language="en"))


@pytest.fixture(params=[2**18, 1], ids=["in memory", "spilled"])
def find(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Find:
    """Find boilerplate in segments, in pieces of two."""
    monkeypatch.setattr("askback.corpus.sorted_files.IN_MEMORY", request.param)

    def found(segments: list[Segment], pages: int) -> Boilerplate:
        counted = [paragraphs_on_pages(segments[at : at + 2]) for at in range(0, len(segments), 2)]
        paths = [tmp_path / f"{number}.npy" for number in range(len(counted))]
        for path, pairs in zip(paths, counted, strict=True):
            write_array(path, pairs[np.newaxis])
        return Boilerplate(repeated(paths, sum(pairs.shape[1] for pairs in counted), pages))

    return found


def own(number: int) -> str:
    return f"Page number {number} says something that no other page says."


def pages(notice: str, count: int, host: str = "a.org") -> list[Segment]:
    return [on(f"http://{host}/{number}", f"{own(number)}\n\n{notice}") for number in range(count)]


@pytest.mark.parametrize(("count", "gone"), [(2, 0), (3, 1), (4, 1)])
def test_a_paragraph_on_three_pages_goes(count: int, gone: int, find: Find) -> None:
    segments = pages(NOTICE, count)
    found = find(segments, 3)
    for number, segment in enumerate(segments):
        stripped, paragraphs = found.strip(segment)
        assert paragraphs == gone
        if gone:
            assert stripped == on(segment.provenance.uri, own(number)), "with the id of what is left"
        else:
            assert stripped is segment


def test_pages_are_counted_not_segments(find: Find) -> None:
    again = [on("http://a.org/0", f"{own(number)}\n\n{NOTICE}") for number in range(5)]
    assert find(again, 2).strip(again[0])[1] == 0


def test_hosts_are_apart_and_case_and_spaces_are_not(find: Find) -> None:
    segments = [*pages(NOTICE, 2), *pages(NOTICE, 2, "b.org")]
    assert find(segments, 3).strip(segments[0])[1] == 0
    segments = [*pages(NOTICE, 1), *pages(NOTICE.upper().replace(" ", "\n"), 2, "A.ORG")[1:]]
    assert find(segments, 2).strip(segments[0])[1] == 1


@pytest.mark.parametrize("uri", ["pages/{}.html", "pypi:x@{}", "http://[{}"])
def test_what_has_no_host_is_left_alone(uri: str, find: Find) -> None:
    segments = [
        replace(segment, provenance=Provenance(uri.format(number))) for number, segment in enumerate(pages(NOTICE, 3))
    ]
    assert find(segments, 2).strip(segments[0])[1] == 0


@pytest.mark.parametrize(
    "notice",
    [
        "x" * 39,
        "## A header of more than forty characters in all",
        "```\n# Copyright of all of the contributors\n\n# Copyright of all of the contributors\n```",
    ],
)
def test_short_paragraphs_headers_and_code_stay(notice: str, find: Find) -> None:
    segments = pages(notice, 3)
    assert find(segments, 2).strip(segments[0])[1] == 0
    assert find(pages("x" * 40, 3), 2).strip(pages("x" * 40, 3)[0])[1] == 1


def test_headers_left_without_text_go(find: Find) -> None:
    text = f"## One\n\n{{}}\n\n### News\n\n{NOTICE}\n\n## Two\n\nText.\n\n## Last\n\n{NOTICE}"
    segments = [on(f"http://a.org/{number}", text.format(own(number))) for number in range(2)]
    assert find(segments, 2).strip(segments[1])[0].text == f"## One\n\n{own(1)}\n\n## Two\n\nText."


@recorded(version=1)
def given(step: Step, options: Corpus) -> Records[Any]:
    outcome = Outcome[Any]()
    for number, notice in enumerate([NOTICE, NOTICE, "", NOTICE]):
        unlike = " ".join([f"Word{number}"] * (3 if number == 3 else 20))
        outcome.keep("segments", on(f"http://a.org/{number}", f"{unlike}\n\n{notice}".rstrip()))
    return step.write(Segment, [outcome])


def killed(file: RecipeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the step until a part of what it wrote on the way is removed."""

    def remove(folder: Path, **_: bool) -> None:
        for rows in folder.glob("rows-*"):
            rows.unlink()
            raise InterruptedError

    with monkeypatch.context() as patch, Run(file) as run, pytest.raises(InterruptedError):
        patch.setattr("shutil.rmtree", remove)
        segments = run.step("given", given, file.recipe.corpus)
        run.step("dedup", drop_duplicates, file.recipe.corpus, segments=segments)


def test_the_step_takes_it_out_and_drops_what_is_too_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = {"sources": [{"format": "text", "path": "x"}], "min_chars": 60, "boilerplate_pages": 3}
    recipe = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": corpus}
    file = RecipeFile.model_validate({"name": "run", "recipe": recipe, "resources": {"runs": str(tmp_path)}})
    killed(file, monkeypatch)
    with Run(file) as run:
        segments = run.step("given", given, file.recipe.corpus)
        unique = run.step("dedup", drop_duplicates, file.recipe.corpus, segments=segments)
    assert not list((tmp_path / "run/dedup").glob("scratch-*"))
    assert [segment.text for segment in unique] == [" ".join([f"Word{number}"] * 20) for number in range(3)]
    (dropped,) = rejections(tmp_path / "run/dedup")
    said = "17 characters without 1 paragraph(s) that are on 3 or more pages of the site, at least 60 wanted"
    assert (dropped.rule, dropped.detail) == ("boilerplate", said) and NOTICE in dropped.text
    step = json.loads((tmp_path / "run/dedup/step.json").read_text())
    assert step["counts"]["unique segments"] == {"entered": 4, "kept": 3, "rejected": 1, "failed": 0}
    assert step["metrics"] == {"boilerplate paragraphs": 3, "held-out segments": 0}
