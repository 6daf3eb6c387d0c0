"""What the routers of the API share: how an error looks, and limits of what comes in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Request
from fastapi.security import HTTPBearer
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from meshdojo.web.limits import RateLimit
from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.security import CurrentSession, require_csrf

MOST = 2**31 - 1


class Problem(BaseModel):
    """Why a request was refused, in words."""

    detail: str


class Input(BaseModel):
    """A body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "Nobody is signed in, or the token is not, or no longer, good"},
    403: {"model": Problem, "description": "Not allowed for this account, token or origin"},
    404: {"model": Problem, "description": "There is no such thing"},
    409: {"model": Problem, "description": "It is not so (any more) that this could be done"},
    421: {"model": Problem, "description": "The Host header names another site"},
    422: {"model": Problem, "description": "The request says something that means nothing here"},
    429: {"model": Problem, "description": "Too many tries; the header Retry-After says when to come back"},
}

bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A personal token: mdj_…")
SIGNED_IN = [Depends(bearer)]
# What changes something: with a token, or with the session's cookie and the header X-CSRF-Token.
CHANGES = [Depends(bearer), Depends(require_csrf)]

Number = Annotated[int, Path(ge=1, le=MOST)]


def _storable(text: str) -> str:
    """No text of PostgreSQL's has a NUL in it, and no UTF-8 a lone surrogate."""
    if "\0" in text:
        raise ValueError("a NUL character cannot be kept")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a character cannot be kept") from None
    return text


Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_storable)]
Prose = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_storable)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def limited(limit: RateLimit, key: str) -> None:
    """Take one try, or answer 429."""
    if wait := limit.take(key):
        raise too_many(wait)


def too_many(wait: float) -> HTTPException:
    """The answer to somebody who tries too often."""
    return HTTPException(429, f"Too many tries. Come back in {wait:.0f} s.", {"Retry-After": str(int(wait) + 1)})


def address(request: Request) -> str:
    """Where a request comes from, as far as is known."""
    return request.client.host if request.client else ""


__all__ = [
    "CHANGES",
    "ERRORS",
    "MOST",
    "SIGNED_IN",
    "CurrentSession",
    "CurrentSite",
    "Input",
    "Key",
    "Line",
    "Number",
    "Problem",
    "Prose",
    "Seconds",
    "address",
    "limited",
    "too_many",
]
