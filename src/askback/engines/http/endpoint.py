"""One HTTP server: asks it, many at a time, tells faults of the server from faults of a record, and never tells the key.

What can pass is tried again, after a growing and random pause: 429, 408, 5xx, broken connections, timeouts, bodies cut
short or of no use. What cannot is the record's fault (`Refused`) only if the server answers a plain question that is put
the same way; else, and where one record after the other is refused, the run stops with the server's own words.
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
from askback.engines.http.concurrency import Concurrency
from askback.engines.http.key import Scrubber, read_key
from askback.engines.http.reading import ODD, ContentRefused, ErrorInside, decode, error_inside, used, words_of
from askback.engines.worker_context import WorkerContext
from askback.errors import AskbackError, InputError, MissingExtra
from askback.recipe import EngineOptions

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
IN_A_ROW = 5
"""Number of equal refusals without an answer between them that is no longer the records' fault."""
CHARS_PER_TOKEN = 4
"""Estimate for a server that does not report its token usage."""
MOST_SAID = 2000
"""Bytes of a body that are looked at for words to show."""
MOST_BYTES = 64 * 2**20
"""Of a body; a longer one is none of an answer's."""

Read = Callable[[Any, dict[str, Any]], Any]
"""From a body, and what was asked, to what is kept of it. Raises `ODD` where the body is of no use."""


class Endpoint:
    """A server at `options.url`. Thread-safe.

    Raises:
        InputError: the key's environment variable is not set, or holds what is no key.
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
        self._client = httpx2.Client(
            headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            verify=self.url.startswith("https:"),  # else its certificates are read for nothing
            timeout=httpx2.Timeout(options.timeout_s, pool=None),
            limits=httpx2.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency),
            trust_env=urlsplit(self.url).hostname not in ("127.0.0.1", "localhost", "::1"),  # no proxy to oneself
        )
        self._flow = Concurrency(options.concurrency)
        self._pool = ThreadPoolExecutor(options.concurrency)
        weakref.finalize(self, self._client.close)
        self._lock = threading.Lock()
        self._row: tuple[int, int] = (0, 0)
        """The status of the last refusals, and how many there were with no answer between them."""
        self._answered = False

    def models(self) -> "list[str] | Refused":
        """Return the names of the models that the server says it has."""
        found: list[str] | Refused = self._until_answered(
            "GET", "/models", None, lambda body, _: [str(m["id"]) for m in body["data"]]
        )
        return found

    def ask(self, path: str, payload: dict[str, Any], read: Read) -> Any:
        """Ask once, with retries, and keep nothing; return what `read` makes of the answer, or `Refused`."""
        return self._until_answered("POST", path, payload, read)

    def ask_all(
        self,
        path: str,
        payloads: Sequence[dict[str, Any]],
        read: Read,
        shape: TypeAdapter[Any],
        plain: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> list[Any]:
        """Ask many; return, in their order, what `read` makes of each answer, or `Refused` where that is its own fault.

        Equal requests are sent once, and a request whose answer is kept (response_cache.py) is not sent.

        Args:
            shape: what an answer that is kept must be, type by type; one that is not is not kept, or asked for again.
            plain: from a request to the same with a question that any server answers.

        Raises:
            InputError: the server cannot be reached, refuses the key, or gives no answers.
        """
        kept = self._worker.answers
        keys = [self._request_key(path, payload) for payload in payloads]
        known = {key: found for key in dict.fromkeys(keys) if (found := _sound(shape, kept.get(key))) is not None}
        todo = {key: payload for key, payload in zip(keys, payloads, strict=True) if key not in known}
        stop = threading.Event()

        def checked(body: Any, payload: dict[str, Any]) -> Any:
            return shape.validate_json(json.dumps(read(body, payload)), strict=True)

        def one(key: str, payload: dict[str, Any]) -> Any:
            try:
                found = self._until_answered("POST", path, payload, checked, stop)
                if isinstance(found, Refused):
                    return self._of_the_record(found, path, plain(payload), checked, stop)
                kept.add(key, shape.dump_python(found, mode="json"))
                self._answered, self._row = True, (0, 0)
                return found
            except BaseException:
                stop.set()
                raise

        flying = {key: self._pool.submit(one, key, payload) for key, payload in todo.items()}
        # All are waited for, so that what was paid is kept, before the first error is raised.
        errors = [error for error in (future.exception() for future in flying.values()) if error is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
            raise error
        known |= {key: future.result() for key, future in flying.items()}
        self._some_are_answered([known[key] for key in todo])
        return [known[key] for key in keys]

    def _of_the_record(
        self, found: Refused, path: str, control: dict[str, Any], read: Read, stop: threading.Event
    ) -> Refused:
        """Return a refusal that is the record's own fault: the server answers a plain question that is put alike.

        Raises:
            InputError: it does not, or it has refused one after the other.
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
        """Stop where a server has refused all that it was asked so far."""
        own = [one for one in found if isinstance(one, Refused) and one.status not in self._options.accept_refusals]
        if len(own) == len(found) > 1 and not self._answered:
            raise whole_servers(self.url, own[0])

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
                return self._try(method, path, payload, read)
            except Again as again:
                tried, pushed = tried + (not again.pushed), pushed + again.pushed
                if again.pushed and time.monotonic() - began > PATIENCE:
                    waited = f"has pushed a request back for {PATIENCE:.0f} s"
                    raise InputError(f"{self.url}: {waited}; the last: {again}. {LATER}") from again
                if tried > self._options.retries:
                    said = f"no answer in {self._options.retries + 1} tries; the last: {again}"
                    if again.unreached:
                        raise InputError(f"{self.url}: {said}. Check the server and the url. {LATER}") from again
                    return Refused(said, again.status)
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(10, tried + pushed - 1)) * random.uniform(0.5, 1)
                (stop or threading.Event()).wait(pause if again.wait is None else again.wait)

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
        """Send and read to the end within `timeout_s`: a timeout for each read alone would let a body drip for ever."""
        deadline = time.monotonic() + self._options.timeout_s
        body, late = bytearray(), False
        try:
            # Escaped to ASCII, which holds whatever a document does, half a surrogate pair too.
            content = None if payload is None else json.dumps(payload)
            with self._client.stream(method, self.url + path, content=content) as response:
                for chunk in response.iter_bytes():
                    if late:  # what came late and whole is taken all the same: it is paid
                        raise Again(f"not answered in full within {self._options.timeout_s:g} s")
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise Again(f"an answer of more than {MOST_BYTES:,} bytes")
                    late = time.monotonic() > deadline
                return response.status_code, response.headers, bytes(body)
        except self._faults as error:
            reason = self._scrub.said(f"{type(error).__name__} {error}".strip())
            raise Again(reason, unreached=isinstance(error, self._unreached)) from None

    def _understand(self, status: int, headers: Any, body: bytes, payload: dict[str, Any], read: Read) -> Any:
        """Return what `read` makes of an answer. What is kept and what is said is scrubbed: servers repeat the key."""
        good = 200 <= status < 300
        try:
            found = self._scrub.value(decode(body))
            if good:
                self._count(found, payload)
                return read(found, payload)
            said = words_of(found)
        except ContentRefused as refusal:
            return Refused(self._scrub.said(str(refusal)), CONTENT)
        except ErrorInside as error:
            status, said = error.status, str(error)
        except ODD as error:
            said = body[:MOST_SAID].decode("utf-8", "replace")
            if good:
                odd = f"an answer of no use ({type(error).__name__} {str(error)[:200]}): {said}"
                raise Again(self._scrub.said(odd)) from None
        return refused(status, headers, self._scrub.said(said), self._options)

    def _count(self, body: Any, payload: dict[str, Any]) -> None:
        """Count the tokens of an answer, of use or not, as it is paid; where the server does not tell them, by length."""
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
    """Given up because another request of the same call cannot be answered; never shown."""


def _sound(shape: TypeAdapter[Any], kept: Any) -> Any:
    """Return an answer that was kept, None if there is none, or if it is not what is looked for."""
    try:
        return None if kept is None else shape.validate_json(json.dumps(kept), strict=True)
    except ODD:
        return None
