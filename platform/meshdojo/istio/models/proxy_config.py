"""ProxyConfig: settings of the proxies themselves, read when a pod starts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, MaxLen
from pydantic import Field

from meshdojo.istio.models.base import NULLABLE, Int32, Kind, KindType, Model
from meshdojo.istio.models.common import WorkloadSelector


class ProxyImage(Model):
    """Which image of the proxy."""

    image_type: str = Field(default="", description="Variant of the image: default, debug or distroless.")


class ProxyConfigSpec(Model):
    """Which workloads, and the settings of their proxies."""

    selector: WorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    concurrency: Annotated[Int32, Ge(0), NULLABLE] | None = Field(
        default=None, description="Worker threads; 0 takes as many as there are CPUs."
    )
    environment_variables: dict[str, Annotated[str, MaxLen(2048)]] = Field(
        default_factory=dict, description="Environment of the proxy."
    )
    image: ProxyImage | None = Field(default=None, description="Image of the proxy.")


class ProxyConfig(Kind):
    """Settings of proxies; pods that run already keep theirs until they are made anew."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="ProxyConfig",
        plural="proxyconfigs",
        versions=("v1beta1",),
        storage="v1beta1",
    )

    spec: ProxyConfigSpec = Field(
        default=ProxyConfigSpec(), description="The workloads and the settings of their proxies."
    )
