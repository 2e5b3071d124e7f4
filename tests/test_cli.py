"""The command line as a user meets it: exit codes and what is said; one of each kind in a process of its own."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import askback, askback_apart, one_error
from tests.engines.fault_server import FaultServer
from tests.engines.served import rating
from tests.tiny import build_tiny_model
from tests.untrained import as_prompted, write_recipe

ROOT = Path(__file__).parents[1]


def test_init_then_plan(tmp_path: Path) -> None:
    made = askback_apart("init", "try", cwd=tmp_path)
    assert made.returncode == 0 and "askback plan recipe.yaml" in made.stdout
    planned = askback("plan", "recipe.yaml", *one_page(tmp_path), cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    for step in ("seed", "segment", "backward", "augment", "score-2", "select-2", "m2", "total"):
        assert step in planned.stdout
    assert not (tmp_path / "runs").exists(), "plan writes nothing"
    assert "exists already" in one_error(askback("init", "try", cwd=tmp_path), 3)


def one_page(folder: Path) -> tuple[str, str]:
    """Write a page of a section for the demo's bounds and one for the usual ones, and return the option that makes it the
    corpus: demo's own takes seconds to read."""
    loaves = [f"Loaf {number} rests for {number} hours before it is baked." for number in range(2, 38)]
    (folder / "page.md").write_text(f"# Bread\n\n{' '.join(loaves[:28])}\n\n## Rolls\n\n{' '.join(loaves[28:])}\n")
    return "--set", f"recipe.corpus.sources=[{{format: markdown, path: {folder / 'page.md'}}}]"


def test_plan_probes_a_server_when_asked(tmp_path: Path) -> None:
    page = one_page(tmp_path)
    with FaultServer(rating) as server:
        judge = f"resources.engines.score={{kind: openai_http, url: '{server.url}'}}"
        plan = ("plan", "demo", *page, "--set", judge, "--set", "recipe.rounds=1")
        lacking = askback(*plan, "--probe", cwd=tmp_path)
        fitting = (*plan, "--set", "recipe.score.scorers=[rubric]")
        silent, probed = askback(*fitting, cwd=tmp_path), askback(*fitting, "--probe", cwd=tmp_path)
    assert lacking.returncode == 2 and "score.scorers has ifd" in lacking.stderr
    assert silent.returncode == probed.returncode == 0, probed.stderr
    assert "model served" not in silent.stderr
    assert f"score: {server.url}: model served, chat; can choose, generate" in probed.stderr


def test_the_demo_plans_as_json(tmp_path: Path) -> None:
    """Over the documentation that is installed here."""
    planned = askback("plan", "demo", "--json", cwd=tmp_path)
    steps = {step["name"]: step for step in json.loads(planned.stdout)["steps"]}
    assert steps["seed"]["entered"] == 120 and steps["select-1"]["entered"] == 34
    assert all(step["state"] == "to do" for step in steps.values())
    assert steps["m1"]["tokens"]["train"] > 1000 and steps["m1"]["seconds"] > 1


@pytest.mark.parametrize("recipe", ["oasst-web", "paper"])
def test_every_other_shipped_recipe_plans(recipe: str, shared_data: Path, tmp_path: Path) -> None:
    crawl = shared_data / "corpus/warc-real"
    seed = shared_data / "seed/oasst1_validation_messages.jsonl.gz"
    planned = askback(
        "plan", recipe, cwd=tmp_path, ASKBACK_SHARED_DATA=str(shared_data), CRAWL=str(crawl), SEED=str(seed)
    )
    assert planned.returncode == 0, planned.stderr
    assert "m2" in planned.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("plan", "none.yaml"), 3, "none.yaml: cannot read the recipe"),
        (("plan", "demo", "--set", "recipe.rouns=1"), 2, "Did you mean 'rounds'?"),
        (("run", "demo", "--redo", "scor-1"), 2, "Did you mean 'score-1'?"),
        (("corpus", "demo", "--explain", "none.html"), 3, "there is no such file"),
        (("corpus", "demo", "--redo", "segmnt"), 2, "Did you mean 'segment'?"),
        (("corpus", "demo", "--set", "recipe.corpus.decontaminate=[none.jsonl]"), 3, "none.jsonl: cannot be read"),
        (("run", "demo", "--from", "none"), 3, "not a run folder"),
        (("status", "none"), 3, "not a run folder"),
        (("export", "none", "--out", "x"), 3, "not a run folder"),
        (("models", "--fetch", "builtin:smollm3"), 2, "Did you mean 'builtin:smollm2-135m'?"),
        (("plan", "demo", "--set", "recipe.corpus.sources.0.format=html"), 2, "needs a path"),
        (("plan", "demo", "--set", "recipe.seed.sources.0.path=none.jsonl"), 3, "no such seed file"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    error = one_error(askback(*arguments, cwd=tmp_path), code)
    assert said in error and len(error.strip().splitlines()) == 1


def test_an_error_is_an_exit_code_of_the_process(tmp_path: Path) -> None:
    refused = askback_apart("plan", "none.yaml", cwd=tmp_path)
    assert refused.stderr == askback("plan", "none.yaml", cwd=tmp_path).stderr and "none.yaml" in one_error(refused, 3)


def test_a_model_folder_without_a_tokenizer_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    said = one_error(askback("run", "demo", "--set", f"recipe.base={tmp_path / 'model'}", cwd=tmp_path), 3)
    assert str(tmp_path / "model") in said


def test_an_empty_corpus_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/a.html").write_text("<h1>Short</h1><p>Too short.</p>")
    source = '[{"format": "html", "path": "pages"}]'
    said = one_error(askback("run", "demo", "--set", f"recipe.corpus.sources={source}", cwd=tmp_path), 4)
    assert "would output nothing" in said and "too-short" in said


def test_the_corpus_alone(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    text = " ".join(f"Sentence {number} tells of the number {number} and of me@home.org." for number in range(12))
    (tmp_path / "pages/a.html").write_text(f"<h1>Good</h1><p>{text}</p><h1>Short</h1><p>Too short.</p>")
    source = '[{"format": "html", "path": "pages"}]'
    set = ("--set", f"recipe.corpus.sources={source}", "--set", "recipe.corpus.pii=redact")
    made = askback("corpus", "demo", *set, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "too-short 1" in made.stdout and "Redacted in the segments kept: email 12" in made.stdout
    assert sorted(path.name for path in (tmp_path / "runs/demo").glob("*/")) == ["dedup", "segment"]
    again = askback("corpus", "demo", *set, "--json", cwd=tmp_path)
    assert [(stage["step"], stage["name"], stage["entered"], stage["kept"]) for stage in json.loads(again.stdout)] == [
        ("segment", "documents", 1, 1),
        ("segment", "segments", 2, 1),
        ("dedup", "unique segments", 1, 1),
    ]
    changed = ("--set", "recipe.corpus.preset=strict")
    assert "options.preset: 'web' → 'strict'" in one_error(askback("corpus", "demo", *set, *changed, cwd=tmp_path), 5)
    redone = askback("corpus", "demo", *set, *changed, "--redo", "segment", cwd=tmp_path)
    assert redone.returncode == 0, redone.stderr


def test_explaining_a_file_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# [Title]\n\nText.\n")
    shown = askback("corpus", "demo", "--explain", "page.md", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "# [Title]" in shown.stdout and "too-short: 5 characters, at least 300 wanted" in shown.stdout
    found = json.loads(askback("corpus", "demo", "--explain", "page.md", "--json", cwd=tmp_path).stdout)
    assert [(row["header"], row["verdict"], row["rule"]) for row in found["rows"]] == [
        ("[Title]", "dropped", "too-short")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_help_is_quick_and_names_every_command() -> None:
    shown = askback_apart("--help")
    for command in ("init", "plan", "corpus", "run", "status", "export", "evaluate", "study", "demo", "models"):
        assert re.search(rf"^  {command}\b", shown.stdout, re.MULTILINE)
    assert "Exit codes" in shown.stdout


def test_the_cli_page_is_what_the_program_says() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "typer", "askback.cli", "utils", "docs", "--name", "askback"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ROOT / "docs/cli.md").read_text("utf-8").strip() == made.stdout.strip(), "run: make docs"


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    """On a file system of 64 KiB, which root can mount in a namespace of its own."""
    small = tmp_path / "small"
    small.mkdir()
    recipe = as_prompted(write_recipe(tmp_path, Path("none")))  # without a model, which takes seconds to load
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe.as_written()))
    run = f"{sys.executable} -m askback run {tmp_path}/recipe.yaml --set resources.runs={small}"
    script = f"mount -t tmpfs -o size=64k none {small} && {run}"
    mounting = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    if not shutil.which("unshare") or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root on Linux")
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True)
    assert "the disk is full" in one_error(result, 7)
    assert len(result.stderr.strip().splitlines()) <= 3


def test_a_base_model_without_a_template_takes_the_recipes(tmp_path: Path) -> None:
    model = build_tiny_model(tmp_path / "model")
    template = model / "chat_template.jinja"
    template.rename(tmp_path / "mine.jinja")
    empty = ("--set", "recipe.corpus.min_chars=9999998", "--set", "recipe.corpus.max_chars=9999999")
    arguments = ("run", "demo", "--set", f"recipe.base={model}", *one_page(tmp_path), *empty)
    assert "no chat template" in one_error(askback(*arguments, cwd=tmp_path), 3)
    given = askback(*arguments, "--set", f"recipe.chat_template={tmp_path / 'mine.jinja'}", cwd=tmp_path)
    assert "would output nothing" in one_error(given, 4), "past the model, and stopped by the empty corpus"
