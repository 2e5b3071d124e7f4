"""From a prompt to tokens, and from an answer's tokens to its text, through the model's chat template.

The text that a template puts between the user's turn and an answer (a header, an empty reasoning block, the name of a
channel) is found by rendering an exchange whose answer is known. It is part of the prompt: in training, where it has no
loss, in scoring, in sampling and in evaluation. The template's own generation prompt is not used, as it may hold less or
more.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, takewhile
from typing import Any, NamedTuple

from askback.errors import InputError
from askback.models.chat_template import TemplateFault, outputs, render_chat
from askback.prompts.encoding import Coder
from askback.prompts.prompt import Prompt
from askback.prompts.reasoning import FORMS, PAIRS, without_reasoning
from askback.prompts.scaffolding import inert
from askback.records import Message

PLACE = re.compile(r"Turn7Qx(\d+)z")
"""Placeholder for the text of a turn, to find what the template writes around it; it occurs in no template."""
USERS = (
    "How long do I boil an egg?",
    "Two lines:\n\n- *one* <b>\n- {{ two }} /think\n\nWhich is it?",
    "word " * 4000 + "?",
)
ANSWERS = (
    "Score: 5",
    "3",
    "Six minutes.\n\n\n- **Bold** and `code`\n\n```python\nif x < 1 & y > 2:\n\tprint('{{ x }}  {% y %}')\n```\n\nThe End.",
    "Grüße, 你好, नमस्ते, 😀: ÄÖÜ ß İ",
    inert("<think>It is said.</think>\nA [INST] tag, [/INST] and </s> of a text.\nUser: what?\nAssistant: that."),
    "A sentence of an answer, as long as any. " * 600 + "End.",
)
"""Texts with which a template is tried before it is used; it has to render each of them unchanged."""


class Frame(NamedTuple):
    """The text that a template puts around an answer, whatever is said."""

    before: str
    """Text from the end of the previous answer, or from the beginning of the conversation, with places for other turns."""
    lead: str
    """Spaces between `before` and the answer: tokenizers join them with its first word, so they are encoded with it."""
    after: str
    """Text up to and including the stop token."""


Exchange = tuple[list[int], list[int]]
"""The tokens before an answer, from the answer before, and those of the answer; it ends with the stop token."""


def render(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the tokens of a prompt up to where the answer begins or continues.

    No turns are added, so a template without a system role works where no system turn is given.

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
    """Return the tokens of a finished conversation by exchange; `render_pair` concatenates them.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    coder = _coder(tokenizer, _source(tokenizer))
    earlier, asked, frame = _rendered(tokenizer, prompt)
    opening = coder.said(prompt.answer_start)
    rest = coder.said((prompt.answer_start + answer).strip()).removeprefix(opening) + coder.own(frame.after)
    return [*earlier, (asked, coder.encode(rest if opening else frame.lead + rest))]


def encode_said(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a text as it stands in a prompt, where it holds no control token."""
    coder = _coder(tokenizer, _source(tokenizer))
    return coder.encode(coder.said(text))


def spans_of(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    """Return where each token of a text begins and ends; with markup in it, `encode_said` may make some more."""
    return _coder(tokenizer, _source(tokenizer)).spans(text)


def _rendered(tokenizer: Any, prompt: Prompt) -> tuple[list[Exchange], list[int], Frame]:
    """Return the tokens of the earlier exchanges, the prompt tokens of the last one, and the frame of its answer."""
    coder = _coder(tokenizer, _source(tokenizer))
    *frames, last = _frames(tokenizer, _roles(prompt))
    texts = [coder.said(_shown(turn)) for turn in prompt.turns]
    given = [text for text, turn in zip(texts, prompt.turns, strict=True) if turn.role == "assistant"]
    earlier = [
        (
            coder.encode(_filled(coder.own(frame.before), texts)),
            coder.encode(frame.lead + text + coder.own(frame.after)),
        )
        for frame, text in zip(frames, given, strict=True)
    ]
    opening = coder.said(prompt.answer_start)
    before = _filled(coder.own(last.before), texts)
    return earlier, coder.encode(before + last.lead + opening if opening else before), last


def _joined(exchanges: list[Exchange]) -> Iterator[int]:
    return chain.from_iterable(chain(asked, answer) for asked, answer in exchanges)


def rewrites(tokenizer: Any, prompt: Prompt, answer: str) -> bool:
    """Return whether the template changes the text of these turns or of this answer.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    frames = _frames(tokenizer, _roles(prompt))
    texts = [inert(_shown(turn)) for turn in prompt.turns]
    given = [text for text, turn in zip(texts, prompt.turns, strict=True) if turn.role == "assistant"]
    answers = [*given, inert((prompt.answer_start + answer).strip())]
    roles = [*_roles(prompt), "assistant"]
    whole = _chat(_source(tokenizer), _special_map(tokenizer), roles, [*texts, answers[-1]])
    expected = [
        _filled(frame.before, texts) + frame.lead + text + frame.after
        for frame, text in zip(frames, answers, strict=True)
    ]
    system = [text for text, role in zip(texts, _roles(prompt), strict=True) if role == "system"]
    return not whole.startswith("".join(expected)) or not all(text in whole for text in system)


def read(tokenizer: Any, answer: list[int]) -> str:
    """Return the text of an answer's tokens, without reasoning, scaffolding and special tokens."""
    special = set(tokenizer.all_special_ids)
    if not special.intersection(answer):
        return read_text(tokenizer, str(tokenizer.decode(answer)))
    # A special token may open or close a reasoning, so special tokens are removed after it.
    text = read_text(tokenizer, str(tokenizer.decode(answer, skip_special_tokens=False)))
    for token in _special_tokens(tokenizer):
        text = text.replace(token, "")
    return text


def read_text(tokenizer: Any, text: str) -> str:
    """Return an answer without reasoning, and without the template's own scaffolding if the model has repeated it."""
    scaffold, closing, forms = _scaffold(tokenizer, _source(tokenizer))
    if scaffold and text.lstrip().startswith(scaffold):
        text = text.lstrip().removeprefix(scaffold).lstrip()
    text = without_reasoning(text, forms)
    return text.rstrip().removesuffix(closing) if closing and text.rstrip().endswith(closing) else text


def check_template(tokenizer: Any, name: str) -> None:
    """Try a tokenizer's chat template, within limits of time and memory (chat_template.py), before it is used.

    Args:
        name: origin of the template, for the error message.

    Raises:
        InputError: the template cannot be rendered within the limits, changes the text of a turn, does not end an answer
            with the stop token, or puts text around an answer that depends on the answer.
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


def _place(number: int) -> str:
    return f"Turn7Qx{number}z"


def _filled(text: str, texts: Sequence[str]) -> str:
    """Return what a template writes with the text of each turn in its place."""
    return PLACE.sub(lambda found: texts[int(found[1])], text)


def _turns(roles: Sequence[str], texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]


@lru_cache(maxsize=8)
def _try(source: str, special: tuple[tuple[str, str], ...], stop: str) -> None:
    """Raise `TemplateFault` unless turns and answers are rendered unchanged, in the same frame whatever they say."""
    roles = ("user", "assistant")
    exchanges = [(user, answer) for user in USERS for answer in ANSWERS]
    conversations = [_turns(roles, one) for one in ((_place(0), _place(1)), *exchanges)]
    first, *rendered = outputs(source, conversations, dict(special))
    (frame,) = _around(first, roles, stop)
    for (user, answer), whole in zip(exchanges, rendered, strict=True):
        before = _filled(frame.before, [user])
        if user not in before or not whole.startswith(before):
            raise TemplateFault("rewrites a user's turn, or leaves it out")
        if not whole.startswith(before + frame.lead + answer + frame.after):
            raise TemplateFault("rewrites an answer, or puts before it what depends on it")


def _around(whole: str, roles: Sequence[str], stop: str) -> list[Frame]:
    """Return the frame of each answer in a rendered conversation of places."""
    marks = [_place(number) for number, role in enumerate(roles) if role == "assistant"]
    before, *parts = re.split("|".join(marks), whole)
    if len(parts) != len(marks):
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


@lru_cache(maxsize=256)
def _layout(source: str, special: tuple[tuple[str, str], ...], stop: str, roles: tuple[str, ...]) -> list[Frame]:
    """Return the frame of each answer of a conversation in which these roles speak."""
    frames = _around(_chat(source, dict(special), roles, [_place(number) for number in range(len(roles))]), roles, stop)
    if len({frame.after for frame in frames}) > 1:
        raise TemplateFault("does not end the answers of a conversation alike")
    return frames


def _frames(tokenizer: Any, roles: tuple[str, ...]) -> list[Frame]:
    """Return the frame of each answer among turns of these roles, and of the answer that follows them."""
    special = tuple(sorted(_special_map(tokenizer).items()))
    try:
        return _layout(_source(tokenizer), special, tokenizer.eos_token, (*roles, "assistant"))
    except TemplateFault as fault:
        raise InputError(
            f"{tokenizer.name_or_path}: its chat template {fault}; give another with chat_template:"
        ) from fault


def _roles(prompt: Prompt) -> tuple[str, ...]:
    return tuple(turn.role for turn in prompt.turns)


@lru_cache(maxsize=8)
def _coder(tokenizer: Any, source: str) -> Coder:
    frames = list(_frames(tokenizer, ("user",)))
    border = PLACE.split(frames[0].before)[-1]
    for roles in (("user", "assistant", "user"), ("system", "user")):
        with suppress(InputError):  # a template may take one exchange alone, or no system turn
            frames += _frames(tokenizer, roles)
    own = [text for frame in frames for text in (*PLACE.split(frame.before)[::2], frame.after)]
    return Coder(tokenizer, own, border)


@lru_cache(maxsize=8)
def _scaffold(tokenizer: Any, source: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return the text between generation prompt and answer, the text that closes an answer, and the tags of a reasoning."""
    user = _place(0)
    (frame,), special = _frames(tokenizer, ("user",)), _special_map(tokenizer)
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


def _chat(source: str, special: dict[str, str], roles: Sequence[str], texts: Sequence[str]) -> str:
    return render_chat(source, _turns(roles, texts), special, False)


def _shown(turn: Message) -> str:
    return turn.content.strip() if turn.role == "assistant" else turn.content


def _source(tokenizer: Any) -> str:
    found = tokenizer.chat_template
    return str((found.get("default") if isinstance(found, dict) else found) or "")


def _special_map(tokenizer: Any) -> dict[str, str]:
    return {name: str(token) for name, token in tokenizer.special_tokens_map.items() if not isinstance(token, list)}


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(token for token in added.union(tokenizer.all_special_tokens) if len(token) > 1))
