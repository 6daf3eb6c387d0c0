"""Signing in through an OpenID Connect provider: the authorization code flow with PKCE.

What must not be forgotten between the two steps (state, nonce, verifier) is in a signed cookie of ten minutes, so any
process can take the second. The identity is what a signed ID token says, checked against the provider's keys; roles
are what the settings say of the subject, or of an address that the provider calls verified.
"""

from __future__ import annotations

import time
from typing import Any

import httpx2
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from meshdojo.web.accounts import Role
from meshdojo.web.pages.site import CurrentSite, Site
from meshdojo.web.settings import Provider

COOKIE = "meshdojo-sign-in"
MINUTES = 10
PURPOSE = "sign-in"
ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA"]
LEEWAY = 60
PATIENCE = 15.0

router = APIRouter(prefix="/sign-in", include_in_schema=False)


def _provider(site: Site) -> Provider:
    if site.settings.provider is None:
        raise HTTPException(404, "Nobody signs in here: this site knows no OpenID Connect provider.")
    return site.settings.provider


def _client(site: Site, provider: Provider) -> AsyncOAuth2Client:
    return AsyncOAuth2Client(
        provider.client_id,
        provider.client_secret or None,
        scope="openid profile email",
        redirect_uri=f"{site.settings.url}/sign-in/back",
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
        timeout=PATIENCE,
    )


async def _configuration(client: AsyncOAuth2Client, provider: Provider) -> dict[str, Any]:
    """The provider's own description. Raises HTTPException when it describes somebody else."""
    found: dict[str, Any] = await _json(client, f"{provider.issuer}/.well-known/openid-configuration")
    if str(found.get("issuer", "")).rstrip("/") != provider.issuer:
        raise HTTPException(502, "The provider calls itself by another name than the one in the settings.")
    return found


async def _json(client: AsyncOAuth2Client, url: str) -> Any:
    try:
        answer = await client.request("GET", url, withhold_token=True)
        answer.raise_for_status()
        return answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise HTTPException(502, "The provider does not answer as it should. Try again in a while.") from error


@router.get("")
async def begin(site: CurrentSite) -> Response:
    """Off to the provider."""
    provider = _provider(site)
    memory = {"state": generate_token(32), "nonce": generate_token(32), "verifier": generate_token(64)}
    async with _client(site, provider) as client:
        configuration = await _configuration(client, provider)
        address, _ = client.create_authorization_url(
            configuration["authorization_endpoint"],
            state=memory["state"],
            nonce=memory["nonce"],
            code_verifier=memory["verifier"],
        )
    response = RedirectResponse(address, 303)
    value = site.sessions.sign(PURPOSE, memory | {"until": time.time() + MINUTES * 60})
    response.set_cookie(
        COOKIE,
        value,
        max_age=MINUTES * 60,
        path="/sign-in",
        httponly=True,
        samesite="lax",
        secure=site.settings.url.startswith("https:"),
    )
    return response


@router.get("/back")
async def back(request: Request, site: CurrentSite, code: str = "", state: str = "", error: str = "") -> Response:
    """Back from the provider."""
    provider = _provider(site)
    memory = site.sessions.unsign(PURPOSE, request.cookies.get(COOKIE, ""))
    if not isinstance(memory, dict) or memory["until"] < time.time() or not state or memory["state"] != state:
        raise HTTPException(403, "This sign-in was not begun here, or it took too long. Begin anew.")
    if error or not code:
        raise HTTPException(403, "The provider did not let you in.")
    claims = await _claims(site, provider, code, memory)
    name = str(claims.get("name") or claims.get("preferred_username") or claims["sub"])
    person = await site.accounts.sign_in(provider.issuer, str(claims["sub"]), name, _role(provider, claims))
    response = RedirectResponse("/", 303)
    await site.sessions.start(response, person.id, request.headers.get("user-agent", ""))
    response.delete_cookie(COOKIE, path="/sign-in")
    return response


async def _claims(site: Site, provider: Provider, code: str, memory: dict[str, Any]) -> dict[str, Any]:
    """What the provider says of whoever is back. Raises HTTPException when it does not convince."""
    async with _client(site, provider) as client:
        configuration = await _configuration(client, provider)
        try:
            tokens = await client.fetch_token(
                configuration["token_endpoint"], code=code, code_verifier=memory["verifier"]
            )
        except (OAuthError, httpx2.HTTPError) as error:
            raise HTTPException(403, "The provider did not confirm the sign-in. Begin anew.") from error
        keys = KeySet.import_key_set(await _json(client, configuration["jwks_uri"]))
    checks = jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "values": [configuration["issuer"]]},
        aud={"essential": True, "value": provider.client_id},
        sub={"essential": True},
        exp={"essential": True},
        nonce={"essential": True, "value": memory["nonce"]},
    )
    try:
        token = jwt.decode(tokens["id_token"], keys, algorithms=ALGORITHMS)
        checks.validate(token.claims)
    except (JoseError, KeyError, ValueError, TypeError) as error:
        raise HTTPException(403, "What the provider says of you cannot be trusted. Begin anew.") from error
    return dict(token.claims)


def _role(provider: Provider, claims: dict[str, Any]) -> Role | None:
    names = {str(claims["sub"])}
    if claims.get("email_verified") is True:
        names.add(str(claims.get("email", "")))
    if names & provider.admins:
        return "admin"
    return "instructor" if names & provider.instructors else None
