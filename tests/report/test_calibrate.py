"""A calibration on a terminal, as the command prints it."""

import json
from pathlib import Path

from typer.testing import CliRunner

from askback.cli import app
from askback.errors import RecipeError

RECIPE = """
name: run
recipe:
  seed: {sources: [{path: 'builtin:demo'}]}
  corpus: {sources: [{format: installed-docs}]}
  judge: {probes: 6, kinds: [swapped]}
  select: {top_n: 3}
resources: {engine: {kind: scripted}, runs: RUNS}
"""


def test_the_command_shows_every_scorer_and_kind(tmp_path: Path, builtin_model: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("RUNS", str(tmp_path / "runs")))
    shown = CliRunner().invoke(app, ["calibrate", str(recipe), "--scorers", "rubric,ifd"])
    assert shown.exit_code == 0, shown.output
    for words in ("on 6 held-out pairs", "swapped ", "blog ", "combined", "Recommended: "):
        assert words in shown.output
    plain = CliRunner().invoke(app, ["calibrate", str(recipe), "--scorers", "all", "--json"])
    assert set(json.loads(plain.stdout)["scorers"]) == {"rubric", "additive", "ifd", "instruction", "whole", "combined"}


def test_a_scorer_that_is_none_is_said(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("RUNS", str(tmp_path / "runs")))
    refused = CliRunner().invoke(app, ["calibrate", str(recipe), "--scorers", "rubrik"])
    assert isinstance(refused.exception, RecipeError) and "Did you mean 'rubric'" in str(refused.exception)
