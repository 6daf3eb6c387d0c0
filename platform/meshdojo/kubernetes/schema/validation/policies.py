"""Checks of RBAC objects, webhook configurations and CustomResourceDefinitions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema import patterns
from meshdojo.kubernetes.schema.expressions import compiled
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import (
    check_choice,
    check_format,
    check_required,
    check_unique,
    go_struct,
)

_RBAC = "rbac.authorization.k8s.io"
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LONGEST_TIMEOUT = 30
_REVIEW_VERSIONS = ("v1", "v1beta1")
_SCALE_PATHS = {
    "specReplicasPath": (".spec",),
    "statusReplicasPath": (".status",),
    "labelSelectorPath": (".spec", ".status"),
}
_SIMPLE_PATH = re.compile(r"(\.[A-Za-z0-9_-]+)+")
_ONE_STORAGE = "must have exactly one version marked as storage version"


def check_role(role: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateRole."""
    for index, rule in enumerate(role.get("rules") or ()):
        yield from _check_rule(f"rules[{index}]", rule, namespaced=True)


def check_cluster_role(role: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateClusterRole."""
    for index, rule in enumerate(role.get("rules") or ()):
        yield from _check_rule(f"rules[{index}]", rule, namespaced=False)


def _check_rule(path: str, rule: Object, *, namespaced: bool) -> Iterator[FieldError]:
    urls = rule.get("nonResourceURLs") or []
    yield from check_required(f"{path}.verbs", rule.get("verbs"), "verbs must contain at least one value")
    if urls:
        if namespaced:
            words = "namespaced rules cannot apply to non-resource URLs"
            yield FieldError.invalid(f"{path}.nonResourceURLs", urls, words)
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            words = "rules cannot apply to both regular resources and non-resource URLs"
            yield FieldError.invalid(f"{path}.nonResourceURLs", urls, words)
        return
    groups = "resource rules must supply at least one api group"
    yield from check_required(f"{path}.apiGroups", rule.get("apiGroups"), groups)
    resources = "resource rules must supply at least one resource"
    yield from check_required(f"{path}.resources", rule.get("resources"), resources)


def check_role_binding(binding: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateRoleBinding."""
    yield from _check_binding(binding, old, kinds=("Role", "ClusterRole"), namespaced=True)


def check_cluster_role_binding(binding: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateClusterRoleBinding."""
    yield from _check_binding(binding, old, kinds=("ClusterRole",), namespaced=False)


def _check_binding(
    binding: Object, old: Object | None, *, kinds: tuple[str, ...], namespaced: bool
) -> Iterator[FieldError]:
    reference = binding.get("roleRef") or {}
    yield from check_choice("roleRef.apiGroup", reference.get("apiGroup", ""), (_RBAC,))
    yield from check_choice("roleRef.kind", reference.get("kind", ""), kinds)
    yield from check_required("roleRef.name", reference.get("name"))
    for index, subject in enumerate(binding.get("subjects") or ()):
        yield from _check_subject(f"subjects[{index}]", subject, namespaced=namespaced)
    if old is not None and old.get("roleRef") != reference:
        shown = {go: reference.get(name, "") for go, name in _REFERENCE.items()}
        yield FieldError.invalid("roleRef", shown, "cannot change roleRef")


_REFERENCE = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}


def _check_subject(path: str, subject: Object, *, namespaced: bool) -> Iterator[FieldError]:
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    yield from check_required(f"{path}.name", name)
    if kind == "ServiceAccount":
        if name:
            yield from check_format(f"{path}.name", name, names.dns_subdomain)
        if group:
            yield FieldError.unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield FieldError.required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        yield from check_choice(f"{path}.apiGroup", group, (_RBAC,))
    else:
        yield FieldError.unsupported(f"{path}.kind", kind, ("Group", "ServiceAccount", "User"))


def check_webhooks(configuration: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateValidatingWebhookConfiguration, ValidateMutatingWebhookConfiguration."""
    seen: set[str] = set()
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        path = f"webhooks[{index}]"
        yield from _check_webhook(path, webhook)
        if webhook.get("reinvocationPolicy") is not None:
            policy = webhook["reinvocationPolicy"]
            yield from check_choice(f"{path}.reinvocationPolicy", policy, ("IfNeeded", "Never"))
        if webhook.get("name"):
            yield from check_unique(f"{path}.name", webhook["name"], seen)


def _check_webhook(path: str, webhook: Object) -> Iterator[FieldError]:
    yield from _check_webhook_name(f"{path}.name", webhook.get("name", ""))
    for index, rule in enumerate(webhook.get("rules") or ()):
        yield from _check_webhook_rule(f"{path}.rules[{index}]", rule)
    yield from check_choice(f"{path}.failurePolicy", webhook.get("failurePolicy"), ("Fail", "Ignore"))
    yield from check_choice(f"{path}.matchPolicy", webhook.get("matchPolicy"), ("Equivalent", "Exact"))
    effects = webhook.get("sideEffects")
    if effects is None:
        yield FieldError.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        yield from check_choice(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun"))
    timeout = webhook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= _LONGEST_TIMEOUT:
        words = f"the timeout value must be between 1 and {_LONGEST_TIMEOUT} seconds"
        yield FieldError.invalid(f"{path}.timeoutSeconds", timeout, words)
    yield from _check_client(f"{path}.clientConfig", webhook.get("clientConfig") or {})
    yield from _check_review_versions(f"{path}.admissionReviewVersions", webhook)


def _check_webhook_name(path: str, name: str) -> Iterator[FieldError]:
    if not name:
        yield FieldError.required(path)
        return
    wrong = list(check_format(path, name, names.dns_subdomain))
    yield from wrong
    if not wrong and name.count(".") < 2:
        yield FieldError.invalid(path, name, "should be a domain with at least three segments separated by dots")


def _check_webhook_rule(path: str, rule: Object) -> Iterator[FieldError]:
    operations = rule.get("operations") or []
    yield from check_required(f"{path}.operations", operations)
    for index, operation in enumerate(operations):
        yield from check_choice(f"{path}.operations[{index}]", operation, _OPERATIONS)
    for name in ("apiGroups", "apiVersions", "resources"):
        yield from check_required(f"{path}.{name}", rule.get(name))


def _check_client(path: str, client: Object) -> Iterator[FieldError]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield FieldError.required(path, "exactly one of url or service is required")
    elif service is not None:
        yield from _check_service_reference(f"{path}.service", service)
    else:
        scheme = urlsplit(str(url)).scheme
        if scheme != "https":
            words = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
            yield FieldError.invalid(f"{path}.url", scheme, words)


def _check_service_reference(path: str, service: Object) -> Iterator[FieldError]:
    yield from check_required(f"{path}.name", service.get("name"))
    yield from check_required(f"{path}.namespace", service.get("namespace"))
    for message in names.port_number(service.get("port", 443)):
        yield FieldError.invalid(f"{path}.port", service["port"], f"port is not valid: {message}")
    location = service.get("path")
    if location is not None and not location.startswith("/"):
        yield FieldError.invalid(f"{path}.path", location, "must start with a '/'")


def _check_review_versions(path: str, webhook: Object) -> Iterator[FieldError]:
    versions = webhook.get("admissionReviewVersions") or []
    if not versions:
        yield FieldError.required(path, "must specify one of v1, v1beta1")
    elif not set(versions) & set(_REVIEW_VERSIONS):
        yield FieldError.invalid(path, versions, "must include at least one of v1, v1beta1")


def check_custom_resource_definition(crd: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateCustomResourceDefinition of k8s.io/apiextensions-apiserver."""
    spec = crd.get("spec") or {}
    group, kinds = spec.get("group", ""), spec.get("names") or {}
    name = (crd.get("metadata") or {}).get("name", "")
    if name != f"{kinds.get('plural', '')}.{group}":
        yield FieldError.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _check_group(group)
    if spec.get("scope"):
        yield from check_choice("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    else:
        yield FieldError.required("spec.scope")
    yield from _check_versions(spec.get("versions"))
    for field in ("plural", "singular", "kind", "listKind"):
        yield from _check_kind_name(f"spec.names.{field}", kinds.get(field, ""))
    if not any(version.get("storage") for version in spec.get("versions") or ()):
        yield FieldError.invalid("status.storedVersions", None, "must have at least one stored version")


def _check_group(group: str) -> Iterator[FieldError]:
    if not group:
        yield FieldError.required("spec.group")
        return
    wrong = list(check_format("spec.group", group, names.dns_subdomain))
    yield from wrong
    if not wrong and "." not in group:
        yield FieldError.invalid("spec.group", group, "should be a domain with at least one dot")


def _check_kind_name(path: str, name: str) -> Iterator[FieldError]:
    if not name:
        yield FieldError.required(path)
    else:
        for message in names.dns_1035_label(name.lower()):
            yield FieldError.invalid(path, name, message)


def _check_versions(given: list[Object] | None) -> Iterator[FieldError]:
    versions = given or []
    for index, version in enumerate(versions):
        yield from check_format(f"spec.versions[{index}].name", version.get("name", ""), names.dns_1035_label)
    if sum(bool(version.get("storage")) for version in versions) != 1:
        shown = "null" if given is None else f"[{','.join(_version_text(version) for version in given)}]"
        yield FieldError("spec.versions", "FieldValueInvalid", f"Invalid value: {shown}: {_ONE_STORAGE}")
    for index, version in enumerate(versions):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        # With one version, the real server names the schema as if it were that of all versions.
        path = "spec.validation" if len(versions) == 1 else f"spec.versions[{index}].schema"
        if schema is None:
            yield FieldError.required(f"spec.versions[{index}].schema.openAPIV3Schema")
        else:
            yield from _check_schema(f"{path}.openAPIV3Schema", schema, root=True)
        where = "spec" if len(versions) == 1 else f"spec.versions[{index}]"
        scale = (version.get("subresources") or {}).get("scale")
        if scale is not None:
            yield from _check_scale(f"{where}.subresources.scale", scale)


def _check_scale(path: str, scale: Object) -> Iterator[FieldError]:
    """Source: apiextensions-apiserver ValidateCustomResourceDefinitionSubresources."""
    for field, roots in _SCALE_PATHS.items():
        value = scale.get(field) or ""
        if not value and field != "labelSelectorPath":
            yield FieldError.required(f"{path}.{field}")
        elif value and not (value.startswith(tuple(f"{root}." for root in roots)) and _SIMPLE_PATH.fullmatch(value)):
            yield FieldError.invalid(f"{path}.{field}", value, f"should be a json path under {_either(roots)}")


def _either(roots: tuple[str, ...]) -> str:
    return roots[0] if len(roots) == 1 else f"either {' or '.join(roots)}"


def _version_text(version: Object) -> str:
    shown = {go: version.get(go.lower(), False) for go in ("Name", "Served", "Storage", "Deprecated")}
    unset = ("DeprecationWarning", "Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields")
    return go_struct({**shown, **dict.fromkeys(unset)})


def _check_schema(path: str, schema: Object, *, root: bool = False) -> Iterator[FieldError]:
    """A structural schema: every level has a type, its patterns and its rules can be read."""
    if isinstance(schema.get("items"), list):
        yield FieldError.forbidden(f"{path}.items", "items must be a schema object and not an array")
    elif schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield FieldError.required(f"{path}.items", "must be specified")
    if wrong := schema.get("pattern") and patterns.problem(schema["pattern"]):
        words = f"must be a valid regular expression, but isn't: {wrong}"
        yield FieldError.invalid(f"{path}.pattern", schema["pattern"], words)
    if root and schema.get("type") and schema["type"] != "object":
        yield FieldError.invalid(f"{path}.type", schema["type"], "must be object at the root")
    elif schema.get("type"):
        yield from check_choice(f"{path}.type", schema["type"], _TYPES)
    for name, below in (schema.get("properties") or {}).items():
        yield from _check_schema(f"{path}.properties[{name}]", below)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _check_schema(f"{path}.{name}", schema[name])
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not free:
        where = "at the root" if root else ("for specified array items" if path.endswith("items") else "")
        yield FieldError.required(f"{path}.type", f"must not be empty {where or 'for specified object fields'}")
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        yield from _check_rule_compiles(f"{path}.x-kubernetes-validations[{index}]", rule)


def _check_rule_compiles(path: str, rule: dict[str, Any]) -> Iterator[FieldError]:
    if not (rule.get("rule") or "").strip():
        yield FieldError.required(f"{path}.rule", "rule is not specified")
    for field, words in (("rule", "compilation failed"), ("messageExpression", "messageExpression compilation failed")):
        try:
            compiled(rule.get(field) or "true")
        except ValueError as error:
            _, _, reason = str(error).partition("': ")
            shown = {go: rule.get(go[0].lower() + go[1:], "") for go in ("Rule", "Message", "MessageExpression")}
            shown |= {"Reason": rule.get("reason"), "FieldPath": rule.get("fieldPath", ""), "OptionalOldSelf": None}
            pointed = reason.replace("\n|", "\n |")
            problem = f"Invalid value: {go_struct(shown)}: {words}: {pointed}"
            yield FieldError(f"{path}.{field}", "FieldValueInvalid", problem)
