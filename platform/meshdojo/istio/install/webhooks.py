"""The webhook configurations. istiod writes its CA into them when it starts (caBundle).

An installation without a revision is also the *default tag*: namespaces labelled istio-injection=enabled are its.
istioctl then makes a second configuration, istio-revision-tag-default, and turns the selectors of the first off.
"""

from __future__ import annotations

from typing import Any

from meshdojo.istio.install import naming
from meshdojo.istio.install.naming import NAMESPACE, cluster_manifest, pilot_labels
from meshdojo.istio.install.options import Options

JSON = dict[str, Any]
_ADMISSION = "admissionregistration.k8s.io/v1"
_GROUPS = ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"]
REV, INJECTION, INJECT = "istio.io/rev", "istio-injection", "sidecar.istio.io/inject"
DEFAULT_TAG = "istio-revision-tag-default"
DEFAULT_VALIDATOR = "istiod-default-validator"
_NEVER = {"matchLabels": {"istio.io/deactivated": "never-match"}}
_TAG = {"istio.io/tag": "default", "install.operator.istio.io/owning-resource-not-pruned": "true"}


def manifests(options: Options) -> list[JSON]:
    """All webhook configurations of an installation."""
    if options.revision:
        return charted(options)
    injector = _injector(options)
    silent = [{**webhook, "namespaceSelector": _NEVER, "objectSelector": _NEVER} for webhook in injector["webhooks"]]
    return [
        {**injector, "webhooks": silent},
        _validator(options),
        _default_tag(options),
        _default_validator(options),
    ]


def charted(options: Options) -> list[JSON]:
    """Those of the charts, before istioctl makes the default tag."""
    return [_injector(options), _validator(options)]


def _injector(options: Options) -> JSON:
    labels = pilot_labels(options, app="sidecar-injector")
    by_label = [] if options.revision else _by_label(options)
    active = [_by_namespace_revision(options), _by_pod_revision(options), *by_label]
    name = naming.suffixed("istio-sidecar-injector", options)
    return cluster_manifest(_ADMISSION, "MutatingWebhookConfiguration", name, labels, webhooks=active)


def _default_tag(options: Options) -> JSON:
    labels = pilot_labels(options, app="sidecar-injector") | _TAG
    webhooks = [_by_namespace_revision(options), _by_pod_revision(options), *_by_label(options)]
    return cluster_manifest(_ADMISSION, "MutatingWebhookConfiguration", DEFAULT_TAG, labels, webhooks=webhooks)


def _by_namespace_revision(options: Options) -> JSON:
    namespaces = [_in(REV, naming.revision(options)), _absent(INJECTION)]
    return _injection("rev.namespace", namespaces, [_not_in(INJECT, "false")], options)


def _by_pod_revision(options: Options) -> JSON:
    pods = [_not_in(INJECT, "false"), _in(REV, naming.revision(options))]
    return _injection("rev.object", [_absent(REV), _absent(INJECTION)], pods, options)


def _by_label(options: Options) -> list[JSON]:
    """By istio-injection=enabled at the namespace, or by the pod's own label in a namespace that says nothing."""
    chosen = [_injection("namespace", [_in(INJECTION, "enabled")], [_not_in(INJECT, "false")], options)]
    chosen.append(
        _injection("object", [_absent(INJECTION), _absent(REV)], [_in(INJECT, "true"), _absent(REV)], options)
    )
    if options.value("sidecarInjectorWebhook.enableNamespacesByDefault"):
        system = _not_in("kubernetes.io/metadata.name", "kube-system", "kube-public", "kube-node-lease", NAMESPACE)
        silent = [_absent(INJECTION), _absent(REV), system]
        chosen.append(_injection("auto", silent, [_absent(INJECT), _absent(REV)], options))
    return chosen


def _injection(name: str, namespaces: list[JSON], pods: list[JSON], options: Options) -> JSON:
    return {
        "name": f"{name}.sidecar-injector.istio.io",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": _service(options, "/inject")},
        "failurePolicy": "Fail",
        "namespaceSelector": {"matchExpressions": namespaces},
        "objectSelector": {"matchExpressions": pods},
        "reinvocationPolicy": "Never",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "sideEffects": "None",
    }


def _validator(options: Options) -> JSON:
    """For objects that name a revision."""
    name = naming.suffixed("istio-validator", options) + f"-{NAMESPACE}"
    selector = {"matchExpressions": [_in(REV, naming.revision(options))]}
    return _validating(name, "rev.validation.istio.io", selector, options, {})


def _default_validator(options: Options) -> JSON:
    """For all others."""
    selector = {"matchExpressions": [_absent(REV)]}
    own = {**_TAG, **naming.operator_labels("Pilot", options)}
    return _validating(DEFAULT_VALIDATOR, "validation.istio.io", selector, options, own)


def _validating(name: str, webhook: str, selector: JSON, options: Options, labels: JSON) -> JSON:
    rule = {
        "apiGroups": _GROUPS,
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["*"],
    }
    entry = {
        "name": webhook,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": _service(options, "/validate")},
        # istiod changes this to Fail once it can answer.
        "failurePolicy": "Ignore",
        "objectSelector": selector,
        "rules": [rule],
        "sideEffects": "None",
    }
    revision = {"istio.io/rev": naming.revision(options)}
    own = {**naming.bare_labels(app="istiod", istio="istiod"), **revision, **labels}
    return cluster_manifest(_ADMISSION, "ValidatingWebhookConfiguration", name, own, webhooks=[entry])


def _service(options: Options, path: str) -> JSON:
    return {"name": naming.suffixed("istiod", options), "namespace": NAMESPACE, "path": path, "port": 443}


def _in(key: str, *values: str) -> JSON:
    return {"key": key, "operator": "In", "values": list(values)}


def _not_in(key: str, *values: str) -> JSON:
    return {"key": key, "operator": "NotIn", "values": list(values)}


def _absent(key: str) -> JSON:
    return {"key": key, "operator": "DoesNotExist"}
