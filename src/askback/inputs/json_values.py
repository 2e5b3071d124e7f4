"""Single JSON values, with rules for what Python's decoder refuses or accepts by mistake.

NaN, infinities and integers of more than 4,300 digits become null (None); an unpaired surrogate, which is no text,
becomes a question mark; a key that occurs twice with different values makes its row broken.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any


class BrokenRow(ValueError):
    """A row that cannot be read: `rule` is the rule it breaks (``too-large``, ``broken-json`` …), its text the reason."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(" ".join(why.split())[:300])
        self.rule = rule


Row = dict[str, Any] | BrokenRow
Rows = Iterator[tuple[str, Row]]
"""(where, row): `where` is ``file:line``, ``file#row`` or ``hub:name:split#row``, counted from 1."""
NAMES = {"dict": "an object", "list": "a list", "str": "text", "NoneType": "null", "bool": "true or false"}


def kind(value: object) -> str:
    """Return the JSON type of a value in words."""
    return NAMES.get(type(value).__name__, "a number" if isinstance(value, (int, float)) else type(value).__name__)


_NO_INPUT = ("<noinput>", "<no input>", "noinput")


class _Twice(dict[str, Any]):
    """An object in which `key` occurs twice, with different values."""

    key = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    for key, value in pairs:
        if found[key] != value:
            twice = _Twice(found)
            twice.key = key
            return twice
    return found


def _no_value(written: str) -> None:
    return None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= 4300 else None


_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_value, object_pairs_hook=_object)
_LONG_NUMBERS = json.JSONDecoder(strict=False, parse_constant=_no_value, object_pairs_hook=_object, parse_int=_integer)


def decode(text: str, at: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at an offset, and the offset of its end.

    Raises:
        ValueError: there is none; a `json.JSONDecodeError` has the offset.
        RecursionError: it is nested too deeply.
    """
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except ValueError:
        value, end = _LONG_NUMBERS.raw_decode(text, at)
    written = text[at:end]
    if "\\ud" in written or "\\uD" in written:
        value = _whole(value)
    return value, end


def _whole(value: Any) -> Any:
    """Return a value with a question mark for each unpaired surrogate."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        items = [(_whole(key), _whole(one)) for key, one in value.items()]
        value.clear()
        value.update(items)
    return value


def read_value(text: str) -> Any:
    """Return the one JSON value that a text holds.

    Raises:
        ValueError: it holds none, or more.
        RecursionError: it is nested too deeply.
    """
    text = text.strip()
    value, end = decode(text)
    if text[end:].strip() == ",":
        raise ValueError("a comma behind it")
    if end < len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def why_broken(error: Exception, place: Callable[[int], str] | None = None) -> str:
    """Return why a text is not valid JSON."""
    if isinstance(error, RecursionError):
        return "not valid JSON: nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: byte {error.object[error.start]:#x} at byte {error.start + 1}"
    if isinstance(error, json.JSONDecodeError) and place:
        return f"not valid JSON: {error.msg}: {place(error.pos)}"
    return f"not valid JSON: {error}"


def row_of(given: Any) -> Row:
    """Return a row from a line of JSON, as bytes, or from a decoded value, which has to be an object."""
    if isinstance(given, bytes):
        try:
            given = read_value(given.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            return BrokenRow("broken-json", why_broken(error, lambda at: f"column {at + 1}"))
    if isinstance(given, _Twice):
        return BrokenRow("broken-json", f"key '{given.key[:40]}' occurs twice, with different values")
    if not isinstance(given, dict):
        return BrokenRow("not-a-record", f"expected an object, found {kind(given)}")
    inner = given.get("row")
    return inner if "row_idx" in given and isinstance(inner, dict) else given


def filled(value: object) -> bool:
    """Return whether a field has a value: neither null, nor blank text, nor an empty list or object."""
    if isinstance(value, str):
        return value.strip() not in ("", "[]", "{}", "null")
    return value is not None and not (hasattr(value, "__len__") and len(value) == 0)


def as_text(value: object) -> str:
    """Return a field's value as text: numbers, lists and objects as JSON; "" for null and for "no input"."""
    if isinstance(value, str):
        return "" if value.strip().lower() in _NO_INPUT else value.strip()
    return json.dumps(value, ensure_ascii=False, default=str) if filled(value) else ""
