"""Signing in through a small OpenID Connect provider, and the lies that it may tell."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.web.samples import FakeJudge, Visitor, running

from meshdojo.web.app import create_app
from meshdojo.web.pages import signin
from meshdojo.web.settings import Provider, Settings, from_environment

pytestmark = pytest.mark.anyio

ISSUER = "https://id.example"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class SmallProvider:
    """A provider that vouches for whoever asks; `lie` changes what it says."""

    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "grace", "name": "Grace Hopper"})
    lie: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: KEY)
    issuer: str = ISSUER
    challenge: str = ""
    nonce: str = ""
    codes: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/token", self.token, methods=["POST"]),
                Route("/keys", self.keys),
            ]
        )

    def authorize(self, address: str) -> dict[str, str]:
        """The person says yes in their browser; what their browser carries back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["code_challenge_method"] == "S256"
        assert asked["response_type"] == "code"
        self.challenge, self.nonce = asked["code_challenge"], asked["nonce"]
        self.codes = ["the-code"]
        return {"code": "the-code", "state": asked["state"]}

    async def configuration(self, _request: Request) -> JSONResponse:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return JSONResponse({"issuer": self.issuer} | {name: f"{ISSUER}/{path}" for name, path in places.items()})

    async def keys(self, _request: Request) -> JSONResponse:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async def token(self, request: Request) -> JSONResponse:
        form = await request.form()
        verifier = str(form["code_verifier"])
        proof = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if form["code"] not in self.codes or proof != self.challenge or "authorization" not in request.headers:
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.codes.clear()
        known = {"iss": ISSUER, "aud": "dojo", "exp": int(time.time()) + 60, "nonce": self.nonce}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, known | self.claims | self.lie, self.key)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": token})


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> SmallProvider:
    return small_provider(monkeypatch)


def small_provider(monkeypatch: pytest.MonkeyPatch) -> SmallProvider:
    """The one that sites of this process ask."""
    small = SmallProvider()
    app = small.app()

    def client(*arguments: Any, **options: Any) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(*arguments, transport=httpx2.ASGITransport(app), **options)

    monkeypatch.setattr(signin, "AsyncOAuth2Client", client)
    return small


@pytest.fixture
def site(settings: Settings, judge: FakeJudge) -> FastAPI:
    ours = Provider(ISSUER, "dojo", "a secret", frozenset({"grace@example.com"}), frozenset({"ada"}))
    return create_app(replace(settings, provider=ours), judge=judge)


@asynccontextmanager
async def visitor_of(site: FastAPI) -> AsyncIterator[Visitor]:
    async with running(site) as visitor:
        yield visitor


async def signed_in(visitor: Visitor, provider: SmallProvider) -> Any:
    """Through the whole of it; returns the last answer."""
    begun = await visitor.http.get("/sign-in")
    assert begun.status_code == 303
    return await visitor.http.get("/sign-in/back", params=provider.authorize(begun.headers["location"]))


async def me(visitor: Visitor) -> Any:
    return (await visitor.http.get("/api/v1/me")).json()


async def test_a_person_comes_in_and_is_who_the_provider_says(site: FastAPI, provider: SmallProvider) -> None:
    async with visitor_of(site) as visitor:
        assert "Sign in" in (await visitor.http.get("/")).text
        answer = await signed_in(visitor, provider)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        found = await me(visitor)
        assert (found["name"], found["role"], found["owner"]) == ("Grace Hopper", "learner", False)
        assert (await visitor.http.get("/workshops")).status_code == 403


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"sub": "x", "email": "grace@example.com", "email_verified": True}, "instructor"),
        ({"sub": "x", "email": "grace@example.com", "email_verified": False}, "learner"),
        ({"sub": "x", "email": "grace@example.com"}, "learner"),
        ({"sub": "ada"}, "admin"),
    ],
)
async def test_roles_follow_the_settings(
    site: FastAPI, provider: SmallProvider, claims: dict[str, Any], role: str
) -> None:
    provider.claims = claims
    async with visitor_of(site) as visitor:
        await signed_in(visitor, provider)
        assert (await me(visitor))["role"] == role


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-site"},
        {"exp": int(time.time()) - 3600},
        {"nonce": "of somebody else"},
        {"nonce": None},
    ],
)
async def test_what_does_not_convince_lets_nobody_in(
    site: FastAPI, provider: SmallProvider, lie: dict[str, Any]
) -> None:
    provider.lie = lie
    async with visitor_of(site) as visitor:
        assert (await signed_in(visitor, provider)).status_code == 403
        assert (await visitor.http.get("/api/v1/me")).status_code == 401


async def test_a_signature_of_another_key_lets_nobody_in(site: FastAPI, provider: SmallProvider) -> None:
    provider.key = OTHER_KEY
    async with visitor_of(site) as visitor:
        assert (await signed_in(visitor, provider)).status_code == 403


async def test_a_provider_of_another_name_is_not_asked(site: FastAPI, provider: SmallProvider) -> None:
    provider.issuer = "https://evil.example"
    async with visitor_of(site) as visitor:
        assert (await visitor.http.get("/sign-in")).status_code == 502


async def test_a_sign_in_that_was_begun_elsewhere_is_none(site: FastAPI, provider: SmallProvider) -> None:
    async with visitor_of(site) as visitor:
        begun = await visitor.http.get("/sign-in")
        back = provider.authorize(begun.headers["location"])
        wrong = await visitor.http.get("/sign-in/back", params=back | {"state": "another"})
        assert wrong.status_code == 403
        visitor.http.cookies.clear()
        assert (await visitor.http.get("/sign-in/back", params=back)).status_code == 403


async def test_without_a_provider_nobody_signs_in(settings: Settings, judge: FakeJudge) -> None:
    async with running(create_app(settings, judge=judge)) as visitor:
        assert (await visitor.http.get("/sign-in")).status_code == 404


def test_the_environment_names_the_provider_and_no_repr_shows_its_secret() -> None:
    found = from_environment(
        {
            "MESHDOJO_OIDC_ISSUER": f"{ISSUER}/",
            "MESHDOJO_OIDC_CLIENT_ID": "dojo",
            "MESHDOJO_OIDC_CLIENT_SECRET": "hush",
            "MESHDOJO_OIDC_INSTRUCTORS": "a@example.com, b",
        }
    )
    assert found["provider"] == Provider(ISSUER, "dojo", "hush", frozenset({"a@example.com", "b"}), frozenset())
    assert "hush" not in repr(found["provider"])
    with pytest.raises(ValueError, match="CLIENT_ID"):
        from_environment({"MESHDOJO_OIDC_ISSUER": ISSUER})
    with pytest.raises(ValueError, match="MESHDOJO_WEBHOOK"):
        from_environment({"MESHDOJO_WEBHOOK": "dojo.example"})
