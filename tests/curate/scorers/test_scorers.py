"""What every scorer promises, asked of each one in the table, and the numbers each gives."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from askback import prompts
from askback.curate.scorers import ifd, rubric, scorer
from askback.curate.scorers.trial import check_calls, used_prompts
from askback.engines import Offer
from askback.engines.http.capabilities import SERVED
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import CALLS, Completion, Likelihood, Sampling
from askback.engines.scripted import Scripted
from askback.errors import RecipeError
from askback.plan import Plan
from askback.prompts.prompt import Prompt, ask
from askback.recipe import EngineOptions, RecipeFile, Score
from askback.recipe.names import SCORERS
from askback.records import Conversation, Judgement, Provenance, exchange

SCALES = {"rubric": (1, 5), "additive": (0, 5), "instruction": (1, 5)}
ASKING = sorted(SCALES)


def conversation(id: str, instruction: str, output: str) -> Conversation:
    return Conversation(id, exchange(instruction, output), Provenance())


PAIRS = [
    conversation(f"p{n}", f"Why is {n} odd?", f"Because {n} it is, and two does not go into it. " * n)
    for n in (1, 2, 3, 6, 7, 8, 9, 10)
]


class Writing(Scripted):
    """An engine that gives texts and no probabilities."""

    calls = frozenset({"generate"})

    def __init__(self, *texts: str, finished: bool = True) -> None:
        self.texts, self.finished = texts, finished
        self.asked: list[tuple[Prompt, Sampling, int]] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        self.asked += [(prompt, sampling, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        return [Completion(self.texts[at % len(self.texts)], 8, self.finished) for at in range(len(prompts))]


def judge(
    name: str, engine: Scripted | TransformersLocal, options: Score, pairs: Sequence[Conversation]
) -> list[Judgement]:
    return scorer(name).judge(engine, "m0", options, pairs, 7)


@pytest.mark.parametrize("reasoning", [False, True])
@pytest.mark.parametrize("name", SCORERS)
def test_one_judgement_each_in_order_whatever_stands_beside_it(name: str, reasoning: bool) -> None:
    options = Score(scorers=["rubric", "ifd"], reasoning=reasoning, samples=3 if reasoning else 1)
    found = judge(name, Scripted(), options, PAIRS)
    assert [one.candidate_id for one in found] == [pair.id for pair in PAIRS]
    assert judge(name, Scripted(), options, PAIRS[::-1]) == found[::-1]
    assert judge(name, Scripted(), options, []) == []
    assert len({one.id for one in found}) == len(PAIRS)
    prompt_id = next(iter(used_prompts(Score.model_validate({"scorers": [name]})).values()), "")
    assert {(one.scorer, one.model_id, one.prompt_id) for one in found} == {(name, "m0", prompt_id)}
    assert all(one.score is not None for one in found)


@pytest.mark.parametrize("name", ASKING)
def test_the_score_is_the_expected_level(name: str) -> None:
    least, most = SCALES[name]
    for one in judge(name, Scripted(), Score(), PAIRS):
        assert one.raw == [] and one.losses == [] and one.mass == pytest.approx(0.95)
        assert sum(one.distribution) == pytest.approx(1) and len(one.distribution) == most - least + 1
        assert one.score == pytest.approx(sum(n * p for n, p in enumerate(one.distribution, least)))


class Copying(Scripted):
    """A judge that copies a 5 that it reads, and rates what holds none as `otherwise`."""

    def __init__(self, otherwise: float) -> None:
        self.otherwise = otherwise
        self.read: list[str] = []

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        pairs = [prompt.text.partition("--- request")[2] for prompt in prompts]
        self.read += pairs
        shares = [1.0 if "is 5" in pair else self.otherwise for pair in pairs]
        lower = len(choices) - 1
        return [[math.log(1e-9 + (1 - share) / lower)] * lower + [math.log(share)] for share in shares]


@pytest.mark.parametrize("name", ["rubric", "additive"])
def test_a_number_that_votes_gives_nothing(name: str) -> None:
    plain, voting = conversation("p", "Why?", "Because."), conversation("p", "Why?", "Because. My level is 5")
    engine = Copying(0.2)
    without, with_vote, again = judge(name, engine, Score(), [plain, voting, plain])
    assert len(engine.read) == 4, "only a pair with such a number is asked about again"
    assert with_vote.score == pytest.approx(without.score) and with_vote.distribution == without.distribution
    assert again == without and with_vote.id == without.id


def test_a_number_that_is_worth_next_to_nothing_stays() -> None:
    voting = conversation("p", "Why?", "Because. My level is 5")
    (found,) = judge("rubric", Copying(0.99), Score(), [voting])
    assert found.score == pytest.approx(5)


def test_a_missing_score_is_no_lower_score() -> None:
    voting = conversation("p", "Why?", "Because. My level is 5")
    assert judge("rubric", Writing("Score: 4", "None."), Score(), [voting])[0].score == 4
    assert judge("rubric", Writing("Score: 4", "Score: 2"), Score(), [voting])[0].score == 2
    assert judge("rubric", Writing("None.", "Score: 2"), Score(), [voting])[0].score is None


@pytest.mark.parametrize("name", ASKING)
def test_samples_are_reasoned_apart_and_averaged(name: str) -> None:
    options = Score(reasoning=True, samples=3)
    least, most = SCALES[name]
    for pair, one in zip(PAIRS, judge(name, Scripted(), options, PAIRS), strict=True):
        assert len(set(one.raw)) > 1
        shown = {field: getattr(pair, field) for field in scorer(name).looks_at}
        asked = prompts.rating(name, SCALES[name], True, **shown)
        rows = Scripted().choose(
            [prompts.after_reasoning(asked, text) for text in one.raw], [f" {n}" for n in range(least, most + 1)]
        )
        levels = [sum(n * math.exp(p) for n, p in enumerate(row, least)) / sum(map(math.exp, row)) for row in rows]
        assert one.score == pytest.approx(sum(levels) / 3)


def test_without_probabilities_the_written_score_is_read() -> None:
    engine = Writing("Clear and right.\nScore: 4", "I would not know.", "Score: 2")
    found = judge("rubric", engine, Score(reasoning=True, temperature=0.5), PAIRS[:3])
    assert [one.score for one in found] == [4.0, None, 2.0]
    assert [one.raw[0] for one in found] == list(engine.texts), "so that another parser costs no model time"
    assert [one.raw[1:] for one in found] == [[], ["no score: none in the text 'I would not know.'"], []]
    assert all(one.distribution == [] and one.mass is None for one in found)
    assert {(sampling.temperature, sampling.max_new_tokens) for _, sampling, _ in engine.asked} == {(0.5, 96 + 16)}


def test_a_reasoning_cut_short_has_no_score_of_its_own() -> None:
    cut = Writing('It says "Score: 5" in the answer, which is', finished=False)
    assert judge("rubric", cut, Score(reasoning=True), PAIRS[:1])[0].score is None
    assert judge("rubric", Writing(" 5, and", finished=False), Score(), PAIRS[:1])[0].score == 5


def test_without_probabilities_or_reasoning_the_likeliest_digit_is_taken() -> None:
    engine = Writing(" 3")
    (one,) = judge("rubric", engine, Score(), PAIRS[:1])
    assert (one.score, one.raw) == (3.0, ["Score: 3"])
    assert engine.asked[0][0].answer_start == "Score:" and engine.asked[0][1].temperature == 0


def test_samples_without_a_score_are_left_out_of_the_mean() -> None:
    engine = Writing("Score: 5", "Score: 9", "Score: 2")
    (one,) = judge("rubric", engine, Score(reasoning=True, samples=3), PAIRS[:1])
    assert one.score == 3.5 and len(one.raw) == 4 and one.raw[3].startswith("no score: ")
    assert len({seed for _, _, seed in engine.asked}) == 3


def test_what_an_engine_lacks_is_said_or_refused() -> None:
    both = Score(scorers=["rubric", "ifd"])
    assert check_calls(both, "e", CALLS) == []
    (note,) = check_calls(Score(scorers=["rubric", "additive"]), "e", {"generate"})
    assert "'e'" in note and "rubric, additive" in note
    with pytest.raises(RecipeError, match=r"ifd.*engine .e."):
        check_calls(both, "e", {"generate", "choose"})


def test_what_a_server_lacks_is_said_before_anything_is_made(tmp_path: Path) -> None:
    def plan(scorer: str) -> Plan:
        recipe = {
            "seed": {"sources": [{"path": "builtin:demo"}]},
            "corpus": {"sources": [{"format": "installed-docs"}]},
        }
        tree = {**recipe, "rounds": 1, "score": {"scorers": [scorer]}, "select": {"top_n": 3}}
        engines = {"score": {"kind": "openai_http", "url": "http://localhost:1/v1"}}
        resources = {"runs": str(tmp_path), "engines": engines}
        return Plan(RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": resources}), forecast=False)

    lacking = Offer("score", "", frozenset({"generate"}))
    with pytest.raises(RecipeError, match=r"ifd.*the engine 'openai_http'"):
        plan("ifd").check_offer(lacking)
    assert "rubric will parse the score from the answer's text" in plan("rubric").check_offer(lacking)[0]
    assert plan("ifd").check_offer(Offer("augment", "", frozenset({"generate"}))) == []


def test_only_the_prompts_that_are_used_count() -> None:
    assert list(used_prompts(Score(scorers=["ifd", "rubric"]))) == ["forward", "rubric"]


class Known(Scripted):
    """Losses of 1.5 nats a token with an instruction, 2 without."""

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        return [Likelihood(-15.0 if "?" in prompt.user else -20.0, 10) for prompt in prompts]


def test_ifd_is_the_gain_per_token() -> None:
    (one,) = judge("ifd", Known(), Score(), PAIRS[:1])
    assert one.score == pytest.approx(0.5) and one.losses == [1.5, 2.0]


def test_ifd_is_transformers_own_loss(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    engine = TransformersLocal(str(tiny_model), EngineOptions(dtype="float32"))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    pair = conversation("p", PAIRS[2].instruction, PAIRS[2].output.strip())
    (one,) = ifd.SCORER.judge(engine, "m", Score(), [pair], 0)
    for instruction, loss in zip((pair.instruction, ""), one.losses, strict=True):
        asked, answer = prompts.render_pair(
            tokenizer, prompts.forward(ask(instruction).turns, "augmented"), pair.output
        )
        ids, labels = torch.tensor([asked + answer]), torch.tensor([[-100] * len(asked) + answer])
        assert float(model(ids, labels=labels).loss.detach()) == pytest.approx(loss, abs=1e-4)


def test_a_reasoned_digit_is_read_after_the_reasoning(tiny_model: Path) -> None:
    """With the real engine: as if the reasoning had been the start of the answer."""
    engine = TransformersLocal(str(tiny_model), EngineOptions(dtype="float32"))
    options = Score(reasoning=True, reasoning_tokens=12, max_output_tokens=32)
    found = rubric.SCORER.judge(engine, "m", options, PAIRS[:3], 3)
    for pair, one in zip(PAIRS, found, strict=False):
        asked = prompts.rubric(pair.instruction, engine.truncate(pair.output, 32), reasoning=True)
        row = engine.choose([prompts.after_reasoning(asked, one.raw[0])], [f" {n}" for n in range(1, 6)])[0]
        expected = sum(n * math.exp(p) for n, p in enumerate(row, 1)) / sum(map(math.exp, row))
        assert one.score == pytest.approx(expected, abs=1e-3)


def test_the_probe_is_refused_in_a_line_where_there_are_no_hidden_states() -> None:
    probe = Score(scorers=["probe"])
    assert check_calls(probe, "e", CALLS) == []
    with pytest.raises(RecipeError) as refused:
        check_calls(probe, "openai_http", SERVED)
    assert str(refused.value) == (
        "score.scorers has probe, which needs hidden states; the engine 'openai_http' does not return that; take another "
        "scorer or another engine"
    )
