"""Checks of namespaces, config maps, secrets, quotas, limit ranges, leases and events."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import NOT_NEGATIVE, check_format
from meshdojo.kubernetes.schema.validation.metadata import check_immutable

SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""The priority classes that every cluster has. Source: pkg/apis/scheduling."""

_SYSTEM = "system-"
_HIGHEST_PRIORITY = 1_000_000_000
_PREEMPTION = ("Never", "PreemptLowerPriority")
_STORAGE_CHOICES = {"reclaimPolicy": ("Delete", "Retain"), "volumeBindingMode": ("Immediate", "WaitForFirstConsumer")}
_LIMIT_BYTES = 1024 * 1024
_ACCOUNT = "kubernetes.io/service-account.name"
_REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_FROZEN = "field is immutable when `immutable` is set"
_FINALIZER = "name is neither a standard finalizer name nor is it fully qualified"


def check_namespace(namespace: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateNamespace."""
    for finalizer in (namespace.get("spec") or {}).get("finalizers") or ():
        yield from check_format("spec.finalizers", finalizer, names.qualified_name)
        if "/" not in finalizer and finalizer not in ("kubernetes", "orphan", "foregroundDeletion"):
            yield FieldError.invalid("spec.finalizers", finalizer, _FINALIZER)


def check_priority_class(found: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidatePriorityClass, ValidatePriorityClassUpdate."""
    name, value = found["metadata"].get("name", ""), found.get("value", 0)
    if name.startswith(_SYSTEM):
        if SYSTEM_PRIORITIES.get(name) != value:
            words = f"priority class names with '{_SYSTEM}' prefix are reserved for system use only"
            yield FieldError.forbidden("metadata.name", words)
    elif value > _HIGHEST_PRIORITY:
        yield FieldError.forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST_PRIORITY}")
    policy = found.get("preemptionPolicy")
    if policy not in (None, *_PREEMPTION):
        yield FieldError.unsupported("preemptionPolicy", policy, _PREEMPTION)
    if old is not None:
        if value != old.get("value", 0):
            yield FieldError.forbidden("value", "may not be changed in an update.")
        yield from check_immutable("preemptionPolicy", policy, old.get("preemptionPolicy"))


def check_storage_class(found: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateStorageClass, ValidateStorageClassUpdate."""
    if not found.get("provisioner"):
        yield FieldError.required("provisioner")
    for field, allowed in _STORAGE_CHOICES.items():
        if found.get(field) not in (None, *allowed):
            yield FieldError.unsupported(field, found[field], allowed)
    if old is not None:
        for field in ("parameters", "provisioner", "reclaimPolicy"):
            if (found.get(field) or None) != (old.get(field) or None):
                yield FieldError.forbidden(field, f"updates to {field} are forbidden.")
        yield from check_immutable("volumeBindingMode", found.get("volumeBindingMode"), old.get("volumeBindingMode"))


def check_config_map(config_map: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateConfigMap."""
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        yield from check_format(f"data[{key}]", key, names.config_key)
        if key in binary:
            yield FieldError.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len(value.encode())
    for key, value in binary.items():
        yield from check_format(f"binaryData[{key}]", key, names.config_key)
        size += _decoded_size(value)
    yield from _check_size("", size)
    yield from _check_frozen(config_map, old, ("data", "binaryData"))


def check_secret(secret: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateSecret, ValidateSecretUpdate."""
    if old is not None:
        yield from check_immutable("type", secret.get("type"), old.get("type"))
        yield from _check_frozen(secret, old, ("data",))
    data = secret.get("data") or {}
    for key in data:
        yield from check_format(f"data[{key}]", key, names.config_key)
    yield from _check_size("data", sum(_decoded_size(value) for value in data.values()))
    if old is None or secret.get("type") == old.get("type"):
        yield from _check_secret_type(secret, data)


def _check_secret_type(secret: Object, data: Object) -> Iterator[FieldError]:
    kind = secret.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        if not ((secret.get("metadata") or {}).get("annotations") or {}).get(_ACCOUNT):
            yield FieldError.required(f"metadata.annotations[{_ACCOUNT}]")
    elif kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        yield FieldError.required("data[username]")
        yield FieldError.required("data[password]")
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in data:
            yield FieldError.required(f"data[{key}]")
        elif key.startswith("."):
            yield from _check_json(f"data[{key}]", data[key])


def _check_json(path: str, encoded: str) -> Iterator[FieldError]:
    text = base64.b64decode(encoded)
    try:
        json.loads(text)
    except ValueError:
        words = "unexpected end of JSON input"
        if text:
            words = f"invalid character '{text[:1].decode(errors='replace')}' looking for beginning of value"
        yield FieldError.invalid(path, "<secret contents redacted>", words)


def _decoded_size(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def _check_size(path: str, size: int) -> Iterator[FieldError]:
    if size > _LIMIT_BYTES:
        words = f"Too long: may not be more than {_LIMIT_BYTES} bytes"
        yield FieldError(path, "FieldValueTooLong", words)


def _check_frozen(obj: Object, old: Object | None, fields: tuple[str, ...]) -> Iterator[FieldError]:
    """Once ``immutable: true``, neither the mark nor the content changes."""
    if old is None or not old.get("immutable"):
        return
    if not obj.get("immutable"):
        yield FieldError.forbidden("immutable", _FROZEN)
    for name in fields:
        if (obj.get(name) or {}) != (old.get(name) or {}):
            yield FieldError.forbidden(name, _FROZEN)


def check_quota(quota: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateResourceQuota."""
    for name, value in ((quota.get("spec") or {}).get("hard") or {}).items():
        path = f"spec.hard[{name}]"
        yield from check_format(path, name, names.qualified_name)
        if "/" not in name and name not in _QUOTA_RESOURCES:
            yield FieldError.invalid(path, name, "must be a standard resource type or fully qualified")
            yield FieldError.invalid(path, name, "must be a standard resource for quota")
        if quantity.parse(str(value)) < 0:
            yield FieldError.invalid(path, value, NOT_NEGATIVE)


_QUOTA_RESOURCES = frozenset(
    {
        *("cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage"),
        *("requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "services"),
        *("replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"),
        *("services.nodeports", "services.loadbalancers"),
    }
)


def check_limit_range(limits: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateLimitRange."""
    for index, item in enumerate((limits.get("spec") or {}).get("limits") or ()):
        yield from _check_limits(f"spec.limits[{index}]", item)


def _check_limits(path: str, item: Object) -> Iterator[FieldError]:
    least, most = item.get("min") or {}, item.get("max") or {}
    default, request = item.get("default") or {}, item.get("defaultRequest") or {}
    for name in sorted({*least, *most, *default, *request}):
        pairs = (
            ("min", "min", least, "max", most),
            ("defaultRequest", "min", least, "default request", request),
            ("defaultRequest", "default request", request, "max", most),
            ("default", "min", least, "default", default),
            ("default", "default", default, "max", most),
        )
        for field, low_name, low, high_name, high in pairs:
            if name in low and name in high and quantity.parse(low[name]) > quantity.parse(high[name]):
                # The real one shows the minimum when it is the default that lies below it.
                shown = {"min": least, "default": low, "defaultRequest": request}[field][name]
                words = f"{low_name} value {low[name]} is greater than {high_name} value {high[name]}"
                yield FieldError.invalid(f"{path}.{field}[{name}]", shown, words)


def check_lease(lease: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateLease."""
    spec = lease.get("spec") or {}
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        yield FieldError.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        yield FieldError.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


def check_event(event: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: legacyValidateEvent: an event lies in the namespace of what it is about (default for the cluster)."""
    namespace = (event.get("metadata") or {}).get("namespace", "")
    about = (event.get("involvedObject") or event.get("regarding") or {}).get("namespace", "")
    if old is None and about != namespace and (about or namespace not in ("default", "kube-system")):
        yield FieldError.invalid("involvedObject.namespace", about, "does not match event.namespace")
