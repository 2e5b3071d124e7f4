"""Evaluation prompts are found at 13 words in a row, or as a whole from 6 words on."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback.errors import InputError
from askback.inputs.contamination import EvaluationPrompts, evaluation_prompts

WORDS = [f"w{number}" for number in range(20)]


def found(prompt: str, text: str) -> bool:
    return EvaluationPrompts([("e:1", prompt)]).found_in(text) is not None


def test_thirteen_words_in_a_row() -> None:
    prompt = " ".join(WORDS)
    assert found(prompt, "x " + " ".join(WORDS[:13]) + " x")
    assert found(prompt, "x " + " ".join(WORDS[7:20]) + " x")
    assert found(prompt, "x " + ", ".join(WORDS[4:17]).upper() + ".")
    assert not found(prompt, "x " + " ".join(WORDS[:12]) + " x")
    assert not found(prompt, " ".join([*WORDS[:6], "x", *WORDS[6:18]]))


@pytest.mark.parametrize(("size", "yes"), [(5, False), (6, True), (12, True)])
def test_a_shorter_prompt_as_a_whole(size: int, yes: bool) -> None:
    prompt = " ".join(WORDS[:size])
    assert found(prompt, f"x {prompt} x") is yes
    assert not found(prompt, f"x {' '.join(WORDS[: size - 1])} x")
    assert found(prompt, prompt + "?"), "the text is the prompt"


def test_the_detail_names_words_and_place() -> None:
    prompts = EvaluationPrompts([("a:1", "Say hello"), ("b:2", " ".join(WORDS))])
    said = prompts.found_in("x " + " ".join(WORDS[:14]))
    assert said == f"13 words in a row as in b:2, none wanted: {' '.join(WORDS[:13])!r}"
    assert prompts.found_in("say  HELLO!") == "is the prompt a:1, none wanted"
    assert prompts.found_in("") is None and prompts.found_in("Say hello there") is None


def test_every_field_and_file_is_read(tmp_path: Path) -> None:
    lines = ['{"instruction": "a", "prompt": "no"}', '{"prompt": "b"}', '{"question": "c"}', '{"text": "d"}']
    (tmp_path / "e.jsonl").write_text("\n".join([*lines, '{"turns": ["e", "no"]}']))
    (tmp_path / "e.json").write_text('[{"instruction": "f"}]')
    pq.write_table(pa.table({"question": ["g"]}), tmp_path / "e.parquet")
    prompts = evaluation_prompts(tuple(str(tmp_path / f"e.{kind}") for kind in ("jsonl", "json", "parquet")))
    assert all(prompts.found_in(one) for one in "abcdefg")
    assert prompts.found_in("no") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"prompt": "a"}\n{"prompt": ', r"e.jsonl:2: this evaluation prompt cannot be read"),
        ('{"query": "a", "id": 1}', r"e.jsonl:1: no evaluation prompt in fields query, id; looked for instruction"),
        ('{"turns": []}', "no evaluation prompt in fields turns"),
        (None, "no such file of evaluation prompts"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_an_error(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "e.jsonl").write_text(content)
    with pytest.raises(InputError, match=said):
        evaluation_prompts((str(tmp_path / "e.jsonl"),))


@pytest.mark.parametrize("name", ["koala_test_set", "self_instruct_user_oriented_252", "vicuna_bench_question"])
def test_published_sets_are_read(shared_data: Path, name: str) -> None:
    path = shared_data / "eval" / f"{name}.jsonl"
    assert evaluation_prompts((str(path),)).found_in("nothing of the kind") is None


def test_all_prompts_that_a_text_shares_words_with() -> None:
    prompts = EvaluationPrompts(
        [("a:1", " ".join(WORDS[:7])), ("b:2", " ".join(WORDS[7:20])), ("c:3", "one two three")]
    )
    found = {(where, whole) for where, _, whole in prompts.all_in("x " + " ".join(WORDS))}
    assert found == {("a:1", True), ("b:2", True)}
    assert list(prompts.all_in("One, two: three!")) == [("c:3", (), True)]


def test_each_of_the_prompts_that_differ_in_marks_alone_is_found() -> None:
    prompts = EvaluationPrompts([("one", "What is C?"), ("two", "What is C++?"), ("three", "Why?")])
    assert [where for where, *_ in prompts.all_in("what is C")] == ["one", "two"]
