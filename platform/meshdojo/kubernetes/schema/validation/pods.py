"""Checks of pods and pod templates.

Source: ValidatePodSpec and ValidatePodUpdate of Kubernetes 1.34, which set the order.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import (
    check_choice,
    check_format,
    check_name,
    check_required,
)
from meshdojo.kubernetes.schema.validation.containers import (
    PodFacts,
    check_containers,
    check_ids,
    check_image_spaces,
    check_init_containers,
)
from meshdojo.kubernetes.schema.validation.metadata import check_annotations, check_labels
from meshdojo.kubernetes.schema.validation.volumes import check_volumes

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SECCOMP_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_LONGEST_DEADLINE = 2**31 - 1
_MUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_pod(pod: Object, old: Object | None) -> Iterator[FieldError]:
    """A pod."""
    spec = pod.get("spec") or {}
    yield from check_pod_spec("spec", spec)
    yield from check_image_spaces("spec.containers", spec.get("containers") or [])
    if old is None:
        if spec.get("ephemeralContainers"):
            yield FieldError.forbidden("spec.ephemeralContainers", "cannot be set on create")
    else:
        yield from _check_update(spec, old.get("spec") or {})


def check_template(path: str, template: Object, claimed: Collection[str] = ()) -> Iterator[FieldError]:
    """A pod template at `path`; `claimed` are names of volumes that its pods get in addition."""
    metadata = template.get("metadata") or {}
    yield from check_labels(metadata.get("labels") or {}, f"{path}.metadata.labels")
    yield from check_annotations(metadata.get("annotations") or {}, f"{path}.metadata.annotations")
    spec = template.get("spec") or {}
    yield from check_pod_spec(f"{path}.spec", spec, claimed)
    yield from check_image_spaces(f"{path}.spec.containers", spec.get("containers") or [])


def check_pod_spec(path: str, spec: Object, claimed: Collection[str] = ()) -> Iterator[FieldError]:
    """A pod spec at `path`, in the real validator's order; `claimed` as in `check_template`."""
    volumes = spec.get("volumes") or []
    facts = PodFacts(frozenset([*claimed, *(v.get("name", "") for v in volumes)]), bool(spec.get("hostNetwork")))
    containers, inits = spec.get("containers") or [], spec.get("initContainers") or []
    yield from check_volumes(f"{path}.volumes", volumes)
    yield from check_containers(f"{path}.containers", containers, facts)
    yield from check_init_containers(f"{path}.initContainers", inits, containers, facts)
    yield from check_choice(f"{path}.restartPolicy", spec.get("restartPolicy"), _RESTART_POLICIES)
    yield from check_choice(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
    yield from check_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    yield from _check_security(f"{path}.securityContext", spec.get("securityContext") or {})
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        yield from check_required(f"{path}.imagePullSecrets[{index}].name", secret.get("name"))
    yield from _check_affinity(f"{path}.affinity", spec.get("affinity") or {})
    for index, address in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        yield from check_format(f"{path}.dnsConfig.nameservers[{index}]", address, names.ip_address)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        yield from _check_spread(f"{path}.topologySpreadConstraints[{index}]", constraint)
    yield from _check_scalars(path, spec)
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        yield from _check_toleration(f"{path}.tolerations[{index}]", toleration)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        yield from _check_alias(f"{path}.hostAliases[{index}]", alias)


def _check_scalars(path: str, spec: Object) -> Iterator[FieldError]:
    if spec.get("serviceAccountName"):
        yield from check_format(f"{path}.serviceAccountName", spec["serviceAccountName"], names.dns_subdomain)
    if spec.get("nodeName"):
        yield from check_format(f"{path}.nodeName", spec["nodeName"], names.dns_subdomain)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _LONGEST_DEADLINE:
        words = f"must be between 1 and {_LONGEST_DEADLINE}, inclusive"
        yield FieldError.invalid(f"{path}.activeDeadlineSeconds", deadline, words)
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            yield from check_format(f"{path}.{name}", spec[name], names.dns_label)


def _check_security(path: str, context: Object) -> Iterator[FieldError]:
    yield from check_ids(path, context, ("fsGroup", "runAsUser", "runAsGroup"))
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        yield from check_required(f"{path}.sysctls[{index}].name", sysctl.get("name"))
    profile = context.get("seccompProfile")
    if profile is not None:
        yield from check_choice(f"{path}.seccompProfile.type", profile.get("type"), _SECCOMP_TYPES)


def _check_affinity(path: str, affinity: Object) -> Iterator[FieldError]:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    node = (affinity.get("nodeAffinity") or {}).get(required)
    if node is not None and not node.get("nodeSelectorTerms"):
        words = "must have at least one node selector term"
        yield FieldError.required(f"{path}.nodeAffinity.{required}.nodeSelectorTerms", words)
    for kind in ("podAffinity", "podAntiAffinity"):
        for index, term in enumerate((affinity.get(kind) or {}).get(required) or ()):
            below, key = f"{path}.{kind}.{required}[{index}].topologyKey", term.get("topologyKey", "")
            yield from check_required(below, key, "can not be empty")
            yield from check_format(below, key, names.qualified_name)


def _check_spread(path: str, constraint: Object) -> Iterator[FieldError]:
    skew = constraint.get("maxSkew", 0)
    if skew <= 0:
        yield FieldError.invalid(f"{path}.maxSkew", skew, "must be greater than zero")
    yield from check_required(f"{path}.topologyKey", constraint.get("topologyKey"), "can not be empty")
    choices = ("DoNotSchedule", "ScheduleAnyway")
    yield from check_choice(f"{path}.whenUnsatisfiable", constraint.get("whenUnsatisfiable", ""), choices)


def _check_toleration(path: str, toleration: Object) -> Iterator[FieldError]:
    key, operator, effect = toleration.get("key"), toleration.get("operator", ""), toleration.get("effect", "")
    if key:
        yield from check_format(f"{path}.key", key, names.qualified_name)
    elif operator != "Exists":
        words = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield FieldError.invalid(f"{path}.operator", operator, words)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        words = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield FieldError.invalid(f"{path}.effect", effect, words)
    if operator in ("Equal", ""):
        yield from check_format(f"{path}.operator", toleration.get("value") or "", names.label_value)
    elif operator == "Exists":
        if toleration.get("value"):
            words = "value must be empty when `operator` is 'Exists'"
            yield FieldError.invalid(f"{path}.operator", toleration["value"], words)
    else:
        yield FieldError.unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect:
        yield from check_choice(f"{path}.effect", effect, _EFFECTS)


def _check_alias(path: str, alias: Object) -> Iterator[FieldError]:
    yield from check_format(f"{path}.ip", alias.get("ip", ""), names.ip_address)
    for index, hostname in enumerate(alias.get("hostnames") or ()):
        yield from check_name(f"{path}.hostnames[{index}]", hostname, names.dns_subdomain)


def _check_update(spec: Object, old: Object) -> Iterator[FieldError]:
    for kind in ("containers", "initContainers"):
        if len(spec.get(kind) or ()) != len(old.get(kind) or ()):
            yield FieldError.forbidden(f"spec.{kind}", "pod updates may not add or remove containers")
            return
    changed = _with_mutable_fields_of(spec, old)
    if changed != old:
        yield FieldError.forbidden("spec", f"{_MUTABLE}\n{_difference(old, changed)}")


def _with_mutable_fields_of(spec: Object, old: Object) -> Object:
    """`spec` with the fields that an update may change set back to those of `old`."""
    same = {**spec, "activeDeadlineSeconds": old.get("activeDeadlineSeconds")}
    for kind in ("containers", "initContainers"):
        pairs = zip(spec.get(kind) or (), old.get(kind) or (), strict=True)
        same[kind] = [{**new, "image": was.get("image")} for new, was in pairs]
    tolerations = spec.get("tolerations") or []
    if all(toleration in tolerations for toleration in old.get("tolerations") or ()):
        same["tolerations"] = old.get("tolerations")
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        same["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    if not old.get("nodeName"):
        # Binding a pod to its node is an update too.
        same["nodeName"] = old.get("nodeName")
    return {name: value for name, value in same.items() if value not in (None, [])}


def _difference(old: Object, new: Object) -> str:
    """What differs, as the hunks of a unified diff."""
    before, after = (json.dumps(spec, indent=1, sort_keys=True).splitlines() for spec in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm=""))[2:]
    return "\n".join(lines) + "\n"
