"""RequestAuthentication: which tokens (JWT) a workload accepts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import MaxLen, MinLen
from pydantic import AliasChoices, Field

from meshdojo.istio.models.base import Duration, Kind, KindType, Model, Rule, schema
from meshdojo.istio.models.common import ONE_TARGET, PolicyTargetReference, TargetReferences, WorkloadSelector

NonEmpty = Annotated[str, MinLen(1)]


class JWTHeader(Model):
    """A header that carries a token."""

    name: NonEmpty = Field(description="Name of the header.")
    prefix: str = Field(default="", description="What precedes the token in it, such as 'Bearer ' with the space.")


class ClaimToHeader(Model):
    """A claim that the app gets as a header."""

    header: Annotated[str, MinLen(1), schema(pattern="^[-_A-Za-z0-9]+$")] = Field(description="Name of the header.")
    claim: NonEmpty = Field(description="Name of the claim; nested ones with dots.")


class JWTRule(Model):
    """One issuer of tokens."""

    RULES: ClassVar = (
        Rule(
            "(has(self.jwksUri) ? 1 : 0) + (has(self.jwks_uri) ? 1 : 0) + (has(self.jwks) ? 1 : 0) <= 1",
            "only one of jwks or jwksUri can be set",
        ),
    )

    issuer: Annotated[str, MinLen(1)] = Field(default="", description="The claim iss that its tokens have.")
    audiences: tuple[NonEmpty, ...] = Field(default=(), description="Audiences of which a token must have one.")
    jwks_uri: Annotated[
        str,
        MinLen(1),
        MaxLen(2048),
        schema(Rule('url(self).getScheme() in ["http", "https"]', "url must have scheme http:// or https://")),
    ] = Field(
        default="",
        validation_alias=AliasChoices("jwksUri", "jwks_uri"),
        description="Where the keys are. Found from the issuer (OpenID discovery) if neither this nor jwks is given.",
    )
    jwks: str = Field(default="", description="The keys themselves, as JSON.")
    from_headers: tuple[JWTHeader, ...] = Field(default=(), description="Headers to look in, instead of Authorization.")
    from_params: tuple[NonEmpty, ...] = Field(default=(), description="Query parameters to look in.")
    from_cookies: tuple[NonEmpty, ...] = Field(default=(), description="Cookies to look in.")
    output_payload_to_header: str = Field(default="", description="Header that gets the whole payload, in base64.")
    output_claim_to_headers: tuple[ClaimToHeader, ...] = Field(default=(), description="Claims passed on as headers.")
    forward_original_token: bool = Field(default=False, description="Whether the app gets the token itself.")
    timeout: Duration | None = Field(default=None, description="Time limit for fetching the keys; 5s if not given.")
    space_delimited_claims: Annotated[tuple[NonEmpty, ...], schema(maxItems=64)] = Field(
        default=(), description="Claims that are lists written with spaces, besides scope and permission."
    )


class RequestAuthenticationSpec(Model):
    """Which workloads, and the issuers they trust."""

    RULES: ClassVar = (ONE_TARGET,)

    selector: WorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    target_ref: PolicyTargetReference | None = Field(default=None, description="The object the policy is attached to.")
    target_refs: TargetReferences = Field(default=(), description="The objects the policy is attached to.")
    jwt_rules: Annotated[tuple[JWTRule, ...], schema(maxItems=4096)] = Field(
        default=(), description="Issuers. A token that is wrong is refused; a missing one passes."
    )


class RequestAuthentication(Kind):
    """Checks tokens; to demand one, an AuthorizationPolicy is needed as well."""

    TYPE: ClassVar = KindType(
        group="security.istio.io",
        kind="RequestAuthentication",
        plural="requestauthentications",
        versions=("v1", "v1beta1"),
        storage="v1",
        short_names=("ra",),
        labels=(("istio", "security"),),
    )

    spec: RequestAuthenticationSpec = Field(
        default=RequestAuthenticationSpec(), description="The workloads and the issuers they trust."
    )
