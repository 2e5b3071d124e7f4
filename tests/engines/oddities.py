"""A server that answers each question in a form of one's own choosing; see `odd`."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from tests.engines.served import Body, asked_path, url_of

Reply = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""
Odd = Callable[[str, Body, int], Reply]
"""From path, payload and the number of the request to what is sent."""


class OddServer:
    """Sends what `odd` makes of each request, byte by byte as it is. Use as a context manager; `asked` keeps payloads."""

    def __init__(self, odd: Odd) -> None:
        self.odd, self.asked, self._lock = odd, list[Body](), Lock()
        self.keys: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else a body waits 40 ms behind its headers

            def do_GET(self) -> None:
                self._send(*reply({"data": [{"id": "odd"}]}))

            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.asked.append(payload)
                    server.keys.add(self.headers.get("Authorization", ""))
                    number = len(server.asked)
                self._send(*server.odd(asked_path(self.path), payload, number))

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body))}.items():
                    self.send_header(name, headers.pop(name, value))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A client that went away is no news here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = url_of(self._server)

    def __enter__(self) -> "OddServer":
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    """Return a reply with a JSON body."""
    return status, headers, json.dumps(body).encode()


def said(text: Any, finish: Any = "stop", **more: Any) -> Body:
    """Return the body of a chat's answer."""
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish} | more], "usage": {}}


def asks_plainly(payload: Body) -> bool:
    """Tell whether a request holds the plain question by which a server is known to be well."""
    return "Reply with one word" in str(payload.get("messages"))
