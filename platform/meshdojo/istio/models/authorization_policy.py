"""AuthorizationPolicy: who may send which requests to a workload."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen
from pydantic import Field

from meshdojo.istio.models.base import AGE, Column, Kind, KindType, Model, Rule, schema
from meshdojo.istio.models.common import ONE_TARGET, PolicyTargetReference, TargetReferences, WorkloadSelector

ServiceAccounts = Annotated[tuple[Annotated[str, MaxLen(320)], ...], schema(maxItems=16)]


class Source(Model):
    """Who sends. All fields that are given must hold; within a field one value is enough."""

    RULES: ClassVar = (
        Rule(
            "(has(self.serviceAccounts) || has(self.notServiceAccounts)) ? (!has(self.principals) &&\n"
            "!has(self.notPrincipals) && !has(self.namespaces) && !has(self.notNamespaces)) : true",
            "Cannot set serviceAccounts with namespaces or principals",
        ),
    )

    principals: tuple[str, ...] = Field(
        default=(), description="Identities from the client's certificate: cluster.local/ns/NAMESPACE/sa/ACCOUNT."
    )
    not_principals: tuple[str, ...] = Field(default=(), description="Identities that are left out.")
    request_principals: tuple[str, ...] = Field(default=(), description="Identities from a token: issuer/subject.")
    not_request_principals: tuple[str, ...] = Field(
        default=(), description="Identities from a token that are left out."
    )
    service_accounts: ServiceAccounts = Field(
        default=(), description="Service accounts of the client: namespace/account, or account in this namespace."
    )
    not_service_accounts: ServiceAccounts = Field(default=(), description="Service accounts that are left out.")
    namespaces: tuple[str, ...] = Field(default=(), description="Namespaces of the client, from its certificate.")
    not_namespaces: tuple[str, ...] = Field(default=(), description="Namespaces that are left out.")
    trust_domains: tuple[str, ...] = Field(default=(), description="Trust domains of the client, from its certificate.")
    not_trust_domains: tuple[str, ...] = Field(default=(), description="Trust domains that are left out.")
    ip_blocks: tuple[str, ...] = Field(default=(), description="Addresses or CIDRs that the connection comes from.")
    not_ip_blocks: tuple[str, ...] = Field(default=(), description="Addresses or CIDRs that are left out.")
    remote_ip_blocks: tuple[str, ...] = Field(
        default=(), description="Addresses or CIDRs of the original client (X-Forwarded-For, PROXY protocol)."
    )
    not_remote_ip_blocks: tuple[str, ...] = Field(default=(), description="Original clients that are left out.")


class Operation(Model):
    """What is asked for. All fields that are given must hold; within a field one value is enough."""

    hosts: tuple[str, ...] = Field(default=(), description="Values of the Host header, without regard to case.")
    not_hosts: tuple[str, ...] = Field(default=(), description="Hosts that are left out.")
    ports: tuple[str, ...] = Field(default=(), description="Ports of the workload (not of the service).")
    not_ports: tuple[str, ...] = Field(default=(), description="Ports that are left out.")
    methods: tuple[str, ...] = Field(default=(), description="Methods, such as GET (which does not include HEAD).")
    not_methods: tuple[str, ...] = Field(default=(), description="Methods that are left out.")
    paths: tuple[str, ...] = Field(
        default=(), description="Paths: exact, /prefix*, */suffix, *, or with {*} for a segment and {**} for several."
    )
    not_paths: tuple[str, ...] = Field(default=(), description="Paths that are left out.")


class From(Model):
    """One alternative of the sender."""

    source: Source | None = Field(default=None, description="Who sends.")


class To(Model):
    """One alternative of the request."""

    operation: Operation | None = Field(default=None, description="What is asked for.")


class Condition(Model):
    """A condition on an attribute."""

    key: str = Field(description="The attribute, such as request.headers[x-token] or source.ip.")
    values: tuple[str, ...] = Field(default=(), description="Values of which one must be met.")
    not_values: tuple[str, ...] = Field(default=(), description="Values of which none may be met.")


class AuthorizationRule(Model):
    """Matches when one of from, one of to and all of when hold; what is not given always holds."""

    from_: Annotated[tuple[From, ...], schema(maxItems=512)] = Field(
        default=(), description="Alternatives of the sender."
    )
    to: tuple[To, ...] = Field(default=(), description="Alternatives of the request.")
    when: tuple[Condition, ...] = Field(default=(), description="Further conditions, all of which must hold.")


class ExtensionProvider(Model):
    """Somebody else who decides."""

    name: str = Field(default="", description="Name of an extension provider of the mesh config.")


class AuthorizationPolicySpec(Model):
    """Which workloads, the rules, and what to do when one matches."""

    ONE_OF: ClassVar = (("provider",),)
    RULES: ClassVar = (ONE_TARGET,)

    selector: WorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    target_ref: PolicyTargetReference | None = Field(default=None, description="The object the policy is attached to.")
    target_refs: TargetReferences = Field(default=(), description="The objects the policy is attached to.")
    rules: Annotated[tuple[AuthorizationRule, ...], schema(maxItems=512)] = Field(
        default=(),
        description="Rules of which one must match. ALLOW without rules allows nothing; a rule {} matches all.",
    )
    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"] = Field(
        default="ALLOW",
        description="What happens on a match. CUSTOM is asked first, then DENY refuses, then one ALLOW must match if "
        "there are any; AUDIT only marks.",
    )
    provider: ExtensionProvider | None = Field(default=None, description="Who decides, for the action CUSTOM.")


class AuthorizationPolicy(Kind):
    """Access control for workloads."""

    TYPE: ClassVar = KindType(
        group="security.istio.io",
        kind="AuthorizationPolicy",
        plural="authorizationpolicies",
        versions=("v1", "v1beta1"),
        storage="v1",
        short_names=("ap",),
        columns=(Column("Action", ".spec.action", "What happens when a rule matches."), AGE),
        labels=(("istio", "security"),),
    )

    spec: AuthorizationPolicySpec = Field(
        default=AuthorizationPolicySpec(), description="The workloads, the rules, and what happens on a match."
    )
