"""What stands before every request: who may ask, from where, how much, and what a browser may do with the answer.

One layer around the whole application, so that no route can be forgotten. It looks at headers only and counts bytes;
nothing of a refused request's body is kept.
"""

import hmac
import json
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_JSON_BYTES = 1 << 20
MAX_SCAN_BYTES = 64 << 20
_FORM_BYTES = 1 << 16  # what a form adds to a file

SCAN_PATH = "/api/read"
"""The only path that takes more than JSON."""

POST_HEADER = "x-vinscribe"
"""Every POST has it: a page of another origin cannot send it unasked. Source: OWASP, CSRF prevention cheat sheet."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# Goes on to the page without the token in its address. A redirection would not do: a browser that was sent here by a
# link elsewhere, say in a mail, keeps a strict cookie back from all that the link leads to by itself.
_ENTRANCE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">'
    '<title>vinscribe</title><a href="/">Go on to the review desk</a></html>'
)


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: demanded of everybody; nobody needs one if None, and then only this computer can ask.
        port: of the server; cookies are one computer's, not one port's.
        hosts: names by which a browser may call the server without a token. Other names lead here too if somebody who
            owns them says so, and their pages would be of the same origin as ours (DNS rebinding).
    """

    token: str | None = None
    port: int = 0
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")

    @property
    def cookie(self) -> str:
        """Name of the cookie with the token."""
        return f"vinscribe_token_{self.port}"


def new_token() -> str:
    """A token that cannot be guessed: 192 random bits."""
    return secrets.token_urlsafe(24)


class Guard:
    """ASGI middleware: refuses what `Access` does not allow, limits bodies, sets the security headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no WebSockets here
        headers = Headers(scope=scope)
        guarded = _with_headers(send)
        if self._enters(scope):
            cookie = f"{self._access.cookie}={self._access.token}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(guarded, 200, _ENTRANCE, "text/html", {"set-cookie": cookie, "cache-control": "no-store"})
            return
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(guarded, refusal[0], json.dumps({"detail": refusal[1]}), "application/json")
            return
        await self._limited(scope, receive, guarded)

    def _enters(self, scope: Scope) -> bool:
        """Whether this is the address with the token that was printed."""
        if self._access.token is None or scope["method"] != "GET" or scope["path"] != "/":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return _same(given, self._access.token)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and reason; None if the request may go on."""
        host = headers.get("host", "")
        if self._access.token is not None:
            if not self._knows_token(headers):
                return 401, "open the address with the token that vinscribe review printed, or send it: Bearer TOKEN"
        elif _name_of(host) not in self._access.hosts:
            return 403, "the review desk answers to localhost and 127.0.0.1 only"
        if scope["method"] in ("GET", "HEAD"):
            return None
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope['scheme']}://{host}":
            return 403, "not from a page of another origin"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "not from a page of another site"
        if headers.get(POST_HEADER) != "1":
            return 403, "send the header X-Vinscribe: 1"
        return None

    def _knows_token(self, headers: Headers) -> bool:
        token = self._access.token or ""
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        given = cookie_parser(headers.get("cookie", "")).get(self._access.cookie, "")
        return _same(given, token) or (kind.lower() == "bearer" and _same(bearer.strip(), token))

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Goes on to the application, which gets no more bytes than are allowed."""
        most = MAX_SCAN_BYTES + _FORM_BYTES if scope["path"] == SCAN_PATH else MAX_JSON_BYTES
        declared = Headers(scope=scope).get("content-length", "0")
        refusal = f"more than {most >> 20} MiB; send less"
        if not declared.isascii() or not declared.isdigit() or int(declared) > most:
            await _answer(send, 413, json.dumps({"detail": refusal}), "application/json")
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413, refusal)
            return message

        await self._app(scope, counted, send)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")  # these are other people's documents
        await send(message)

    return sending


async def _answer(send: Send, status: int, body: str, kind: str, headers: dict[str, str] | None = None) -> None:
    data = body.encode()
    fields = {"content-type": f"{kind}; charset=utf-8", "content-length": str(len(data)), **(headers or {})}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": data})


def _name_of(host: str) -> str | None:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
