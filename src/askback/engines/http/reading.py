"""Reading a server's body: the answer's text and how it ended, or why there is none.

Servers with OpenAI's protocol differ in all but its outline, so bodies are read leniently, by meaning. A body whose meaning
is not clear raises a ValueError (or what Python raises for a value of another type, `ODD`); missing values are never made
up.
"""

import json
import re
from typing import Any, NamedTuple

from askback.prompts.reasoning import FORMS, without_reasoning

ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""Exceptions that reading a body of another form may raise."""
MOST_TOKENS = 10**8
"""Largest plausible count of tokens."""

_CUT = re.compile(r"length|max_?(?:[a-z]{1,12}_)?token|limit|truncat|incomplete|context_window|maxlen")
_REFUSED = re.compile(
    r"filter|safety|refus|recitation|prohibit|blocked|blocklist|spii|moderat|toxic|sensitive|guardrail|flagged|policy|violat"
)
_BROKEN = re.compile(r"error|abort|cancel|insufficient|fail|timeout|timed_out|interrupt|preempt|malformed|disconnect")


class ContentRefused(Exception):
    """The answer holds no text; the message is the reason."""


class ErrorInside(Exception):
    """A body with status 200 that is an error; `status` is the status that it stands for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Written(NamedTuple):
    """An answer: its text, its length in tokens (None if the server reports none), whether it ended with a stop token."""

    text: str
    tokens: int | None
    finished: bool


def decode(body: bytes) -> Any:
    """Return the value of a JSON body, or of an event stream (SSE) put together.

    Raises:
        ValueError: it is neither.
    """
    text = body.decode("utf-8-sig")
    if re.match(r"\s*(?:data|event|id|retry)?:", text):
        return _joined(text)
    found = json.loads(text)
    return _whole_characters(found) if re.search(r"\\u[dD][89a-fA-F]", text) else found


def _whole_characters(value: Any) -> Any:
    """Return a decoded value with U+FFFD in place of halves of surrogate pairs, which no file can hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_characters(one) for one in value]
    if isinstance(value, dict):
        return {_whole_characters(name): _whole_characters(one) for name, one in value.items()}
    return value


def _joined(text: str) -> Any:
    """Return the body that the events of a stream make up."""
    pieces = []
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "data" and (value := value.strip()) and value != "[DONE]":
            pieces.append(_whole_characters(json.loads(value)))
    whole: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    tokens: list[Any] = []
    for piece in pieces:
        whole |= {name: value for name, value in piece.items() if value is not None and name != "choices"}
        for one in (piece.get("choices") or [])[:1]:
            choice |= {name: value for name, value in one.items() if value is not None}
            for name, value in (one.get("delta") or one.get("message") or {"text": one.get("text")}).items():
                if isinstance(value, str):
                    texts.setdefault(name, []).append(value)
            tokens += (one.get("logprobs") or {}).get("content") or []
    if choice:
        whole_texts = {name: "".join(values) for name, values in texts.items()}
        text = whole_texts.get("text", "")
        choice |= {"message": {"content": whole_texts.get("text")} | whole_texts, "text": text}
        choice |= {"logprobs": {"content": tokens}} if tokens else {}
        whole["choices"] = [choice]
    if not whole:
        raise ValueError("an event stream without an event")
    return whole


def error_inside(body: Any) -> ErrorInside | None:
    """Return the error in a body with status 200, None if there is none."""
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    error = body.get("error") or first.get("error")
    if isinstance(error, dict) and not any(error.values()):
        error = None
    if not error and not choices and (body.get("object") == "error" or body.get("detail") or body.get("message")):
        error = body
    if not error:
        return None
    code = error if isinstance(error, dict) else body
    codes = [code.get(name) for name in ("code", "status", "status_code", "type")] + [body.get("code")]
    numbers = [int(one) for one in codes if isinstance(one, int | str) and re.fullmatch(r"[1-9]\d\d", str(one))]
    message = message_of(body if first.get("error") is None else first)
    return ErrorInside(next((one for one in numbers if 400 <= one < 600), _status_of(f"{codes} {message}")), message)


def _status_of(message: str) -> int:
    """Return the status that an error's message stands for, 500 if none is recognised."""
    lower = message.lower()
    for status, sign in (
        (429, r"rate.?limit|too.many.requests|quota"),
        (401, r"invalid.api.key|unauthori[sz]ed|authentication"),
        (402, r"billing|payment|insufficient.(?:credit|balance|funds)"),
        (404, r"model.not.found|no.such.model|does.not.exist"),
        (400, r"invalid.request|bad.request|content.filter|context.length|validation"),
    ):
        if re.search(sign, lower):
            return status
    return 500


def message_of(body: Any) -> str:
    """Return the message in an error's body."""
    error = body
    for name in ("error", "detail", "message"):
        if isinstance(error, dict) and error.get(name):
            error = error[name]
    if not isinstance(body, dict) or not isinstance(error, str):
        return error if isinstance(error, str) else json.dumps(body)
    inner = body["error"] if isinstance(body.get("error"), dict) else body
    more = [inner.get(name) for name in ("type", "code", "param")]
    metadata = inner.get("metadata")
    more += [metadata.get("raw"), metadata.get("reasons")] if isinstance(metadata, dict) else []
    known = [str(one) for one in more if isinstance(one, str | int | list) and one and str(one) not in error]
    return f"{error} ({', '.join(known)})" if known else error


def first_choice(body: Any) -> dict[str, Any]:
    """Return the first choice in a body.

    Raises:
        ErrorInside: the body is an error.
    """
    if found := error_inside(body):
        raise found
    choice = body["choices"][0]
    if not isinstance(choice, dict):
        raise ValueError("a choice that is no object")
    return choice


def count(value: Any) -> int | None:
    """Return a number of tokens in a server's report, None if the value is none."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        return None
    return int(value)


def used(body: Any, name: str) -> int | None:
    """Return a figure of a body's `usage`, None if it is missing."""
    usage = body.get("usage") if isinstance(body, dict) else None
    return count(usage.get(name)) if isinstance(usage, dict) else None


def read_text(body: Any, most: int, chat: bool) -> Written:
    """Return the answer in a body, without the reasoning that a model may write before it.

    Args:
        most: largest number of tokens that the request allowed.

    Raises:
        ContentRefused: there is no text, or the server withheld it.
        ErrorInside: the body is an error.
    """
    choice = first_choice(body)
    ended = finish_reason(choice)
    message = choice.get("message") or choice.get("delta") or {}
    if _REFUSED.search(ended):
        raise ContentRefused(f"the server ended its answer with '{ended}'")
    if _BROKEN.search(ended):
        raise ValueError(f"the server broke off its answer ('{ended}')")
    given = _text(message.get("content") if "content" in message else choice.get("text"))
    text = without_reasoning(given or "")
    reasoned = text != (given or "")
    tokens = used(body, "completion_tokens")
    if given is None or (not text.strip() and (chat or reasoned)):
        raise ContentRefused(_why_empty(message, ended, given))
    cut = bool(_CUT.search(ended)) if ended else (tokens if tokens is not None else len(text) / 4) >= most
    return Written(text.lstrip() if reasoned else text, tokens, not cut)


def finish_reason(choice: dict[str, Any]) -> str:
    """Return the reason that an answer ended, in lower case; "" where it is missing."""
    reason = choice.get("finish_reason") or choice.get("stop_reason") or choice.get("stop_type") or ""
    if isinstance(reason, dict):
        reason = reason.get("type") or ""
    return re.sub(r"[\s-]+", "_", str(reason).strip().lower())[:60]


def _text(content: Any) -> str | None:
    """Return the text of a message's content: a string, or parts, without those of a reasoning."""
    if content is None or isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    found = []
    for part in parts:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, dict) and not re.search(r"think|reason", str(part.get("type", ""))):
            text = part.get("text", part.get("content"))
            found += [text] if isinstance(text, str) else []
    return "".join(found) if found else None


def _why_empty(message: Any, ended: str, given: str | None) -> str:
    calls = message.get("tool_calls") or message.get("function_call")
    reasoning = message.get("reasoning_content") or message.get("reasoning") or given
    if message.get("refusal"):
        return f"the model refused: {message['refusal']}"
    how = f" (it ended with '{ended}')" if ended else ""
    if calls:
        return f"the model called a tool in place of an answer{how}"
    if reasoning and str(reasoning).strip():
        return f"the model wrote a reasoning and no answer{how}: allow more tokens, or have it not think"
    return f"the server's answer holds no text{how}"


def reasons_still(text: str) -> bool:
    """Return whether a text ends inside a block of reasoning."""
    return any(text.lstrip().startswith(start) and end not in text for start, end in FORMS)
