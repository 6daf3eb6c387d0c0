"""Who somebody is: people, their roles, and the tokens by which programs speak for them.

Roles: a **learner** sees their own progress; an **instructor** also leads workshops; an **admin** also gives roles.
The owner of the machine (`LOCAL_LEARNER`, who has the printed address) is an admin, and the only one for whom the site
opens terminals and runs checks.

A token reads ``mdj_ID_SECRET``; of the secret only a hash is kept. Its scope is

    all     what its owner may do, through the API
    report  a member's meshdojo: send reports, hear what the instructor says; nothing else
    pair    once, within minutes: a browser's member moves to the meshdojo on their machine
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import delete, select, update

from meshdojo.web.database import Database, Transaction
from meshdojo.web.meanwhile import meanwhile
from meshdojo.web.models import LOCAL_LEARNER, Learner, Token

Role = Literal["learner", "instructor", "admin"]
Scope = Literal["all", "report", "pair"]
ROLES: tuple[Role, ...] = ("learner", "instructor", "admin")
PREFIX = "mdj"
PAIR_MINUTES = 15
# How exactly 'last used' is known: a write for each request would be too much.
USED_EVERY = timedelta(minutes=1)
# A room that comes together is noted together.
GATHER_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Person:
    """A row of `Learner`."""

    id: int
    name: str
    role: Role
    issuer: str | None
    created_at: datetime

    @property
    def owner(self) -> bool:
        """Whether this is the owner of the machine that the site runs on."""
        return self.id == LOCAL_LEARNER


@dataclass(frozen=True)
class TokenFacts:
    """What may be shown of a token; `scope` is a `Scope`."""

    id: str
    name: str
    scope: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None


def hashed(secret: str) -> str:
    """What is kept of a secret. Secrets are random and long: nothing slower than SHA-256 is needed."""
    return sha256(secret.encode()).hexdigest()


def may_lead(role: str) -> bool:
    """Whether a role leads workshops."""
    return role in ("instructor", "admin")


class Accounts:
    """The people of a site. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: set[str] = set()
        self._was_used = asyncio.Event()

    async def person(self, learner: int) -> Person | None:
        """Somebody by number."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(Learner).where(Learner.id == learner))).one_or_none()
        return _person(row) if row else None

    async def people(self) -> list[Person]:
        """Everybody with an account of their own: not those who came with a code and a name."""
        query = select(Learner).where((Learner.id == LOCAL_LEARNER) | Learner.subject.is_not(None)).order_by(Learner.id)
        async with self._database.reading() as connection:
            return [_person(row) for row in await connection.execute(query)]

    async def sign_in(self, issuer: str, subject: str, name: str, role: Role | None) -> Person:
        """The person that a provider vouches for; made at the first time. `role` (if any) is what settings say."""
        key = {"issuer": issuer[:300], "subject": subject[:300]}
        made = {"name": name[:200], "role": role or "learner", "created_at": datetime.now(UTC)}
        async with self._database.writing() as transaction:
            await transaction.insert_if_new(Learner, key | made)
            changes = {"name": name[:200]} | ({"role": role} if role else {})
            statement = update(Learner).filter_by(**key).values(**changes).returning(*Learner.__table__.c)
            return _person((await transaction.connection.execute(statement)).one())

    async def set_role(self, learner: int, role: Role) -> bool:
        """Give a role; False when there is no such person, or it is the owner, who stays an admin."""
        if learner == LOCAL_LEARNER:
            return False
        async with self._database.writing() as transaction:
            statement = update(Learner).where(Learner.id == learner).values(role=role)
            transaction.emit("sessions", "changed", learner=learner)
            return (await transaction.connection.execute(statement)).rowcount > 0

    async def delete(self, learner: int) -> bool:
        """Delete a person and all that is kept of them; False for the owner, who cannot be deleted."""
        if learner == LOCAL_LEARNER:
            return False
        async with self._database.writing() as transaction:
            transaction.emit("sessions", "changed", learner=learner)
            return (await transaction.connection.execute(delete(Learner).where(Learner.id == learner))).rowcount > 0

    async def new_token(self, learner: int, name: str, scope: Scope = "all", days: int | None = None) -> str:
        """A new token, to be shown once."""
        async with self._database.writing() as transaction:
            expires = datetime.now(UTC) + timedelta(days=days) if days else None
            return await new_token(transaction, learner, name, scope, expires)

    async def tokens(self, learner: int) -> list[TokenFacts]:
        """The tokens of a person, newest first."""
        columns = (Token.id, Token.name, Token.scope, Token.created_at, Token.used_at, Token.expires_at)
        query = select(*columns).where(Token.learner_id == learner, Token.scope != "pair").order_by(Token.created_at)
        async with self._database.reading() as connection:
            return [TokenFacts(*row) for row in await connection.execute(query)][::-1]

    async def revoke_token(self, learner: int, token: str) -> bool:
        """Take a token back; False when the person has no such token."""
        statement = delete(Token).where(Token.id == token, Token.learner_id == learner)
        async with self._database.writing() as transaction:
            transaction.emit("sessions", "changed", token=token)
            return (await transaction.connection.execute(statement)).rowcount > 0

    async def bearer(self, token: str) -> tuple[Person, str, Scope] | None:
        """Who a token speaks for, its id and its scope; None when it is not, or no longer, a token of this site."""
        parts = token.split("_", 2)
        if len(parts) != 3 or parts[0] != PREFIX:
            return None
        query = select(Learner, *_TOKEN).join(Token, Token.learner_id == Learner.id).where(Token.id == parts[1])
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        now = datetime.now(UTC)
        if row is None or not hmac.compare_digest(row.secret_hash, hashed(parts[2])):
            return None
        if row.expires_at and row.expires_at <= now:
            return None
        if row.used_at is None or now - row.used_at > USED_EVERY:
            self._used.add(parts[1])
            self._was_used.set()
        return _person(row), parts[1], row.scope

    def noting_use(self) -> AbstractAsyncContextManager[None]:
        """Meanwhile write down which tokens are used; whoever uses one does not wait for that."""
        return meanwhile(self._note_use, "use of tokens")

    async def _note_use(self) -> None:
        while True:
            await self._was_used.wait()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                await self.note_use()
            except Exception:
                log.exception("the use of tokens could not be noted; it is tried with the next")

    async def note_use(self) -> None:
        """Write down which tokens were used lately."""
        self._was_used.clear()
        used, self._used = self._used, set()
        statement = update(Token).where(Token.id.in_(used)).values(used_at=datetime.now(UTC))
        async with self._database.writing() as transaction:
            await transaction.connection.execute(statement)

    async def redeem(self, code: str) -> int | None:
        """The learner of a pairing code, which is used up by this; None when there is none."""
        now = datetime.now(UTC)
        query = (
            delete(Token)
            .where(Token.secret_hash == hashed(normal_code(code)), Token.scope == "pair", Token.expires_at > now)
            .returning(Token.learner_id)
        )
        async with self._database.writing() as transaction:
            found: int | None = (await transaction.connection.execute(query)).scalar_one_or_none()
        return found

    async def pair(self, learner: int) -> str:
        """A pairing code: typed by a person, so it is short, and good for minutes and once."""
        code = new_code(10)
        now = datetime.now(UTC)
        async with self._database.writing() as transaction:
            await transaction.connection.execute(
                delete(Token).where(Token.scope == "pair", (Token.learner_id == learner) | (Token.expires_at <= now))
            )
            row = {"id": secrets.token_hex(8), "learner_id": learner, "name": "pairing", "scope": "pair"}
            row |= {"secret_hash": hashed(normal_code(code)), "created_at": now}
            await transaction.insert_if_new(Token, row | {"expires_at": now + timedelta(minutes=PAIR_MINUTES)})
        return code


_TOKEN = (Token.secret_hash, Token.scope, Token.used_at, Token.expires_at)

# Without letters and digits that look alike, and without vowels, that no code is a word.
CODE_LETTERS = "BCDFGHJKMNPQRSTVWXZ23456789"


def new_code(length: int) -> str:
    """A code that is easy to read aloud: 'KX4-9TQ'. Eight characters are 38 bits."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(length))
    half = (length + 1) // 2
    return f"{letters[:half]}-{letters[half:]}"


def normal_code(code: str) -> str:
    """What somebody typed, as codes are kept: ' kx4 9tq' -> 'KX49TQ'."""
    return "".join(letter for letter in code.upper() if letter.isalnum())


async def new_token(
    transaction: Transaction, learner: int, name: str, scope: Scope, expires: datetime | None = None
) -> str:
    """A new token within a transaction."""
    identity, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {"id": identity, "learner_id": learner, "name": name[:100], "scope": scope, "secret_hash": hashed(secret)}
    await transaction.insert_if_new(Token, row | {"created_at": datetime.now(UTC), "expires_at": expires})
    return f"{PREFIX}_{identity}_{secret}"


def _person(row: Any) -> Person:
    return Person(row.id, row.name, row.role, row.issuer, row.created_at)
