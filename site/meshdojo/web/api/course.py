"""The course: its labs, how far you are, and a check of your lab where the site may run one."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from meshdojo.web.api.common import CHANGES, ERRORS, SIGNED_IN, CurrentSite, limited
from meshdojo.web.live import Judged
from meshdojo.web.pages.site import Site
from meshdojo.web.security import OwnerSession, Person
from meshdojo.web.views import Chapter

CHECK_SECONDS = 60.0

router = APIRouter(prefix="/api/v1/labs", tags=["course"], responses=ERRORS)


class TaskOut(BaseModel):
    """A task of a lab."""

    id: str
    number: int
    title: str


class LabOut(BaseModel):
    """A lab of the course."""

    id: str
    title: str
    description: str
    minutes: int
    difficulty: str
    tasks: list[TaskOut]


class StandingOut(BaseModel):
    """How you stand with a task: what the last check found, and when it passed for the first time."""

    task: str
    outcome: str = Field(description="pass, fail or error (the environment broke: not the learner's fault)")
    reason: str
    saw: str
    expected: str
    hint: str
    seconds: float
    at: datetime
    passed_at: datetime | None
    failing_since: datetime | None
    tries: int


class VerdictOut(BaseModel):
    """What a check found about a task."""

    task: str
    outcome: str
    reason: str
    saw: str
    expected: str
    hint: str
    seconds: float


@router.get("", dependencies=SIGNED_IN)
async def labs(site: CurrentSite, session: Person) -> list[LabOut]:
    """The labs, in the order of the course."""
    return [_lab(chapter) for chapter in site.library.chapters()]


@router.get("/{lab}", dependencies=SIGNED_IN)
async def one_lab(site: CurrentSite, session: Person, lab: str) -> LabOut:
    """A lab."""
    return _lab(_chapter(site, lab))


@router.get("/{lab}/progress", dependencies=SIGNED_IN)
async def progress(site: CurrentSite, session: Person, lab: str) -> list[StandingOut]:
    """How you stand with the tasks of a lab that you tried."""
    found = await site.progress.standing(session.learner, _chapter(site, lab).name)
    return [
        StandingOut(
            task=task,
            **vars(one.verdict),
            at=one.at,
            passed_at=one.passed_at,
            failing_since=one.failing_since,
            tries=one.tries,
        )
        for task, one in found.items()
    ]


@router.post("/{lab}/check", dependencies=CHANGES)
async def check(site: CurrentSite, session: OwnerSession, lab: str) -> list[VerdictOut]:
    """Check every task of a lab now. Only for the owner of the machine: their mesh is the one that is judged.

    Members of a workshop check in their own meshdojo, and report what it found.
    """
    chapter = _chapter(site, lab)
    limited(site.limits.checks, str(session.learner))
    wanted = {task.id for task in chapter.tasks}
    found: dict[str, VerdictOut] = {}
    passed = (await site.progress.lab(session.learner, chapter.name)).passed_at
    updates = site.hub.judge.watch(chapter.name, asyncio.Event(), passed)
    try:
        async with asyncio.timeout(CHECK_SECONDS), contextlib.aclosing(updates):
            while wanted - found.keys():
                update = await anext(updates)
                if isinstance(update, Judged):
                    await site.progress.record(session.learner, chapter.name, update.task, update.verdict)
                    found[update.task] = VerdictOut(task=update.task, **vars(update.verdict))
    except (TimeoutError, StopAsyncIteration):
        raise HTTPException(409, f"The checks were not done within {CHECK_SECONDS:.0f} s.") from None
    return [found[task.id] for task in chapter.tasks]


def _chapter(site: Site, lab: str) -> Chapter:
    chapter = site.chapter(lab)
    if chapter is None:
        known = ", ".join(chapter.name for chapter in site.library.chapters()) or "none"
        raise HTTPException(404, f"There is no lab called {lab[:100]!r}. The course has: {known}.")
    return chapter


def _lab(chapter: Chapter) -> LabOut:
    return LabOut(
        id=chapter.name,
        title=chapter.title,
        description=chapter.description,
        minutes=chapter.minutes,
        difficulty=chapter.difficulty,
        tasks=[TaskOut(id=task.id, number=task.number, title=task.title) for task in chapter.tasks],
    )
