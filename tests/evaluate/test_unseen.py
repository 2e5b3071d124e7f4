"""Which pairs of documents that are set aside count is decided by the base model alone."""

from pathlib import Path
from typing import Any

import pytest

from askback import prompts
from askback.engines.scripted import Scripted
from askback.engines.worker_context import WorkerContext
from askback.evaluate.unseen import choose_unseen, rate_piece, rate_unseen, take_unseen
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records, rejections
from askback.execution.step import Step
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions, HeldOut, Natural, RecipeFile, Resources
from askback.records import Candidate, Example, Provenance, Split, exchange

SCRIPTED = EngineOptions(kind="scripted")
BASE = Model(Path(), "base", "")


def pair(number: int, words: int = 6) -> Candidate:
    text = f"Harbour {number} has " + "deep water " * words
    provenance = Provenance(f"page {number}", language="en")
    return Candidate(f"c{number:02d}", exchange(f"What has harbour {number}?", text.strip()), provenance, [], "", "", 0)


def gain(one: Candidate) -> float:
    """How much the instruction lowers the loss, in nats per token, straight from the engine."""
    engine = Scripted()
    asked, alone = (prompts.forward(ask(text).turns, "augmented") for text in (one.instruction, ""))
    (given,), (without,) = (engine.loglikelihood([prompt], [one.output]) for prompt in (asked, alone))
    return (given.logprob - without.logprob) / given.tokens


def test_the_measure_is_the_loss_without_the_instruction_minus_that_with_it() -> None:
    pairs: Any = [pair(number) for number in range(4)]
    rated = rate_piece(HeldOut(), Resources(engine=SCRIPTED), BASE, WorkerContext(), pairs).kept
    assert [one.messages for one in rated] == [one.messages for one in pairs]
    assert [one.score for one in rated] == pytest.approx([gain(one) for one in pairs])


def test_what_is_too_long_is_not_measured() -> None:
    pairs: Any = [pair(0), pair(1, words=400)]
    made = rate_piece(HeldOut(max_tokens=100), Resources(engine=SCRIPTED), BASE, WorkerContext(), pairs)
    assert [one.id for one in made.kept] == ["c00"] and [one.rule for one in made.dropped] == ["over-max-tokens"]


@recorded(version=1, may_be_empty=True)
def written(step: Step, options: HeldOut) -> Records[Any]:
    outcome = Outcome[Any]()
    for number in range(options.limit or 0):
        outcome.keep("instructions", pair(number, words=400 if number == 3 else 6))
    return step.write(Candidate, [outcome])


def recipe(folder: Path) -> RecipeFile:
    source = {"format": "text", "path": "x"}
    tree = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [source]}}
    resources = {"runs": str(folder), "engine": {"kind": "scripted"}, "workers": 1}
    return RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": resources})


@pytest.mark.parametrize("count", [0, 9])
def test_the_half_that_helps_most_is_kept_and_the_rest_is_on_record(count: int, tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        asked = run.step("ask-unseen", written, HeldOut(limit=count or None))
        rated = run.step("rate-unseen", rate_unseen, HeldOut(max_tokens=100), model=BASE, candidates=asked)
        kept = list(run.step("unseen", choose_unseen, Natural(), rated=rated))
    best = sorted((pair(number) for number in range(count) if number != 3), key=lambda one: (-gain(one), one.id))[:4]
    assert [one.id for one in kept] == [one.id for one in best]
    assert all(isinstance(one, Example) and (one.origin, one.split) == ("augmented", "held-out") for one in kept)
    assert [one.score for one in kept] == pytest.approx([gain(one) for one in best])
    dropped = [one.rule for one in rejections(run.folder / "unseen")]
    assert dropped == (["helps-less"] * 4 if count else [])


@recorded(version=1, may_be_empty=True)
def headers(step: Step, options: HeldOut) -> Records[Any]:
    outcome = Outcome[Any]()
    for number in range(20, 20 + (options.limit or 0)):
        one = pair(number)
        split: Split = "train" if number == 20 else "held-out"
        outcome.keep("headers", Example(one.id, one.messages, one.provenance, "natural", split))
    return step.write(Example, [outcome])


@pytest.mark.parametrize("least", [4, 5])
def test_enough_natural_pairs_stand_for_the_documents_and_few_are_measured_beside(least: int, tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        asked = run.step("ask-unseen", written, HeldOut(limit=3))
        natural = run.step("natural", headers, HeldOut(limit=5))
        rated = run.step("rate-unseen", rate_unseen, HeldOut(), model=BASE, candidates=asked, natural=natural)
        kept = list(run.step("unseen", choose_unseen, Natural(least=least), rated=rated))
    assert {one.id for one in rated} == {"c00", "c01", "c02", "c21", "c22", "c23", "c24"}, (
        "nothing of the other documents"
    )
    assert {one.split for one in rated} == {"held-out"}
    dropped = sorted(one.rule for one in rejections(run.folder / "unseen"))
    if least == 4:
        assert {one.origin for one in kept} == {"natural"} and len(kept) == 4 and dropped == ["not-natural"] * 3
    else:
        assert [one.origin for one in kept] == ["augmented"] * 2 and dropped == ["few-natural"] * 4 + ["helps-less"]


def test_where_all_pairs_count_none_is_read_beforehand(tmp_path: Path) -> None:
    options = Natural(asked_share=1)
    with Run(recipe(tmp_path)) as run:
        asked = run.step("ask-unseen", written, HeldOut(limit=3))
        natural = run.step("natural", headers, HeldOut(limit=3))
        rated = run.step("rate-unseen", take_unseen, options, candidates=asked, natural=natural)
        kept = list(run.step("unseen", choose_unseen, options, rated=rated))
    assert {(one.id, one.origin, one.split, one.score) for one in rated} == {
        *((f"c{number:02d}", "augmented", "held-out", None) for number in range(3)),
        *((f"c{number:02d}", "natural", "held-out", None) for number in (21, 22)),
    }
    assert [one.id for one in kept] == ["c00", "c01", "c02"], "too few natural pairs, so all others count"
