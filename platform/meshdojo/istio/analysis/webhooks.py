"""Injectors: does the control plane exist that they ask, and is only one of them asked?

Source: pkg/config/analysis/analyzers/webhook/webhook.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from meshdojo.istio.analysis.message import Message
from meshdojo.istio.analysis.world import Item, World

JSON = dict[str, Any]
REVISION = "istio.io/rev"
_NAMESPACES: tuple[dict[str, str], ...] = ({}, {"istio-injection": "enabled"}, {"istio-injection": "disabled"})
_PODS: tuple[dict[str, str], ...] = ({}, {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"})


def injectors(world: World) -> Iterator[Message]:
    """Nothing is said about an analysis without the cluster's own objects."""
    if not world.complete:
        return
    found = [one for one in world.all("MutatingWebhookConfiguration") if _revisions(one) or _is_istios(one)]
    yield from _overlapping(found)
    for item in found:
        for webhook in item.manifest.get("webhooks") or ():
            service = (webhook.get("clientConfig") or {}).get("service") or {}
            name, namespace = service.get("name"), service.get("namespace")
            if service and f"{name}.{namespace}.svc.cluster.local" not in world.services:
                text = f"Injector refers to a control plane service that does not exist: {namespace}/{name}."
                yield Message("IST0139", "Error", item.origin, text)


def _overlapping(found: list[Item]) -> Iterator[Message]:
    """Each kind of namespace with each kind of pod must be matched by at most one webhook."""
    revisions = sorted({revision for one in found for revision in _revisions(one)})
    namespaces = [*_NAMESPACES, *({**one, REVISION: revision} for revision in revisions for one in _NAMESPACES)]
    pods = [*_PODS, *({**one, REVISION: revision} for revision in revisions for one in _PODS)]
    for namespace, pod in product(namespaces, pods):
        matching = {
            f"{item.name}/{webhook['name']}": item for item in found for webhook in _asked(item, namespace, pod)
        }
        if len(matching) > 1:
            for name, item in matching.items():
                others = " ".join(sorted(set(matching) - {name}))
                text = f"Webhook overlaps with others: [{others}]. This may cause injection to occur twice."
                yield Message("IST0139", "Error", item.origin, text)


def _asked(item: Item, namespace: Mapping[str, str], pod: Mapping[str, str]) -> Iterator[JSON]:
    for webhook in item.manifest.get("webhooks") or ():
        if selects(webhook.get("namespaceSelector"), namespace) and selects(webhook.get("objectSelector"), pod):
            yield webhook


def _is_istios(item: Item) -> bool:
    return any(webhook["name"].endswith("istio.io") for webhook in item.manifest.get("webhooks") or ())


def _revisions(item: Item) -> set[str]:
    found = {item.labels[REVISION]} if REVISION in item.labels else set()
    for webhook in item.manifest.get("webhooks") or ():
        for selector in (webhook.get("namespaceSelector") or {}, webhook.get("objectSelector") or {}):
            if REVISION in (selector.get("matchLabels") or {}):
                found.add(selector["matchLabels"][REVISION])
            for one in selector.get("matchExpressions") or ():
                found.update(one.get("values") or () if one["key"] == REVISION else ())
    return found


def selects(selector: JSON | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector of Kubernetes. Of a webhook, none means the empty one, which selects everything."""
    selector = selector or {}
    wanted = (selector.get("matchLabels") or {}).items()
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted) and all(_holds(one, labels) for one in expressions)


def _holds(expression: JSON, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
