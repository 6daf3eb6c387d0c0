"""Error pages: what happened, in words, and the way back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from meshdojo.web.pages.site import get_site
from meshdojo.web.security import API

log = logging.getLogger(__name__)

SIGN_IN = "/sign-in"
HEADINGS = {
    401: "Who is there?",
    403: "That was not allowed",
    404: "This page is not part of the course",
    405: "That was not allowed",
    409: "That is not possible now",
    429: "Too many tries",
    502: "The provider does not answer",
    422: "That could not be read",
    500: "Something broke on our side",
}


def install(app: FastAPI) -> None:
    """Make `app` answer errors with pages."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _crash)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # Starlette's own words ('Not Found') say nothing that the heading does not.
    own_words = error.detail != HTTPStatus(error.status_code).phrase
    text = error.detail if own_words else "The address may be mistyped, or the chapter may have been renamed."
    return _answer(request, error.status_code, text, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return _answer(request, 422, f"{field}: {first['msg']}.")


async def _crash(request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(4)
    log.error("reference %s: %s %s", reference, request.method, request.url.path, exc_info=error)
    text = "It is not your fault, and your progress is safe. Reload the page; if it happens again, report it."
    return _answer(request, 500, text, reference)


def _answer(
    request: Request, status: int, text: str, reference: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    if request.url.path.startswith(API):
        return JSONResponse({"detail": text}, status, headers)
    if request.headers.get("x-fragment"):
        return PlainTextResponse(text, status)
    heading = HEADINGS.get(status, HTTPStatus(status).phrase)
    site = get_site(request)
    # Who could not sign in tries again rather than going to a course that is shut to them.
    again = SIGN_IN if site.settings.provider and request.url.path.startswith(SIGN_IN) else ""
    if again and status == 403:
        heading = "You are not signed in"
    return site.page(
        request, "message.html", status, code=status, heading=heading, text=text, reference=reference, again=again
    )
