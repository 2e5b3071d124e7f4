"""A calibration on a terminal, as the command prints it."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from askback.cli import app
from askback.errors import RecipeError
from askback.report import tables

RECIPE = """
name: run
recipe:
  seed: {sources: [{path: 'builtin:demo'}]}
  corpus: {sources: [{format: text, path: RECIPE}]}
  judge: {probes: 6, kinds: [swapped]}
  select: {top_n: 3}
resources: {engine: {kind: scripted}, runs: RUNS}
"""


def test_the_command_shows_every_scorer_and_kind(tmp_path: Path, builtin_model: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("RUNS", str(tmp_path / "runs")).replace("RECIPE", str(recipe)))
    shown = CliRunner().invoke(app, ["calibrate", str(recipe), "--scorers", "rubric,ifd"])
    assert shown.exit_code == 0, shown.output
    for words in ("on 6 held-out pairs", "swapped ", "blog ", "combined", "Recommended: "):
        assert words in shown.output
    plain = CliRunner().invoke(app, ["calibrate", str(recipe), "--scorers", "all", "--json"])
    here = {"rubric", "additive", "ifd", "instruction", "whole", "combined"}
    assert set(json.loads(plain.stdout)["scorers"]) == here | ({"probe"} if find_spec("sklearn") else set())


def test_a_scorer_that_is_none_is_said(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("RUNS", str(tmp_path / "runs")).replace("RECIPE", str(recipe)))
    refused = CliRunner().invoke(app, ["calibrate", str(recipe), "--scorers", "rubrik"])
    assert isinstance(refused.exception, RecipeError) and "Did you mean 'rubric'" in str(refused.exception)


@pytest.mark.parametrize(
    ("gained", "told"),
    [
        ((0.04, 0.01, 0.07), "More labels are likely to help: from 50 to 120"),
        ((0.0, -0.01, 0.01), "Twice as many labels would bring little, less than 0.02: from 50 to 120"),
        ((0.02, -0.03, 0.07), "Whether more labels would help cannot be told yet: from 50 to 120"),
    ],
)
def test_it_says_in_words_what_more_labels_would_bring(gained: tuple[float, float, float], told: str) -> None:
    row = {"labels": 120, "pairs": 150, "half": 50, "gained": gained}
    keys = ("auroc_at_equal_length", "auroc", "length_alone_at_equal_length", "length_alone")
    (note,) = tables.learning({"curve": [row | dict.fromkeys(keys, 0.6)]}).notes
    low, high = (f"{value:+.2f}" for value in gained[1:])
    assert note == f"{told} labels the AUROC at equal length changed by {gained[0]:+.2f} ({low} to {high})."
    assert not tables.learning({"curve": []}).notes
