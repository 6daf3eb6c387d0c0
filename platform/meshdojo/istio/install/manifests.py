"""All objects of an installation, by component."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meshdojo.istio import crds
from meshdojo.istio.install import gateways, istiod, rbac, webhooks
from meshdojo.istio.install.naming import NAMESPACE, pilot_labels, suffixed
from meshdojo.istio.install.options import Options

JSON = dict[str, Any]


@dataclass(frozen=True)
class Component:
    """A part of an installation: what istioctl calls it, and its objects."""

    name: str
    symbol: str
    manifests: tuple[JSON, ...] = field(default=())

    @property
    def deployments(self) -> list[tuple[str, str]]:
        """Namespace and name of each Deployment."""
        made = (one["metadata"] for one in self.manifests if one["kind"] == "Deployment")
        return [(metadata["namespace"], metadata["name"]) for metadata in made]


def namespace() -> JSON:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def components(options: Options) -> list[Component]:
    """The enabled components in the order in which istioctl installs them."""
    chosen = options.spec["components"]
    found = []
    if chosen["base"].get("enabled"):
        found.append(Component("Istio core", "⛵️", (*crds.manifests(), *rbac.reader(options))))
    if chosen["pilot"].get("enabled"):
        found.append(Component("Istiod", "🧠", tuple(_istiod(options))))
    for direction, symbol in (("ingress", "🛬"), ("egress", "🛫")):
        entries = [entry for entry in chosen.get(f"{direction}Gateways") or () if entry.get("enabled")]
        objects = [one for entry in entries for one in gateways.manifests(_direction(direction), entry, options)]
        if objects:
            found.append(Component(f"{direction.capitalize()} gateways", symbol, tuple(objects)))
    return found


def _direction(word: str) -> gateways.Direction:
    return "ingress" if word == "ingress" else "egress"


def _istiod(options: Options) -> list[JSON]:
    scaled = []
    if options.value("pilot.autoscaleEnabled"):
        scaled.append(istiod.autoscaler(suffixed("istiod", options), pilot_labels(options, app="istiod")))
    return [
        *rbac.istiod(options),
        *istiod.config_maps(options),
        *istiod.services(options),
        *webhooks.manifests(options),
        istiod.deployment(options),
        *scaled,
    ]


def manifests(options: Options) -> list[JSON]:
    """All objects (without the namespace), for ``istioctl manifest generate``."""
    return [one for component in components(options) for one in component.manifests]
