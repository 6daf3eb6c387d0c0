"""You: who you are, your data, your sessions and tokens; for admins: the others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from meshdojo.web.accounts import Person as Account
from meshdojo.web.accounts import Role, TokenFacts
from meshdojo.web.api.common import CHANGES, ERRORS, SIGNED_IN, CurrentSite, Input, Key, Number
from meshdojo.web.metrics import exposition
from meshdojo.web.security import Admin, Leader, Person

router = APIRouter(prefix="/api/v1", tags=["account"], responses=ERRORS)


class Me(BaseModel):
    """Who a request speaks for."""

    id: int
    name: str
    role: str
    owner: bool = Field(description="whether this is the owner of the machine that the site runs on")


class SessionOut(BaseModel):
    """A browser that is signed in."""

    id: str
    browser: str
    created_at: datetime
    expires_at: datetime
    this: bool


class TokenOut(BaseModel):
    """A personal token, without its secret."""

    id: str
    name: str
    scope: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None


class TokenIn(Input):
    """What a new token is called, and for how many days it is good (null: until it is taken back)."""

    name: Key
    days: Annotated[int | None, Field(ge=1, le=3650)] = 90


class TokenNew(BaseModel):
    """A new token. It is shown this once."""

    token: str


class PersonOut(BaseModel):
    """Somebody with an account."""

    id: int
    name: str
    role: str
    provider: str | None
    created_at: datetime


class RoleIn(Input):
    """The role to give."""

    role: Role


@router.get("/metrics", dependencies=SIGNED_IN, response_class=PlainTextResponse)
async def metrics(site: CurrentSite, session: Leader) -> PlainTextResponse:
    """For Prometheus, with a personal token of an instructor's: attempts, passes, members, messages, requests."""
    return PlainTextResponse(await exposition(site.database, site.hub.watching), media_type=CONTENT_TYPE_LATEST)


TokenId = Annotated[str, Path(max_length=32)]


@router.get("/me", dependencies=SIGNED_IN)
async def me(session: Person) -> Me:
    """Who you are."""
    return Me(id=session.learner, name=session.name, role=session.role, owner=session.owner)


@router.get("/me/data", dependencies=SIGNED_IN)
async def export_data(site: CurrentSite, session: Person, response: Response) -> dict[str, Any]:
    """All that is kept of you: attempts with outcome, reason and duration, hints, answers."""
    response.headers["Content-Disposition"] = 'attachment; filename="meshdojo-data.json"'
    kept = await site.progress.export(session.learner)
    about = {"id": session.learner, "name": session.name, "role": session.role}
    return {"exported_at": datetime.now(UTC).isoformat(), "learner": about, **kept}


@router.delete("/me/data", dependencies=CHANGES, status_code=204)
async def delete_data(site: CurrentSite, session: Person) -> None:
    """Delete all that is kept of what you did. You stay signed in; your place in a workshop stays."""
    await site.progress.forget(session.learner)


@router.delete("/me", dependencies=CHANGES, status_code=204)
async def delete_me(site: CurrentSite, session: Person) -> None:
    """Delete your account, and all that is kept of you. The owner of the machine cannot: delete the data instead."""
    if not await site.accounts.delete(session.learner):
        raise HTTPException(409, "The owner of this machine has no account to delete; delete the data instead.")


@router.get("/me/sessions", dependencies=SIGNED_IN)
async def sessions(site: CurrentSite, session: Person) -> list[SessionOut]:
    """The browsers in which you are signed in."""
    return [
        SessionOut(
            id=one.id,
            browser=one.agent,
            created_at=one.created_at,
            expires_at=one.expires_at,
            this=one.id == session.id,
        )
        for one in await site.sessions.all(session.learner)
    ]


@router.delete("/me/sessions/{identity}", dependencies=CHANGES, status_code=204)
async def end_session(site: CurrentSite, session: Person, identity: TokenId) -> None:
    """Sign one of your browsers out."""
    if not await site.sessions.revoke(session.learner, identity):
        raise HTTPException(404, "You have no such session.")


@router.get("/me/tokens", dependencies=SIGNED_IN)
async def tokens(site: CurrentSite, session: Person) -> list[TokenOut]:
    """Your tokens."""
    return [_token(token) for token in await site.accounts.tokens(session.learner)]


@router.post("/me/tokens", dependencies=CHANGES, status_code=201)
async def new_token(site: CurrentSite, session: Person, body: TokenIn) -> TokenNew:
    """Make a token, with which a program may do what you may."""
    return TokenNew(token=await site.accounts.new_token(session.learner, body.name, "all", body.days))


@router.delete("/me/tokens/{identity}", dependencies=CHANGES, status_code=204)
async def revoke_token(site: CurrentSite, session: Person, identity: TokenId) -> None:
    """Take a token back."""
    if not await site.accounts.revoke_token(session.learner, identity):
        raise HTTPException(404, "You have no such token.")


@router.get("/people", dependencies=SIGNED_IN)
async def people(site: CurrentSite, session: Admin) -> list[PersonOut]:
    """Everybody with an account. For admins."""
    return [_person(person) for person in await site.accounts.people()]


@router.patch("/people/{person}", dependencies=CHANGES)
async def give_role(site: CurrentSite, session: Admin, person: Number, body: RoleIn) -> PersonOut:
    """Give somebody a role. For admins."""
    if not await site.accounts.set_role(person, body.role):
        raise HTTPException(404, f"There is no person {person} whose role can be changed.")
    found = await site.accounts.person(person)
    if found is None:
        raise HTTPException(404, f"There is no person {person}.")
    return _person(found)


@router.delete("/people/{person}", dependencies=CHANGES, status_code=204)
async def delete_person(site: CurrentSite, session: Admin, person: Number) -> None:
    """Delete somebody and all that is kept of them. For admins."""
    if not await site.accounts.delete(person):
        raise HTTPException(404, f"There is no person {person} who can be deleted.")


def _token(token: TokenFacts) -> TokenOut:
    return TokenOut(**vars(token))


def _person(person: Account) -> PersonOut:
    return PersonOut(
        id=person.id, name=person.name, role=person.role, provider=person.issuer, created_at=person.created_at
    )
