"""Puts the site together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from meshdojo.web.accounts import Accounts
from meshdojo.web.api import account as account_api
from meshdojo.web.api import course as course_api
from meshdojo.web.api import desk as desk_api
from meshdojo.web.api import workshops as workshops_api
from meshdojo.web.assets import Assets
from meshdojo.web.database import Database, migrate, open_engine
from meshdojo.web.desks import Desks
from meshdojo.web.events import Events
from meshdojo.web.library import CourseLibrary
from meshdojo.web.limits import Limits
from meshdojo.web.live import Hub, Judge
from meshdojo.web.local.kubectl import Kubectl
from meshdojo.web.local.shells import Environment, LocalShells
from meshdojo.web.manifests import Manifests
from meshdojo.web.members import Members
from meshdojo.web.mesh import ClusterView, MeshView
from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.pages import (
    course,
    diagram,
    editor,
    entry,
    errors,
    join,
    lab,
    live,
    membership,
    mesh,
    room,
    search,
    signin,
    terminal,
    you,
)
from meshdojo.web.pages.site import Library, Site, environment
from meshdojo.web.progress import Progress
from meshdojo.web.reported import ReportedJudge
from meshdojo.web.reporter import Reporter
from meshdojo.web.rooms import Rooms
from meshdojo.web.roster import Roster
from meshdojo.web.security import Guard
from meshdojo.web.sessions import Sessions
from meshdojo.web.settings import Settings
from meshdojo.web.shells import Shell, Shells
from meshdojo.web.turns import Turns
from meshdojo.web.webhook import Sender
from meshdojo.web.workshops import Workshops

API = (account_api, course_api, workshops_api, desk_api)
API_DESCRIPTION = """What the site's own pages and the command line use.

A program sends a personal token (`Authorization: Bearer mdj_…`), made on the page "You" or by `POST /api/v1/me/tokens`.
A page sends its session's cookie, and with everything but a read the header `X-CSRF-Token`. Times are RFC 3339.
"""
PAGES = (course, lab, live, terminal, editor, mesh, search, entry, diagram, join, room, membership, you, signin)
FOREVER = "public, max-age=31536000, immutable"


class Built(StaticFiles):
    """The built front end. Names carry a hash of the content, so browsers may keep it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = FOREVER
        return response


def create_app(
    settings: Settings,
    *,
    judge: Judge | None = None,
    library: Library | None = None,
    shells: Shells | None = None,
    mesh_view: MeshView | None = None,
    manifests: Manifests | None = None,
    reset: Callable[[str], Awaitable[None]] | None = None,
) -> FastAPI:
    """The site as an ASGI app.

    `judge`, `mesh_view` and `reset` (puts a lab back to its start) default to the cluster of `settings.backend`,
    `library` to the labs below `settings.content`, `shells` to shells on this machine, `manifests` to kubectl; tests
    hand in their own. Raises `assets.AssetsMissing` when the front end is not built and `database.DatabaseError` for a
    URL that means nothing; a database that cannot be opened is a `DatabaseError` at startup.
    """
    assets = Assets()
    templates = environment(assets, settings.call)
    database = Database(open_engine(settings.database))
    accounts = Accounts(database)
    progress = Progress(database)
    course_library = CourseLibrary(templates, settings.content)
    library = library or course_library
    events = Events(recorded=settings.webhook is not None)
    workshops, members = Workshops(database, events), Members(database, events, accounts)
    roster = Roster(database)
    hub = Hub(
        judge or _cluster_judge(settings, course_library),
        progress,
        settings.backend,
        elsewhere=lambda learner: ReportedJudge(database, progress, learner),
    )
    sessions = Sessions(settings, database, accounts)
    opened = shells or _local_shells(settings)
    site = Site(
        settings=settings,
        library=library,
        database=database,
        progress=progress,
        accounts=accounts,
        workshops=workshops,
        members=members,
        roster=roster,
        rooms=Rooms(database, workshops, roster, library.chapters),
        desks=Desks(database, workshops, members, hub.stopped),
        reporter=Reporter(database, hub, reset or _resetter(settings), lambda: own_shells(opened, library)),
        limits=Limits(),
        hub=hub,
        sessions=sessions,
        templates=templates,
        shells=opened,
        mesh_view=mesh_view or _cluster_view(settings, opened),
        manifests=manifests or Kubectl(_environment(settings)),
    )
    app = FastAPI(
        title="meshdojo",
        version=version("meshdojo"),
        description=API_DESCRIPTION,
        lifespan=_lifespan(site),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.engine = database.engine
    app.state.sessions = sessions
    app.state.site = site
    for part in (*API, *PAGES):
        app.include_router(part.router)
    errors.install(app)
    app.mount("/static/dist", Built(directory=assets.directory), name="built")
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Guard, settings=settings, sessions=sessions)
    app.add_middleware(Turns)
    return app


def _cluster_judge(settings: Settings, course_library: CourseLibrary) -> Judge:
    # Imported here: whoever brings a judge of their own needs no backend.
    from meshdojo.backends.select import open_backend
    from meshdojo.web.judge import ClusterJudge

    return ClusterJudge(
        open_backend(settings.backend, settings.instance), course_library.checks, settings.call("up --detach")
    )


def _environment(settings: Settings) -> Environment:
    async def environment() -> Mapping[str, str]:
        from meshdojo.backends.select import open_backend

        return await open_backend(settings.backend, settings.instance).environment()

    return environment


def _local_shells(settings: Settings) -> Shells:
    return LocalShells(settings.state_directory, _environment(settings), settings.call("up --detach"))


def _cluster_view(settings: Settings, shells: Shells) -> MeshView:
    def kubeconfig() -> Path:
        from meshdojo.backends.select import open_backend

        return open_backend(settings.backend, settings.instance).kubeconfig

    return ClusterView(kubeconfig, shells.refresh)


def _sending(site: Site) -> AbstractAsyncContextManager[None]:
    webhook = site.settings.webhook
    return Sender(site.database, webhook).sending() if webhook else nullcontext()


def own_shells(shells: Shells, library: Library) -> list[Shell]:
    """The terminals that the owner of this machine has open."""
    return [shell for chapter in library.chapters() for shell in shells.of(LOCAL_LEARNER, chapter.name)]


def _resetter(settings: Settings) -> Callable[[str], Awaitable[None]]:
    async def reset(lab: str) -> None:
        from meshdojo.backends.select import open_backend
        from meshdojo.course.course import load_course
        from meshdojo.validation.setup import reset_lab

        await reset_lab(open_backend(settings.backend, settings.instance), load_course().lab(lab))

    return reset


def _lifespan(site: Site) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await migrate(site.database.engine)
        await site.database.bus.start()
        try:
            async with (
                site.sessions.following(),
                site.desks.keeping_presence(),
                site.accounts.noting_use(),
                site.reporter.attending(),
                _sending(site),
            ):
                yield
        finally:
            await site.hub.close()
            await site.mesh_view.close()
            await site.shells.close()
            await site.database.bus.close()
            await site.database.engine.dispose()

    return lifespan
