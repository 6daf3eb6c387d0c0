"""Who may talk to the site.

Alone on a laptop there is no login: the address that is printed carries a random token (as Jupyter's does), which is
exchanged for a session (`sessions`). Others come with the code of a workshop or through a provider (`pages/entry`,
`pages/signin`), programs with a personal token (`accounts`). Around that, in the order of the checks:

* Host must be a name of ours: else a page of another site could reach us through DNS it controls (rebinding).
* Origin (or Sec-Fetch-Site) of anything but a read must be ours. A WebSocket must name it: browsers send the cookie
  with one from anywhere, and no CSRF token.
* The session must be there; only `PUBLIC` paths do without. The API says so in its own words.
* Every POST carries a CSRF token bound to the session (`require_csrf`; a test finds any route without it). A personal
  token needs none: no browser sends it by itself.
* Answers carry a Content-Security-Policy that allows no inline script and no inline style.
"""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Header, HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshdojo.web.sessions import Session, Sessions
from meshdojo.web.settings import Settings

PUBLIC = ("/static/", "/healthz", "/enter", "/join", "/sign-in", "/favicon.ico")
API = "/api/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What a WebSocket is closed with that may not be opened; before it is accepted, servers make it an HTTP 403.
POLICY_VIOLATION = 1008

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# The frame that draws diagrams: mermaid puts <style> into the pictures it makes. It can reach nothing and holds
# nothing but a picture; only our own pages may embed it.
_DIAGRAM_POLICY = _POLICY | {
    "style-src": "'self' 'unsafe-inline'",
    "connect-src": "'none'",
    "frame-src": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'self'",
}
DIAGRAM_PATH = "/diagram"


def _policy(path: str) -> str:
    directives = _DIAGRAM_POLICY if path == DIAGRAM_PATH else _POLICY
    return "; ".join(f"{name} {value}" for name, value in directives.items())


class Guard:
    """ASGI middleware: the checks of this module's list, and the security headers of every answer.

    A plain ASGI class, because server-sent events must pass through it unbuffered.
    """

    def __init__(self, app: ASGIApp, settings: Settings, sessions: Sessions) -> None:
        self._app = app
        self._settings = settings
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._refusal(headers, unsafe=scope["method"] not in SAFE_METHODS)
        if refusal:
            await _plain(*refusal)(scope, receive, _with_headers(send, _policy(scope["path"])))
            return
        session = await self._session(scope, headers)
        send = _with_headers(send, _policy(scope["path"]))
        if answer := await self._token_redirect(scope, headers):
            await answer(scope, receive, send)
            return
        if session is None and not scope["path"].startswith((*PUBLIC, API)):
            scope = dict(scope, path="/enter", raw_path=b"/enter", method="GET")
        elif session and not session.by_token and scope["method"] == "GET":
            send = await self._rotating(session, headers, send)
        await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        session = await self._session(scope, headers)
        if session is None or "origin" not in headers or self._refusal(headers, unsafe=True):
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "not from this site"})
            return
        await self._app(scope, receive, send)

    async def _session(self, scope: Scope, headers: Headers) -> Session | None:
        """Who this is. Personal tokens count for the API only: a page is for a browser."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        by_token = scheme.lower() == "bearer" and scope["path"].startswith(API)
        found = await (self._sessions.bearer(token.strip()) if by_token else self._read_cookie(headers))
        scope.setdefault("state", {})["session"] = found
        return found

    async def _read_cookie(self, headers: Headers) -> Session | None:
        return await self._sessions.read(headers.get("cookie", ""))

    async def _rotating(self, session: Session, headers: Headers, send: Send) -> Send:
        carrier = await self._sessions.rotated(session, headers.get("cookie", ""))
        if carrier is None:
            return send
        cookie = carrier.headers["set-cookie"]

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        return send_with_cookie

    def _refusal(self, headers: Headers, *, unsafe: bool) -> tuple[str, int] | None:
        host = headers.get("host", "")
        if _host_name(host) not in self._settings.hosts:
            names = ", ".join(sorted(self._settings.hosts))
            return f"Host {host[:200]!r}: this site answers to {names} only.\n", 421
        if unsafe and not self._is_own_origin(headers, host):
            return "Origin: this request came from another site, so it was refused.\n", 403
        return None

    def _is_own_origin(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") == "same-origin"
        return origin in (self._settings.url, f"http://{host}", f"https://{host}")

    async def _token_redirect(self, scope: Scope, headers: Headers) -> Response | None:
        """A right ``?token=`` becomes a cookie, and vanishes from the address bar and the history."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = next((value for name, value in query if name == "token"), None)
        if token is None or scope["method"] not in ("GET", "HEAD") or not self._sessions.is_token(token):
            return None
        rest = urlencode([pair for pair in query if pair[0] != "token"])
        # One leading slash only: '//host' would be another site.
        path = "/" + scope["path"].lstrip("/\\")
        response = RedirectResponse(path + ("?" + rest if rest else ""), 303)
        await self._sessions.start(response, agent=headers.get("user-agent", ""))
        return response


def _host_name(host: str) -> str:
    """The Host header without its port: 'localhost:8484' -> 'localhost', '[::1]:8484' -> '[::1]'."""
    name, bracket, _ = host.partition("]")
    return name + bracket if bracket else host.rsplit(":", 1)[0].lower()


def _plain(text: str, status: int) -> Response:
    return Response(text, status, media_type="text/plain")


def _with_headers(send: Send, policy: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers


def current_session(connection: HTTPConnection) -> Session:
    """The session of this request. The `Guard` lets no request without one reach a page that asks."""
    session = getattr(connection.state, "session", None)
    if not isinstance(session, Session):
        raise HTTPException(401, "Sign in, or send a personal token: Authorization: Bearer mdj_…")
    return session


CurrentSession = Annotated[Session, Depends(current_session)]


def is_owner(session: Session) -> bool:
    """Whether this is whoever started the site: shells run with the owner's rights, so nobody else gets one."""
    return session.owner


def owner_session(session: CurrentSession) -> Session:
    """Only the owner of this machine: for what starts programs on it (terminals, checks)."""
    if not is_owner(session):
        raise HTTPException(
            403,
            "Terminals and checks here are for this machine's owner. Yours run in your own meshdojo, which can join.",
        )
    return session


def require_leader(session: CurrentSession) -> Session:
    """Only instructors and admins."""
    if not session.leads:
        raise HTTPException(403, "Only an instructor may do that. An admin of this site gives the role.")
    return session


def require_admin(session: CurrentSession) -> Session:
    """Only admins."""
    if session.role != "admin" or session.scope != "all":
        raise HTTPException(403, "Only an admin of this site may do that.")
    return session


def require_full(session: CurrentSession) -> Session:
    """Not with a token that may only send reports."""
    if session.scope != "all":
        raise HTTPException(403, "This token may only report to a workshop.")
    return session


OwnerSession = Annotated[Session, Depends(owner_session)]
Leader = Annotated[Session, Depends(require_leader)]
Admin = Annotated[Session, Depends(require_admin)]
Person = Annotated[Session, Depends(require_full)]


async def require_csrf(request: Request, session: CurrentSession, x_csrf_token: Annotated[str, Header()] = "") -> None:
    """Refuse a POST without the session's CSRF token, in the header X-CSRF-Token or the form field ``csrf``."""
    if session.by_token:
        return
    token = x_csrf_token
    if not token and not request.headers.get("content-type", "").startswith("application/json"):
        field = (await request.form()).get("csrf", "")
        token = field if isinstance(field, str) else ""
    sessions: Sessions = request.app.state.sessions
    if not hmac.compare_digest(token.encode(), sessions.csrf(session).encode()):
        raise HTTPException(403, "This form is from an earlier visit. Go back, reload the page and try again.")
