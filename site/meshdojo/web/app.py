"""Puts the site together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from meshdojo.web.accounts import Accounts
from meshdojo.web.assets import Assets
from meshdojo.web.database import Database, migrate, open_engine
from meshdojo.web.library import CourseLibrary
from meshdojo.web.live import Hub, Judge
from meshdojo.web.pages import course, diagram, entry, errors, lab, live
from meshdojo.web.pages.site import Library, Site, environment
from meshdojo.web.progress import Progress
from meshdojo.web.security import Guard
from meshdojo.web.sessions import Sessions
from meshdojo.web.settings import Settings

PAGES = (course, lab, live, entry, diagram)
FOREVER = "public, max-age=31536000, immutable"


class Built(StaticFiles):
    """The built front end. Names carry a hash of the content, so browsers may keep it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = FOREVER
        return response


def create_app(settings: Settings, *, judge: Judge | None = None, library: Library | None = None) -> FastAPI:
    """The site as an ASGI app.

    `judge` and `library` default to the cluster of `settings.backend` and the labs below `settings.content`; tests hand
    in their own. Raises `assets.AssetsMissing` when the front end is not built and `database.DatabaseError`
    for a URL that means nothing; a database that cannot be opened is a `DatabaseError` at startup.
    """
    assets = Assets()
    templates = environment(assets, settings.call)
    database = Database(open_engine(settings.database))
    accounts = Accounts(database)
    progress = Progress(database)
    course_library = CourseLibrary(templates, settings.content)
    hub = Hub(judge or _cluster_judge(settings, course_library), progress, settings.backend)
    sessions = Sessions(settings, database, accounts)
    site = Site(settings, library or course_library, database, progress, accounts, hub, sessions, templates)
    app = FastAPI(title="meshdojo", lifespan=_lifespan(site), docs_url=None, redoc_url=None, openapi_url=None)
    app.state.engine = database.engine
    app.state.sessions = sessions
    app.state.site = site
    for page in PAGES:
        app.include_router(page.router)
    errors.install(app)
    app.mount("/static/dist", Built(directory=assets.directory), name="built")
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Guard, settings=settings, sessions=sessions)
    return app


def _cluster_judge(settings: Settings, course_library: CourseLibrary) -> Judge:
    # Imported here: whoever brings a judge of their own needs no backend.
    from meshdojo.backends.select import open_backend
    from meshdojo.web.judge import ClusterJudge

    return ClusterJudge(
        open_backend(settings.backend, settings.instance), course_library.checks, settings.call("up --detach")
    )


def _lifespan(site: Site) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await migrate(site.database.engine)
        await site.database.bus.start()
        try:
            async with site.sessions.following():
                yield
        finally:
            await site.hub.close()
            await site.database.bus.close()
            await site.database.engine.dispose()

    return lifespan
