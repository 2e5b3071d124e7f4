"""The cause of a missing answer: a transient fault, a fault of the server or the account, or perhaps of the record.

Only statuses about a request's content may be the record's fault, and only where the server still answers a plain question
(endpoint.py). All others, known or not, are faults of the server or the account.
"""

import re
import time
from dataclasses import dataclass
from typing import Any

from askback.errors import InputError
from askback.recipe import EngineOptions

PATIENCE = 900.0
"""Seconds for which a request may be rate-limited (429) before the run stops, and the longest accepted Retry-After."""
LATER = "Everything answered so far is kept: run the same command again to go on."
PASSING = (408, 409, 425, 429)
"""Statuses of transient faults, beside 5xx."""
OF_A_RECORD = (400, 403, 413, 422, 451)
"""Statuses with which servers refuse one request for its content, or all requests for other reasons."""
CONTENT = 200
"""The status of an answer that holds no text, or is withheld."""
_USED_UP = re.compile(
    r"quota|billing|credit|balance|payment|per.?day|daily|monthly|spend|deactivat|suspend|disabled|free.tier",
    re.IGNORECASE,
)
_SOON = re.compile(r"per.?(?:minute|second)|/ ?(?:min|s)\b|\b[rt]p[ms]\b", re.IGNORECASE)
PARAMETERS = ("seed", "top_p", "temperature", "logprobs")
"""Parameters that `leave_out` can name."""


@dataclass(frozen=True)
class Refused:
    """The reason for a missing answer, and the HTTP status; 0 where there was none, or no usable answer."""

    reason: str
    status: int = 0


class Again(Exception):
    """A transient fault. `wait` is the server's Retry-After in seconds; `pushed`: the server is overloaded."""

    def __init__(
        self, reason: str, wait: float | None = None, pushed: bool = False, unreached: bool = False, status: int = 0
    ) -> None:
        super().__init__(reason)
        self.wait, self.pushed, self.unreached, self.status = wait, pushed, unreached, status


def refused(status: int, headers: Any, message: str, options: EngineOptions) -> Refused:
    """Return a refusal that may be the record's fault.

    Raises:
        Again: it is transient.
        InputError: it is the server's or the account's fault.
    """
    url, answer = options.url.rstrip("/"), f"HTTP {status} {message}"
    if status in options.accept_refusals:
        return Refused(answer, status)
    if status == 429 and _USED_UP.search(message) and not _SOON.search(message):
        raise InputError(f"{url}: the account's quota is used up: {answer}. {LATER}")
    if status in PASSING or 500 <= status < 600:
        wait = retry_after(headers)
        if wait is not None and wait > PATIENCE:
            raise InputError(f"{url}: asks to come back in {wait:.0f} s: {answer}. {LATER}")
        raise Again(answer, wait, pushed=status == 429 or wait is not None, status=status)
    if status in OF_A_RECORD:
        return Refused(answer, status)
    if status == 401:
        name = options.api_key_env
        check = f"check the environment variable {name}" if name else "name its variable with api_key_env"
        raise InputError(f"{url}: refuses the key: {answer}; {check}. {LATER}")
    if status == 404 or 300 <= status < 400:
        raise InputError(f"{url}: {answer}. Check the url, which ends in /v1, and the model's name. {LATER}")
    raise InputError(f"{url}: refuses to answer: {answer}. {LATER}")


def whole_servers(url: str, found: Refused, control: str = "") -> InputError:
    """Return the error that stops a run: a refusal that does not depend on the record.

    Args:
        control: the server's refusal of a plain question; "" where many requests in a row got the same refusal.
    """
    if control:
        return InputError(
            f"{url}: refuses a plain question as well ({control}), so it is not the record's fault: {found.reason}."
            f"{hint(found.reason)} {LATER}"
        )
    accept = (
        f" If it refuses the content of these records, accept_refusals: [{found.status}] lets them fail one by one."
        if found.status
        else ""
    )
    return InputError(
        f"{url}: refuses one request after the other: {found.reason}.{hint(found.reason)}{accept} {LATER}"
    )


def hint(message: str) -> str:
    """Return advice where a refusal names a parameter, "" where it names none."""
    named = [name for name in PARAMETERS if re.search(rf"\b{name}\b|\btop_{name}\b", message)]
    return f" A parameter that it does not take can be left out: leave_out: [{', '.join(named)}]." if named else ""


def retry_after(headers: Any) -> float | None:
    """Return the seconds a server asks to wait, from a number or a date; None if the headers give neither."""
    from email.utils import parsedate_to_datetime

    milliseconds, given = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds:
            return max(0.0, float(milliseconds) / 1000)
        return None if given is None else max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
