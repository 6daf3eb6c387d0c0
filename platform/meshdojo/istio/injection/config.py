"""What the injector is told by the installation: Helm values, mesh config, revision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from meshdojo.istio.version import HUB, VERSION, image

JSON = dict[str, Any]


class BadConfig(ValueError):
    """A ConfigMap that cannot be used; the message names it, the key and what is wrong."""


@dataclass(frozen=True)
class InjectionConfig:
    """`values` are Helm values as in the ConfigMap istio-sidecar-injector, `mesh` is MeshConfig as in istio."""

    values: JSON = field(default_factory=dict)
    mesh: JSON = field(default_factory=dict)
    policy: JSON = field(default_factory=dict)
    revision: str = "default"

    @classmethod
    def load(cls, injector: Mapping[str, str], mesh: str = "", revision: str = "default") -> InjectionConfig:
        """From the data of the ConfigMap istio-sidecar-injector and the key ``mesh`` of istio. Raises BadConfig."""
        return cls(
            values=_mapping(injector.get("values", ""), "istio-sidecar-injector", "values"),
            mesh=_mapping(mesh, "istio", "mesh"),
            policy=_mapping(injector.get("config", ""), "istio-sidecar-injector", "config"),
            revision=revision,
        )

    def value(self, path: str, default: Any = None) -> Any:
        """The Helm value at a dotted path, or `default` where it is absent or null."""
        node: Any = self.values
        for step in path.split("."):
            node = node.get(step) if isinstance(node, Mapping) else None
        return default if node is None else node

    @property
    def enabled(self) -> bool:
        """Whether pods without a word of their own are injected."""
        return bool(self.policy.get("policy", "enabled") == "enabled")

    @property
    def default_templates(self) -> list[str]:
        """The templates of a pod that names none."""
        return list(self.policy.get("defaultTemplates") or ["sidecar"])

    @property
    def injected_annotations(self) -> dict[str, str]:
        """Annotations that every injected pod gets."""
        return dict(self.policy.get("injectedAnnotations") or {})

    @property
    def trust_domain(self) -> str:
        """The first part of SPIFFE identities; ``cluster.local`` by default."""
        return str(self.mesh.get("trustDomain") or "cluster.local")

    @property
    def root_namespace(self) -> str:
        """Where resources hold for the whole mesh; ``istio-system`` by default."""
        return str(self.mesh.get("rootNamespace") or "istio-system")

    @property
    def ca_address(self) -> str:
        """Where proxies find their istiod; the agent takes the revision from it."""
        suffix = "" if self.revision in ("", "default") else f"-{self.revision}"
        namespace = self.value("global.istioNamespace", "istio-system")
        return str(self.value("global.caAddress") or f"istiod{suffix}.{namespace}.svc:15012")

    def image(self, name: str) -> str:
        """The full name of one of Istio's images, with this installation's hub and tag."""
        return image(str(self.value("global.hub", HUB)), name, str(self.value("global.tag", VERSION)))


def _mapping(text: str, config_map: str, key: str) -> JSON:
    try:
        value = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text or "{}")
    except (ValueError, yaml.YAMLError) as error:
        raise BadConfig(f"ConfigMap {config_map}, key {key}: {error}") from None
    if not isinstance(value or {}, dict):
        raise BadConfig(f"ConfigMap {config_map}, key {key}: expected a mapping, found {type(value).__name__}")
    return value or {}
