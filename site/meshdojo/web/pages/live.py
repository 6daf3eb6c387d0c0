"""The live stream of a page: server-sent events that each replace the content of one element.

An event ``fragment`` carries JSON: ``target`` (an element's id), ``html``, and ``say`` (what a screen reader should
announce, or ''). A connection is sent every fragment once, and then those that have changed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse

from meshdojo.web.pages.lab import neighbours
from meshdojo.web.pages.site import CurrentSite, Site
from meshdojo.web.security import CurrentSession
from meshdojo.web.sessions import Session
from meshdojo.web.views import Chapter, TaskState, task_state

KEEP_ALIVE = 15.0
RETRY_MILLISECONDS = 1000

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Fragment:
    """The content of one element of the page."""

    target: str
    html: str
    say: str = ""


@router.get("/live")
async def live(site: CurrentSite, session: CurrentSession, lab: str = "") -> StreamingResponse:
    """The mesh's status, and the tasks of `lab` if one is named. The checks run as long as somebody listens."""
    chapter = site.chapter(lab) if lab else None
    if lab and chapter is None:
        raise HTTPException(404, f"There is no lab called {lab[:100]!r}.")
    return StreamingResponse(
        _events(site, session, chapter),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(site: Site, session: Session, chapter: Chapter | None) -> AsyncIterator[str]:
    sent: dict[str, str] = {}
    async with site.hub.watch(session.learner, chapter.name if chapter else None) as changed:
        # Asked once: it looks at the files of every lab.
        follow = neighbours(site, chapter)[1] if chapter else None
        beginning = f"retry: {RETRY_MILLISECONDS}\n\n"
        while not site.hub.stopped.is_set():
            changed.clear()
            news = ""
            for fragment in await _fragments(site, session, chapter, follow):
                if sent.get(fragment.target) != fragment.html:
                    news += _event(fragment, first=fragment.target not in sent)
                    sent[fragment.target] = fragment.html
            # In one piece: each goes through all that lies around the app.
            if beginning or news:
                yield beginning + news
                beginning = ""
            try:
                await asyncio.wait_for(changed.wait(), KEEP_ALIVE)
            except TimeoutError:
                yield ": still here\n\n"


def _event(fragment: Fragment, *, first: bool) -> str:
    """On the first sight of a page there is nothing to announce: it has just been read."""
    data = {"target": fragment.target, "html": fragment.html, "say": "" if first else fragment.say}
    return f"event: fragment\ndata: {json.dumps(data)}\n\n"


async def _fragments(site: Site, session: Session, chapter: Chapter | None, follow: Chapter | None) -> list[Fragment]:
    # The mesh of this machine, and the workshop that its owner attends, are its owner's.
    fragments = [*_mesh_fragments(site), _attendance(site)] if session.owner else []
    if chapter and chapter.tasks:
        state = (await site.hub.lab(session.learner, chapter.name)).state
        tasks = [task_state(task, state) for task in chapter.tasks]
        fragments += _task_fragments(site, tasks)
        fragments += _why_fragments(site, chapter, tasks)
        html = site.render("parts/task_list.html", tasks=tasks, follow=follow)
        fragments.append(Fragment("task-list", html))
    return fragments


def _attendance(site: Site) -> Fragment:
    attendance = site.reporter.attendance
    news = attendance.news[0] if attendance.news else None
    say = f"{news['author']} says: {news['text']}" if news else ""
    if attendance.watched:
        say = f"{attendance.watcher} is looking at your terminal. {say}"
    return Fragment("attendance", site.render("parts/attendance.html", attendance=attendance), say)


def _mesh_fragments(site: Site) -> Iterator[Fragment]:
    yield Fragment("mesh-summary", site.render("parts/mesh_summary.html"))
    yield Fragment("mesh-card", site.render("parts/mesh_card.html"))


def _task_fragments(site: Site, tasks: list[TaskState]) -> Iterator[Fragment]:
    for task in tasks:
        say = f"Task {task.number} passed: {task.title}" if task.state == "passed" else ""
        yield Fragment(f"state-{task.id}", site.render("parts/task_state.html", task=task), say)
        yield Fragment(f"checking-{task.id}", "checking…" if task.checking else "")


def _why_fragments(site: Site, chapter: Chapter, tasks: list[TaskState]) -> Iterator[Fragment]:
    """What may be read once a task has passed."""
    for part, task in zip(chapter.tasks, tasks, strict=True):
        if part.why:
            yield Fragment(f"why-{task.id}", site.render("parts/task_why.html", part=part, task=task))
