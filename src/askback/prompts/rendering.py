"""From a prompt to tokens, and from an answer's tokens to its text, through the model's chat template.

What a template puts between the user's turn and an answer (a header, an empty block for a reasoning, the name of a
channel) is found by rendering an exchange whose answer is known, and is part of the prompt: in training, where no loss
falls on it, in scoring, in sampling and in evaluation alike. The template's own generation prompt is not used, as it may
hold less than that, or more.
"""

from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

from askback.errors import InputError
from askback.models.chat_template import TemplateFault, outputs, render_chat
from askback.prompts.prompt import Prompt
from askback.prompts.reasoning import FORMS, PAIRS, without_reasoning
from askback.prompts.scaffolding import inert

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
    """What a template puts around an answer to one user's turn."""

    before: str
    lead: str
    """Spaces between that and the answer: tokenizers join them with its first word, so they go with the answer."""
    after: str
    """Up to and with the stop token."""


def render(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the tokens of a prompt up to where the answer begins or goes on.

    Only a user turn is sent, so a template without a system role does as well as one with.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    frame = _frame(tokenizer, prompt.user)
    return _encode(tokenizer, _asked(frame, _defuse(tokenizer, prompt.answer_start)))


def render_pair(tokenizer: Any, prompt: Prompt, answer: str) -> tuple[list[int], list[int]]:
    """Return (prompt tokens, answer tokens) of a finished exchange; the answer ends with the stop token.

    The prompt tokens are those of `render`, by construction: the two halves are encoded apart.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    frame, opening = _frame(tokenizer, prompt.user), _defuse(tokenizer, prompt.answer_start)
    rest = _answer(tokenizer, prompt, answer).removeprefix(opening) + frame.after
    learnt = rest if opening else frame.lead + rest
    return _encode(tokenizer, _asked(frame, opening)), _encode(tokenizer, learnt)


def rewrites(tokenizer: Any, prompt: Prompt, answer: str) -> bool:
    """Tell whether the template would render this prompt or this answer otherwise than as they are.

    Raises:
        InputError: the chat template cannot be used (`check_template`).
    """
    frame, text = _frame(tokenizer, prompt.user), _answer(tokenizer, prompt, answer)
    whole = _chat(tokenizer, prompt.user, text)
    return not whole.startswith(frame.before + frame.lead + text + frame.after)


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


@lru_cache(maxsize=8)
def _try(source: str, special: tuple[tuple[str, str], ...], stop: str) -> None:
    """Raises `TemplateFault` unless users and answers come out as they are, and alike around different answers."""
    exchanges = [(user, answer) for user in USERS for answer in ANSWERS]
    rendered = outputs(source, [_turns(*one) for one in exchanges], dict(special))
    for (user, answer), whole in zip(exchanges, rendered, strict=True):
        if answer == PROBE:
            frame = _around(whole, stop)
            if user not in frame.before:
                raise TemplateFault("rewrites a user's turn, or leaves it out")
        if not whole.startswith(frame.before + frame.lead + answer + frame.after):
            raise TemplateFault("rewrites an answer, or puts before it what depends on it")


def _around(whole: str, stop: str) -> Frame:
    before, found, rest = whole.rpartition(PROBE)
    if not found:
        raise TemplateFault("rewrites an answer, or leaves it out")
    after, ended, _ = rest.partition(stop)
    if not ended:
        raise TemplateFault(f"does not end an answer with the stop token {stop!r}")
    bare = before.rstrip(" ")
    return Frame(bare, before[len(bare) :], after + ended)


def _frame(tokenizer: Any, user: str) -> Frame:
    try:
        return _around(_chat(tokenizer, user, PROBE), tokenizer.eos_token)
    except TemplateFault as fault:
        raise InputError(
            f"{tokenizer.name_or_path}: its chat template {fault}; give another with chat_template:"
        ) from fault


def _asked(frame: Frame, opening: str) -> str:
    return frame.before + frame.lead + opening if opening else frame.before


def _answer(tokenizer: Any, prompt: Prompt, answer: str) -> str:
    return _defuse(tokenizer, inert((prompt.answer_start + answer).strip()))


@lru_cache(maxsize=8)
def _scaffold(tokenizer: Any, source: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return what stands before an answer beyond the generation prompt, what ends it, and how a reasoning looks."""
    user = USERS[0]
    frame, special = _frame(tokenizer, user), _special_map(tokenizer)
    try:
        opened = render_chat(source, _turns(user), special, True)
    except TemplateFault:
        opened = frame.before
    same = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(opened, frame.before, strict=False)))
    found = PAIRS.finditer(frame.before, frame.before.rfind(user) + len(user))
    forms = tuple(
        dict.fromkeys((f"<{one[1]}>", f"</{one[1]}>") if one[1] else (f"[{one[2]}]", f"[/{one[2]}]") for one in found)
    )
    return frame.before[same:].strip(), frame.after.removesuffix(tokenizer.eos_token).strip(), FORMS + forms


def _chat(tokenizer: Any, user: str, assistant: str) -> str:
    turns = _turns(_defuse(tokenizer, user), assistant)
    return render_chat(_source(tokenizer), turns, _special_map(tokenizer), False)


def _turns(user: str, assistant: str | None = None) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": user}]
    return turns if assistant is None else [*turns, {"role": "assistant", "content": assistant}]


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
