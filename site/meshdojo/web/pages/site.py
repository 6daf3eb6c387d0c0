"""What every page uses: the pieces of the app, and how a template becomes an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import HTTPConnection

from meshdojo.course.markdown import GRADES
from meshdojo.web.accounts import Accounts
from meshdojo.web.assets import Assets
from meshdojo.web.database import Database
from meshdojo.web.desks import Desks
from meshdojo.web.limits import Limits
from meshdojo.web.live import Hub, MeshStatus
from meshdojo.web.manifests import Manifests
from meshdojo.web.members import Members
from meshdojo.web.mesh import MeshView
from meshdojo.web.progress import Progress
from meshdojo.web.reporter import Reporter
from meshdojo.web.rooms import Rooms
from meshdojo.web.roster import Roster
from meshdojo.web.security import is_owner
from meshdojo.web.sessions import Session, Sessions
from meshdojo.web.settings import Settings
from meshdojo.web.shells import Shells
from meshdojo.web.views import BrokenChapter, Chapter, Definition, mesh_label
from meshdojo.web.workshops import Workshops

TEMPLATES = Path(__file__).parent.parent / "templates"


class Library(Protocol):
    """Where the chapters come from. What it returns follows the files: an edited lab shows on the next reload."""

    directory: Path

    def chapters(self) -> tuple[Chapter, ...]:
        """The labs that can be shown, in the order of the course."""
        ...

    def broken(self) -> tuple[BrokenChapter, ...]:
        """The labs that cannot."""
        ...

    def glossary(self) -> tuple[Definition, ...]:
        """The words of the course."""
        ...


@dataclass(frozen=True)
class Site:
    """The pieces that the pages are made with."""

    settings: Settings
    library: Library
    database: Database
    progress: Progress
    accounts: Accounts
    workshops: Workshops
    members: Members
    roster: Roster
    rooms: Rooms
    desks: Desks
    reporter: Reporter
    limits: Limits
    hub: Hub
    sessions: Sessions
    templates: Environment
    shells: Shells
    mesh_view: MeshView
    manifests: Manifests

    def chapter(self, name: str) -> Chapter | None:
        """The chapter of this name."""
        return next((chapter for chapter in self.library.chapters() if chapter.name == name), None)

    def render(self, template: str, **values: Any) -> str:
        """A template that needs nothing from the request (a fragment)."""
        return self.templates.get_template(template).render(
            **{"mesh": self.hub.mesh, "csrf": "", "session": None, "owner": False, "attendance": None} | values
        )

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page. `stream` among the values is the live stream it listens to."""
        session = getattr(request.state, "session", None)
        common = {
            "theme": request.cookies.get("theme", ""),
            "csrf": self.sessions.csrf(session) if isinstance(session, Session) else "",
            "stream": "",
            "session": session,
            "owner": isinstance(session, Session) and is_owner(session),
            "attendance": self.reporter.attendance,
        }
        return HTMLResponse(self.render(template, **common | values), status)


def environment(assets: Assets, call: Callable[[str], str]) -> Environment:
    """The Jinja environment: everything is escaped, an unknown name is an error."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["asset"] = assets.url
    templates.globals["mesh_label"] = mesh_label
    templates.globals["call"] = call
    templates.globals["grades"] = GRADES
    templates.globals["mesh"] = MeshStatus("")
    return templates


def get_site(request: HTTPConnection) -> Site:
    """The site that this request reached."""
    site: Site = request.app.state.site
    return site


CurrentSite = Annotated[Site, Depends(get_site)]
