"""A server on a real socket that speaks OpenAI's protocol and, for a share of what it is asked, misbehaves.

What it does to a request follows from the seed, the request and how often that was asked, so that neither order nor
timing changes which faults a test meets. It keeps count of what it has answered in full.
"""

import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.engines.served import asked_path, url_of

FAULTS = (
    *("429-after", "429", "500", "hang", "drip", "cut-body", "cut-json", "html", "other-json", "no-choices"),
    *("no-logprobs", "reset"),
)
WEIGHTS = [1 if fault in ("hang", "drip") else 4 for fault in FAULTS]
"""The two that cost time are rarer."""
HANG = 5.0
"""Seconds until a hanging request is let go of; a client's timeout should be less."""

Answer = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]
"""From a path and a payload to a status and a body."""


class FaultServer:
    """Answers by `answer`, but for `share` of all tries. Use as a context manager.

    `asked` and `delivered` count, by `request_id`, the tries and the good answers sent to the last byte.
    """

    def __init__(self, answer: Answer, share: float = 0.0, seed: int = 0, delay: float = 0.0, port: int = 0) -> None:
        self.answer, self.share, self.seed, self.delay = answer, share, seed, delay
        self.asked: Counter[str] = Counter()
        self.delivered: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.most_at_once = self.now = 0
        self.lock = threading.Lock()
        self.down = False

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A client that went away is no news here."""

        self._server = Server(("127.0.0.1", port), type("Handler", (_Handler,), {"faults": self}))
        self.url = url_of(self._server)

    def __enter__(self) -> "FaultServer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, id: str) -> str:
        """Return what goes wrong with this try, or an empty string."""
        with self.lock:
            self.asked[id] += 1
            draw = random.Random(f"{self.seed} {id} {self.asked[id]}")
            found = draw.choices(FAULTS, WEIGHTS)[0] if draw.random() < self.share else ""
            self.met[found] += 1
        return "down" if self.down else found


def request_id(path: str, payload: dict[str, Any]) -> str:
    """Return a hash of a request."""
    return hashlib.sha256(json.dumps([path, payload], sort_keys=True).encode()).hexdigest()[:16]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms behind its headers
    faults: FaultServer

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "served"}]})

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server, path = self.faults, asked_path(self.path)
        server.keys.add(self.headers.get("Authorization", ""))
        id = request_id(path, payload)
        with server.lock:
            server.now += 1
            server.most_at_once = max(server.most_at_once, server.now)
        try:
            time.sleep(server.delay)
            fault = server.fault(id)
            status, body = server.answer(path, payload)
            if fault == "no-logprobs" and not body.get("choices", [{}])[0].get("logprobs"):
                fault = ""
            if fault:
                self._misbehave(fault, body)
                return
            good = Counter([id] if status == 200 else [])
            with server.lock:
                server.delivered += good  # first, as whoever has the answer may look at the count at once
            try:
                self._send(status, body)
            except OSError:
                with server.lock:
                    server.delivered -= good
                raise
        finally:
            with server.lock:
                server.now -= 1

    def _misbehave(self, fault: str, body: dict[str, Any]) -> None:
        whole = json.dumps(body).encode()
        # A careless server tells in its errors what it was sent.
        error = {"error": {"message": f"overloaded; headers were {dict(self.headers)}"}}
        match fault:
            case "429-after":
                self._send(429, error, {"Retry-After": "0.05"})
            case "429":
                self._send(429, error)
            case "500" | "down":
                self._send(500, error)
            case "hang":
                time.sleep(HANG)
                self.close_connection = True
            case "drip":
                self._start(200, len(whole))
                for at in range(len(whole)):
                    self.wfile.write(whole[at : at + 1])
                    time.sleep(0.1)
            case "cut-body":
                self._start(200, len(whole))
                self.wfile.write(whole[: len(whole) // 2])
                self.close_connection = True
            case "cut-json":
                self._raw(whole[: len(whole) // 2])
            case "html":
                self._raw(b"<html>Bad gateway</html>")
            case "other-json":
                self._raw(json.dumps([error]).encode())
            case "no-choices":
                self._send(200, {**body, "choices": []})
            case "no-logprobs":
                self._send(200, {**body, "choices": [{**choice, "logprobs": None} for choice in body["choices"]]})
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._raw(json.dumps(body).encode(), status, headers)

    def _raw(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._start(status, len(content), headers)
        self.wfile.write(content)

    def _start(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
