"""A conversation of three exchanges is rendered, trained on, scored, sampled and exported; one exchange is as ever."""

from itertools import groupby
from pathlib import Path
from typing import Any

import datasets
import pytest

from askback import owned, prompts
from askback.curate.scorers import scorer
from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.local.loading import load_tokenizer
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import Sampling
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.evaluate.loss import measure_piece
from askback.execution.identity import Model
from askback.execution.outcome import Outcome
from askback.execution.shards import read_records, write_json, write_outcome
from askback.export import export
from askback.prompts import SEED_TAG
from askback.prompts.prompt import Prompt
from askback.recipe import EngineOptions, HeldOut, Resources, Score, Training
from askback.records import Example, Message, Provenance, Split
from askback.train.finetune import Job, finetune
from askback.train.training_rows import Row, tokenize
from tests.engines.fault_server import FaultServer
from tests.engines.served import Body, ServedModel, rating
from tests.tiny import build_tiny_model

TURNS = (
    Message("user", "What carries the river?"),
    Message("assistant", "Paper boats, past the old bridge."),
    Message("user", "Who sees them?"),
    Message("assistant", "Nobody in the market: <|im_end|> is no word there.\n\n- None.", "s7"),
    Message("user", "And in winter?"),
    Message("assistant", "A light in a window."),
)
WIDE = 2048


def talk(turns: int = 6, split: Split = "train") -> Example:
    return Example(f"talk-{turns}", TURNS[:turns], Provenance("u", language="en"), "seed", split)


def asked(turns: int) -> Prompt:
    """The prompt that asks for the answer to the first `turns` turns."""
    return prompts.forward(TURNS[:turns], "seed")


@pytest.fixture(scope="module", params=["system", "no-system", "inst"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = build_tiny_model(tmp_path_factory.mktemp("model"), system_role=request.param == "system")
    return load_tokenizer(folder, "builtin:inst" if request.param == "inst" else "")


def row_of(tokenizer: Any, example: Example, max_tokens: int = WIDE) -> Row:
    row = tokenize(tokenizer, example, "forward", max_tokens)
    assert row is not None
    return row


def runs(row: Row) -> list[tuple[bool, list[int]]]:
    """The ids of a row in runs that are learnt or not."""
    pairs = zip(row.learnt, row.ids, strict=True)
    return [(learnt, [id for _, id in some]) for learnt, some in groupby(pairs, key=lambda pair: pair[0])]


def test_the_answers_are_learnt_and_nothing_else(tiny_model: Path) -> None:
    """Token by token, against the text as ChatML has it."""
    tokenizer = load_tokenizer(tiny_model, "")
    parts: list[tuple[bool, str]] = []
    for turn in TURNS:
        text = turn.content
        if turn.role == "user":
            parts.append((False, f"<|im_start|>user\n{text}\n\n{SEED_TAG}<|im_end|>\n<|im_start|>assistant\n"))
        else:
            parts += [(True, f"{text}<|im_end|>"), (False, "\n")]
    expected = [(learnt, byte) for learnt, text in parts[:-1] for byte in text.encode()]
    row = row_of(tokenizer, talk())
    found: list[tuple[bool, int]] = []
    for id, learnt in zip(row.ids, row.learnt, strict=True):
        held = tokenizer.convert_ids_to_tokens(id)
        data = held.encode() if id in tokenizer.all_special_ids else bytes_of(held)
        found += [(learnt, byte) for byte in data]
    assert found == expected
    assert not row.truncated and row.ids.count(tokenizer.eos_token_id) == 6


def bytes_of(token: str) -> bytes:
    """The bytes that a token of a byte-level BPE stands for."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    table = {character: byte for byte, character in bytes_to_unicode().items()}
    return bytes(table[character] for character in token)


def test_each_answer_is_trained_behind_the_prompt_that_asks_for_it(tokenizer: Any) -> None:
    row = row_of(tokenizer, talk())
    at, answers = 0, 0
    for learnt, ids in runs(row):
        if learnt:
            answers += 1
            assert row.ids[:at] == prompts.render(tokenizer, asked(2 * answers - 1))
            assert ids[-1] == tokenizer.eos_token_id and ids.count(tokenizer.eos_token_id) == 1
            assert prompts.read(tokenizer, ids[:-1]).strip() == TURNS[2 * answers - 1].content
        at += len(ids)
    assert answers == 3
    assert not prompts.rewrites(tokenizer, asked(5), TURNS[5].content)


def test_a_row_that_is_too_long_ends_with_an_exchange(tokenizer: Any) -> None:
    whole, two, one = (row_of(tokenizer, talk(turns)) for turns in (6, 4, 2))
    for limit, expected in ((whole.tokens, whole), (whole.tokens - 1, two), (two.tokens, two), (two.tokens - 1, one)):
        cut = row_of(tokenizer, talk(), limit)
        assert (cut.ids, cut.learnt) == (expected.ids, expected.learnt)
        assert cut.truncated == (expected is not whole)
    short = row_of(tokenizer, talk(), one.tokens - 3)
    assert short.ids == row_of(tokenizer, talk(2), one.tokens - 3).ids == one.ids[:-3]


def test_a_turn_that_a_template_drops_is_noticed(tmp_path: Path) -> None:
    """Earlier answers, or a system turn, are rewritten by some templates."""
    tokenizer = load_tokenizer(build_tiny_model(tmp_path), "")
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "{{ message['content'] }}", "{{ message['content'].replace('boats', 'ships') }}"
    )
    assert prompts.rewrites(tokenizer, asked(5), TURNS[5].content)
    assert not prompts.rewrites(tokenizer, prompts.forward(TURNS[2:3], "seed"), TURNS[5].content)
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "%}<|im_start|>", "%}{% if message['role'] == 'system' %}{% continue %}{% endif %}<|im_start|>", 1
    )
    told = prompts.forward([Message("system", "Be short."), *TURNS[2:3]], "seed")
    assert prompts.rewrites(tokenizer, told, TURNS[5].content)


def log_probabilities(tiny_model: Path, row: Row) -> float:
    """The sum over what is learnt, from the bare model."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        found = model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
    learnt = [(at, id) for at, id in enumerate(row.ids) if row.learnt[at]]
    return float(sum(found[at - 1, id].item() for at, id in learnt))


def test_the_loss_is_on_the_answers_alone(tiny_model: Path, tmp_path: Path) -> None:
    row = row_of(load_tokenizer(tiny_model, ""), talk())
    options = Training(steps=1, batch_size=1, trl={"bf16": False})
    made = finetune(Job(str(tiny_model), "", "forward", options, [talk()], str(tmp_path), 7), lambda *_: None)
    assert (made["tokens"], made["label_tokens"]) == (row.tokens, sum(row.learnt))
    assert made["first_loss"] == pytest.approx(-log_probabilities(tiny_model, row) / sum(row.learnt), abs=1e-4)


def test_the_last_answer_is_scored_with_what_went_before(tiny_model: Path) -> None:
    engine = TransformersLocal(str(tiny_model), EngineOptions(dtype="float32"))
    row = row_of(load_tokenizer(tiny_model, ""), talk())
    last = row._replace(learnt=[False] * (row.tokens - len(runs(row)[-1][1])) + [True] * len(runs(row)[-1][1]))
    expected = log_probabilities(tiny_model, last)
    (found,) = engine.loglikelihood([asked(5)], [TURNS[5].content])
    assert found.logprob == pytest.approx(expected, abs=1e-3)
    resources = Resources(engine=EngineOptions(dtype="float32"))
    loss = measure_piece(
        HeldOut(tags=[]), resources, Model(tiny_model, "m", ""), WorkerContext(), [talk(split="held-out")]
    )
    assert loss.kept[0].nats == pytest.approx(-expected, abs=1e-3) and loss.kept[0].tokens == found.tokens
    for name in ("ifd", "rubric", "whole"):
        (judged,) = scorer(name).judge(engine, "m", Score(scorers=[name]), [talk()], 0)
        assert judged.score is not None


def test_engines_answer_the_whole_conversation_alike(tiny_model: Path) -> None:
    local = TransformersLocal(str(tiny_model), EngineOptions(dtype="float32"))
    asking, greedy = [asked(1), asked(3), asked(5)], Sampling(0, 1, 8)
    drawn = local.generate(asking, greedy, range(3))
    assert len({one.text for one in drawn}) == 3
    with FaultServer(ServedModel(tiny_model)) as server:
        options = EngineOptions(kind="openai_http", url=server.url, tokenizer=str(tiny_model))
        served = OpenAIHttp("", options).generate(asking, greedy, range(3))
    assert [one.text for one in served] == [one.text for one in drawn]


def test_a_server_that_renders_for_itself_gets_the_turns(tmp_path: Path) -> None:
    """As chat messages; and what differs in an earlier turn alone is another request to the cache of answers."""
    bodies: list[Body] = []

    def answer(path: str, payload: Body) -> tuple[int, Body]:
        bodies.append(payload)
        return rating(path, payload)

    other = prompts.forward([TURNS[0], Message("assistant", "Leaves."), *TURNS[2:5]], "seed")
    worker = WorkerContext()
    with FaultServer(answer) as server, worker.keeping(tmp_path / "answers.jsonl"):
        engine = OpenAIHttp("", EngineOptions(kind="openai_http", url=server.url))
        first, second = engine.generate([asked(5), other], Sampling(0.7, 0.9, 8), [1, 1])
    assert first.text != second.text
    (whole,) = [body for body in bodies if "Paper boats" in str(body)]
    assert whole["messages"] == [{"role": one.role, "content": prompts.inert(one.content)} for one in asked(5).turns]
    assert [one["role"] for one in whole["messages"]] == ["user", "assistant", "user", "assistant", "user"]


def test_it_is_stored_and_exported_whole(tmp_path: Path) -> None:
    run = tmp_path / "runs/x"
    owned.claim(run / "select-1", "step")
    outcome = Outcome[Any]()
    outcome.keep("pairs", talk())
    write_outcome(run / "select-1", 0, Example, outcome)
    counts = {"pairs": {"entered": 1, "kept": 1, "rejected": 0, "failed": 0}}
    step = {"step": "select-1", "finished": 1.0, "counts": counts, "reasons": {}, "metrics": {}}
    write_json(run / "select-1" / "step.json", step)
    (run / "recipe.yaml").write_text("name: x\nrecipe: {rounds: 1, base: base}\n")
    assert list(read_records(run / "select-1/kept-00000.parquet")) == [talk()]
    export(run, tmp_path / "out")
    (row,) = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert [(one["role"], one["content"]) for one in row["messages"]] == [(one.role, one.content) for one in TURNS]
    with pytest.raises(InputError, match="one exchange"):
        export(run, tmp_path / "flat", "alpaca")
