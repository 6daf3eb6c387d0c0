"""The judge of a learner whose environment is elsewhere: it says what their own meshdojo reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Container

from meshdojo.web.bus import GAP, Event
from meshdojo.web.database import Database
from meshdojo.web.live import MeshStatus, Reported, Update
from meshdojo.web.progress import Progress, Standing


class ReportedJudge:
    """A `live.Judge` that reads what was reported of one learner, and hears of what comes."""

    def __init__(self, database: Database, progress: Progress, learner: int) -> None:
        self._database = database
        self._progress = progress
        self._learner = learner

    async def status(self) -> MeshStatus:
        """Their mesh is their own; the roster shows it."""
        return MeshStatus("elsewhere")

    async def watch(self, lab: str, recheck: asyncio.Event, passed: Container[str]) -> AsyncGenerator[Update, None]:
        """Every task that was tried, and then each that changes. `recheck` has no effect: they check for themselves."""
        told: dict[str, Standing] = {}
        with self._database.bus.subscribe(f"learner:{self._learner}") as subscription:
            while True:
                events = subscription.take()
                if not told or any(_concerns(event, lab) for event in events):
                    found = await self._progress.standing(self._learner, lab)
                    for task, standing in found.items():
                        if told.get(task) != standing:
                            yield Reported(task, standing.verdict, standing.at)
                    told = found
                await subscription.changed.wait()

    async def close(self) -> None:
        """Nothing is kept."""


def _concerns(event: Event, lab: str) -> bool:
    return event.kind == GAP or event.data.get("lab") in (lab, None)
