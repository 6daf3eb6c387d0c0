"""Names and labels that the objects of an installation share."""

from __future__ import annotations

from typing import Any

from meshdojo.istio.install.options import Options
from meshdojo.istio.version import VERSION

JSON = dict[str, Any]
NAMESPACE = "istio-system"
MANAGER = "istio-operator"


def revision(options: Options) -> str:
    """The value of the label istio.io/rev."""
    return options.revision or "default"


def suffixed(name: str, options: Options) -> str:
    """``istiod`` or ``istiod-REVISION``."""
    return f"{name}-{options.revision}" if options.revision else name


def chart_labels(chart: str, name: str) -> JSON:
    """The labels that Helm charts put on everything."""
    return {
        "app.kubernetes.io/instance": "istio",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": "istio",
        "app.kubernetes.io/version": "1.0.0",
        "helm.sh/chart": f"{chart}-1.0.0",
        "release": "istio",
    }


def operator_labels(component: str, options: Options) -> JSON:
    """The labels by which istioctl finds what it installed, as far as the charts write them: not on every object."""
    return {
        "install.operator.istio.io/owning-resource": "unknown",
        "istio.io/rev": revision(options),
        "operator.istio.io/component": component,
    }


def owned(one: JSON, component: str, options: Options) -> JSON:
    """The object with the labels that ``istioctl install`` puts on everything (getOwnerLabels in its installer).

    What is applied from ``istioctl manifest generate`` lacks them, so that an uninstall does not find all of it.
    """
    owner = {
        "install.operator.istio.io/owning-resource-namespace": NAMESPACE,
        "istio.io/rev": revision(options),
        "operator.istio.io/component": component,
        "operator.istio.io/managed": "Reconcile",
        "operator.istio.io/version": VERSION,
    }
    metadata = one["metadata"]
    return {**one, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **owner}}}


def bare_labels(**more: str) -> JSON:
    """Of the chart's objects that it does not label for istioctl: accounts and roles."""
    return {**chart_labels("istiod", "istiod"), **more}


def pilot_labels(options: Options, **more: str) -> JSON:
    """The labels of objects that belong to istiod, and `more`."""
    return {**bare_labels(), **operator_labels("Pilot", options), **more}


def manifest(api_version: str, kind: str, name: str, labels: JSON, **body: Any) -> JSON:
    """A namespaced object in istio-system."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def cluster_manifest(api_version: str, kind: str, name: str, labels: JSON, **body: Any) -> JSON:
    """A cluster-scoped object."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}, **body}
