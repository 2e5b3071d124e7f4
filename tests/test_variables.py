"""What an environment variable holds is used by a recipe, and written nowhere."""

import json
from pathlib import Path

import pytest
import yaml

from askback.errors import RecipeError
from askback.export import export
from askback.methods.humpback import humpback
from askback.recipe.file import load_recipe
from askback.recipe.variables import HIDDEN, fill, hide, hide_in, marks
from askback.report.html import write_report
from askback.studies.run_folder import look
from tests.commands import askback
from tests.untrained import Untrained, make_run

SECRET = 'k3y "of/many\\ways?&é'
RECIPE = """
name: x
recipe:
  seed: {{sources: [{{path: {seed}}}]}}
  corpus: {{sources: [{{format: html, path: {pages}}}]}}
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HIDDEN, "")
    monkeypatch.setenv("SECRET_PLACE", SECRET)


def written(folder: Path, text: str) -> Path:
    (folder / "recipe.yaml").write_text(text)
    return folder / "recipe.yaml"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recipe.seed.sources.0.path", "${SECRET_PLACE}"),
        ("recipe.seed.sources.0.path", "data/${SECRET_PLACE}/x.jsonl"),
        ("recipe.corpus.sources.0.path", "a/${SECRET_PLACE}"),
        ("recipe.corpus.sources.0.licence", "${SECRET_PLACE} ${SECRET_PLACE}"),
        ("recipe.base", "${SECRET_PLACE}"),
        ("recipe.chat_template", "${SECRET_PLACE:-none}"),
        ("resources.runs", "runs/${SECRET_PLACE}"),
        ("recipe.forward.trl", "{report: '${SECRET_PLACE}', other: [1, '${SECRET_PLACE}']}"),
        ("resources.engine.command", "[vllm, '--tokenizer=${SECRET_PLACE}']"),
        ("resources.engine.arguments", "['${SECRET_PLACE}']"),
    ],
)
def test_a_recipe_is_written_as_it_was(tmp_path: Path, key: str, value: str) -> None:
    path = written(tmp_path, RECIPE.format(seed="s.jsonl", pages="p"))
    file = load_recipe(path, [f"{key}={json.dumps(value) if value[0] != '{' and value[0] != '[' else value}"])
    assert SECRET in str(file.model_dump()) or repr(SECRET)[1:-1] in str(file.model_dump())
    text = yaml.safe_dump(file.as_written(), allow_unicode=True)
    assert "k3y" not in text and "${SECRET_PLACE" in text
    (tmp_path / "again.yaml").write_text(text, "utf-8")
    again = load_recipe(tmp_path / "again.yaml")
    assert again == file and again.as_written() == file.as_written()


def test_a_number_from_the_environment_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUNDS", "1")
    file = load_recipe(written(tmp_path, RECIPE.format(seed="s", pages="p") + "  rounds: ${ROUNDS}\n"))
    assert file.recipe.rounds == 1 and file.as_written()["recipe"]["rounds"] == "${ROUNDS}"
    moved = file.model_copy(update={"recipe": file.recipe.model_copy(update={"rounds": 2})})
    assert moved.as_written()["recipe"]["rounds"] == 2, "what was changed since is written as it is"


@pytest.mark.parametrize(
    "change",
    [
        "recipe.rounds=${SECRET_PLACE}",
        "resources.engine.url=http://user:${SECRET_PLACE}@host/v1",
        "resources.engine.kind=${SECRET_PLACE}",
        "recipe.corpus.sources.0.format=x${SECRET_PLACE}",
        "recipe.judge.ranked=[{path: '${SECRET_PLACE}'}]",
        "recipe.forward.learning_rate=${SECRET_PLACE}",
        "name=${SECRET_PLACE}",
    ],
)
def test_errors_show_the_name(tmp_path: Path, change: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, RECIPE.format(seed="s", pages="p")), [change])
    assert "k3y" not in hide(str(caught.value))
    assert "${SECRET_PLACE}" in hide(str(caught.value)) or "url must be" in str(caught.value)


@pytest.mark.parametrize("spelled", [SECRET, json.dumps(SECRET), repr(SECRET), json.dumps(SECRET, ensure_ascii=False)])
def test_a_value_is_hidden_in_every_spelling(tmp_path: Path, spelled: str) -> None:
    from urllib.parse import quote, quote_plus

    load_recipe(written(tmp_path, RECIPE.format(seed="'${SECRET_PLACE}'", pages="p")))
    for text in (spelled, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET)):
        hidden = hide(f"at {text}, and {text}")
        assert "k3y" not in hidden and hidden.count("${SECRET_PLACE}") == 2
    assert hide_in({SECRET: [1, {"a": SECRET}]}) == {"${SECRET_PLACE}": [1, {"a": "${SECRET_PLACE}"}]}
    assert list(marks(SECRET)) == ["SECRET_PLACE"] and SECRET not in str(marks(SECRET))


def test_a_run_keeps_no_value_in_any_file(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents, records, identities, the recipe, the card, the report and the export."""
    made = make_run(tmp_path / "plain", tiny_model)
    hidden = tmp_path / "s3cret-token-value"
    (tmp_path / "plain").rename(hidden)
    monkeypatch.setenv("PLACE", str(hidden))
    monkeypatch.chdir(tmp_path)
    tree = yaml.safe_load((hidden / made.relative_to(tmp_path / "plain") / "recipe.yaml").read_text())
    tree["recipe"]["seed"]["sources"][0]["path"] = "${PLACE}/seed.jsonl"
    tree["recipe"]["corpus"]["sources"][0]["path"] = "${PLACE}/pages"
    tree |= {"name": "again"}
    tree["resources"]["runs"] = "runs"
    file = load_recipe(written(tmp_path, yaml.safe_dump(tree)))
    with Untrained(file) as run:
        (run.folder / "recipe.yaml").write_text(yaml.safe_dump(file.as_written()))
        monkeypatch.setattr(Untrained, "begin", lambda self: None)
        humpback(file.recipe, run)
    write_report([Path("runs/again")], Path("runs/report.html"))
    export(Path("runs/again"), Path("data"))
    files = [path for folder in ("runs", "data") for path in Path(folder).rglob("*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        assert b"s3cret" not in path.read_bytes(), path
    steps = {
        name: json.loads(Path(f"runs/again/{name}/plan.json").read_text())["identity"] for name in ("seed", "segment")
    }
    assert all(list(one["variables"]) == ["PLACE"] for one in steps.values())
    monkeypatch.delenv("PLACE")
    assert look(Path("runs/again")).file.recipe.seed.sources[0].path == "${PLACE}/seed.jsonl"
    with pytest.raises(RecipeError, match=r"\$\{PLACE\} is not set"):
        load_recipe(Path("runs/again/recipe.yaml"))


def test_the_command_line_says_the_name(tmp_path: Path) -> None:
    path = written(tmp_path, RECIPE.format(seed="'${SECRET_PLACE}'", pages="p"))
    for arguments in (
        ("plan", path),
        ("run", path),
        ("plan", path, "--set", "recipe.base=${SECRET_PLACE}"),
    ):
        done = askback(*arguments, cwd=tmp_path)
        assert done.returncode in (2, 3) and "Traceback" not in done.stderr, done.stderr
        assert "k3y" not in done.stderr + done.stdout and "${SECRET_PLACE}" in done.stderr, done.stderr


def test_what_askback_calls_its_own_stays_whatever_a_variable_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HIDDEN, "")
    for value in ("documents", "kept", "step", "segment"):
        monkeypatch.setenv("PLACE", value)
        fill("${PLACE}", [])
        kept = {"step": "segment", "counts": {"documents": {"kept": 3}}, "function": "askback.corpus.build.segment"}
        assert hide_in(kept) == kept
        assert hide_in({f"html:/a/{value}": f"in {value}"}) == {"html:/a/${PLACE}": "in ${PLACE}"}
