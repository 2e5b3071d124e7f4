"""One HTTP server: sends many requests at a time, separates faults of the server from faults of a record, hides the key.

Transient faults are retried after a growing, random pause: 429, 408, 5xx, broken connections, timeouts, truncated or
unusable bodies. Another fault is the record's (`Refused`) only if the server answers a plain question of the same form;
else, and where it refuses many records in a row, the run stops with the server's own message.
"""

import hashlib
import json
import logging
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from askback.engines.http.blame import CONTENT, LATER, PATIENCE, Again, Refused, refused, whole_servers
from askback.engines.http.concurrency import STOPPED, USUAL, Concurrency
from askback.engines.http.key import Scrubber, read_key
from askback.engines.http.reading import ODD, ContentRefused, ErrorInside, decode, error_inside, message_of, used
from askback.engines.worker_context import WorkerContext
from askback.errors import AskbackError, InputError, Interrupted, MissingExtra
from askback.recipe import EngineOptions

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
LOOK_S = 0.5
"""Seconds between two looks, in a pause, at whether the run is to stop."""
IN_A_ROW = 5
"""Number of equal refusals in a row from which on they are not the records' fault."""
CHARS_PER_TOKEN = 4
"""Estimate for a server that does not report its token usage."""
MOST_SHOWN = 2000
"""Bytes of an unreadable body that a message is made from."""
MOST_BYTES = 64 * 2**20
"""Largest number of bytes of a body."""

Read = Callable[[Any, dict[str, Any]], Any]
"""``read(body, payload)``: the part of an answer that is kept. Raises `ODD` where the body is unusable."""


class Endpoint:
    """A server at `options.url`. Thread-safe.

    Raises:
        InputError: the key's environment variable is not set, or holds no key.
        MissingExtra: httpx2 is not installed.
    """

    def __init__(self, options: EngineOptions, worker: WorkerContext) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtra("httpx2", "http", f"the engine '{options.kind}'") from error
        self.url = options.url.rstrip("/")
        if not self.url:
            raise InputError(f"the engine '{options.kind}' has no url: no server has been started for it")
        self._options = options
        self._worker = worker
        key = read_key(options.api_key_env)
        self._scrub = Scrubber(key)
        self._faults = (httpx2.TransportError, httpx2.DecodingError)
        self._unreached = (httpx2.ConnectError, httpx2.ConnectTimeout)
        most = options.concurrency or USUAL
        self._client = httpx2.Client(
            headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            verify=self.url.startswith("https:"),  # loading certificates takes time
            timeout=httpx2.Timeout(options.timeout_s, pool=None),
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
            trust_env=urlsplit(self.url).hostname not in ("127.0.0.1", "localhost", "::1"),  # no proxy to oneself
        )
        self._flow = Concurrency(most, stopping=worker.stopping)
        self._pool = ThreadPoolExecutor(most)
        weakref.finalize(self, self._client.close)
        self._lock = threading.Lock()
        self._row: tuple[int, int] = (0, 0)
        """The status of the last refusals, and their number in a row."""
        self._answered = False

    def models(self) -> "list[str] | Refused":
        """Return the names of the server's models."""
        found: list[str] | Refused = self._until_answered(
            "GET", "/models", None, lambda body, _: [str(m["id"]) for m in body["data"]]
        )
        return found

    def ask(self, path: str, payload: dict[str, Any], read: Read) -> Any:
        """Send one request, with retries and without the cache; return the result of `read`, or `Refused`."""
        return self._until_answered("POST", path, payload, read)

    def ask_all(
        self,
        path: str,
        payloads: Sequence[dict[str, Any]],
        read: Read,
        shape: TypeAdapter[Any],
        plain: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> list[Any]:
        """Send many requests; return, in their order, the results of `read`, or `Refused` where a record is at fault.

        Equal requests are sent once, and a request whose answer is in the cache (response_cache.py) is not sent.

        Args:
            shape: type of the results; a result of another type is an unusable answer, and one in the cache is ignored.
            plain: returns the same request with a question that any server answers.

        Raises:
            InputError: the server cannot be reached, refuses the key, or gives no answers.
            Interrupted: the run is asked to stop, by Ctrl-C or a limit; requests in flight are answered and cached.
        """
        kept = self._worker.answers
        keys = [self._request_key(path, payload) for payload in payloads]
        known = {key: found for key in dict.fromkeys(keys) if (found := _sound(shape, kept.get(key))) is not None}
        todo = {key: payload for key, payload in zip(keys, payloads, strict=True) if key not in known}
        self._answered |= bool(known)  # by the process before, which was killed
        stop = threading.Event()

        def checked(body: Any, payload: dict[str, Any]) -> Any:
            return shape.validate_json(json.dumps(read(body, payload)), strict=True)

        def one(key: str, payload: dict[str, Any]) -> Any:
            try:
                found = self._until_answered("POST", path, payload, checked, stop)
                if isinstance(found, Refused):
                    return self._of_the_record(found, path, plain(payload), checked, stop)
                kept.add(key, shape.dump_python(found, mode="json"))
                self._worker.report_tokens()
                self._answered, self._row = True, (0, 0)
                return found
            except BaseException:
                stop.set()
                raise

        flying = {key: self._pool.submit(one, key, payload) for key, payload in todo.items()}
        # Wait for all, so that every paid answer is cached, before the first error is raised.
        errors = [error for error in (future.exception() for future in flying.values()) if error is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
            self._worker.report(0)  # what is paid counts, also where the piece is done again
            raise error
        known |= {key: future.result() for key, future in flying.items()}
        self._some_are_answered([known[key] for key in todo])
        return [known[key] for key in keys]

    def _of_the_record(
        self, found: Refused, path: str, control: dict[str, Any], read: Read, stop: threading.Event
    ) -> Refused:
        """Return a refusal that is the record's own fault: the server answers a plain question of the same form.

        Raises:
            InputError: it does not, or it has refused many records in a row.
        """
        if found.status in self._options.accept_refusals:
            return found
        with self._lock:
            alike = self._row[1] + 1 if self._row[0] == found.status else 1
            self._row = (found.status, alike)
        if alike >= IN_A_ROW:
            raise whole_servers(self.url, found)
        if found.status != CONTENT:
            answer = self._until_answered("POST", path, control, read, stop)
            if isinstance(answer, Refused) and answer.status != CONTENT:
                raise whole_servers(self.url, found, answer.reason)
        logging.getLogger(__name__).warning("%s: %s", self.url, found.reason)
        return found

    def _some_are_answered(self, found: list[Any]) -> None:
        """Raise the error that stops the run where the server has refused all requests so far."""
        own = [one for one in found if isinstance(one, Refused) and one.status not in self._options.accept_refusals]
        if len(own) == len(found) > 1 and not self._answered:
            raise whole_servers(self.url, own[0])

    def _request_key(self, path: str, payload: dict[str, Any]) -> str:
        return hashlib.sha256(json.dumps([self.url, path, payload], sort_keys=True).encode()).hexdigest()[:32]

    def _until_answered(
        self, method: str, path: str, payload: dict[str, Any] | None, read: Read, stop: threading.Event | None = None
    ) -> Any:
        """Retry until there is an answer, a refusal, or no try left."""
        tried, pushed, began = 0, 0, time.monotonic()
        while True:
            if stop is not None and stop.is_set():
                raise _Stopped("another request failed for good")
            if stop is not None and self._worker.stopping():
                raise Interrupted(STOPPED)
            try:
                return self._try(method, path, payload, read)
            except Again as again:
                tried, pushed = tried + (not again.pushed), pushed + again.pushed
                if again.pushed and time.monotonic() - began > PATIENCE:
                    waited = f"has rate-limited a request for {PATIENCE:.0f} s"
                    raise InputError(f"{self.url}: {waited}; the last: {again}. {LATER}") from again
                if tried > self._options.retries:
                    reason = f"no answer in {self._options.retries + 1} tries; the last: {again}"
                    if again.unreached:
                        raise InputError(f"{self.url}: {reason}. Check the server and the url. {LATER}") from again
                    return Refused(reason, again.status)
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(10, tried + pushed - 1)) * random.uniform(0.5, 1)
                self._pause(again.wait or pause, stop or threading.Event())

    def _pause(self, seconds: float, stop: threading.Event) -> None:
        """Wait, but no longer than until the run or the call is to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._worker.stopping():
            if stop.wait(min(left, LOOK_S)):
                return

    def _try(self, method: str, path: str, payload: dict[str, Any] | None, read: Read) -> Any:
        entered = self._flow.enter()
        answered = False
        try:
            status, headers, body = self._send(method, path, payload)
            answered = 200 <= status < 300
            return self._understand(status, headers, body, payload or {}, read)
        except Again as again:
            answered = False
            if again.pushed:
                self._flow.push_back(entered, again.wait or 0.0)
            raise
        finally:
            self._flow.leave(entered, answered)

    def _send(self, method: str, path: str, payload: dict[str, Any] | None) -> tuple[int, Any, bytes]:
        """Send and read to the end within `timeout_s`: a timeout per read alone would let a slow body go on for ever."""
        deadline = time.monotonic() + self._options.timeout_s
        body, late = bytearray(), False
        try:
            # Escaped to ASCII, which can hold any text of a document, also half a surrogate pair.
            content = None if payload is None else json.dumps(payload)
            with self._client.stream(method, self.url + path, content=content) as response:
                for chunk in response.iter_bytes():
                    if late:  # an answer that is late but whole is taken: it is paid
                        raise Again(f"not answered in full within {self._options.timeout_s:g} s")
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise Again(f"an answer of more than {MOST_BYTES:,} bytes")
                    late = time.monotonic() > deadline
                return response.status_code, response.headers, bytes(body)
        except self._faults as error:
            reason = self._scrub.message(f"{type(error).__name__} {error}".strip())
            raise Again(reason, unreached=isinstance(error, self._unreached)) from None

    def _understand(self, status: int, headers: Any, body: bytes, payload: dict[str, Any], read: Read) -> Any:
        """Return the result of `read`. Answers and messages are scrubbed, as servers repeat the key."""
        good = 200 <= status < 300
        try:
            found = self._scrub.value(decode(body))
            if good:
                self._count(found, payload)
                return read(found, payload)
            message = message_of(found)
        except ContentRefused as refusal:
            return Refused(self._scrub.message(str(refusal)), CONTENT)
        except ErrorInside as error:
            status, message = error.status, str(error)
        except ODD as error:
            message = body[:MOST_SHOWN].decode("utf-8", "replace")
            if good:
                odd = f"an unusable answer ({type(error).__name__} {str(error)[:200]}): {message}"
                raise Again(self._scrub.message(odd)) from None
        return refused(status, headers, self._scrub.message(message), self._options)

    def _count(self, body: Any, payload: dict[str, Any]) -> None:
        """Count the tokens of an answer, usable or not, as it is paid; by length where the server reports none."""
        if not payload or error_inside(body):
            return
        prompt, output = used(body, "prompt_tokens"), used(body, "completion_tokens")
        if prompt is None:
            asked = payload.get("prompt") or "".join(turn["content"] for turn in payload.get("messages", []))
            prompt = len(asked) if isinstance(asked, list) else len(asked) // CHARS_PER_TOKEN
        if output is None:
            output = len(json.dumps(body)) // CHARS_PER_TOKEN if payload.get("max_tokens") != 1 else 1
        self._worker.usage.count(prompt, output)


class _Stopped(AskbackError):
    """Another request of the same call failed for good; never shown."""


def _sound(shape: TypeAdapter[Any], kept: Any) -> Any:
    """Return a cached answer, None if there is none of this type."""
    try:
        return None if kept is None else shape.validate_json(json.dumps(kept), strict=True)
    except ODD:
        return None
