"""Browsers that are signed in: cookies that are signed, rotated and revocable.

The cookie carries a session's id and a secret, signed, so that most forgeries cost us no look into the database; there
the session's row has the secret's hash. Every `ROTATE` the next answer carries a new secret. The old one is good
until the new one has been seen, as an answer may be lost, and `GRACE` longer, as a page loads many things at once.
After that an old secret is a copy in the wrong hands: the session ends for everybody.

What was read is remembered for `REMEMBER_SECONDS`; a revocation is told over the bus, so that it holds at once, in
every process.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, select, update
from starlette.responses import Response

from meshdojo.web.accounts import Accounts, Role, Scope, hashed, may_lead
from meshdojo.web.bus import GAP
from meshdojo.web.database import Database
from meshdojo.web.meanwhile import meanwhile
from meshdojo.web.models import LOCAL_LEARNER, Learner
from meshdojo.web.models import Session as Row
from meshdojo.web.settings import Settings

SESSION_DAYS = 30
ROTATE = timedelta(hours=1)
GRACE = timedelta(minutes=1)
REMEMBER_SECONDS = 5.0
REMEMBERED = 5000


@dataclass(frozen=True)
class Session:
    """Who a request comes from: the learner, the session's (or token's) id, and by which way they showed it."""

    learner: int
    id: str
    name: str = ""
    role: Role = "learner"
    scope: Scope = "all"
    by_token: bool = False

    @property
    def owner(self) -> bool:
        """Whether it is the owner of this machine: the only one for whom terminals open and checks run here."""
        return self.learner == LOCAL_LEARNER and self.scope == "all"

    @property
    def signature(self) -> str:
        """What others are told of who this is. The owner of a machine has no name here but 'local'."""
        return "Your instructor" if self.owner else self.name

    @property
    def leads(self) -> bool:
        """Whether they may lead workshops."""
        return self.scope == "all" and may_lead(self.role)


@dataclass(frozen=True)
class SessionFacts:
    """What may be shown of a session."""

    id: str
    agent: str
    created_at: datetime
    expires_at: datetime


@dataclass
class _Known:
    """A session as it was read; `until` is when to read it again (monotonic seconds)."""

    session: Session
    secret_hash: str
    rotated_at: datetime
    until: float


class Sessions:
    """Makes, reads, rotates and revokes sessions."""

    def __init__(self, settings: Settings, database: Database, accounts: Accounts) -> None:
        self._settings = settings
        self._database = database
        self._accounts = accounts
        self._key = settings.secret.encode() if settings.secret else signing_key(settings.state_directory)
        self._serializer = URLSafeSerializer(self._key, salt="session", signer_kwargs={"digest_method": sha256})
        self._known: dict[str, _Known] = {}
        # Cookies know no ports: the name does, so that two sites on one machine do not log each other out.
        self.cookie = f"meshdojo-{urlsplit(settings.url).port or settings.port}"

    def is_token(self, token: str) -> bool:
        """Whether this is the token of the printed address (in constant time)."""
        return hmac.compare_digest(token.encode(), self._settings.token.encode())

    async def start(self, response: Response, learner: int = LOCAL_LEARNER, agent: str = "") -> Session:
        """Begin a session, and put its cookie into the response."""
        identity, secret, now = secrets.token_hex(12), secrets.token_urlsafe(24), datetime.now(UTC)
        row = {"id": identity, "learner_id": learner, "secret_hash": hashed(secret), "agent": agent[:200]}
        times = {"created_at": now, "rotated_at": now, "confirmed_at": now}
        async with self._database.writing() as transaction:
            await transaction.connection.execute(delete(Row).where(Row.expires_at <= now))
            await transaction.insert_if_new(Row, row | times | {"expires_at": now + timedelta(days=SESSION_DAYS)})
        self._put(response, identity, secret, learner)
        person = await self._accounts.person(learner)
        return Session(learner, identity, person.name if person else "", person.role if person else "learner")

    def _put(self, response: Response, identity: str, secret: str, learner: int) -> None:
        response.set_cookie(
            self.cookie,
            self._serializer.dumps([identity, secret]),
            max_age=SESSION_DAYS * 24 * 3600,
            httponly=True,
            # The owner comes from the printed address; others follow links, and come back from their provider.
            samesite="strict" if learner == LOCAL_LEARNER else "lax",
            secure=self._settings.url.startswith("https:"),
        )

    async def read(self, cookie_header: str) -> Session | None:
        """The session that a Cookie header carries, if it is one of ours and still good."""
        carried = self._carried(cookie_header)
        if carried is None:
            return None
        identity, secret = carried
        known = self._known.get(identity)
        if known and known.until > time.monotonic() and hmac.compare_digest(known.secret_hash, hashed(secret)):
            return known.session
        return await self._look_up(identity, hashed(secret))

    def _carried(self, cookie_header: str) -> tuple[str, str] | None:
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie)
            identity, secret = self._serializer.loads(morsel.value) if morsel else ("", "")
        except (CookieError, BadSignature, ValueError, TypeError):
            return None
        good = isinstance(identity, str) and isinstance(secret, str) and bool(identity)
        return (identity, secret) if good else None

    async def _look_up(self, identity: str, given: str) -> Session | None:
        query = select(Row, Learner.name, Learner.role).join(Learner, Learner.id == Row.learner_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query.where(Row.id == identity))).one_or_none()
        now = datetime.now(UTC)
        if row is None or row.expires_at <= now:
            return None
        session = Session(row.learner_id, identity, row.name, row.role)
        if hmac.compare_digest(row.secret_hash, given):
            await self._confirm(row, now)
            self._remember(session, row)
            return session
        if row.previous_hash and hmac.compare_digest(row.previous_hash, given):
            if row.confirmed_at is None or now - row.confirmed_at <= GRACE:
                return session
            await self.revoke(row.learner_id, identity)
        return None

    async def _confirm(self, row: Any, now: datetime) -> None:
        """The new secret has arrived: from now on the old one is on its way out."""
        if row.confirmed_at is None:
            async with self._database.writing() as transaction:
                await transaction.connection.execute(update(Row).where(Row.id == row.id).values(confirmed_at=now))

    def _remember(self, session: Session, row: Any) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        until = time.monotonic() + REMEMBER_SECONDS
        self._known[session.id] = _Known(session, row.secret_hash, row.rotated_at, until)

    async def rotated(self, session: Session, cookie_header: str) -> Response | None:
        """A response that carries the next secret, when it is time for one: its Set-Cookie belongs into the answer."""
        known, carried = self._known.get(session.id), self._carried(cookie_header)
        now = datetime.now(UTC)
        if known is None or carried is None or now - known.rotated_at < ROTATE:
            return None
        secret, old = secrets.token_urlsafe(24), hashed(carried[1])
        change = {"secret_hash": hashed(secret), "previous_hash": old, "rotated_at": now, "confirmed_at": None}
        change["expires_at"] = now + timedelta(days=SESSION_DAYS)
        # Of requests that come together one rotates; the others find another hash.
        statement = update(Row).where(Row.id == session.id, Row.secret_hash == old).values(**change)
        async with self._database.writing() as transaction:
            won = (await transaction.connection.execute(statement)).rowcount > 0
            transaction.emit("sessions", "changed", session=session.id)
        self._known.pop(session.id, None)
        if not won:
            return None
        carrier = Response()
        self._put(carrier, session.id, secret, session.learner)
        return carrier

    async def all(self, learner: int) -> list[SessionFacts]:
        """The sessions of a person, newest first."""
        query = select(Row.id, Row.agent, Row.created_at, Row.expires_at).where(Row.learner_id == learner)
        async with self._database.reading() as connection:
            return [SessionFacts(*row) for row in await connection.execute(query.order_by(Row.created_at.desc()))]

    async def revoke(self, learner: int, identity: str) -> bool:
        """End a session of this person; False when they have no such session."""
        async with self._database.writing() as transaction:
            statement = delete(Row).where(Row.id == identity, Row.learner_id == learner)
            ended = (await transaction.connection.execute(statement)).rowcount > 0
            transaction.emit("sessions", "changed", session=identity)
        self._known.pop(identity, None)
        return ended

    def end(self, response: Response) -> None:
        """Take the cookie out of the browser."""
        response.delete_cookie(self.cookie)

    async def bearer(self, token: str) -> Session | None:
        """The session of a request that carries a personal token."""
        found = await self._accounts.bearer(token)
        if found is None:
            return None
        person, identity, scope = found
        return Session(person.id, identity, person.name, person.role, scope, by_token=True)

    def csrf(self, session: Session) -> str:
        """The CSRF token of a session: the same after a rotation, as an open page keeps its own."""
        return hmac.new(self._key, b"csrf:" + session.id.encode(), sha256).hexdigest()

    def sign(self, purpose: str, value: Any) -> str:
        """A value that only we can have made."""
        return URLSafeSerializer(self._key, salt=purpose, signer_kwargs={"digest_method": sha256}).dumps(value)

    def unsign(self, purpose: str, text: str) -> Any:
        """The value of `sign`, or None."""
        try:
            return URLSafeSerializer(self._key, salt=purpose, signer_kwargs={"digest_method": sha256}).loads(text)
        except BadSignature:
            return None

    def following(self) -> AbstractAsyncContextManager[None]:
        """Hear of revocations meanwhile."""
        return meanwhile(self._follow, "sessions")

    async def _follow(self) -> None:
        with self._database.bus.subscribe("sessions") as subscription:
            while True:
                await subscription.changed.wait()
                for event in subscription.take():
                    self._forget(event.kind, event.data)

    def _forget(self, kind: str, data: dict[str, Any]) -> None:
        if kind == GAP:
            self._known.clear()
        for identity, known in list(self._known.items()):
            if identity == data.get("session") or known.session.learner == data.get("learner"):
                del self._known[identity]


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
