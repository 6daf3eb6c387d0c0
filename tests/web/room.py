"""A workshop under test: an instructor, and learners whose meshdojos report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from tests.web.samples import Visitor

NOW = datetime.now(UTC)
PLAN: dict[str, Any] = {
    "title": "Istio day",
    "labs": ["split"],
    "starts_at": NOW.isoformat(),
    "ends_at": (NOW + timedelta(hours=8)).isoformat(),
}


@dataclass
class Seat:
    """A learner's meshdojo, as the site sees it: a token."""

    http: httpx.AsyncClient
    token: str
    member: int
    keys: int = field(default=0)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def attempt(self, task: str, outcome: str, reason: str = "", **more: Any) -> dict[str, Any]:
        """An attempt of a key of its own."""
        self.keys += 1
        return {"key": f"a:{self.keys}", "lab": "split", "task": task, "outcome": outcome, "reason": reason, **more}

    async def report(self, *attempts: dict[str, Any], **status: Any) -> httpx.Response:
        body: dict[str, Any] = {"attempts": list(attempts)}
        if status:
            body["status"] = status
        return await self.http.post("/api/v1/desk/report", json=body, headers=self.headers)


async def workshop(visitor: Visitor, **changes: Any) -> dict[str, Any]:
    """A new workshop, made by the owner of the site."""
    made = await visitor.http.post("/api/v1/workshops", json=PLAN | changes, headers={"X-CSRF-Token": visitor.csrf})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


async def seat(http: httpx.AsyncClient, code: str, name: str) -> Seat:
    """Somebody joins."""
    joined = await http.post("/api/v1/join", json={"code": code, "name": name})
    assert joined.status_code == 201, joined.text
    return Seat(http, joined.json()["token"], joined.json()["member"])


async def led(visitor: Visitor, method: str, path: str, **body: Any) -> httpx.Response:
    """Something that the instructor does through the API."""
    headers = {"X-CSRF-Token": visitor.csrf}
    return await visitor.http.request(method, f"/api/v1{path}", json=body or None, headers=headers)


@asynccontextmanager
async def stranger(visitor: Visitor) -> AsyncIterator[httpx.AsyncClient]:
    """Another client of the same app: no cookie."""
    async with httpx.AsyncClient(transport=visitor.http._transport, base_url=visitor.http.base_url) as http:
        yield http
