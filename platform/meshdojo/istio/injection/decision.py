"""Whether a pod that the webhook is asked about gets a proxy.

Source: ``injectRequired`` of istio's pkg/kube/inject, and what a real cluster does. Which namespaces are asked about
at all is decided before, by the selectors of the MutatingWebhookConfiguration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from meshdojo.istio.injection.config import InjectionConfig

INJECT = "sidecar.istio.io/inject"
STATUS = "sidecar.istio.io/status"
IGNORED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
_YES = frozenset({"y", "yes", "true", "on"})

Object = Mapping[str, Any]


def required(pod: Object, namespace: str, config: InjectionConfig) -> bool:
    """The pod's label beats its annotation, both beat the selectors of the policy, which beat the policy itself."""
    metadata = pod.get("metadata") or {}
    if pod.get("spec", {}).get("hostNetwork") or namespace in IGNORED_NAMESPACES or already_injected(metadata):
        return False
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    word = str(labels.get(INJECT, annotations.get(INJECT, ""))).lower()
    if word:
        return word in _YES
    if _any_matches(config.policy.get("neverInjectSelector"), labels):
        return False
    return config.enabled or _any_matches(config.policy.get("alwaysInjectSelector"), labels)


def already_injected(metadata: Object) -> bool:
    """Whether a pod brings its proxy along, from ``istioctl kube-inject``."""
    return STATUS in (metadata.get("annotations") or {})


def _any_matches(selectors: Iterable[Object] | None, labels: Mapping[str, str]) -> bool:
    """Whether one of the LabelSelectors matches; an empty one matches nothing here, as in the real injector."""
    return any(selector and selects(selector, labels) for selector in selectors or ())


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches; an empty one matches everything."""
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions: Iterable[Object] = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
