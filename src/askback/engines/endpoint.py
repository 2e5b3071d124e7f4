"""One HTTP server: asks it, many at a time, tells faults of the server from faults of a request, and never tells the key.

What can pass is tried again, after a growing and random pause: 429, 408, 5xx, broken connections, timeouts, bodies cut
short or of no use. What cannot, fails its own request (`Refused`) or, where every request would fail, stops the run.
"""

import hashlib
import json
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from askback.config import Engine as EngineOptions
from askback.engines import answers, usage
from askback.engines.concurrency import Concurrency
from askback.errors import AskbackError, InputError, MissingExtra

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
PATIENCE = 900.0
"""Seconds a request may be pushed back (429) before the run stops, and the longest Retry-After that is waited for."""
IN_A_ROW = 5
"""So many requests in a row without an answer, each after all its retries, are no longer the records' fault."""
CHARS_PER_TOKEN = 4
"""For a server that does not tell what it used."""
LATER = "Everything answered so far is kept: run the same command again to go on."

Read = Callable[[Any, dict[str, Any]], Any]
"""From a body, and what was asked, to what is kept of it. KeyError, IndexError, TypeError, ValueError: it is of no use."""


@dataclass(frozen=True)
class Refused:
    """In place of an answer: why there is none."""

    reason: str


class _Again(Exception):
    """This may pass. `wait` is the server's own word, `pushed` whether it has too much to do."""

    def __init__(self, reason: str, wait: float | None = None, pushed: bool = False, unreached: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.pushed, self.unreached = wait, pushed, unreached


class ContentRefused(Exception):
    """Raised by a `Read`: the server has answered, and the answer is no."""


class Endpoint:
    """A server at `options.url`. Thread-safe.

    Raises:
        InputError: the key's environment variable is not set.
        MissingExtra: httpx2 is not installed.
    """

    def __init__(self, options: EngineOptions) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtra("httpx2", "http", f"the engine '{options.kind}'") from error
        self.url = options.url.rstrip("/")
        if not self.url:
            raise InputError(f"the engine '{options.kind}' has no url: no server has been started for it")
        self._options = options
        self._key = _key(options.api_key_env)
        self._faults = (httpx2.TransportError, httpx2.DecodingError)
        self._unreached = (httpx2.ConnectError, httpx2.ConnectTimeout)
        self._client = httpx2.Client(
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            timeout=httpx2.Timeout(options.timeout_s, pool=None),
            limits=httpx2.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency),
            trust_env=urlsplit(self.url).hostname not in ("127.0.0.1", "localhost", "::1"),  # no proxy to oneself
        )
        self._flow = Concurrency(options.concurrency)
        self._pool = ThreadPoolExecutor(options.concurrency)
        weakref.finalize(self, self._client.close)
        self._lock = threading.Lock()
        self._unanswered = 0

    def models(self) -> "list[str] | Refused":
        """Return the names of the models that the server says it has."""
        found: list[str] | Refused = self._until_answered(
            "GET", "/models", None, lambda body, _: [m["id"] for m in body["data"]]
        )
        return found

    def ask(self, path: str, payload: dict[str, Any], read: Read) -> Any:
        """Ask once, with retries, and keep nothing; return what `read` makes of the answer, or `Refused`."""
        return self._until_answered("POST", path, payload, read)

    def ask_all(self, path: str, payloads: Sequence[dict[str, Any]], read: Read) -> list[Any]:
        """Ask many; return, in their order, what `read` makes of each answer (plain JSON values), or `Refused`.

        Equal requests are sent once, and a request whose answer is kept (answers.py) is not sent.

        Raises:
            InputError: the server cannot be reached, refuses the key, or gives no answers.
        """
        kept = answers.current()
        keys = [self._request_key(path, payload) for payload in payloads]
        todo = {key: payload for key, payload in zip(keys, payloads, strict=True) if key not in kept}
        stop = threading.Event()

        def one(key: str, payload: dict[str, Any]) -> Refused | None:
            try:
                found = self._until_answered("POST", path, payload, read, stop)
                if isinstance(found, Refused):
                    return found
                kept.add(key, found)
            except BaseException:
                stop.set()
                raise
            return None

        flying = {key: self._pool.submit(one, key, payload) for key, payload in todo.items()}
        # All are waited for, so that what was paid is kept, before the first error is raised.
        errors = [error for error in (future.exception() for future in flying.values()) if error is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
            raise error
        refused = {key: future.result() for key, future in flying.items()}
        return [refused.get(key) or kept[key] for key in keys]

    def _request_key(self, path: str, payload: dict[str, Any]) -> str:
        return hashlib.sha256(json.dumps([self.url, path, payload], sort_keys=True).encode()).hexdigest()[:32]

    def _until_answered(
        self, method: str, path: str, payload: dict[str, Any] | None, read: Read, stop: threading.Event | None = None
    ) -> Any:
        """Try until there is an answer, a refusal, or no hope."""
        tried, pushed, began = 0, 0, time.monotonic()
        while True:
            if stop is not None and stop.is_set():
                raise _Stopped("another request failed for good")
            try:
                found = self._try(method, path, payload, read)
                self._unanswered = 0
                return found
            except _Again as again:
                tried, pushed = tried + (not again.pushed), pushed + again.pushed
                if again.pushed and time.monotonic() - began > PATIENCE:
                    raise InputError(f"{self.url}: has pushed a request back for {PATIENCE:.0f} s. {LATER}") from again
                if tried > self._options.retries:
                    return self._give_up(again)
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(10, tried + pushed - 1)) * random.uniform(0.5, 1)
                (stop or threading.Event()).wait(pause if again.wait is None else again.wait)

    def _give_up(self, again: _Again) -> Refused:
        with self._lock:
            self._unanswered += 1
            lost = self._unanswered >= IN_A_ROW
        said = f"no answer in {self._options.retries + 1} tries; the last: {again}"
        if lost or again.unreached:
            raise InputError(f"{self.url}: {said}. Check the server and the url. {LATER}") from again
        logging.getLogger(__name__).warning("%s: %s", self.url, said)
        return Refused(said)

    def _try(self, method: str, path: str, payload: dict[str, Any] | None, read: Read) -> Any:
        entered = self._flow.enter()
        answered = False
        try:
            status, headers, body = self._send(method, path, payload)
            answered = status == 200
            return self._understand(status, headers, body, lambda found: _counted(found, payload or {}, read))
        except _Again as again:
            answered = False
            if again.pushed:
                self._flow.push_back(entered, again.wait or 0.0)
            raise
        finally:
            self._flow.leave(entered, answered)

    def _send(self, method: str, path: str, payload: dict[str, Any] | None) -> tuple[int, Any, bytes]:
        """Send and read to the end within `timeout_s`: a timeout for each read alone would let a body drip for ever."""
        deadline = time.monotonic() + self._options.timeout_s
        body, late = bytearray(), False
        try:
            # Escaped to ASCII, which holds whatever a document does, half a surrogate pair too.
            content = None if payload is None else json.dumps(payload)
            with self._client.stream(method, self.url + path, content=content) as response:
                for chunk in response.iter_bytes():
                    if late:  # what came late and whole is taken all the same: it is paid
                        raise _Again(f"not answered in full within {self._options.timeout_s:g} s")
                    body += chunk
                    late = time.monotonic() > deadline
                return response.status_code, response.headers, bytes(body)
        except self._faults as error:
            reason = self._safe(f"{type(error).__name__} {error}".strip())
            raise _Again(reason, unreached=isinstance(error, self._unreached)) from None

    def _understand(self, status: int, headers: Any, body: bytes, read: Callable[[Any], Any]) -> Any:
        if status == 200:
            try:
                # What is kept is scrubbed as well: a server may echo what it was sent.
                return read(json.loads(self._safe(body.decode("utf-8"), None)))
            except ContentRefused as refusal:
                return Refused(str(refusal))
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise _Again(self._safe(f"an answer of no use ({type(error).__name__} {error})")) from None
        said = self._safe(" ".join(body.decode("utf-8", "replace").split()))
        if status in (401, 403):  # such bodies like to repeat the key, or most of it
            name = self._options.api_key_env
            raise InputError(
                f"{self.url}: refuses the key (HTTP {status}): "
                + (f"check the environment variable {name}" if name else "name its variable with api_key_env")
            )
        if status == 429 and "insufficient_quota" in said:
            raise InputError(f"{self.url}: the quota is used up ({said}). {LATER}")
        if status in (408, 409, 425, 429) or status >= 500:
            wait = _retry_after(headers)
            if wait is not None and wait > PATIENCE:
                raise InputError(f"{self.url}: asks to come back in {wait:.0f} s. {LATER}")
            raise _Again(f"HTTP {status} {said}", wait, pushed=status == 429 or wait is not None)
        if status == 404 or 300 <= status < 400:
            raise InputError(
                f"{self.url}: HTTP {status} ({said}). Check the url, which ends in /v1, and the model's name"
            )
        return Refused(f"HTTP {status} {said}")

    def _safe(self, text: str, most: int | None = 300) -> str:
        """Return text from outside without the key, and short."""
        return (text.replace(self._key, "***") if self._key else text)[:most]


class _Stopped(AskbackError):
    """Given up because another request of the same call cannot be answered; never shown."""


def _counted(body: Any, payload: dict[str, Any], read: Read) -> Any:
    """Count the tokens of an answer, of use or not, as it is paid; where the server does not tell them, by length."""
    told = body.get("usage") if isinstance(body, dict) else None
    told = told if isinstance(told, dict) else {}
    prompt, output = told.get("prompt_tokens"), told.get("completion_tokens")
    if not isinstance(prompt, int):
        asked = payload.get("prompt") or "".join(turn["content"] for turn in payload.get("messages", []))
        prompt = len(asked) if isinstance(asked, list) else len(asked) // CHARS_PER_TOKEN
    if not isinstance(output, int):
        output = len(json.dumps(body)) // CHARS_PER_TOKEN if payload.get("max_tokens") != 1 else 1
    if payload:
        usage.count(prompt, output)
    return read(body, payload)


def _key(name: str) -> str:
    if name and not os.environ.get(name):
        raise InputError(f"api_key_env: the environment variable {name} is not set; set it to the server's key")
    return os.environ.get(name, "") if name else ""


def _retry_after(headers: Any) -> float | None:
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
    except (ValueError, TypeError):
        return None
