"""All objects of an installation, by component."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meshdojo.istio import crds
from meshdojo.istio.install import gateways, istiod, naming, rbac, webhooks
from meshdojo.istio.install.naming import NAMESPACE, pilot_labels, suffixed
from meshdojo.istio.install.options import Options

JSON = dict[str, Any]


@dataclass(frozen=True)
class Component:
    """A part of an installation: what istioctl calls it, what its label says, and its objects as they are applied.

    `charted`: as the charts have them, before istioctl adds its labels and the default tag.
    """

    name: str
    label: str
    symbol: str
    manifests: tuple[JSON, ...] = field(default=())
    charted: tuple[JSON, ...] = field(default=())

    @property
    def deployments(self) -> list[tuple[str, str]]:
        """Namespace and name of each Deployment."""
        made = (one["metadata"] for one in self.manifests if one["kind"] == "Deployment")
        return [(metadata["namespace"], metadata["name"]) for metadata in made]


def namespace() -> JSON:
    """The Namespace of the control plane."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def components(options: Options) -> list[Component]:
    """The enabled components in the order in which istioctl installs them."""
    chosen = options.spec["components"]
    found = []
    if chosen["base"].get("enabled"):
        core = [*_kinds(), rbac.reader_account()]
        found.append(_component("Istio core", "Base", "⛵️", core, core, options))
    if chosen["pilot"].get("enabled"):
        found.append(_component("Istiod", "Pilot", "🧠", _istiod(options), _charted_istiod(options), options))
    for direction, symbol in (("ingress", "🛬"), ("egress", "🛫")):
        entries = [entry for entry in chosen.get(f"{direction}Gateways") or () if entry.get("enabled")]
        objects = [one for entry in entries for one in gateways.manifests(_direction(direction), entry, options)]
        if objects:
            name = direction.capitalize()
            found.append(_component(f"{name} gateways", f"{name}Gateways", symbol, objects, objects, options))
    return found


def _component(
    name: str, label: str, symbol: str, objects: list[JSON], charted: list[JSON], options: Options
) -> Component:
    installed = tuple(naming.owned(one, label, options) for one in objects)
    return Component(name, label, symbol, installed, tuple(charted))


def _direction(word: str) -> gateways.Direction:
    return "ingress" if word == "ingress" else "egress"


def _kinds() -> list[JSON]:
    """The CRDs with the labels of the base chart."""
    labels = {key: value for key, value in naming.chart_labels("base", "").items() if key not in _NOT_OF_KINDS}
    return [{**one, "metadata": {**one["metadata"], "labels": labels}} for one in crds.manifests()]


_NOT_OF_KINDS = ("app.kubernetes.io/name", "release")


def _istiod(options: Options) -> list[JSON]:
    tagged = [] if options.revision else [istiod.tag_service(options)]
    return [*_without_webhooks(options), *webhooks.manifests(options), *tagged]


def _charted_istiod(options: Options) -> list[JSON]:
    return [*_without_webhooks(options), *webhooks.charted(options)]


def _without_webhooks(options: Options) -> list[JSON]:
    scaled = []
    if options.value("pilot.autoscaleEnabled"):
        scaled.append(istiod.autoscaler(suffixed("istiod", options), pilot_labels(options, app="istiod")))
    return [
        *rbac.reader(options),
        *rbac.istiod(options),
        *istiod.config_maps(options),
        istiod.service(options),
        istiod.deployment(options),
        *scaled,
    ]


def manifests(options: Options) -> list[JSON]:
    """All objects (without the namespace), for ``istioctl manifest generate``: in the order in which it prints them."""
    return sorted((one for component in components(options) for one in component.charted), key=_place)


# Kinds that others need come first (objectKindOrdering in istioctl's manifest-generate.go).
_PLACES = {
    "CustomResourceDefinition": -1000,
    "ServiceAccount": 1,
    "ClusterRole": 1,
    "ClusterRoleBinding": 2,
    "ValidatingWebhookConfiguration": 3,
    "ConfigMap": 100,
    "HorizontalPodAutoscaler": 1001,
    "Service": 10000,
}


def _place(one: JSON) -> tuple[int, str, str, str]:
    group = one["apiVersion"].rpartition("/")[0]
    return _PLACES.get(one["kind"], 1000), group, one["kind"], one["metadata"]["name"]
