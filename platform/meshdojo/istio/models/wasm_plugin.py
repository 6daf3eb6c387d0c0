"""WasmPlugin: a WebAssembly module in the proxies of workloads."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MinLen
from pydantic import Field

from meshdojo.istio.models.base import AGE, Kind, KindType, NullableInt32
from meshdojo.istio.models.common import ONE_TARGET, PolicyTargetReference, TargetReferences, WorkloadSelector
from meshdojo.istio.models.extension import TrafficSelector, WasmModule, module_url


class WasmPluginSpec(WasmModule):
    """Which workloads, the module, and where in the filter chain."""

    RULES: ClassVar = (ONE_TARGET,)

    selector: WorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    target_ref: PolicyTargetReference | None = Field(default=None, description="The object this is attached to.")
    target_refs: TargetReferences = Field(default=(), description="The objects this is attached to.")
    url: Annotated[str, MinLen(1), module_url('["", "http", "https", "oci", "file"]')] = Field(
        description="Where the module is: oci:// (the default), http://, https:// or file://."
    )
    phase: Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"] = Field(
        default="UNSPECIFIED_PHASE", description="Before which of Istio's filters it runs; at the end if not given."
    )
    priority: NullableInt32 | None = Field(default=None, description="Order within a phase; bigger ones come first.")
    match: tuple[TrafficSelector, ...] = Field(default=(), description="Which traffic; all if not given.")


class WasmPlugin(Kind):
    """An extension of the proxies."""

    TYPE: ClassVar = KindType(
        group="extensions.istio.io",
        kind="WasmPlugin",
        plural="wasmplugins",
        versions=("v1alpha1",),
        storage="v1alpha1",
        columns=(AGE,),
        spec_required=True,
    )

    spec: WasmPluginSpec = Field(description="The workloads, the module, and where it runs.")
