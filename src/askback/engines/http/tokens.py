"""Log-probabilities of an answer's tokens, as servers report them, and a judge's choice read from them.

Servers write tokens as text with their tokenizer's mark of a space ("Ġ4", "▁4", " 4"), in digits of any script, or as
bytes; log-probabilities as numbers, as text, as null, or as -9999 for a probability near 0. A choice has a probability
only where the server gives one: a missing one is never made up.
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
"""Bound below which a log-probability means a probability of 0: servers write -9999, as JSON has no infinity."""
LEAST = 1e-9
"""Smallest plausible probability of the token that a server chose; a smaller one is no probability."""
SLACK = 0.02
"""Tolerance by which the sum of probabilities may exceed 1."""
MOST = 64
"""Number of tokens, and of alternatives of each, that are read."""

TokenLogprobs = Sequence[Sequence[Any]]
"""For each token: its text, its log-probability (None if missing), and the [text, log-probability] of the most likely
tokens, with None for a probability of 0, whose logarithm JSON cannot hold."""


def logprob(value: Any) -> float | None:
    """Return a log-probability in a server's report: None if the value is none, minus infinity for a probability of 0."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value > 1e-3:
        return None
    return -math.inf if value <= IMPOSSIBLE else min(0.0, float(value))


def checked_logprob(value: Any) -> float | None:
    """Return a requested log-probability; None for a probability of 0, which servers also write as null.

    Raises:
        ValueError: it is no log-probability.
    """
    found = -math.inf if value is None else logprob(value)
    if found is None:
        raise ValueError(f"{str(value)[:40]!r} where a log-probability was asked for")
    return found if found > -math.inf else None


def read_tokens(body: Any, chat: bool = True) -> TokenLogprobs:
    """Return the log-probabilities of the answer's tokens in a body.

    Raises:
        ContentRefused: the answer has no text.
        ErrorInside: the body is an error.
        ValueError: it holds no log-probabilities.
    """
    choice = first_choice(body)
    given = choice.get("logprobs")
    found = _tokens(given) if given else []
    if not found:
        read_text(body, 1, chat)  # raises the reason if there is no text
        raise ValueError(f"no log-probabilities (the answer ended with '{finish_reason(choice)}')")
    return found[:MOST]


def _tokens(given: Any) -> TokenLogprobs:
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
            likely.append([text, checked_logprob(value)])
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
    """Return a token's text with spaces and line breaks in place of the tokenizer's marks."""
    if found := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", text):
        return bytes([int(found[1], 16)]).decode("utf-8", "replace")
    return text.replace("Ġ", " ").replace("▁", " ").replace("Ċ", "\n")


def bare(text: str) -> str:
    """Return a text's letters and digits, by which choices are compared; digits of every script as 0 to 9."""
    wide = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.decimal(c, c)) for c in wide if c.isalnum())


def choice_in(answer: TokenLogprobs, prompt: Prompt, choices: Sequence[str]) -> list[float]:
    """Return the log-probabilities of the choices where the answer makes its choice: first, or after `answer_start`.

    Spaces and marks around a choice are ignored: " 4" and "**4" are one choice, whose probabilities add up.
    """
    written, before = "", 0.0
    wanted = {bare(choice): at for at, choice in enumerate(choices)}
    start = bare(prompt.answer_start.rpartition("\n")[2]).lower()
    for text, own, likely in answer:
        at_once = not reasons_still(written) and bare(without_reasoning(written)).lower() in ("", start)
        if at_once and bare(text) in wanted:
            return _shares(list(wanted), bare(text), own, likely, before)
        # White space before the choice is sampled before it; the start that was asked for is given.
        before = before + own if not text.strip() and own is not None else 0.0
        written += text
    return Unanswered(len(choices), f"no choice where one was asked for, in the answer {written[:200]!r}")


def _shares(wanted: list[str], chosen: str, own: float | None, likely: list[Any], before: float) -> list[float]:
    """Return the log-probability of each choice where `chosen` was chosen.

    Choices that are not listed share the remaining probability evenly, each at most that of the least likely token listed.
    Where they would have more than all listed choices together, there is no answer.
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
        return Unanswered(len(wanted), f"the server gives no probability of the choice {chosen!r} that it made")
    named = {text for text, _ in listed}
    unlisted = sum(name not in named for name in wanted)
    bound = min(min(share for _, share in listed if share), max(1e-9, 1 - total) / max(1, unlisted))
    if unlisted * bound > sum(shares.values()):
        return Unanswered(len(wanted), f"the server gives the probability of {chosen!r} alone, and that is small")
    return [before + _log(share if name in named else max(1e-30, bound)) for name, share in shares.items()]


def _log(share: float) -> float:
    return math.log(share) if share else -math.inf
