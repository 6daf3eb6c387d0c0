"""Messages that WasmPlugin and TrafficExtension share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import Field

from meshdojo.istio.models.base import Model, Rule, Schema, Struct, schema

PluginType = Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"]
FailStrategy = Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"]
PullPolicy = Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"]
Sha256 = Annotated[str, schema(pattern="(^$|^[a-f0-9]{64}$)")]
SecretName = Annotated[str, MinLen(1), MaxLen(253)]
PluginName = Annotated[str, MinLen(1), MaxLen(256)]


def module_url(schemes: str) -> Schema:
    """The rule for a module's URL; `schemes` is a CEL list."""
    return schema(
        Rule(
            f'isURL(self) ? (url(self).getScheme() in {schemes}) : (isURL("http://" + self) &&\n'
            f'url("http://" + self).getScheme() in {schemes})',
            "url must have schema one of [http, https, file, oci]",
        )
    )


class PortNumber(Model):
    """A port of the workload."""

    number: Annotated[int, Ge(1), Le(65535)] = Field(description="The port.")


class TrafficSelector(Model):
    """Which traffic of the workload."""

    mode: Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"] = Field(
        default="UNDEFINED", description="The workload as client, as server, or both (the default)."
    )
    ports: Annotated[
        tuple[PortNumber, ...],
        schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["number"]),
    ] = Field(default=(), description="Ports; all if not given.")


class EnvVar(Model):
    """A variable of the module's environment."""

    RULES: ClassVar = (
        Rule(
            '(has(self.valueFrom) ? self.valueFrom : "") != "HOST" || !has(self.value)',
            "value may only be set when valueFrom is INLINE",
        ),
    )

    name: Annotated[str, MinLen(1), MaxLen(256)] = Field(description="Name of the variable.")
    value_from: Literal["INLINE", "HOST"] = Field(
        default="INLINE", description="The value given here, or the proxy's own."
    )
    value: Annotated[str, MaxLen(2048)] = Field(default="", description="The value.")


class VmConfig(Model):
    """Settings of the virtual machine that runs the module."""

    env: Annotated[
        tuple[EnvVar, ...],
        schema(maxItems=256, x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
    ] = Field(default=(), description="Environment of the module.")


class WasmModule(Model):
    """A WebAssembly module and how it is fetched and run."""

    sha256: Sha256 = Field(default="", description="Hash of the module or of the image.")
    image_pull_policy: PullPolicy = Field(default="UNSPECIFIED_POLICY", description="When the image is fetched again.")
    image_pull_secret: SecretName = Field(default="", description="Secret for the registry, in the same namespace.")
    verification_key: str = Field(default="", description="Public key for signed images.")
    plugin_config: Struct | None = Field(default=None, description="Configuration handed to the module.")
    plugin_name: PluginName = Field(default="", description="Name of the plugin inside the module.")
    fail_strategy: FailStrategy = Field(
        default="FAIL_CLOSE", description="Whether requests fail or pass when the module cannot be loaded or crashes."
    )
    vm_config: VmConfig | None = Field(default=None, description="Settings of the virtual machine.")
    type: PluginType = Field(
        default="UNSPECIFIED_PLUGIN_TYPE", description="HTTP filter (the default) or network filter."
    )
