"""The server of the page: to this machine alone, to who has the token, with three files of its own and no other."""

import contextlib
import hashlib
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from askback.errors import InputError, StorageError
from askback.review.page import HERE, page
from askback.review.queues import view_of
from askback.review.session import Refused, Session

HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
"""SHA-256 of htmx.min.js, of htmx.org 4.0.1 as npm has it (licence: htmx.LICENSE)."""
FILES = {"review.css": "text/css", "review.js": "text/javascript", "htmx.min.js": "text/javascript"}
LARGEST = 16_000_000
"""Bytes of the largest form."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # without one, a form's origin would be null
    "x-content-type-options": "nosniff",
}
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """Lets a request through that names this server, comes from its own page, and has the token.

    The token is in the address that is printed, and then in a cookie. A name of another host in place of 127.0.0.1, as a
    page elsewhere can have it point here, is refused; so is a form of another page.
    """

    def __init__(self, app: Starlette, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.cookie = f"askback-review-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        response = self._refusal(request) or self._entry(request)

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        await (response or self.app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in self.hosts:
            return PlainTextResponse("This page is served to 127.0.0.1 alone.", 403)
        if origin != f"http://{host}" and (origin is not None or request.method not in ("GET", "HEAD")):
            return PlainTextResponse("This page takes nothing from other pages.", 403)
        return None

    def _entry(self, request: Request) -> Response | None:
        """Return None where the cookie holds the token, a cookie where the address has it, else a refusal."""
        cookies: SimpleCookie = SimpleCookie(request.headers.get("cookie", "").encode("ascii", "ignore").decode())
        held = cookies[self.cookie].value if self.cookie in cookies else ""
        if secrets.compare_digest(held.encode(), self.token.encode()):
            return None
        query = parse_qs(request.url.query)
        given = query.pop("token", [""])[-1]
        if request.method == "GET" and secrets.compare_digest(given.encode(), self.token.encode()):
            rest = urlencode(query, doseq=True)
            response = RedirectResponse(f"/?{rest}" if rest else "/", 303)
            response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
            return response
        return PlainTextResponse("Open the address that `askback review` has printed: it holds the token.", 403)


def application(session: Session, run: str, count: int) -> Starlette:
    """Return the page's application, without its guard."""
    choices = session.choices()

    async def look(request: Request) -> Response:
        view = view_of(request.url.query, count)
        try:
            return HTMLResponse(page(session.screen(view), run, session.by, choices))
        except InputError as error:
            return PlainTextResponse(str(error), 409)

    async def act(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return PlainTextResponse(f"A form has at most {LARGEST:,} bytes.", 413)
        try:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
            view = session.act(view_of(request.url.query, count), form)
        except (Refused, ValueError) as error:
            return PlainTextResponse(f"Nothing was written: {error}.", 400)
        except InputError as error:
            return PlainTextResponse(f"Nothing was written: {error}", 409)
        except StorageError as error:
            return PlainTextResponse(f"Nothing was written: {error}", 507)
        return RedirectResponse(f"/?{view.query()}", 303)

    routes = [Route("/", look, methods=["GET"]), Route("/", act, methods=["POST"])]
    return Starlette(routes=[*routes, *(Route(f"/{name}", _file(name)) for name in FILES)])


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    data = (HERE / name).read_bytes()
    if name == "htmx.min.js" and hashlib.sha256(data).hexdigest() != HTMX:
        raise InputError(f"{HERE / name}: is not the htmx that came with askback; install askback again")

    async def answer(_: Request) -> Response:
        return Response(data, media_type=FILES[name])

    return answer


async def _body(request: Request) -> bytes | None:
    """Return what was sent, None if it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return None
    return bytes(body)


def serve(run: Path, by: str, count: int, port: int) -> None:
    """Serve the page until Ctrl-C; its address is printed when it can be opened.

    Raises:
        InputError: the run has no pairs yet, or the port is taken.
    """
    server, listening, address = opened(run, by, count, port)
    print(f"Reviewing as {by}: {address}\nCtrl-C ends.", flush=True)  # noqa: T201
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def opened(run: Path, by: str, count: int, port: int = 0) -> tuple[uvicorn.Server, socket.socket, str]:
    """Return the server of the page, its socket, which takes requests already, and its address, with the token.

    Raises:
        InputError: the run has no pairs yet, or the port is taken.
    """
    session = Session(run, by)
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}. Give another, or none for any that is free") from error
    listening.listen()
    port, token = listening.getsockname()[1], secrets.token_urlsafe(24)
    app = Guard(application(session, run.resolve().name, count), token, port)
    settings: Mapping[str, Any] = {
        "log_level": "warning",
        "access_log": False,  # it would hold the token
        "lifespan": "off",
        "ws": "none",
        "proxy_headers": False,
        "server_header": False,
    }
    return uvicorn.Server(uvicorn.Config(app, **settings)), listening, f"http://127.0.0.1:{port}/?token={token}"
