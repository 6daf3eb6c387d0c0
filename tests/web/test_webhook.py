"""Events reach the webhook at least once and in order; Prometheus sees the same."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest
from sqlalchemy import update
from tests.web import room
from tests.web.room import led, seat, stranger
from tests.web.samples import FakeJudge, entered

from meshdojo.web.app import create_app
from meshdojo.web.database import Database
from meshdojo.web.models import Delivery
from meshdojo.web.settings import Settings, Webhook
from meshdojo.web.webhook import KEEP, Sender

pytestmark = pytest.mark.anyio
HOOK = Webhook("http://127.0.0.1:9/hook", "a secret")


class Receiver:
    """The other side; `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        return httpx.Response(self.status)

    @property
    def events(self) -> list[str]:
        return [json.loads(request.content)["event"] for request in self.got]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def sender(database: Database, receiver: Receiver) -> AsyncIterator[tuple[Sender, httpx.AsyncClient]]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(receiver)) as http:
        yield Sender(database, HOOK), http


async def put(database: Database, *events: str, age: timedelta = timedelta()) -> None:
    now = datetime.now(UTC)
    async with database.writing() as transaction:
        for event in events:
            body = json.dumps({"event": event})
            await transaction.insert(Delivery, body=body, tries=0, due_at=now, created_at=now - age)


async def make_due(database: Database) -> None:
    async with database.writing() as transaction:
        await transaction.connection.execute(update(Delivery).values(due_at=datetime.now(UTC)))


async def test_events_come_in_order_and_signed(
    database: Database, sender: tuple[Sender, httpx.AsyncClient], receiver: Receiver
) -> None:
    await put(database, "joined", "attempt")
    assert [await sender[0].send_next(sender[1]) for _ in range(3)] == [True, True, False]
    assert receiver.events == ["joined", "attempt"]
    request = receiver.got[0]
    expected = hmac.new(b"a secret", request.content, sha256).hexdigest()
    assert request.headers["x-meshdojo-signature"] == f"sha256={expected}"


async def test_what_was_not_taken_is_sent_again_later_and_nothing_overtakes_it(
    database: Database, sender: tuple[Sender, httpx.AsyncClient], receiver: Receiver
) -> None:
    await put(database, "joined", "attempt")
    receiver.status = 500
    assert not await sender[0].send_next(sender[1])
    assert not await sender[0].send_next(sender[1])
    assert receiver.events == ["joined"]
    receiver.status = 200
    await make_due(database)
    assert await sender[0].send_next(sender[1])
    assert receiver.events == ["joined", "joined"]


async def test_two_processes_send_an_event_once(
    database: Database, sender: tuple[Sender, httpx.AsyncClient], receiver: Receiver
) -> None:
    await put(database, "joined")
    first, second = await sender[0]._claim(), await Sender(database, HOOK)._claim()
    assert (first is not None, second) == (True, None)


async def test_after_a_day_an_event_is_given_up(
    database: Database, sender: tuple[Sender, httpx.AsyncClient], receiver: Receiver
) -> None:
    await put(database, "old", age=KEEP + timedelta(minutes=1))
    assert await sender[0].send_next(sender[1])
    assert receiver.events == []


async def test_a_workshop_fills_the_webhook_and_the_metrics(
    settings: Settings, judge: FakeJudge, database_url: str
) -> None:
    with_hook = replace(settings, webhook=HOOK, database_url=database_url)
    async with entered(create_app(with_hook, judge=judge)) as instructor, stranger(instructor) as http:
        made = await room.workshop(instructor)
        ann = await seat(http, made["code"], "Ann")
        await ann.report(ann.attempt("dark", "fail", "no subset"), ann.attempt("dark", "pass"), mesh="ready")
        await led(instructor, "POST", f"/workshops/{made['id']}/messages", text="Lunch!")
        app_state = instructor.http._transport.app.state  # type: ignore[attr-defined]
        async with app_state.site.database.reading() as connection:
            bodies = (await connection.exec_driver_sql("SELECT body FROM delivery ORDER BY id")).scalars().all()
        events = [json.loads(body) for body in bodies]
        assert [event["event"] for event in events] == ["workshop", "joined", "attempt", "attempt", "message"]
        assert (events[2]["name"], events[2]["outcome"], events[2]["reason"]) == ("Ann", "fail", "no subset")
        assert (await http.get("/api/v1/metrics")).status_code == 401
        assert (await http.get("/api/v1/metrics", headers=ann.headers)).status_code == 403
        text = (await instructor.http.get("/api/v1/metrics")).text
        for line in (
            'meshdojo_attempts_total{lab="split",outcome="fail",task="dark"} 1.0',
            'meshdojo_tasks_passed{lab="split",task="dark"} 1.0',
            'meshdojo_members_online{workshop="1"} 1.0',
            'meshdojo_messages_total{workshop="1"} 1.0',
            "meshdojo_webhook_waiting",
        ):
            assert line in text


async def test_without_a_webhook_nothing_waits_for_one(settings: Settings, judge: FakeJudge) -> None:
    async with entered(create_app(settings, judge=judge)) as instructor:
        await room.workshop(instructor)
        assert "meshdojo_webhook_waiting 0.0" in (await instructor.http.get("/api/v1/metrics")).text
