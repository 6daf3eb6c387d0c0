"""Sends the events of workshops to the webhook: at least once, in their order, until it says 2xx.

The events wait in the database (`models.Delivery`), so that a restart loses none. With several processes, whoever
puts the time of the next try forward first sends. The body is signed as GitHub signs its own:
``X-Meshdojo-Signature: sha256=HMAC(secret, body)``.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
from sqlalchemy import delete, select, update

from meshdojo.web.database import Database
from meshdojo.web.meanwhile import meanwhile
from meshdojo.web.models import Delivery
from meshdojo.web.settings import Webhook

LOOK_SECONDS = 1.0
PATIENCE = 10.0
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 600.0
KEEP = timedelta(days=1)

log = logging.getLogger(__name__)


class Sender:
    """Sends what waits."""

    def __init__(self, database: Database, webhook: Webhook, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._database = database
        self._webhook = webhook
        self._transport = transport

    def sending(self) -> AbstractAsyncContextManager[None]:
        """Send meanwhile."""
        return meanwhile(self._run, "webhook")

    async def _run(self) -> None:
        # It is told to nobody else: a redirect is not followed.
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, transport=self._transport) as http:
            while True:
                try:
                    sent = await self.send_next(http)
                except Exception:
                    log.exception("the webhook's events could not be read")
                    sent = False
                if not sent:
                    await asyncio.sleep(LOOK_SECONDS)

    async def send_next(self, http: httpx.AsyncClient) -> bool:
        """Send the oldest event, if its time has come; whether it arrived (or was too old)."""
        row = await self._claim()
        if row is None:
            return False
        if datetime.now(UTC) - row.created_at > KEEP:
            log.warning("event %d was given up: the webhook did not take it for a day", row.id)
        elif not await self._send(http, row.body):
            return False
        async with self._database.writing() as transaction:
            await transaction.connection.execute(delete(Delivery).where(Delivery.id == row.id))
        return True

    async def _claim(self) -> Any:
        """The oldest event, if it is due: its next try is put off at once, so that nobody else takes it."""
        async with self._database.writing() as transaction:
            query = select(Delivery).order_by(Delivery.id).limit(1)
            row = (await transaction.connection.execute(query)).one_or_none()
            now = datetime.now(UTC)
            if row is None or row.due_at > now:
                return None
            pause = min(FIRST_PAUSE * 2**row.tries, LONGEST_PAUSE) + PATIENCE
            claim = (
                update(Delivery)
                .where(Delivery.id == row.id, Delivery.tries == row.tries)
                .values(tries=row.tries + 1, due_at=now + timedelta(seconds=pause))
            )
            return row if (await transaction.connection.execute(claim)).rowcount else None

    async def _send(self, http: httpx.AsyncClient, body: str) -> bool:
        signature = hmac.new(self._webhook.secret.encode(), body.encode(), sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Meshdojo-Signature": f"sha256={signature}"}
        try:
            answer = await http.post(self._webhook.url, content=body.encode(), headers=headers)
        except httpx.HTTPError as error:
            log.warning("the webhook cannot be reached: %s", type(error).__name__)
            return False
        if not answer.is_success:
            log.warning("the webhook answered %d; it is tried again", answer.status_code)
        return answer.is_success
