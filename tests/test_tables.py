"""What is listed works everywhere: every table keyed by a scorer, reader, engine, format or rule is whole, and a scorer
that is added as CONTRIBUTING.md says goes through every command."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from askback import prompts
from askback.corpus.explain import FORMATS as EXPLAINED
from askback.corpus.readers import READERS as DOCUMENT_READERS
from askback.corpus.readers import SMALL_FILES, SUFFIXES
from askback.curate.damage import KINDS
from askback.curate.scorers import SCORERS
from askback.curate.scorers.trial import Noting, tried, used_prompts
from askback.engines import ENGINES
from askback.execution.identity import ALL_COUNT, COUNTS
from askback.export import FORMATS
from askback.export.snippets import TURNS
from askback.plan.sample import Pairs
from askback.plan.tokens import Ruler, judging
from askback.recipe import PRESETS, Corpus, EngineOptions, Resources, Score
from askback.recipe.curation import HIGHEST, UNASKED, DamageKind, ScorerName
from askback.recipe.inputs import DocumentFormat, PairFormat
from askback.seed.readers import READERS as PAIR_READERS
from tests.test_smoke_run import write_inputs

ROOT = Path(__file__).parents[1]


def names(kind: Any, field: str) -> set[str]:
    return set(get_args(kind.model_fields[field].annotation))


def test_a_name_is_allowed_in_a_recipe_if_and_only_if_there_is_code_for_it() -> None:
    assert set(SCORERS) == set(get_args(ScorerName))
    assert set(DOCUMENT_READERS) == set(get_args(DocumentFormat))
    assert set(PAIR_READERS) == set(get_args(PairFormat))
    assert set(ENGINES) == names(EngineOptions, "kind") == set(COUNTS)
    assert set(KINDS) == set(get_args(DamageKind))
    assert set(PRESETS) <= names(Corpus, "preset") <= {*PRESETS, "paper"}


def test_smaller_tables_hold_nothing_that_the_larger_one_lacks() -> None:
    assert set(SUFFIXES) | {"hub", "installed-docs"} == set(DOCUMENT_READERS)
    assert set(EXPLAINED) == set(SMALL_FILES) <= set(SUFFIXES)
    assert set(TURNS) | {"prompt-completion"} == set(FORMATS)
    assert set(ALL_COUNT) <= set(EngineOptions.model_fields) and "api_key_env" not in ALL_COUNT


@pytest.mark.parametrize("name", SCORERS)
def test_what_is_known_of_a_scorer_is_what_it_does(name: str) -> None:
    options = Score.model_validate({"scorers": [name]})
    noting = Noting()
    (judgement,) = tried(name, options, noting)
    assert (name in UNASKED) == (not noting.asked & {"choose", "generate"})
    if noting.choices:
        assert HIGHEST[name] == max(map(int, noting.choices))
    for prompt in used_prompts(options):
        assert judgement.prompt_id == prompts.prompt_id(prompt)
        assert (prompt in prompts.JUDGED) == bool(noting.choices), "a judge is not shown what a text says to it"
    assert noting.written == 0
    if name not in UNASKED:
        reasoned = Noting()
        tried(name, options.model_copy(update={"reasoning": True, "samples": 3}), reasoned)
        assert reasoned.written == 3 * options.reasoning_tokens


def test_what_a_scorer_reads_is_counted_by_what_it_asks() -> None:
    pairs = Pairs(100, (("Why?", "Because of this. " * 20), ("How?", "Like that. " * 300)))
    ruler = Ruler()

    def read(*scorers: str, **changes: Any) -> int:
        options = Score.model_validate({"scorers": scorers, **changes})
        return judging(ruler, options, pairs, frozenset({"choose", "loglikelihood", "generate"})).prompt

    asked = sum(ruler.prompt(prompts.rubric(*pair)) for pair in pairs.sample)
    assert read("rubric") == round(50 * asked)
    assert read("whole") == 0 and read("rubric", "whole") == read("rubric")
    assert read("rubric", "additive") == pytest.approx(read("rubric") + read("additive"), abs=1)
    # Two readings of each text, and one of each instruction.
    texts = sum(2 * ruler.answer(output) for _, output in pairs.sample)
    assert read("ifd") > 50 * texts
    assert read("rubric", max_output_tokens=64) < 0.6 * read("rubric")
    # With a reasoning a prompt is read to write it, and with it to read the digit.
    assert read("rubric", reasoning=True) > 2 * read("rubric")


BREVITY = '''
"""Whether the answer is brief, as the model has it."""

from askback import prompts
from askback.prompts.prompt import Prompt
from askback.records import Judgement, record_id


def judge(engine, model_id, options, pairs, random_seed):
    asked = [Prompt(f"Is this brief?\\n\\n{engine.truncate(pair.output, 64)}", "Answer:") for pair in pairs]
    rows = engine.choose(asked, [" no", " yes"])
    prompt_id = prompts.prompt_id("brevity")
    return [
        Judgement(record_id(pair.id, model_id), pair.id, "brevity", row[1], [], None, [], [], prompt_id, model_id)
        for pair, row in zip(pairs, rows, strict=True)
    ]
'''


def with_another_scorer(folder: Path) -> Path:
    """Copy the package, and add a scorer to it as CONTRIBUTING.md says: a file, a line, a name."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    package = folder / "src/askback"
    (package / "curate/scorers/brevity.py").write_text(BREVITY)
    (package / "prompts/brevity.txt").write_text("Is this brief?")
    for path, before, after in (
        (
            "curate/scorers/__init__.py",
            "SCORERS = {",
            'SCORERS = {\n    "brevity": "askback.curate.scorers.brevity:judge",',
        ),
        ("recipe/curation.py", "ScorerName = Literal[", 'ScorerName = Literal["brevity", '),
    ):
        text = (package / path).read_text()
        assert text.count(before) == 1
        (package / path).write_text(text.replace(before, after))
    return folder / "src"


@pytest.mark.timeout(600)
def test_a_scorer_that_is_added_goes_through_every_command(tmp_path: Path) -> None:
    source = with_another_scorer(tmp_path)
    recipe, run = write_inputs(tmp_path), tmp_path / "runs/smoke"
    changes = ["recipe.rounds=1", "resources.engine.kind=scripted", "recipe.score.scorers=[rubric, brevity]"]
    changes += ["recipe.backward.steps=2", "recipe.forward.steps=2"]
    options = [word for change in changes for word in ("--set", change)]

    def askback(*arguments: str) -> str:
        here = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(source)}
        done = subprocess.run([sys.executable, "-m", "askback", *arguments], env=here, capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    planned = json.loads(askback("plan", str(recipe), *options, "--json"))
    alone = json.loads(askback("plan", str(recipe), *options, "--set", "recipe.score.scorers=[rubric]", "--json"))
    read = [next(step["tokens"] for step in plan["steps"] if step["name"] == "score-1") for plan in (planned, alone)]
    assert read[0]["prompt"] > read[1]["prompt"]
    askback("run", str(recipe), *options)
    identity = json.loads((run / "score-1/step.json").read_text())["identity"]
    assert set(identity["prompts"]) == {"rubric", "brevity"}
    assert "score-1" in askback("status", str(run))
    askback("report", str(run), "--out", str(tmp_path / "report.html"))
    assert "brevity" in (tmp_path / "report.html").read_text()
    shown = askback("calibrate", str(run / "recipe.yaml"), "--scorers", "all")
    assert "brevity" in shown and "additive" in shown
    askback("export", str(run), "--out", str(tmp_path / "data"))


def test_an_engine_that_does_not_say_what_counts_has_all_that_may_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from askback.curate.score import score
    from askback.execution.identity import Model, identify
    from askback.recipe import RecipeFile

    monkeypatch.delitem(COUNTS, "scripted")
    recipe = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    engine = EngineOptions(kind="scripted", model="one", arguments=("--fast",))
    file = RecipeFile.model_validate({"name": "x", "recipe": recipe, "resources": Resources(engine=engine)})
    made = identify("score-1", score, file.recipe.score, {"model": Model(Path("m"), "m", "f")}, file)
    # A judge reads the bfloat16 form where the recipe leaves the choice.
    assert made["engine"] == engine.model_dump(mode="json", include=set(ALL_COUNT)) | {"dtype": "bfloat16"}
