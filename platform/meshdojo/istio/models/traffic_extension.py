"""TrafficExtension: a WebAssembly module or a Lua script in the proxies of workloads."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen, MinLen
from pydantic import Field

from meshdojo.istio.models.base import AGE, Kind, KindType, Model, NullableInt32, Rule
from meshdojo.istio.models.common import TargetReferences, WorkloadSelector
from meshdojo.istio.models.extension import TrafficSelector, WasmModule, module_url


class LuaConfig(Model):
    """A Lua script."""

    inline_code: Annotated[str, MinLen(1), MaxLen(65536)] = Field(description="The script.")


class WasmConfig(WasmModule):
    """A WebAssembly module."""

    url: Annotated[str, MinLen(1), module_url('["", "http", "https", "file", "oci"]')] = Field(
        description="Where the module is: oci:// (the default), http://, https:// or file://."
    )


class TrafficExtensionSpec(Model):
    """Which workloads, the extension, and where in the filter chain."""

    ONE_OF: ClassVar = (("wasm", "lua"),)
    RULES: ClassVar = (
        Rule(
            "(has(self.selector) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1",
            "only one of targetRefs or selector can be set",
        ),
        Rule("has(self.wasm) != has(self.lua)", "exactly one of wasm or lua must be set"),
    )

    selector: WorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    target_refs: TargetReferences = Field(default=(), description="The objects this is attached to.")
    phase: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = Field(
        default="UNSPECIFIED", description="Before which of Istio's filters it runs; at the end if not given."
    )
    priority: NullableInt32 | None = Field(default=None, description="Order within a phase; bigger ones come first.")
    match: tuple[TrafficSelector, ...] = Field(default=(), description="Which traffic; all if not given.")
    wasm: WasmConfig | None = Field(default=None, description="A WebAssembly module.")
    lua: LuaConfig | None = Field(default=None, description="A Lua script.")


class TrafficExtension(Kind):
    """An extension of the proxies."""

    TYPE: ClassVar = KindType(
        group="extensions.istio.io",
        kind="TrafficExtension",
        plural="trafficextensions",
        versions=("v1alpha1",),
        storage="v1alpha1",
        columns=(AGE,),
        spec_required=True,
    )

    spec: TrafficExtensionSpec = Field(description="The workloads, the extension, and where it runs.")
