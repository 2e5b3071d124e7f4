"""Log-probabilities of an answer's tokens, as servers report them, and the choice of a judge that is read from them.

Tokens come as text, with the mark of a space that their tokenizer has ("Ġ4", "▁4", " 4"), in digits of any script, or as
bytes alone; log-probabilities as numbers, as text, as null, or as -9999 for what is next to impossible. A choice has a
probability only where the server gives one: a missing one is never made up.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from askback.engines.http.reading import finish_reason, first_choice, read_text, reasons_still
from askback.engines.protocol import Unanswered
from askback.prompts.prompt import Prompt
from askback.prompts.reasoning import without_reasoning

IMPOSSIBLE = -9000.0
"""Servers write -9999 for a probability of 0, as JSON has no infinity."""
LEAST = 1e-9
"""The token that a server has chosen is likelier than this; if it says otherwise, it does not tell probabilities."""
SLACK = 0.02
"""Probabilities that sum to more than 1 and this are none."""
MOST = 64
"""Tokens, and alternatives of each, that are looked at."""

Told = Sequence[Sequence[Any]]
"""Of each token its text, its log-probability (None if missing), and the [text, log-probability] of the likeliest, with
None for a probability of 0, which JSON cannot hold as a logarithm."""


def logprob(value: Any) -> float | None:
    """Return a log-probability as servers report it; None if it is none, minus infinity for a probability of 0."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value > 1e-3:
        return None
    return -math.inf if value <= IMPOSSIBLE else min(0.0, float(value))


def told(value: Any) -> float | None:
    """Return a log-probability that was asked for; None for a probability of 0, which servers also write as null.

    Raises:
        ValueError: it is no log-probability.
    """
    found = -math.inf if value is None else logprob(value)
    if found is None:
        raise ValueError(f"{str(value)[:40]!r} where a log-probability was asked for")
    return found if found > -math.inf else None


def read_tokens(body: Any, chat: bool = True) -> Told:
    """Return the log-probabilities of the answer's tokens in a body.

    Raises:
        ContentRefused: the answer has no text.
        ErrorInside: the body is an error.
        ValueError: it tells no log-probabilities.
    """
    choice = first_choice(body)
    given = choice.get("logprobs")
    found = _tokens(given) if given else []
    if not found:
        read_text(body, 1, chat)  # says why there is no text, where there is none
        raise ValueError(f"no log-probabilities (the answer ended with '{finish_reason(choice)}')")
    return found[:MOST]


def _tokens(given: Any) -> Told:
    if isinstance(given, dict) and isinstance(given.get("content"), list):
        given = given["content"]
    if isinstance(given, list):
        return [_token(one, one.get("top_logprobs")) for one in given if isinstance(one, dict)]
    texts, values, tops = (given.get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs"))
    found = []
    for at, text in enumerate(texts):
        value = values[at] if at < len(values) else None
        found.append(_token({"token": text, "logprob": value}, tops[at] if at < len(tops) else None))
    return found


def _token(one: dict[str, Any], alternatives: Any) -> list[Any]:
    if isinstance(alternatives, dict):
        listed = [(_plain(text), value) for text, value in alternatives.items()]
    else:
        others = alternatives if isinstance(alternatives, list) else []
        listed = [(_written(other), other.get("logprob")) for other in others if isinstance(other, dict)]
    likely = []
    for text, value in listed[:MOST]:
        if value is None or logprob(value) is not None:
            likely.append([text, told(value)])
    own = logprob(one.get("logprob"))
    return [_written(one), own if own is not None and own > -math.inf else None, likely]


def _written(one: dict[str, Any]) -> str:
    """Return the text of a token: as the server writes it, or from its bytes."""
    text = next((one[name] for name in ("token", "text", "tok_str", "content") if isinstance(one.get(name), str)), "")
    raw = one.get("bytes")
    if isinstance(raw, list) and raw and all(type(byte) is int and 0 <= byte < 256 for byte in raw):
        return bytes(raw).decode("utf-8", "replace")
    return _plain(text)


def _plain(text: str) -> str:
    """Return a token's text with spaces and line breaks for the marks that tokenizers write for them."""
    if found := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", text):
        return bytes([int(found[1], 16)]).decode("utf-8", "replace")
    return text.replace("Ġ", " ").replace("▁", " ").replace("Ċ", "\n")


def bare(text: str) -> str:
    """Return text as choices are compared: letters and digits alone, digits of every script as 0 to 9."""
    wide = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.decimal(c, c)) for c in wide if c.isalnum())


def choice_in(answer: Told, prompt: Prompt, choices: Sequence[str]) -> list[float]:
    """Find where the answer gives its choice, right after the end of `answer_start` or at once, and read the choices there.

    Spaces and marks around it do not count: " 4" and "**4" are one choice, whose probabilities add up.
    """
    said, before = "", 0.0
    wanted = {bare(choice): at for at, choice in enumerate(choices)}
    start = bare(prompt.answer_start.rpartition("\n")[2]).lower()
    for text, own, likely in answer:
        at_once = not reasons_still(said) and bare(without_reasoning(said)).lower() in ("", start)
        if at_once and bare(text) in wanted:
            return _shares(list(wanted), bare(text), own, likely, before)
        # White space before the digit is drawn before it; the words that it was asked to begin with are given.
        before = before + own if not text.strip() and own is not None else 0.0
        said += text
    return Unanswered(len(choices), f"no choice where one was asked for, in the answer {said[:200]!r}")


def _shares(wanted: list[str], chosen: str, own: float | None, likely: list[Any], before: float) -> list[float]:
    """Return the log-probability of each choice where `chosen` was chosen.

    A choice that is not listed has an even part of what is left, and no more than the least likely of the list. Where that
    is more than all listed choices have, it would be the score, so there is none.
    """
    listed = [(bare(text), 0.0 if value is None else math.exp(value)) for text, value in likely]
    if sum(share for _, share in listed) > 1 + SLACK:  # some servers list the same token twice
        listed = [(bare(text), 0.0 if value is None else math.exp(value)) for text, value in {tuple(p) for p in likely}]
    total = sum(share for _, share in listed)
    shares = {name: sum(share for text, share in listed if text == name) for name in wanted}
    if shares[chosen] < LEAST and own is not None:
        shares[chosen] = math.exp(own)
        total += shares[chosen]
        listed.append((chosen, shares[chosen]))
    elif total > 1 + SLACK:
        shares[chosen] = 0.0
    if shares[chosen] < LEAST or sum(shares.values()) > 1 + SLACK:
        return Unanswered(len(wanted), f"the server tells no probability of the choice {chosen!r} that it made")
    named = {text for text, _ in listed}
    unlisted = sum(name not in named for name in wanted)
    bound = min(min(share for _, share in listed if share), max(1e-9, 1 - total) / max(1, unlisted))
    if unlisted * bound > sum(shares.values()):
        return Unanswered(len(wanted), f"the server tells the probability of {chosen!r} alone, and that is small")
    return [before + _log(share if name in named else max(1e-30, bound)) for name, share in shares.items()]


def _log(share: float) -> float:
    return math.log(share) if share else -math.inf
