"""Checks of the containers of a pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import (
    NOT_NEGATIVE,
    PROTOCOLS,
    check_choice,
    check_format,
    check_name,
    check_required,
    check_unique,
    go_struct,
)
from meshdojo.kubernetes.schema.validation.probes import check_handler, check_probe
from meshdojo.kubernetes.schema.validation.volumes import local_path

_LARGEST_ID = 2**31 - 1
_IDS = f"must be between 0 and {_LARGEST_ID}, inclusive"
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_SOURCES = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
# The downward API's fields for environment variables.
_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
# The order in which Go prints a security context.
_SECURITY_FIELDS = (
    "capabilities",
    "privileged",
    "seLinuxOptions",
    "windowsOptions",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "readOnlyRootFilesystem",
    "allowPrivilegeEscalation",
    "procMount",
    "seccompProfile",
    "appArmorProfile",
)


@dataclass(frozen=True)
class PodFacts:
    """What the checks of a container need to know of its pod."""

    volumes: frozenset[str]
    host_network: bool


def check_containers(path: str, containers: list[Object], pod: PodFacts) -> Iterator[FieldError]:
    """The containers proper: at least one, with different names."""
    if not containers:
        yield FieldError.required(path)
    seen: set[str] = set()
    for index, container in enumerate(containers):
        below = f"{path}[{index}]"
        yield from _check_common(below, container, pod)
        if container.get("name"):
            yield from check_unique(f"{below}.name", container["name"], seen)
        yield from _check_hooks(below, container)


# What an ephemeral container may have. Source: allowedEphemeralContainerFields in pkg/apis/core/validation.
_NOT_EPHEMERAL = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


def check_ephemeral_containers(spec: Object, old: Object) -> Iterator[FieldError]:
    """Ephemeral containers of a pod spec that exists: they can be added, and nothing else.

    Source: validateEphemeralContainers and ValidatePodEphemeralContainersUpdate in pkg/apis/core/validation.
    """
    path, containers = "spec.ephemeralContainers", spec.get("ephemeralContainers") or []
    others = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    pod = PodFacts(frozenset(one.get("name", "") for one in spec.get("volumes") or ()), bool(spec.get("hostNetwork")))
    seen, targets = {one["name"] for one in others}, {one["name"] for one in spec.get("containers") or ()}
    for index, container in enumerate(containers):
        below = f"{path}[{index}]"
        yield from _check_common(below, container, pod)
        if container.get("name"):
            yield from check_unique(f"{below}.name", container["name"], seen)
        target = container.get("targetContainerName")
        if target and target not in targets:
            yield FieldError.not_found(f"{below}.targetContainerName", target)
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                yield FieldError.forbidden(f"{below}.{field}", "cannot be set for an Ephemeral Container")
        resources = container.get("resources") or {}
        if resources.get("limits") or resources.get("requests"):
            yield FieldError.forbidden(f"{below}.resources", "cannot be set for an Ephemeral Container")
    now = {one.get("name"): one for one in containers}
    for was in old.get("ephemeralContainers") or ():
        words = "removed" if was["name"] not in now else "changed" if now[was["name"]] != was else ""
        if words:
            text = f'existing ephemeral containers "{was["name"]}" may not be {words}\n'
            yield FieldError.forbidden(path, text)


def check_init_containers(
    path: str, inits: list[Object], containers: list[Object], pod: PodFacts
) -> Iterator[FieldError]:
    """Init containers: names that no container has; probes and hooks only for sidecars."""
    seen = {container.get("name", "") for container in containers}
    for index, container in enumerate(inits):
        below = f"{path}[{index}]"
        yield from _check_common(below, container, pod)
        if container.get("name"):
            yield from check_unique(f"{below}.name", container["name"], seen)
        if container.get("restartPolicy") == "Always":
            yield from _check_hooks(below, container)
            continue
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(field) is not None:
                words = "may not be set for init containers without restartPolicy=Always"
                yield FieldError.forbidden(f"{below}.{field}", words)


def check_image_spaces(path: str, containers: list[Object]) -> Iterator[FieldError]:
    """Images without white space around them."""
    for index, container in enumerate(containers):
        image = container.get("image", "")
        if image and image != image.strip():
            words = "must not have leading or trailing whitespace"
            yield FieldError.invalid(f"{path}[{index}].image", image, words)


def _check_common(path: str, container: Object, pod: PodFacts) -> Iterator[FieldError]:
    yield from check_name(f"{path}.name", container.get("name"), names.dns_label)
    yield from check_required(f"{path}.image", container.get("image"))
    policy = container.get("terminationMessagePolicy")
    yield from check_choice(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    yield from _check_ports(f"{path}.ports", container.get("ports") or [], pod)
    yield from _check_environment(path, container)
    yield from _check_mounts(f"{path}.volumeMounts", container.get("volumeMounts") or [], pod)
    yield from check_choice(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    yield from _check_resources(f"{path}.resources", container.get("resources") or {})
    yield from _check_security(f"{path}.securityContext", container.get("securityContext") or {})


def _check_hooks(path: str, container: Object) -> Iterator[FieldError]:
    lifecycle = container.get("lifecycle") or {}
    for name in ("postStart", "preStop"):
        if lifecycle.get(name) is not None:
            yield from check_handler(f"{path}.lifecycle.{name}", lifecycle[name])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            yield from check_probe(f"{path}.{name}", container[name], once=name != "readinessProbe")


def _check_ports(path: str, ports: list[Object], pod: PodFacts) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        yield from _check_port(f"{path}[{index}]", port, pod, seen)


def _check_port(path: str, port: Object, pod: PodFacts, seen: set[str]) -> Iterator[FieldError]:
    name, number, host = port.get("name", ""), port.get("containerPort", 0), port.get("hostPort", 0)
    if name:
        wrong = list(check_format(f"{path}.name", name, names.port_name))
        yield from wrong or check_unique(f"{path}.name", name, seen)
    if number:
        yield from check_format(f"{path}.containerPort", number, names.port_number)
    else:
        yield FieldError.required(f"{path}.containerPort")
    if host:
        yield from check_format(f"{path}.hostPort", host, names.port_number)
    yield from check_choice(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    if pod.host_network and host != number:
        yield FieldError.invalid(f"{path}.hostPort", host, "must match `containerPort` when `hostNetwork` is true")


def _check_environment(path: str, container: Object) -> Iterator[FieldError]:
    for index, variable in enumerate(container.get("env") or ()):
        below = f"{path}.env[{index}]"
        yield from check_name(f"{below}.name", variable.get("name"), names.environment_name)
        if variable.get("valueFrom") is not None:
            yield from _check_value_from(f"{below}.valueFrom", variable)
    for index, source in enumerate(container.get("envFrom") or ()):
        yield from _check_env_from(f"{path}.envFrom", index, source)


def _check_value_from(path: str, variable: Object) -> Iterator[FieldError]:
    source = variable["valueFrom"]
    given = [name for name, value in source.items() if value is not None]
    if source.get("fieldRef") is not None:
        yield from _check_field_reference(f"{path}.fieldRef", source["fieldRef"])
    if source.get("resourceFieldRef") is not None:
        yield from check_required(f"{path}.resourceFieldRef.resource", source["resourceFieldRef"].get("resource"))
    for name in ("configMapKeyRef", "secretKeyRef"):
        if source.get(name) is not None:
            yield from _check_key_reference(f"{path}.{name}", source[name])
    if not given:
        yield FieldError.invalid(path, "", _SOURCES)
    elif variable.get("value"):
        yield FieldError.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield FieldError.invalid(path, "", "may not have more than one field specified at a time")


def _check_field_reference(path: str, reference: Object) -> Iterator[FieldError]:
    field, version = reference.get("fieldPath", ""), reference.get("apiVersion", "")
    if not version or not field:
        yield FieldError.required(f"{path}.{'fieldPath' if version else 'apiVersion'}")
        return
    name, _, key = field.partition("[")
    if version != "v1":
        yield _bad_field(path, field, f"unsupported pod version: {version}")
    elif field not in _FIELDS and not (key and name in ("metadata.labels", "metadata.annotations")):
        yield _bad_field(path, field, f"field label not supported: {field}")


def _bad_field(path: str, field: str, words: str) -> FieldError:
    return FieldError.invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {words}")


def _check_key_reference(path: str, reference: Object) -> Iterator[FieldError]:
    yield from check_format(f"{path}.name", reference.get("name", ""), names.dns_subdomain)
    yield from check_name(f"{path}.key", reference.get("key"), names.config_key)


def _check_env_from(path: str, index: int, source: Object) -> Iterator[FieldError]:
    below = f"{path}[{index}]"
    if source.get("prefix"):
        yield from check_format(f"{below}.prefix", source["prefix"], names.environment_name)
    given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
    for name in given:
        yield from check_name(f"{below}.{name}.name", source[name].get("name"), names.dns_subdomain)
    if not given:
        yield FieldError.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield FieldError.invalid(path, "", "may not have more than one field specified at a time")


def _check_mounts(path: str, mounts: list[Object], pod: PodFacts) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        below, name, target = f"{path}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield FieldError.required(f"{below}.name")
        elif name not in pod.volumes:
            yield FieldError.not_found(f"{below}.name", name)
        if not target:
            yield FieldError.required(f"{below}.mountPath")
        elif target in seen:
            yield FieldError.invalid(f"{below}.mountPath", target, "must be unique")
        seen.add(target)
        # The real server names the list here, not the mount.
        yield from check_format(f"{path}.subPath", mount.get("subPath") or "", local_path)


def _check_resources(path: str, resources: Object) -> Iterator[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, amount in limits.items():
        yield from _check_amount(f"{path}.limits[{name}]", name, amount)
    for name, amount in requests.items():
        limit = limits.get(name)
        yield from _check_amount(f"{path}.requests[{name}]", name, amount)
        if limit is not None and quantity.parse(amount) > quantity.parse(limit):
            words = f"must be less than or equal to {name} limit of {limit}"
            yield FieldError.invalid(f"{path}.requests", amount, words)


def _check_amount(path: str, name: str, amount: str) -> Iterator[FieldError]:
    yield from check_format(path, name, names.qualified_name)
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        yield FieldError.invalid(path, name, "must be a standard resource type or fully qualified")
        yield FieldError.invalid(path, name, "must be a standard resource for containers")
    if quantity.parse(amount) < 0:
        yield FieldError.invalid(path, amount, NOT_NEGATIVE)


def check_ids(path: str, context: Object, fields: tuple[str, ...]) -> Iterator[FieldError]:
    """User and group ids."""
    for name in fields:
        value = context.get(name)
        if value is not None and not 0 <= value <= _LARGEST_ID:
            yield FieldError.invalid(f"{path}.{name}", value, _IDS)


def _check_security(path: str, context: Object) -> Iterator[FieldError]:
    yield from check_ids(path, context, ("runAsUser", "runAsGroup"))
    if context.get("allowPrivilegeEscalation") is False and context.get("privileged"):
        words = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield FieldError(path, "FieldValueInvalid", f"Invalid value: {_security_text(context)}: {words}")


def _security_text(context: Object) -> str:
    """A security context as Go's JSON of its internal type: every field, capitalised, in its order."""
    ordered: dict[str, Any] = {}
    for name in _SECURITY_FIELDS:
        go = "SELinuxOptions" if name == "seLinuxOptions" else name[0].upper() + name[1:]
        ordered[go] = context.get(name)
    return go_struct(ordered)
