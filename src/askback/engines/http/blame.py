"""Why a server gave no answer: what can pass, what is the server's or the account's fault, what may be the record's.

Only statuses that can speak of one request's content may be the record's fault, and only where the server goes on
answering the same question with other words (endpoint.py). All else, known or not, is the server's or the account's.
"""

import re
import time
from dataclasses import dataclass
from typing import Any

from askback.errors import InputError
from askback.recipe import EngineOptions

PATIENCE = 900.0
"""Seconds a request may be pushed back (429) before the run stops, and the longest Retry-After that is waited for."""
LATER = "Everything answered so far is kept: run the same command again to go on."
PASSING = (408, 409, 425, 429)
"""With 5xx, statuses that may pass."""
OF_A_RECORD = (400, 403, 413, 422, 451)
"""Statuses with which servers refuse one request for its content, and all requests for other reasons."""
CONTENT = 200
"""The status of an answer that holds no text, or that was withheld."""
_USED_UP = re.compile(
    r"quota|billing|credit|balance|payment|per.?day|daily|monthly|spend|deactivat|suspend|disabled|free.tier",
    re.IGNORECASE,
)
_SOON = re.compile(r"per.?(?:minute|second)|/ ?(?:min|s)\b|\b[rt]p[ms]\b", re.IGNORECASE)
PARAMETERS = ("seed", "top_p", "temperature", "logprobs")
"""What `leave_out` can leave out."""


@dataclass(frozen=True)
class Refused:
    """In place of an answer: why there is none, with what status; 0 where there was none, or no answer of use."""

    reason: str
    status: int = 0


class Again(Exception):
    """This may pass. `wait` is the server's own word, `pushed` whether it has too much to do."""

    def __init__(
        self,
        reason: str,
        wait: float | None = None,
        pushed: bool = False,
        unreached: bool = False,
        status: int = 0,
    ) -> None:
        super().__init__(reason)
        self.wait, self.pushed, self.unreached, self.status = wait, pushed, unreached, status


def refused(status: int, headers: Any, said: str, options: EngineOptions) -> Refused:
    """Return a refusal that may be the record's.

    Raises:
        Again: it may pass.
        InputError: it is the server's or the account's fault.
    """
    url = options.url.rstrip("/")
    if status in options.accept_refusals:
        return Refused(f"HTTP {status} {said}", status)
    if status == 429 and _USED_UP.search(said) and not _SOON.search(said):
        raise InputError(f"{url}: what the account may use is used up: HTTP {status} {said}. {LATER}")
    if status in PASSING or 500 <= status < 600:
        wait = retry_after(headers)
        if wait is not None and wait > PATIENCE:
            raise InputError(f"{url}: asks to come back in {wait:.0f} s: HTTP {status} {said}. {LATER}")
        raise Again(f"HTTP {status} {said}", wait, pushed=status == 429 or wait is not None, status=status)
    if status in OF_A_RECORD:
        return Refused(f"HTTP {status} {said}", status)
    if status == 401:
        name = options.api_key_env
        check = f"check the environment variable {name}" if name else "name its variable with api_key_env"
        raise InputError(f"{url}: refuses the key: HTTP 401 {said}; {check}. {LATER}")
    if status == 404 or 300 <= status < 400:
        raise InputError(
            f"{url}: HTTP {status} {said}. Check the url, which ends in /v1, and the model's name. {LATER}"
        )
    raise InputError(f"{url}: refuses to answer: HTTP {status} {said}. {LATER}")


def whole_servers(url: str, found: Refused, control: str = "") -> InputError:
    """Return the error that stops a run: a refusal that does not depend on the record.

    Args:
        control: how the server refused a plain question too; "" where it is that many were refused alike.
    """
    if control:
        return InputError(
            f"{url}: refuses a plain question as well ({control}), so it is not the record's fault: {found.reason}."
            f"{hint(found.reason)} {LATER}"
        )
    accept = (
        f" If it is what these records say that it refuses, accept_refusals: [{found.status}] lets them fail one by one."
        if found.status
        else ""
    )
    return InputError(
        f"{url}: refuses one request after the other: {found.reason}.{hint(found.reason)}{accept} {LATER}"
    )


def hint(said: str) -> str:
    """Return what to do where a refusal names a parameter, "" where it names none."""
    named = [name for name in PARAMETERS if re.search(rf"\b{name}\b|\btop_{name}\b", said)]
    return f" A parameter that it does not take can be left out: leave_out: [{', '.join(named)}]." if named else ""


def retry_after(headers: Any) -> float | None:
    """Return the seconds a server asks to wait: a number, or a date; None if it says nothing that can be read."""
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
