"""Fields that change what a pair means are honoured, or the row is refused with its reason; the form is found by fields."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.export import FORMATS
from askback.export.exporters import exporter
from askback.export.features import provenance
from askback.recipe import Seed, SeedSource
from askback.records import Example, Provenance, Rejection, exchange
from askback.seed.load import first_rows, gather
from askback.seed.readers import Pair
from askback.seed.readers.conversations import ROLES, read_conversations
from askback.seed.readers.pairs import ANSWERED, ASKED, read_pairs

Q, A = "How do I boil an egg?", "Put it into boiling water for six minutes."


def read(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Return pairs as (instruction, output) and others as (rule, detail)."""
    found = list(read_pairs(iter([("f:1", row)]), "en"))
    return [(one.instruction, one.output) if isinstance(one, Pair) else (one.rule, one.detail) for one in found]


def turns(*said: str, role: str = "role", text: str = "content") -> list[dict[str, Any]]:
    return [{role: ("user", "assistant")[at % 2], text: one} for at, one in enumerate(said)]


@pytest.mark.parametrize("answered", ANSWERED[:5])
@pytest.mark.parametrize("asked", ASKED)
def test_columns_of_every_name(asked: str, answered: str) -> None:
    assert read({asked: Q, answered: A, "id": 7}) == [(Q, A)]
    assert read({asked.title(): Q, answered.upper(): A}) == [(Q, A)]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("pear, fig", "pear, fig"),
        (["pear", "fig"], '["pear", "fig"]'),
        ({"name": "Ann", "age": 3}, '{"name": "Ann", "age": 3}'),
        (97, "97"),
        (0, "0"),
        (2.5, "2.5"),
        (False, "false"),
        ("ćao", "ćao"),
        (["ćao", ["x"]], '["ćao", ["x"]]'),
        ("", ""),
        ("  \n", ""),
        (None, ""),
        ([], ""),
        ({}, ""),
        ("<noinput>", ""),
        ("<NoInput>", ""),
    ],
)
@pytest.mark.parametrize("name", ["input", "context"])
def test_what_follows_the_instruction(name: str, given: object, shown: str) -> None:
    assert read({"instruction": Q, name: given, "output": A}) == [(f"{Q}\n\n{shown}" if shown else Q, A)]


def test_input_alone_is_the_instruction() -> None:
    assert read({"instruction": " ", "input": Q, "output": A}) == [(Q, A)]
    assert read({"input": Q, "output": A}) == [(Q, A)]


@pytest.mark.parametrize("name", ["history", "chat_history", "conversation_history"])
@pytest.mark.parametrize("earlier", [[["Who?", "Me."]], [{"role": "user", "content": "Who?"}], '[["Who?", "Me."]]'])
def test_earlier_turns(name: str, earlier: object) -> None:
    assert read({"instruction": Q, "output": A, name: earlier}) == [("not-first-turn", f"earlier turns under '{name}'")]
    empty: list[object] = [[], None, "", "[]"]
    for nothing in empty:
        assert read({"instruction": Q, "output": A, name: nothing}) == [(Q, A)]


@pytest.mark.parametrize("name", ["image", "images", "audio", "videos", "attachments"])
def test_attachments(name: str) -> None:
    for row in ({"instruction": Q, "output": A}, {"messages": turns(Q, A)}):
        assert read({**row, name: ["a.png"]})[0][0] == "attachment"
        assert read({**row, name: []}) == [(Q, A)]
    inside = turns(Q, A)
    inside[0][name] = ["a.png"]
    assert read({"messages": inside})[0][0] == "attachment"


@pytest.mark.parametrize(
    ("system", "honoured"),
    [
        ("Answer in French.", True),
        ("You are Marv, a chatbot that is sarcastic.", True),
        ("You are a French-speaking assistant.", True),
        ("You are a helpful assistant. Answer with one word.", True),
        ("You are a helpful assistant.", False),
        ("You are a helpful, respectful and honest assistant.", False),
        ("you are an AI language model", False),
        ("", False),
    ],
)
def test_system(system: str, honoured: bool) -> None:
    expected = [(f"{system}\n\n{Q}" if honoured else Q, A)]
    for role in ("system", "developer", "System"):
        assert read({"messages": [{"role": role, "content": system}, *turns(Q, A)]}) == expected
    for name in ("system", "system_prompt"):
        assert read({name: system, "question": Q, "response": A}) == expected
        assert read({name: system, "conversations": turns(Q, A, role="from", text="value")}) == expected


@pytest.mark.parametrize("spelling", sorted(ROLES))
def test_roles_of_every_spelling(spelling: str) -> None:
    role = ROLES[spelling]
    others = {"user": turns("x", A)[1:], "assistant": [], "system": turns(Q, A), "tool": turns("x", A)[1:]}[role]
    before = turns(Q) if role in ("assistant", "tool") else []
    for written in (spelling, spelling.title(), f" {spelling.upper()} ", f"<|im_start|>{spelling}"):
        said = [*before, {"role": written, "content": A if role == "assistant" else Q}, *others]
        (found, *_) = read({"messages": said})
        expected = {"tool": "tool-turn", "system": f"{Q}\n\n{Q}"}.get(role, Q)
        assert found[0] == expected, written


@pytest.mark.parametrize(
    "said",
    [
        {"messages": turns(Q, A)},
        {"messages": turns(Q, A, role="from", text="value")},
        {"conversations": turns(Q, A, role="from", text="value")},
        {"conversations": turns(Q, A)},
        {"conversation": turns(Q, A, role="speaker", text="text")},
        {"messages": json.dumps(turns(Q, A))},
        {"messages": {"role": ["user", "assistant"], "content": [Q, A]}},
        {"messages": [{"author": {"role": "user"}, "content": {"content_type": "text", "parts": [Q]}}, turns(Q, A)[1]]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": Q}]},
                {"role": "assistant", "content": [A]},
            ]
        },
        {"conversations": [Q, A]},
        {"conversations": [[Q, A]]},
        {"conversation": [{"human": Q, "assistant": A}]},
        {"conversation": [{"input": Q, "output": A}]},
        {"prompt": turns(Q), "completion": turns(Q, A)[1:]},
        {"prompt": turns(Q), "completion": A},
        {"prompt": Q, "prompt_id": "x", "messages": turns(Q, A)},
        {"text": f"\n\nHuman: {Q}\n\nAssistant: {A}"},
        {"prompt": f"\n\nHuman: {Q}\n\nAssistant:", "completion": f" {A}"},
        {"messages": f"Human: {Q}\n\nAssistant: {A}"},
    ],
)
def test_turns_of_every_form(said: dict[str, Any]) -> None:
    assert read(said) == [(Q, A)]


@pytest.mark.parametrize(
    "said",
    [
        {"messages": turns(Q, A, "And a hard one?", "Ten.")},
        {"conversations": turns(Q, A, "And a hard one?", "Ten.", role="from", text="value")},
        {"conversations": [Q, A, "And a hard one?", "Ten."]},
        {"conversation": [{"human": Q, "assistant": A}, {"human": "And a hard one?", "assistant": "Ten."}]},
        {"text": f"\n\nHuman: {Q}\n\nAssistant: {A}\n\nHuman: And a hard one?\n\nAssistant: Ten."},
        {"messages": [*turns(Q, A), {"role": "narrator", "content": "x"}, {"role": "gpt", "content": "Ten."}]},
    ],
)
def test_later_answers_are_counted_one_by_one(said: dict[str, Any]) -> None:
    first, second = read(said)
    assert first == (Q, A) and second[0] == "not-first-turn"


def test_ids_of_later_answers_differ() -> None:
    found = list(read_pairs(iter([("f:1", {"messages": turns(*"abcdefgh")})]), "en"))
    ids = [one.id for one in found if isinstance(one, Rejection)]
    assert len(found) == 4 and len(set(ids)) == 3


@pytest.mark.parametrize(
    ("row", "rule", "why"),
    [
        ({"instruction": Q}, "broken", "expected text under 'output'"),
        ({"output": A}, "broken", "expected text under 'instruction'"),
        ({"text": "plain"}, "broken", "found keys text"),
        ({"instruction": [Q], "output": A}, "broken", "'instruction' holds a list, not text"),
        ({"instruction": Q, "output": None}, "broken", "'output' holds null, not text"),
        ({"instruction": Q, "output": 7}, "broken", "'output' holds a number, not text"),
        ({"instruction": {"0": Q}, "output": {"0": A}}, "broken", "'instruction' holds an object, not text"),
        ({"instruction": "Answer.", "question": Q, "output": A}, "two-instructions", "'instruction' and 'question'"),
        ({"messages": None}, "broken", "'messages' holds null, not a list"),
        ({"messages": "hello"}, "broken", "'messages' holds text, not a list"),
        ({"messages": 7}, "broken", "'messages' holds a number, not a list"),
        ({"messages": []}, "broken", "found no turn"),
        ({"messages": [7]}, "broken", "'messages' holds a number where a turn is expected"),
        ({"messages": turns(Q)}, "broken", "found user"),
        ({"messages": turns(Q, A)[1:]}, "broken", "found assistant"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "broken", "a turn without a role"),
        ({"messages": [{"role": "user", "content": 7}]}, "broken", "whose text is a number"),
        ({"prompt": Q, "chosen": A, "rejected": "x"}, "broken", "a preference"),
        ({"message_id": "1", "parent_id": None, "role": "prompter", "text": Q}, "broken", "format: oasst-messages"),
        ({"prompt": {"text": Q, "replies": []}}, "broken", "format: oasst-trees"),
        ({"messages": [*turns(Q), {"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "tool-turn", "calls a tool"),
        ({"messages": [*turns(Q), {"role": "tool", "content": "4"}, *turns(Q, A)[1:]]}, "tool-turn", "returned"),
        ({"messages": [*turns(Q), {"role": "assistant", "content": A, "weight": 0}]}, "no-weight", "weight 0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, *turns(Q, A)[1:]]},
            "attachment",
            "'image_url'",
        ),
        (
            {"prompt": f"\n\nHuman: {Q}\n\nAssistant: {A}\n\nHuman: Why?\n\nAssistant:", "completion": "So."},
            "not-first-turn",
            "earlier turns under 'prompt'",
        ),
    ],
)
def test_what_is_refused(row: dict[str, Any], rule: str, why: str) -> None:
    ((found, detail),) = read(row)
    assert found == rule and why in detail and "\n" not in detail


def test_columns_read_as_turns_name_the_format() -> None:
    (found,) = read_conversations(iter([("f:1", {"instruction": Q, "output": A})]), "en")
    assert isinstance(found, Rejection) and "set format: pairs" in found.detail


@pytest.mark.parametrize("format", FORMATS)
def test_our_own_exports_are_read(format: str) -> None:
    pair = Example(
        "1",
        exchange(Q, A),
        Provenance("https://x", "html", "MIT", "en", "Title", date="2020-01-02"),
        "augmented",
        "train",
        4.0,
        "3 of 5",
    )
    (found,) = read_pairs(iter([("f:1", {**exporter(format).row(pair), **provenance(pair)})]), "en")
    assert isinstance(found, Pair) and (found.instruction, found.output) == (Q, A)
    assert (found.licence, found.language) == ("MIT", "en")


def test_the_first_rows_are_said(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Translate.", "input": "Guten\nMorgen", "output": "Good morning"},
        {"instruction": Q, "output": A, "history": [["x", "y"]]},
        {"instruction": "x" * 200, "output": "y"},
        {"instruction": "fourth", "output": "z"},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))
    said = first_rows(Seed(sources=[SeedSource(path=str(path))]))
    assert said == [
        f"{path}#1: 'Translate. Guten Morgen' → 'Good morning'",
        f"{path}#2: not-first-turn: earlier turns under 'history'",
        f"{path}#3: '{'x' * 69}…' → 'y'",
    ]
    outcome = gather(Seed(sources=[SeedSource(path=str(path))]))
    assert outcome.counts["pairs"].balanced() and outcome.reasons == {"pairs/not-first-turn": 1}
