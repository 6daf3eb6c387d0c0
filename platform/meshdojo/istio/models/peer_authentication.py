"""PeerAuthentication: whether a workload accepts plain text, mutual TLS, or both."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshdojo.istio.models.base import AGE, Column, Kind, KindType, Model, Rule, schema
from meshdojo.istio.models.common import WorkloadSelector

MutualTLSMode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]


class MutualTLS(Model):
    """The mode of mutual TLS for incoming connections."""

    mode: MutualTLSMode = Field(
        default="UNSET",
        description="STRICT refuses plain text, PERMISSIVE accepts both, DISABLE only plain text. UNSET takes the "
        "mode of the namespace, that of the mesh, or PERMISSIVE.",
    )


class PeerAuthenticationSpec(Model):
    """Which workloads, and their mode."""

    RULES: ClassVar = (
        Rule(
            "has(self.portLevelMtls) ? (((has(self.selector) && has(self.selector.matchLabels)) ? "
            "self.selector.matchLabels : {}).size() > 0) : true",
            "portLevelMtls requires selector",
        ),
    )

    selector: WorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    mtls: MutualTLS | None = Field(default=None, description="The mode for all ports.")
    port_level_mtls: Annotated[
        dict[str, MutualTLS],
        schema(
            Rule("self.all(key, 0 < int(key) && int(key) <= 65535)", "port must be between 1-65535"), minProperties=1
        ),
    ] = Field(default_factory=dict, description="Modes by the workload's own port (not the service's).")


class PeerAuthentication(Kind):
    """The mode of mutual TLS: one for the mesh, one per namespace, or for selected workloads."""

    TYPE: ClassVar = KindType(
        group="security.istio.io",
        kind="PeerAuthentication",
        plural="peerauthentications",
        versions=("v1", "v1beta1"),
        storage="v1",
        short_names=("pa",),
        columns=(Column("Mode", ".spec.mtls.mode", "The mode of mutual TLS."), AGE),
        labels=(("istio", "security"),),
    )

    spec: PeerAuthenticationSpec = Field(
        default=PeerAuthenticationSpec(), description="The workloads and their mode of mutual TLS."
    )
