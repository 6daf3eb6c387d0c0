"""Sessions are signed, rotated and revocable; personal tokens speak for their owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from starlette.responses import Response

from meshdojo.web.accounts import Accounts, normal_code
from meshdojo.web.database import Database
from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.models import Session as Row
from meshdojo.web.sessions import GRACE, ROTATE, Sessions
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database)


@pytest.fixture
def sessions(settings: Settings, database: Database, accounts: Accounts) -> Sessions:
    return Sessions(settings, database, accounts)


def cookie(response: Response) -> str:
    """What a browser sends back."""
    return response.headers["set-cookie"].partition(";")[0]


async def begun(sessions: Sessions, learner: int = LOCAL_LEARNER) -> str:
    response = Response()
    await sessions.start(response, learner, "a browser")
    return cookie(response)


async def age(database: Database, by: timedelta) -> None:
    """Let time pass for every session."""
    then = datetime.now(UTC) - by
    async with database.writing() as transaction:
        await transaction.connection.execute(update(Row).values(rotated_at=then))
        await transaction.connection.execute(update(Row).where(Row.confirmed_at.is_not(None)).values(confirmed_at=then))


async def test_a_session_says_who_somebody_is(sessions: Sessions) -> None:
    session = await sessions.read(await begun(sessions))
    assert session is not None
    assert (session.learner, session.role, session.owner, session.leads) == (LOCAL_LEARNER, "admin", True, True)
    assert await sessions.read("") is None


async def test_secrets_are_kept_as_hashes_only(sessions: Sessions, database: Database, accounts: Accounts) -> None:
    token = await accounts.new_token(LOCAL_LEARNER, "script")
    begun_cookie = await begun(sessions)
    async with database.reading() as connection:
        rows = (
            await connection.exec_driver_sql("SELECT secret_hash FROM session UNION SELECT secret_hash FROM token")
        ).all()
    assert len(rows) == 2
    assert not any(row.secret_hash in begun_cookie + token or len(row.secret_hash) != 64 for row in rows)


async def test_the_secret_changes_and_the_old_one_is_good_until_the_new_one_was_seen(
    sessions: Sessions, database: Database
) -> None:
    old = await begun(sessions)
    session = await sessions.read(old)
    assert session is not None
    assert await sessions.rotated(session, old) is None
    await age(database, ROTATE)
    sessions._known.clear()
    await sessions.read(old)
    carrier = await sessions.rotated(session, old)
    assert carrier is not None
    new = cookie(carrier)
    # The answer may be lost, for however long.
    await age(database, 100 * ROTATE)
    assert await sessions.read(old) == session
    assert await sessions.read(new) == session
    # A page's other requests are still on their way.
    assert await sessions.read(old) == session
    assert sessions.csrf(session) == sessions.csrf((await sessions.read(new)) or session)


async def test_a_copy_of_an_old_secret_ends_the_session(sessions: Sessions, database: Database) -> None:
    old = await begun(sessions)
    session = await sessions.read(old)
    assert session is not None
    await age(database, ROTATE)
    sessions._known.clear()
    await sessions.read(old)
    carrier = await sessions.rotated(session, old)
    assert carrier is not None
    assert await sessions.read(cookie(carrier)) == session
    await age(database, 2 * GRACE)
    assert await sessions.read(old) is None
    assert await sessions.read(cookie(carrier)) is None


async def test_of_requests_that_come_together_one_rotates(
    sessions: Sessions, settings: Settings, database: Database
) -> None:
    old = await begun(sessions)
    await age(database, ROTATE)
    session = await sessions.read(old)
    other = Sessions(settings, database, Accounts(database))
    assert session == await other.read(old)
    assert session is not None
    carriers = [await each.rotated(session, old) for each in (sessions, other)]
    assert [carrier is not None for carrier in carriers] == [True, False]


async def test_a_session_can_be_ended_at_once_in_every_process(
    sessions: Sessions, settings: Settings, database: Database
) -> None:
    carried = await begun(sessions)
    other = Sessions(settings, database, Accounts(database))
    async with sessions.following(), other.following():
        session = await other.read(carried)
        assert session is not None
        assert [facts.agent for facts in await sessions.all(LOCAL_LEARNER)] == ["a browser"]
        assert not await sessions.revoke(LOCAL_LEARNER + 1, session.id)
        with database.bus.subscribe("sessions") as heard:
            assert await sessions.revoke(LOCAL_LEARNER, session.id)
            await heard.changed.wait()
        assert await sessions.read(carried) is None
        assert await other.read(carried) is None


async def test_a_session_ends_by_itself(sessions: Sessions, database: Database) -> None:
    carried = await begun(sessions)
    async with database.writing() as transaction:
        await transaction.connection.execute(update(Row).values(expires_at=datetime.now(UTC)))
    assert await sessions.read(carried) is None


async def test_a_token_speaks_for_its_owner_until_it_is_taken_back(sessions: Sessions, accounts: Accounts) -> None:
    token = await accounts.new_token(LOCAL_LEARNER, "script")
    session = await sessions.bearer(token)
    assert session is not None
    assert (session.learner, session.by_token, session.scope) == (LOCAL_LEARNER, True, "all")
    for wrong in ("", "mdj", "mdj__", "mdj_x_y", token[:-1], token + "x", token.replace("mdj", "abc")):
        assert await sessions.bearer(wrong) is None
    await accounts.note_use()
    (facts,) = await accounts.tokens(LOCAL_LEARNER)
    assert (facts.name, facts.used_at is not None) == ("script", True)
    assert await accounts.revoke_token(LOCAL_LEARNER, facts.id)
    assert await sessions.bearer(token) is None


async def test_a_pairing_code_works_once_however_it_is_typed(accounts: Accounts) -> None:
    code = await accounts.pair(LOCAL_LEARNER)
    assert await accounts.redeem(f" {normal_code(code).lower()} ") == LOCAL_LEARNER
    assert await accounts.redeem(code) is None


async def test_a_provider_brings_people_and_settings_their_roles(accounts: Accounts) -> None:
    grace = await accounts.sign_in("https://id.example", "grace", "Grace", "instructor")
    assert (grace.role, grace.owner) == ("instructor", False)
    again = await accounts.sign_in("https://id.example", "grace", "Grace H.", None)
    assert (again.id, again.name, again.role) == (grace.id, "Grace H.", "instructor")
    other = await accounts.sign_in("https://other.example", "grace", "Grace", None)
    assert other.id != grace.id
    assert await accounts.set_role(other.id, "admin")
    assert not await accounts.set_role(LOCAL_LEARNER, "learner")
    assert [(person.name, person.role) for person in await accounts.people()] == [
        ("local", "admin"),
        ("Grace H.", "instructor"),
        ("Grace", "admin"),
    ]
    assert await accounts.delete(other.id)
    assert not await accounts.delete(LOCAL_LEARNER)
