"""A lab: its chapter, its tasks as they stand, its hints and its quiz."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from meshdojo.web.pages.site import CurrentSite, Site
from meshdojo.web.progress import Answer
from meshdojo.web.security import CurrentSession, require_csrf
from meshdojo.web.views import Chapter, Question, TaskText, task_state

router = APIRouter(prefix="/labs/{lab}", include_in_schema=False)


def get_chapter(lab: str, site: CurrentSite) -> Chapter:
    """The chapter that the path names, or 404."""
    chapter = site.chapter(lab)
    if chapter is None:
        known = ", ".join(chapter.name for chapter in site.library.chapters()) or "none"
        raise HTTPException(404, f"There is no lab called {lab[:100]!r}. The course has: {known}.")
    return chapter


CurrentChapter = Annotated[Chapter, Depends(get_chapter)]
# Scripts ask for the changed piece of the page only; without scripts a form leads back to the page.
WantsFragment = Annotated[bool, Header(alias="x-fragment")]


@router.get("", response_class=HTMLResponse)
async def lab_page(
    request: Request, site: CurrentSite, session: CurrentSession, chapter: CurrentChapter
) -> HTMLResponse:
    """The chapter, with each task's state as far as it is known."""
    live = await site.hub.lab(session.learner, chapter.name)
    progress = await site.progress.lab(session.learner, chapter.name)
    previous, follow = neighbours(site, chapter)
    return site.page(
        request,
        "lab.html",
        chapter=chapter,
        lab=chapter.name,
        states={task.id: task_state(task, live.state) for task in chapter.tasks},
        hints=progress.hints,
        held={task.id for task in chapter.tasks if session.owner and site.reporter.holds(chapter.name, task.id)},
        answers=progress.answers,
        previous=previous,
        follow=follow,
        stream=f"/live?lab={chapter.name}",
    )


def neighbours(site: Site, chapter: Chapter) -> tuple[Chapter | None, Chapter | None]:
    """The chapters before and after this one."""
    chapters = site.library.chapters()
    place = next((index for index, other in enumerate(chapters) if other.name == chapter.name), 0)
    return (chapters[place - 1] if place else None), (chapters[place + 1] if place + 1 < len(chapters) else None)


@router.post("/tasks/{task}/hints", dependencies=[Depends(require_csrf)])
async def open_hint(
    request: Request,
    site: CurrentSite,
    session: CurrentSession,
    chapter: CurrentChapter,
    task: str,
    x_fragment: WantsFragment = False,
) -> Response:
    """Open the task's next hint."""
    text = _task(chapter, task)
    held = session.owner and site.reporter.holds(chapter.name, text.id)
    opened = await site.progress.open_hint(session.learner, chapter.name, text.id, len(text.hints) - held)
    if not x_fragment:
        return RedirectResponse(f"/labs/{chapter.name}#hints-{text.id}", 303)
    return site.page(request, "parts/task_hints.html", task=text, opened=opened, held=held, lab=chapter.name)


@router.post("/quiz/{question}", dependencies=[Depends(require_csrf)])
async def answer_question(
    request: Request,
    site: CurrentSite,
    session: CurrentSession,
    chapter: CurrentChapter,
    question: str,
    choice: Annotated[list[int] | None, Form()] = None,
    x_fragment: WantsFragment = False,
) -> Response:
    """Keep an answer to a quiz question and say whether it is right."""
    asked = _question(chapter, question)
    choices = tuple(sorted(set(choice or ())))
    if any(not 0 <= number < len(asked.choices) for number in choices):
        raise HTTPException(422, f"choice {choices}: question {asked.id} has choices 0 to {len(asked.choices) - 1}")
    answer = Answer(choices, frozenset(choices) == asked.correct)
    await site.progress.answer(session.learner, chapter.name, asked.id, answer)
    if not x_fragment:
        return RedirectResponse(f"/labs/{chapter.name}#question-{asked.id}", 303)
    return site.page(request, "parts/question.html", question=asked, answer=answer, lab=chapter.name)


@router.post("/check", dependencies=[Depends(require_csrf)])
async def check_now(
    site: CurrentSite, session: CurrentSession, chapter: CurrentChapter, x_fragment: WantsFragment = False
) -> Response:
    """Have the judge look at every task again, now."""
    live = await site.hub.lab(session.learner, chapter.name)
    live.recheck.set()
    return Response(status_code=204) if x_fragment else RedirectResponse(f"/labs/{chapter.name}", 303)


def _task(chapter: Chapter, name: str) -> TaskText:
    for task in chapter.tasks:
        if task.id == name:
            return task
    raise HTTPException(404, f"Lab {chapter.name} has no task {name[:100]!r}.")


def _question(chapter: Chapter, name: str) -> Question:
    for question in chapter.questions:
        if question.id == name:
            return question
    raise HTTPException(404, f"Lab {chapter.name} has no question {name[:100]!r}.")
