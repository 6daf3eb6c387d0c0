"""Who may talk to the site.

Alone on a laptop there is no login: the address that is printed carries a random token (as Jupyter's does), which is
exchanged for a signed cookie. Around that, in the order of the checks:

* Host must be a name of ours: else a page of another site could reach us through DNS it controls (rebinding).
* Origin (or Sec-Fetch-Site) of anything but a read must be ours.
* The session cookie must be there; only `PUBLIC` paths do without.
* Every POST carries a CSRF token bound to the session (`require_csrf`; a test finds any route without it).
* Answers carry a Content-Security-Policy that allows no inline script and no inline style.
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Depends, Header, HTTPException, Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.settings import Settings

SESSION_SECONDS = 30 * 24 * 3600
PUBLIC = ("/static/", "/healthz", "/enter", "/favicon.ico")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

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


@dataclass(frozen=True)
class Session:
    """A browser that showed the token: whose it is, and its random id."""

    learner: int
    id: str


class Sessions:
    """Makes and reads session cookies. The signing key is in the state directory, so a restart logs nobody out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = signing_key(settings.state_directory)
        self._serializer = URLSafeTimedSerializer(self._key, salt="session", signer_kwargs={"digest_method": sha256})
        # Cookies know no ports: the name does, so that two sites on one machine do not log each other out.
        self.cookie = f"meshdojo-{urlsplit(settings.url).port or settings.port}"

    def is_token(self, token: str) -> bool:
        """Whether this is the token of the printed address (in constant time)."""
        return hmac.compare_digest(token.encode(), self._settings.token.encode())

    def start(self, response: Response, learner: int = LOCAL_LEARNER) -> None:
        """Put a new session's cookie into the response."""
        value = self._serializer.dumps([learner, secrets.token_urlsafe(16)])
        response.set_cookie(
            self.cookie,
            value,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=self._settings.url.startswith("https:"),
        )

    def read(self, cookie_header: str) -> Session | None:
        """The session that a Cookie header carries, if it is one of ours and not too old."""
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie)
            if morsel is None:
                return None
            learner, identity = self._serializer.loads(morsel.value, max_age=SESSION_SECONDS)
        except (CookieError, BadSignature, ValueError, TypeError):
            return None
        return Session(learner, identity)

    def csrf(self, session: Session) -> str:
        """The CSRF token of a session."""
        return hmac.new(self._key, b"csrf:" + session.id.encode(), sha256).hexdigest()


def signing_key(directory: Path) -> bytes:
    """The secret that signs cookies, made on first use: ``site.key`` (mode 0600) in the state directory."""
    path = directory / "site.key"
    directory.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".site.key.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(draft, path)  # Unlike a rename it never replaces a key that another process made meanwhile.
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


class Guard:
    """ASGI middleware: the checks of this module's list, and the security headers of every answer.

    A plain ASGI class, because server-sent events must pass through it unbuffered.
    """

    def __init__(self, app: ASGIApp, settings: Settings, sessions: Sessions) -> None:
        self._app = app
        self._settings = settings
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope.setdefault("state", {})
        session = scope["state"]["session"] = self._sessions.read(headers.get("cookie", ""))
        answer = self._refusal(scope, headers) or self._token_redirect(scope)
        if answer is None and session is None and not scope["path"].startswith(PUBLIC):
            scope = dict(scope, path="/enter", raw_path=b"/enter", method="GET")
        await (answer or self._app)(scope, receive, _with_headers(send, _policy(scope["path"])))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if _host_name(host) not in self._settings.hosts:
            names = ", ".join(sorted(self._settings.hosts))
            return _plain(f"Host {host[:200]!r}: this site answers to {names} only.\n", 421)
        if scope["method"] not in SAFE_METHODS and not self._is_own_origin(headers, host):
            return _plain("Origin: this request came from another site, so it was refused.\n", 403)
        return None

    def _is_own_origin(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") == "same-origin"
        return origin in (self._settings.url, f"http://{host}", f"https://{host}")

    def _token_redirect(self, scope: Scope) -> Response | None:
        """A right ``?token=`` becomes a cookie, and vanishes from the address bar and the history."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = next((value for name, value in query if name == "token"), None)
        if token is None or scope["method"] not in ("GET", "HEAD") or not self._sessions.is_token(token):
            return None
        rest = urlencode([pair for pair in query if pair[0] != "token"])
        # One leading slash only: '//host' would be another site.
        path = "/" + scope["path"].lstrip("/\\")
        response = RedirectResponse(path + ("?" + rest if rest else ""), 303)
        self._sessions.start(response)
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


def current_session(request: Request) -> Session:
    """The session of this request. The `Guard` lets no request without one reach a page that asks."""
    session = request.state.session
    if not isinstance(session, Session):
        raise HTTPException(403, "Open the address that meshdojo printed in the terminal.")
    return session


CurrentSession = Annotated[Session, Depends(current_session)]


async def require_csrf(request: Request, session: CurrentSession, x_csrf_token: Annotated[str, Header()] = "") -> None:
    """Refuse a POST without the session's CSRF token, in the header X-CSRF-Token or the form field ``csrf``."""
    token = x_csrf_token
    if not token:
        field = (await request.form()).get("csrf", "")
        token = field if isinstance(field, str) else ""
    sessions: Sessions = request.app.state.sessions
    if not hmac.compare_digest(token.encode(), sessions.csrf(session).encode()):
        raise HTTPException(403, "This form is from an earlier visit. Go back, reload the page and try again.")
