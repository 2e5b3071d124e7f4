"""What is listed works everywhere: every table keyed by a scorer, reader, engine, format or rule is whole, and a scorer
that is added as CONTRIBUTING.md says goes through every command."""

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, get_args

import pytest
from pyarrow.parquet import read_table

from askback import prompts
from askback.corpus.readers import Reader as DocumentReader
from askback.corpus.readers import reader as document_reader
from askback.curate.damage import KINDS
from askback.curate.score import score
from askback.curate.scorers import scorer
from askback.curate.scorers.trial import PAIR, Noting, pair, tried, used_prompts
from askback.engines import kind_of
from askback.engines.http.capabilities import SERVED
from askback.engines.protocol import CALLS
from askback.execution import processes
from askback.execution.forecast import Pairs, Ruler
from askback.execution.shards import Records
from askback.export import FORMATS
from askback.export.exporters import exporter
from askback.recipe import PRESETS, Corpus, EngineOptions, Score
from askback.recipe.curation import DamageKind
from askback.recipe.names import DOCUMENTS, ENGINES, PAIRS, SCORERS
from askback.seed.readers import Reader as PairReader
from askback.seed.readers import reader as pair_reader
from tests.export.test_export import example
from tests.test_smoke_run import WORDS, write_inputs

ROOT = Path(__file__).parents[1]


def names(kind: Any, field: str) -> set[str]:
    return set(get_args(kind.model_fields[field].annotation))


def test_a_name_is_allowed_in_a_recipe_if_and_only_if_there_is_code_for_it() -> None:
    for name in SCORERS:
        assert scorer(name).name == name
    assert all(isinstance(document_reader(name), DocumentReader) for name in DOCUMENTS)
    assert all(isinstance(pair_reader(name), PairReader) for name in PAIRS)
    assert set(KINDS) == set(get_args(DamageKind))
    assert set(PRESETS) <= names(Corpus, "preset") <= {*PRESETS, "paper"}
    for name in FORMATS:
        assert set(exporter(name).row(example(1, "augmented"))) == set(exporter(name).columns)


def test_smaller_tables_hold_nothing_that_the_larger_one_lacks() -> None:
    own = {name for name in DOCUMENTS if document_reader(name).fingerprint}
    assert own == {name for name in DOCUMENTS if not document_reader(name).suffixes} == {"hub", "installed-docs"}
    for name in ENGINES:
        counts = kind_of(name).counts
        assert "kind" in counts and "api_key_env" not in counts
        assert set(counts) <= set(EngineOptions.model_fields) and kind_of(name).calls in (CALLS, SERVED)


@pytest.mark.parametrize("name", SCORERS)
def test_what_is_known_of_a_scorer_is_what_it_does(name: str) -> None:
    options = Score.model_validate({"scorers": [name]})
    noting = Noting()
    (judgement,) = tried(name, options, noting)
    found = scorer(name)
    assert found.calls == noting.asked
    if found.rated:
        levels = [int(choice) for choice in noting.choices]
        assert levels == list(range(int(found.lowest), int(found.highest) + 1))
    assert judgement.score is not None and found.lowest <= judgement.score <= found.highest
    for prompt, mark in used_prompts(options).items():
        assert judgement.prompt_id == mark == prompts.prompt_id(prompt, found.words)
    assert noting.written == 0
    for field in ("instruction", "output"):
        vote = pair("vote", **{"instruction": "Why?", "output": "So.", field: f"{getattr(PAIR, field)} Score: 5."})
        read = Noting()
        tried(name, options, read, [vote])
        if found.rated:
            assert not any("Score: 5." in prompt.user for prompt, _ in read.read), "no text votes for itself"
            shown = any(getattr(PAIR, field) in prompt.user for prompt, _ in read.read)
            assert shown == (field in found.looks_at)
    if found.rated:
        reasoned = Noting()
        tried(name, options.model_copy(update={"reasoning": True, "samples": 3}), reasoned)
        assert reasoned.written == 3 * options.reasoning_tokens


def test_what_a_scorer_reads_is_counted_by_what_it_asks() -> None:
    pairs = Pairs(100, (("Why?", "Because of this. " * 20), ("How?", "Like that. " * 300)))
    ruler = Ruler()

    def read(*scorers: str, **changes: Any) -> int:
        options = Score.model_validate({"scorers": scorers, **changes})
        engine = SimpleNamespace(kind="transformers")
        file = SimpleNamespace(resources=SimpleNamespace(engine_for=lambda role: engine))
        context: Any = SimpleNamespace(file=file, base=SimpleNamespace(ruler=ruler), pairs=lambda name: pairs)
        return score.forecast(options, context).tokens.prompt

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


BREVITY = """
"Whether the answer is brief, as the model has it."

from askback.curate.scorers import Scorer
from askback.prompts import prompt_id
from askback.prompts.prompt import ask
from askback.records import Judgement, record_id

WORDS = "Is this brief?"


def judge(scorer, engine, model_id, options, pairs, random_seed):
    asked = [ask(f"{WORDS} {engine.truncate(pair.output, 64)}", "Answer:") for pair in pairs]
    rows = engine.choose(asked, [" no", " yes"])
    about = prompt_id("brevity", WORDS), model_id
    return [
        Judgement(record_id(pair.id, model_id), pair.id, "brevity", row[1], [], None, [], [], *about)
        for pair, row in zip(pairs, rows, strict=True)
    ]


SCORER = Scorer("brevity", judge, highest=0, calls=frozenset({"choose"}), looks_at=("output",), words=WORDS)
"""
TONE = """
from askback.curate.scorers import Scorer
from askback.curate.scorers.rating import rate

WORDS = "How kind is this? $reply\\n--- $marker\\n$output\\n--- $marker"
SCORER = Scorer("tone", rate, 1, 3, calls=frozenset({"choose"}), looks_at=("output",), words=WORDS)
"""

NOTE = """
from functools import partial

from askback.corpus.readers import Reader
from askback.corpus.readers.file_documents import plain

READER = Reader(partial(plain, markup="markdown"), (".note",), lot=2, markup="markdown")
"""
FLASHCARDS = """
from askback.seed.readers import Pair, Reader


def read_cards(rows, language):
    for where, row in rows:
        yield Pair(where, row["front"], row["back"])


READER = Reader(read_cards)
"""

ECHO = """
from askback.engines import EngineKind
from askback.engines.protocol import Completion
from askback.engines.scripted import Scripted


class Echo(Scripted):
    def generate(self, prompts, sampling, seeds):
        return [Completion(f"What does echo number {seed} say?", 8, True) for seed in seeds]


ENGINE = EngineKind("askback.engines.echo:Echo", counts=("kind", "arguments"), rate=500)
"""

CLAUSES = """
from askback.export.exporters import Exporter


def clauses(pair):
    return {"request": pair.instruction, "clauses": [{"text": text} for text in pair.output.split(".")]}


EXPORTER = Exporter(clauses, {"request": (), "clauses": ("text",)}, axolotl={"type": "clauses"})
"""

OUTLINE = """
from askback.engines.usage import Tokens
from askback.execution.forecast import Forecast, Pairs
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.records import Candidate, exchange

EACH = 3


def forecast(options, context):
    segments = context.pairs("segments")
    return Forecast(
        Pairs(EACH * segments.count, segments.sample, origin="augmented"),
        segments.count,
        Tokens(prompt=700 * segments.count),
        scratch=12_345,
        memory=0.5,
        notes=(f"an outline has {EACH} points",),
    )


def check(options, recipe, engine, calls):
    return [f"{engine} draws no trees"]


def kept(options, segments):
    outcome = Outcome()
    for segment in segments:
        for number in range(EACH):
            messages = exchange(f"What is point {number}?", segment.text, segment.id)
            outcome.keep("points", Candidate(f"{segment.id}-{number}", messages, segment.provenance, [], "", "", 0))
    return outcome


@recorded(version=1, engine="augment", check=check, forecast=forecast)
def outline(step, options, *, model, segments):
    return step.write(Candidate, [kept(options, segments)])


@recorded(version=1)
def copy(step, options, *, points):
    outcome = Outcome()
    for point in points:
        outcome.keep("copies", point)
    return step.write(Candidate, [outcome])
"""
OUTLINED = """
from askback.augment.outline import copy, outline
from askback.methods.humpback import make_corpus


def outlined(recipe, run):
    segments = make_corpus(recipe, run)
    writer = run.server("augment") or run.base()
    points = run.step("points", outline, recipe.augment, model=writer, segments=segments)
    return run.step("copies", copy, recipe.augment, points=points)


PAGE = outlined
"""


def add(package: Path, table: str, before: str, line: str) -> None:
    """Add a line to an explicit table, behind its first."""
    text = (package / table).read_text()
    assert text.count(before) == 1
    (package / table).write_text(text.replace(before, f"{before}\n    {line}"))


def another_package(folder: Path) -> Path:
    """Write a package of a user's own that brings a scorer, as it lies where it is installed."""
    (folder / "kind").mkdir(parents=True)
    (folder / "kind/__init__.py").write_text(TONE)
    about = folder / "kind-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kind\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(
        "[askback.scorers]\ntone = kind:SCORER\nlost = gone:SCORER\nodd = kind:SCORER\nwords = kind:WORDS\n"
    )
    return folder


class Copy(NamedTuple):
    """A copy of the package with one more of each kind, and a run of it."""

    program: "Connection[Any, Any]"
    recipe: Path
    run: Path
    options: tuple[str, ...]

    def ask(self, *arguments: str, code: int = 0) -> str:
        "Call its command line; return what it prints, of a failure the message."
        self.program.send(arguments)
        ended, said, told = self.program.recv()
        assert ended == code, (arguments, told)
        return str(told if code else said)


def serve(paths: list[str], folder: Path, commands: "Connection[Any, Any]") -> None:
    """In a process with all libraries in it: be the command line of the package on these paths, until the pipe ends."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("askback", "tests")]:
        del sys.modules[name]
    sys.path[:0] = paths
    os.chdir(folder)
    from tests.commands import askback
    from tests.run_here import working_here

    assert sys.modules["askback"].__file__ == f"{folder}/src/askback/__init__.py"
    with working_here(), suppress(EOFError):
        while True:
            done = askback(*commands.recv())
            commands.send((done.returncode, done.stdout, done.stderr))


@pytest.fixture(scope="module")
def copy(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """Add a file and a line for each kind, as CONTRIBUTING.md says, and make a run that uses them."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    package = folder / "src/askback"
    (package / "curate/scorers/brevity.py").write_text(BREVITY)
    add(package, "recipe/names.py", "ScorerName = Literal[", '"brevity",')
    (package / "corpus/readers/note.py").write_text(NOTE)
    add(package, "recipe/names.py", "DocumentFormat = Literal[", '"note",')
    (package / "seed/readers/flash_cards.py").write_text(FLASHCARDS)
    add(package, "recipe/names.py", "PairFormat = Literal[", '"flash-cards",')
    (package / "engines/echo.py").write_text(ECHO)
    add(package, "recipe/names.py", "EngineName = Literal[", '"echo",')
    (package / "export/exporters/clauses.py").write_text(CLAUSES)
    add(package, "export/exporters/__init__.py", "FormatName = Literal[", '"clauses",')
    (package / "augment/outline.py").write_text(OUTLINE)
    (package / "methods/outlined.py").write_text(OUTLINED)
    add(package, "recipe/names.py", "MethodName = Literal[", '"outlined",')
    (folder / "notes").mkdir()
    for number in range(3):
        text = " ".join(f"The {word} of {number} lies in the {other}." for word in WORDS for other in WORDS[:4])
        (folder / f"notes/{number}.note").write_text(f"# On {number}\n\n{text[:900]}.\n")
    cards = [{"front": f"Which {word} is it?", "back": f"It is the {word} of the harbour."} for word in WORDS]
    (folder / "cards.jsonl").write_text("\n".join(map(json.dumps, cards)))
    changes = [
        "recipe.rounds=1",
        "resources.engine={kind: echo, arguments: [--loud]}",
        "recipe.score.scorers=[rubric, brevity, tone]",
    ]
    changes += ["recipe.backward.steps=2", "recipe.forward.steps=2", "recipe.corpus.held_out=0"]
    pages, notes = f"{{format: html, path: {folder}/pages}}", f"{{format: note, path: {folder}/notes}}"
    pairs, more = f"{{path: {folder}/seed.jsonl}}", f"{{format: flash-cards, path: {folder}/cards.jsonl}}"
    changes += [f"recipe.corpus.sources=[{pages}, {notes}]", f"recipe.seed.sources=[{pairs}, {more}]"]
    options = tuple(word for change in changes for word in ("--set", change))
    sources = [str(path) for path in (folder / "src", another_package(folder / "installed"), ROOT)]
    context: Any = multiprocessing.get_context(processes._start_method("askback.train.preload"))
    program, theirs = context.Pipe()
    process = context.Process(target=serve, args=(sources, folder, theirs))
    process.start()
    theirs.close()
    made = Copy(program, write_inputs(folder), folder / "runs/smoke", options)
    made.ask("run", str(made.recipe), *options)
    yield made
    program.close()
    process.join()


@pytest.mark.timeout(600)
def test_a_scorer_that_is_added_goes_through_every_command(copy: Copy, tmp_path: Path) -> None:
    again = ("plan", str(copy.recipe), *copy.options, "--set", "name=other", "--json")
    plans = [
        json.loads(copy.ask(*again, "--set", f"recipe.score.scorers={them}"))
        for them in ("[rubric, brevity]", "[rubric]")
    ]
    read = [next(step["tokens"] for step in plan["steps"] if step["name"] == "score-1") for plan in plans]
    assert read[0]["prompt"] > read[1]["prompt"]
    identity = json.loads((copy.run / "score-1/step.json").read_text())["identity"]
    assert set(identity["prompts"]) == {"rubric", "brevity", "tone"}
    assert "score-1" in copy.ask("status", str(copy.run))
    copy.ask("report", str(copy.run), "--out", str(tmp_path / "report.html"))
    report = (tmp_path / "report.html").read_text()
    assert "brevity" in report and "tone" in report
    shown = copy.ask("calibrate", str(copy.run / "recipe.yaml"), "--scorers", "rubric,brevity,tone")
    assert "brevity" in shown and "tone" in shown


@pytest.mark.timeout(600)
def test_readers_that_are_added_find_documents_and_pairs(copy: Copy, tmp_path: Path) -> None:
    segments = [one for one in Records[Any](copy.run / "dedup", "") if one.provenance.source == "note"]
    assert {Path(one.provenance.uri).name for one in segments} == {"0.note", "1.note", "2.note"}
    sources = json.loads((copy.run / "segment/step.json").read_text())["identity"]["sources"]
    assert [name.partition(":")[0] for name in sources] == ["html", "note"]
    pairs = [one for one in Records[Any](copy.run / "seed", "") if one.provenance.source.startswith("flash-cards")]
    assert len(pairs) == len(WORDS)
    explained = copy.ask(
        "corpus", str(copy.recipe), *copy.options, "--explain", str(copy.recipe.parent / "notes/0.note")
    )
    assert "On 0" in explained
    (tmp_path / "x.html").write_text("<p>x</p>")
    wrong = ("--set", "recipe.seed.sources=[{path: x, format: flash-card}]")
    assert "Did you mean 'flash-cards'?" in copy.ask("plan", str(copy.recipe), *copy.options, *wrong, code=2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
def test_an_exporter_that_is_added_writes_its_rows(copy: Copy, tmp_path: Path, file_type: str) -> None:
    out = tmp_path / "data"
    copy.ask("export", str(copy.run), "--out", str(out), "--format", "clauses", "--file-type", file_type)
    lines = (out / "train.jsonl").read_text().splitlines() if file_type == "jsonl" else []
    rows = list(map(json.loads, lines)) or read_table(out / "train.parquet").to_pylist()
    chosen = {one.id: one for one in Records[Any](copy.run / "select-1", "")}
    assert {row["id"]: row["request"] for row in rows} == {one.id: one.instruction for one in chosen.values()}
    for row in rows:
        assert [clause["text"] for clause in row["clauses"]] == chosen[row["id"]].output.split(".")
    card = (out / "README.md").read_text()
    assert "in clauses form" in card and "type: clauses" in card and "name: clauses" in card
    said = copy.ask("export", str(copy.run), "--out", str(tmp_path / "x"), "--format", "clausses", code=2)
    assert "Did you mean 'clauses'?" in said


@pytest.mark.timeout(600)
def test_an_engine_that_is_added_answers_and_counts(copy: Copy) -> None:
    asked = [one.instruction for one in Records[Any](copy.run / "augment", "")]
    assert asked and all(text.startswith("What does echo number ") for text in asked)
    for step in ("augment", "score-1", "loss-m0"):
        identity = json.loads((copy.run / step / "step.json").read_text())["identity"]
        assert identity["engine"] == {"kind": "echo", "arguments": ["--loud"]}
    plan = json.loads(copy.ask("plan", str(copy.recipe), *copy.options, "--set", "name=other", "--json"))
    (scored,) = [step for step in plan["steps"] if step["name"] == "score-1"]
    assert scored["seconds"] >= scored["tokens"]["prompt"] / 500
    wrong = ("--set", "resources.engine={kind: eco}")
    assert "Did you mean 'echo'?" in copy.ask("plan", str(copy.recipe), *copy.options, *wrong, code=2)


@pytest.mark.timeout(600)
def test_a_scorer_of_another_package_is_named_in_the_recipe(copy: Copy) -> None:
    identity = json.loads((copy.run / "score-1/step.json").read_text())["identity"]
    assert identity["sources"] == {"scorer:tone": "kind 1.2"}
    judged = [one for one in Records[Any](copy.run / "score-1", "") if one.scorer == "tone"]
    assert judged and all(1 <= one.score <= 3 and len(one.distribution) == 3 for one in judged)
    for name, said in (
        ("tune", "'tone'; found 'tune'. Did you mean 'tone'?"),
        ("lost", "scorer 'lost': gone:SCORER cannot be imported: No module named 'gone'"),
        ("odd", "scorer 'odd': kind:SCORER is no Scorer of this name"),
        ("words", "scorer 'words': kind:WORDS is no Scorer of this name"),
    ):
        given = ("--set", f"recipe.score.scorers=[{name}]", "--set", "recipe.judge.examples=none")
        line = copy.ask("plan", str(copy.recipe), *copy.options, *given, code=2)
        assert said in line, line
    least = ("--set", "recipe.score.scorers=[tone]", *given[2:], "--set", "recipe.select={min_score: 4}")
    assert "above 3, the highest score of tone" in copy.ask("plan", str(copy.recipe), *copy.options, *least, code=2)


@pytest.mark.timeout(600)
def test_a_method_that_is_added_is_planned_by_its_steps_own_forecasts(copy: Copy) -> None:
    outlined = (str(copy.recipe), *copy.options, "--set", "name=outlined", "--set", "recipe.method=outlined")
    plan = json.loads(copy.ask("plan", *outlined, "--json"))
    steps = {step["name"]: step for step in plan["steps"]}
    assert list(steps) == ["segment", "dedup", "points", "copies"]
    points, segments = steps["points"], steps["points"]["entered"]
    assert segments == steps["dedup"]["entered"] > 0
    assert points["tokens"] == {"prompt": 700 * segments} and points["seconds"] >= 700 * segments / 500
    assert (points["scratch"], points["memory"]) == (12_345, 0.5) and points["disk"] > 3 * segments * 250
    assert {"an outline has 3 points", "echo draws no trees"} <= set(plan["notes"])
    assert steps["copies"]["entered"] == 3 * segments and steps["copies"]["disk"] == points["disk"]
    shown = copy.ask("plan", *outlined)
    assert "Note: an outline has 3 points." in shown and "points needs" not in shown
    copy.ask("run", *outlined)
    after = {step["name"]: step for step in json.loads(copy.ask("plan", *outlined, "--json"))["steps"]}
    counts = json.loads((copy.run.parent / "outlined/points/step.json").read_text())["counts"]
    assert {step["state"] for step in after.values()} == {"done"}
    assert after["copies"]["entered"] == counts["points"]["kept"] == 3 * len(Records[Any](copy.run / "dedup", ""))
    wrong = ("--set", "recipe.method=outlines")
    assert "Did you mean 'outlined'?" in copy.ask("plan", str(copy.recipe), *copy.options, *wrong, code=2)
