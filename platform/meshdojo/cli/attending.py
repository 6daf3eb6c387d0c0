"""What ``meshdojo join``, ``leave`` and ``check --site`` do."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from rich.text import Text

from meshdojo.checks.runner import Result
from meshdojo.cli.console import EXIT_ENVIRONMENT, EXIT_FAILED, out
from meshdojo.cli.serving import state_directory
from meshdojo.course.markdown import Task
from meshdojo.errors import UserError
from meshdojo.web.database import Database, migrate, open_engine
from meshdojo.web.judge import summary
from meshdojo.web.memberships import Membership, Memberships, invitation
from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.progress import Progress
from meshdojo.web.settings import Settings

PATIENCE = 90.0
TOKEN_VARIABLE = "MESHDOJO_TOKEN"  # noqa: S105 - the name of a variable


class SiteError(UserError):
    """The site did not do what it was asked; the text says why."""


@asynccontextmanager
async def _memberships(instance: str) -> AsyncIterator[Memberships]:
    """The memberships in the database of the local site, whether or not it runs."""
    url = os.environ.get("MESHDOJO_DATABASE", "")
    settings = Settings(state_directory(instance), database_url=url)
    engine = open_engine(settings.database)
    try:
        await migrate(engine)
        yield Memberships(Database(engine))
    finally:
        await engine.dispose()


async def join_workshop(instance: str, site: str, code: str, name: str, share_screen: bool) -> Membership:
    """Join; raises `JoinError`."""
    invited = invitation(site, code)
    async with _memberships(instance) as memberships:
        return await memberships.join(invited, name, share_screen)


async def keep_for_workshop(instance: str, lab: str, tasks: Sequence[Task], results: Sequence[Result]) -> None:
    """Keep what a check found, if the owner attends a workshop: the site that runs here reports it."""
    if not os.environ.get("MESHDOJO_DATABASE") and not (state_directory(instance) / "site.db").exists():
        return
    found = {result.check.id: result for result in results}
    async with _memberships(instance) as memberships:
        current = await memberships.current()
        if current is None or lab not in current.labs:
            return
        for task in tasks:
            verdict = summary([found[check] for check in task.checks])
            await Progress(memberships.database).record(LOCAL_LEARNER, lab, task.id, verdict)


async def leave_workshop(instance: str, forget: bool) -> str:
    """Leave; returns the title of the workshop, '' when there was none. Raises `SiteError`."""
    async with _memberships(instance) as memberships:
        current = await memberships.current()
        if current is None:
            return ""
        if forget:
            await _call(current.site, current.token, "DELETE", "/api/v1/desk")
        await memberships.leave(current.id)
        return current.workshop


async def check_on_site(site: str, lab: str, as_json: bool) -> int:
    """Have a site check a lab in its own mesh; shows what it found and returns the exit code. Raises `SiteError`."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise SiteError(f"{TOKEN_VARIABLE} is not set. Make a personal token on the page 'You' of {site}.")
    verdicts = json.loads(await _call(site, token, "POST", f"/api/v1/labs/{lab}/check"))
    if as_json:
        out.print_json(json.dumps(verdicts))
    else:
        for verdict in verdicts:
            _show(verdict)
    outcomes = {verdict["outcome"] for verdict in verdicts}
    if "error" in outcomes:
        return EXIT_ENVIRONMENT
    return EXIT_FAILED if "fail" in outcomes else 0


def _show(verdict: dict[str, str]) -> None:
    style, mark = {"pass": ("green", "✔"), "fail": ("red", "✘")}.get(verdict["outcome"], ("yellow", "!"))
    out.print(Text(f"{mark} {verdict['task']}", style=style))
    for name in ("reason", "saw", "expected", "hint"):
        if verdict[name]:
            out.print(Text(f"    {name:<10}{verdict[name]}"))


async def _call(site: str, token: str, method: str, path: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=site, headers=headers, timeout=PATIENCE) as http:
            answer = await http.request(method, path)
    except UnicodeEncodeError:
        raise SiteError(f"{TOKEN_VARIABLE} is no token: it has characters that none has.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SiteError(f"{site} cannot be reached: {error or type(error).__name__}") from error
    if answer.is_success:
        return answer.text
    try:
        raise SiteError(f"{site}: {answer.json()['detail']}")
    except (ValueError, KeyError, TypeError):
        raise SiteError(f"{site} answered as no meshdojo does (status {answer.status_code}).") from None
