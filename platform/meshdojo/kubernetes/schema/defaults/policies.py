"""Defaults of RBAC bindings, webhook configurations and CustomResourceDefinitions."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema.defaults.fill import child, fill

_RBAC = "rbac.authorization.k8s.io"
_WEBHOOK_SECONDS = 10
_HTTPS = 443


def default_binding(binding: Object) -> None:
    """Source: SetDefaults_RoleBinding and SetDefaults_Subject in k8s.io/kubernetes/pkg/apis/rbac/v1."""
    fill(child(binding, "roleRef"), apiGroup=_RBAC)
    for subject in binding.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            fill(subject, apiGroup=_RBAC)


def default_role(role: Object) -> None:
    """A role without rules shows them as null."""
    role.setdefault("rules", None)


def default_validating_webhooks(configuration: Object) -> None:
    """Source: SetDefaults_ValidatingWebhook in k8s.io/kubernetes/pkg/apis/admissionregistration/v1."""
    for webhook in configuration.get("webhooks") or ():
        fill(webhook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=_WEBHOOK_SECONDS)
        child(webhook, "namespaceSelector")
        child(webhook, "objectSelector")
        for rule in webhook.get("rules") or ():
            fill(rule, scope="*")
        service = (webhook.get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", _HTTPS)


def default_mutating_webhooks(configuration: Object) -> None:
    """Source: SetDefaults_MutatingWebhook in k8s.io/kubernetes/pkg/apis/admissionregistration/v1."""
    default_validating_webhooks(configuration)
    for webhook in configuration.get("webhooks") or ():
        fill(webhook, reinvocationPolicy="Never")


def default_custom_resource_definition(crd: Object) -> None:
    """Source: SetDefaults_CustomResourceDefinitionSpec in k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1."""
    spec = child(crd, "spec")
    fill(child(spec, "conversion"), strategy="None")
    names = child(spec, "names")
    kind = str(names.get("kind", ""))
    if kind:
        fill(names, singular=kind.lower(), listKind=f"{kind}List")
