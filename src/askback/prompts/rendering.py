"""From a prompt to tokens, and from an answer's tokens to its text, through the model's chat template.

What a template puts between the user's turn and an answer (a header, an empty block for a reasoning, the name of a
channel) is found by rendering an exchange whose answer is known, and is part of the prompt: in training, where no loss
falls on it, in scoring, in sampling and in evaluation alike. The template's own generation prompt is not used, as it may
hold less than that, or more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, takewhile
from typing import Any, NamedTuple

from askback.errors import InputError
from askback.models.chat_template import TemplateFault, outputs, render_chat
from askback.prompts.prompt import Prompt, ask
from askback.prompts.reasoning import FORMS, PAIRS, without_reasoning
from askback.prompts.scaffolding import inert
from askback.records import Message

PROBE = "Answer7Qx"
"""Stands for an answer where only what is around it is wanted: no word of any template or document."""
USERS = (
    "How long do I boil an egg?",
    "Two lines:\n\n- *one* <b>\n- {{ two }} /think\n\nWhich is it?",
    "word " * 4000 + "?",
)
ANSWERS = (
    PROBE,
    "Score: 5",
    "3",
    "Six minutes.\n\n\n- **Bold** and `code`\n\n```python\nif x < 1 & y > 2:\n\tprint('{{ x }}  {% y %}')\n```\n\nThe End.",
    "Grüße, 你好, नमस्ते, 😀: ÄÖÜ ß İ",
    inert("<think>It is said.</think>\nA [INST] tag, [/INST] and </s> of a text.\nUser: what?\nAssistant: that."),
    "A sentence of an answer, as long as any. " * 600 + "End.",
)
"""What a template is tried with before it is used; none of it may come out otherwise."""


class Frame(NamedTuple):
    """What a template puts around an answer."""

    before: str
    """From the end of the answer before, or from the beginning."""
    lead: str
    """Spaces between that and the answer: tokenizers join them with its first word, so they go with the answer."""
    after: str
    """Up to and with the stop token."""


Exchange = tuple[list[int], list[int]]
"""The tokens before an answer, from the answer before, and those of the answer; it ends with the stop token."""


def render(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the tokens of a prompt up to where the answer begins or goes on.

    The turns that are given are sent and no other, so a template without a system role does as well as one with.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    earlier, asked, _ = _rendered(tokenizer, prompt)
    return [*_joined(earlier), *asked]


def render_pair(tokenizer: Any, prompt: Prompt, answer: str) -> Exchange:
    """Return (prompt tokens, answer tokens) of a finished conversation; the answer ends with the stop token.

    The prompt tokens are those of `render`, by construction: the two halves are encoded apart.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    *earlier, (asked, learnt) = render_exchanges(tokenizer, prompt, answer)
    return [*_joined(earlier), *asked], learnt


def render_exchanges(tokenizer: Any, prompt: Prompt, answer: str) -> list[Exchange]:
    """Return the tokens of a finished conversation, exchange by exchange; `render_pair` has them in a row.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    earlier, asked, frame = _rendered(tokenizer, prompt)
    opening = _defuse(tokenizer, prompt.answer_start)
    rest = _answer(tokenizer, prompt.answer_start + answer).removeprefix(opening) + frame.after
    return [*earlier, (asked, _encode(tokenizer, rest if opening else frame.lead + rest))]


def _rendered(tokenizer: Any, prompt: Prompt) -> tuple[list[Exchange], list[int], Frame]:
    """Return the exchanges before the one that is asked for, what asks for that, and what is around its answer."""
    *frames, last = _frames(tokenizer, prompt.turns)
    given = [_answer(tokenizer, turn.content) for turn in prompt.turns if turn.role == "assistant"]
    earlier = [
        (_encode(tokenizer, frame.before), _encode(tokenizer, frame.lead + text + frame.after))
        for frame, text in zip(frames, given, strict=True)
    ]
    opening = _defuse(tokenizer, prompt.answer_start)
    return earlier, _encode(tokenizer, last.before + last.lead + opening if opening else last.before), last


def _joined(exchanges: list[Exchange]) -> Iterator[int]:
    return chain.from_iterable(chain(asked, answer) for asked, answer in exchanges)


def rewrites(tokenizer: Any, prompt: Prompt, answer: str) -> bool:
    """Return whether the template would render these turns, or this answer, otherwise than as they are.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    frames = _frames(tokenizer, prompt.turns)
    given = [turn.content for turn in prompt.turns if turn.role == "assistant"]
    answers = [_answer(tokenizer, text) for text in (*given, prompt.answer_start + answer)]
    whole = _chat(tokenizer, prompt.turns, answers[-1])
    expected = [frame.before + frame.lead + text + frame.after for frame, text in zip(frames, answers, strict=True)]
    system = [_defuse(tokenizer, turn.content) for turn in prompt.turns if turn.role == "system"]
    return not whole.startswith("".join(expected)) or not all(text in whole for text in system)


def read(tokenizer: Any, answer: list[int]) -> str:
    """Return the text of an answer's tokens, without what is no part of it: reasoning, scaffolding, special tokens."""
    special = set(tokenizer.all_special_ids)
    if not special.intersection(answer):
        return read_text(tokenizer, str(tokenizer.decode(answer)))
    # A special token may be what opens or closes a reasoning, so it goes after that.
    text = read_text(tokenizer, str(tokenizer.decode(answer, skip_special_tokens=False)))
    for token in _special_tokens(tokenizer):
        text = text.replace(token, "")
    return text


def read_text(tokenizer: Any, text: str) -> str:
    """Return an answer without reasoning, and without the template's own scaffolding where a model repeats that."""
    scaffold, closing, forms = _scaffold(tokenizer, _source(tokenizer))
    if scaffold and text.lstrip().startswith(scaffold):
        text = text.lstrip().removeprefix(scaffold).lstrip()
    text = without_reasoning(text, forms)
    return text.rstrip().removesuffix(closing) if closing and text.rstrip().endswith(closing) else text


def check_template(tokenizer: Any, name: str) -> None:
    """Try a tokenizer's chat template, within limits of time and memory (chat_template.py), before it is used.

    Args:
        name: where it is from, for the error.

    Raises:
        InputError: it cannot be rendered, or not within the limits; it rewrites what is said, does not end an answer with
            the stop token, or puts something before an answer that cannot be told from it.
    """
    source = _source(tokenizer)
    if not source.strip():
        raise InputError(f"{name}: the chat template is empty; give another with chat_template:")
    if not tokenizer.eos_token:
        raise InputError(f"{name}: the tokenizer has no stop token; set eos_token in tokenizer_config.json")
    try:
        _try(source, tuple(sorted(_special_map(tokenizer).items())), tokenizer.eos_token)
    except TemplateFault as fault:
        raise InputError(f"{name}: the chat template {fault}; give another with chat_template:") from fault


def _turns(user: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]


@lru_cache(maxsize=8)
def _try(source: str, special: tuple[tuple[str, str], ...], stop: str) -> None:
    """Raises `TemplateFault` unless users and answers come out as they are, and alike around different answers."""
    exchanges = [(user, answer) for user in USERS for answer in ANSWERS]
    rendered = outputs(source, [_turns(*one) for one in exchanges], dict(special))
    for (user, answer), whole in zip(exchanges, rendered, strict=True):
        if answer == PROBE:
            (frame,) = _around(whole, PROBE, stop, 1)
            if user not in frame.before:
                raise TemplateFault("rewrites a user's turn, or leaves it out")
        if not whole.startswith(frame.before + frame.lead + answer + frame.after):
            raise TemplateFault("rewrites an answer, or puts before it what depends on it")


def _around(whole: str, mark: str, stop: str, count: int) -> list[Frame]:
    """Return what is around each of `count` marks, which stand for answers."""
    before, *parts = whole.split(mark)
    if len(parts) != count:
        raise TemplateFault("rewrites an answer, or leaves it out")
    frames = []
    for part in parts:
        after, ended, rest = part.partition(stop)
        if not ended:
            raise TemplateFault(f"does not end an answer with the stop token {stop!r}")
        bare = before.rstrip(" ")
        frames.append(Frame(bare, before[len(bare) :], after + ended))
        before = rest
    return frames


def _frames(tokenizer: Any, turns: Sequence[Message]) -> list[Frame]:
    """Return what is around each answer among the turns, and around the one that is to follow them."""
    mark = PROBE
    while any(mark in turn.content for turn in turns):
        mark += "x"
    shown = [replace(turn, content=mark) if turn.role == "assistant" else turn for turn in turns]
    try:
        count = 1 + sum(turn.role == "assistant" for turn in turns)
        frames = _around(_chat(tokenizer, shown, mark), mark, tokenizer.eos_token, count)
        if len({frame.after for frame in frames}) > 1:
            raise TemplateFault("does not end the answers of a conversation alike")
    except TemplateFault as fault:
        raise InputError(
            f"{tokenizer.name_or_path}: its chat template {fault}; give another with chat_template:"
        ) from fault
    return frames


def _answer(tokenizer: Any, text: str) -> str:
    return _defuse(tokenizer, inert(text.strip()))


@lru_cache(maxsize=8)
def _scaffold(tokenizer: Any, source: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return what stands before an answer beyond the generation prompt, what ends it, and how a reasoning looks."""
    user = USERS[0]
    (frame,), special = _frames(tokenizer, ask(user).turns), _special_map(tokenizer)
    try:
        opened = render_chat(source, [{"role": "user", "content": user}], special, True)
    except TemplateFault:
        opened = frame.before
    same = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(opened, frame.before, strict=False)))
    found = PAIRS.finditer(frame.before, frame.before.rfind(user) + len(user))
    forms = tuple(
        dict.fromkeys((f"<{one[1]}>", f"</{one[1]}>") if one[1] else (f"[{one[2]}]", f"[/{one[2]}]") for one in found)
    )
    return frame.before[same:].strip(), frame.after.removesuffix(tokenizer.eos_token).strip(), FORMS + forms


def _chat(tokenizer: Any, turns: Sequence[Message], answer: str) -> str:
    """Return what the template makes of turns and an answer to them, which are data."""
    shown = [{"role": turn.role, "content": _shown(tokenizer, turn)} for turn in turns]
    answered = [*shown, {"role": "assistant", "content": answer}]
    return render_chat(_source(tokenizer), answered, _special_map(tokenizer), False)


def _shown(tokenizer: Any, turn: Message) -> str:
    return _answer(tokenizer, turn.content) if turn.role == "assistant" else _defuse(tokenizer, turn.content)


def _source(tokenizer: Any) -> str:
    found = tokenizer.chat_template
    return str((found.get("default") if isinstance(found, dict) else found) or "")


def _special_map(tokenizer: Any) -> dict[str, str]:
    return {name: str(token) for name, token in tokenizer.special_tokens_map.items() if not isinstance(token, list)}


def _defuse(tokenizer: Any, text: str) -> str:
    """Do as `inert` to the special tokens of this very tokenizer, whatever they look like."""
    for token in _special_tokens(tokenizer):
        if token in text:
            text = text.replace(token, f"{token[0]}\u2060{token[1:]}")
    return text


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(token for token in added.union(tokenizer.all_special_tokens) if len(token) > 1))


def _encode(tokenizer: Any, text: str) -> list[int]:
    # The template has written every special token already.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
