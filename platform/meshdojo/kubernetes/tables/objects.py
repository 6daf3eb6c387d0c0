"""The tables of namespaces, nodes, config, accounts, RBAC, webhooks, leases, volumes, quotas and events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.tables.ages import UNKNOWN, age
from meshdojo.kubernetes.tables.columns import (
    NONE,
    UNSET,
    Printer,
    columns,
    created,
    joined,
    name_of,
)

_ROLE_LABEL = "node-role.kubernetes.io/"
_ACCESS_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _named(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), age(created(obj), now)]


def _created_at(obj: Object, _now: datetime) -> list[Any]:
    return [name_of(obj), created(obj)]


def _config_map(config_map: Object, now: datetime) -> list[Any]:
    count = len(config_map.get("data") or ()) + len(config_map.get("binaryData") or ())
    return [name_of(config_map), count, age(created(config_map), now)]


def _secret(secret: Object, now: datetime) -> list[Any]:
    return [name_of(secret), secret.get("type", ""), len(secret.get("data") or ()), age(created(secret), now)]


def _service_account(account: Object, now: datetime) -> list[Any]:
    return [name_of(account), len(account.get("secrets") or ()), age(created(account), now)]


def _namespace(namespace: Object, now: datetime) -> list[Any]:
    return [name_of(namespace), (namespace.get("status") or {}).get("phase", ""), age(created(namespace), now)]


def _node(node: Object, now: datetime) -> list[Any]:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return [
        name_of(node),
        _node_status(node),
        _node_roles(node),
        age(created(node), now),
        info.get("kubeletVersion", ""),
        _node_address(node, "InternalIP"),
        _node_address(node, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(node: Object) -> str:
    conditions = {c["type"]: c.get("status") for c in (node.get("status") or {}).get("conditions") or ()}
    status = {"True": "Ready", None: "Unknown"}.get(conditions.get("Ready"), "NotReady")
    return f"{status},SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else status


def _node_roles(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE_LABEL) for key in labels if key.startswith(_ROLE_LABEL)}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return joined(sorted(roles - {""}))


def _node_address(node: Object, kind: str) -> str:
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((address["address"] for address in addresses if address["type"] == kind), NONE)


def _binding(binding: Object, now: datetime) -> list[Any]:
    role = binding.get("roleRef") or {}
    subjects = binding.get("subjects") or ()
    accounts = [s for s in subjects if s.get("kind") == "ServiceAccount"]
    return [
        name_of(binding),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        age(created(binding), now),
        ", ".join(s["name"] for s in subjects if s.get("kind") == "User"),
        ", ".join(s["name"] for s in subjects if s.get("kind") == "Group"),
        ", ".join(f"{s.get('namespace', '')}/{s['name']}" for s in accounts),
    ]


def _webhooks(configuration: Object, now: datetime) -> list[Any]:
    return [name_of(configuration), len(configuration.get("webhooks") or ()), age(created(configuration), now)]


def _lease(lease: Object, now: datetime) -> list[Any]:
    return [name_of(lease), (lease.get("spec") or {}).get("holderIdentity") or "", age(created(lease), now)]


def _controller_revision(revision: Object, now: datetime) -> list[Any]:
    owner = next((o for o in revision["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    controller = NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        controller = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return [name_of(revision), controller, revision.get("revision", 0), age(created(revision), now)]


def _disruption_budget(budget: Object, now: datetime) -> list[Any]:
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        name_of(budget),
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        status.get("disruptionsAllowed", 0),
        age(created(budget), now),
    ]


def _quota(quota: Object, now: datetime) -> list[Any]:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    texts = {name: f"{name}: {used.get(name, 0)}/{hard[name]}" for name in sorted(hard)}
    limits = [text for name, text in texts.items() if name.startswith("limits")]
    requests = [text for name, text in texts.items() if not name.startswith("limits")]
    return [name_of(quota), ", ".join(requests), ", ".join(limits), age(created(quota), now)]


def _access_modes(modes: list[str] | None) -> str:
    return ",".join(_ACCESS_MODES[mode] for mode in _ACCESS_MODES if mode in (modes or ()))


def _volume(volume: Object, now: datetime) -> list[Any]:
    spec, status = volume.get("spec") or {}, volume.get("status") or {}
    claim = spec.get("claimRef") or {}
    return [
        name_of(volume),
        (spec.get("capacity") or {}).get("storage", ""),
        _access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _deleting(volume) or status.get("phase", ""),
        f"{claim['namespace']}/{claim['name']}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age(created(volume), now),
        spec.get("volumeMode") or UNSET,
    ]


def _claim(claim: Object, now: datetime) -> list[Any]:
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        name_of(claim),
        _deleting(claim) or status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _access_modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or UNSET,
        age(created(claim), now),
        spec.get("volumeMode") or UNSET,
    ]


def _deleting(obj: Object) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else ""


def _event(event: Object, now: datetime) -> list[Any]:
    series = event.get("series") or {}
    first = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("deprecatedLastTimestamp") or first
    target = event.get("involvedObject") or event.get("regarding") or {}
    kind = str(target.get("kind", "")).lower()
    return [
        age(last, now),
        event.get("type", ""),
        event.get("reason", ""),
        f"{kind}/{target['name']}" if target.get("name") else kind,
        target.get("fieldPath", ""),
        _event_source(event),
        str(event.get("message") or event.get("note") or "").strip(),
        age(first, now),
        series.get("count") or event.get("count") or event.get("deprecatedCount") or 1,
        name_of(event),
    ]


def _event_source(event: Object) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    instance = source.get("host") or ("" if source.get("component") else event.get("reportingInstance")) or ""
    return f"{component}, {instance}" if instance else component


def _runtime_class(found: Object, now: datetime) -> list[Any]:
    return [name_of(found), found.get("handler", ""), age(created(found), now)]


def _priority_class(found: Object, now: datetime) -> list[Any]:
    default, value = bool(found.get("globalDefault")), found.get("value", 0)
    return [name_of(found), value, default, age(created(found), now), found.get("preemptionPolicy", "")]


def _storage_class(found: Object, now: datetime) -> list[Any]:
    annotations = found["metadata"].get("annotations") or {}
    default = annotations.get("storageclass.kubernetes.io/is-default-class") == "true"
    return [
        f"{name_of(found)} (default)" if default else name_of(found),
        found.get("provisioner", ""),
        found.get("reclaimPolicy", "Delete"),
        found.get("volumeBindingMode", "Immediate"),
        bool(found.get("allowVolumeExpansion")),
        age(created(found), now),
    ]


DEFAULT = Printer(columns("Name, Age"), _named)
CREATED_AT = Printer(columns("Name, Created At:date"), _created_at)
CONFIG_MAPS = Printer(columns("Name, Data, Age"), _config_map)
SECRETS = Printer(columns("Name, Type, Data, Age"), _secret)
SERVICE_ACCOUNTS = Printer(columns("Name, Secrets, Age"), _service_account)
NAMESPACES = Printer(columns("Name, Status, Age"), _namespace)
NODES = Printer(
    columns(
        "Name, Status, Roles, Age, Version", "Internal-IP, External-IP, OS-Image, Kernel-Version, Container-Runtime"
    ),
    _node,
)
BINDINGS = Printer(columns("Name, Role, Age", "Users, Groups, ServiceAccounts"), _binding)
WEBHOOKS = Printer(columns("Name, Webhooks:integer, Age"), _webhooks)
RUNTIME_CLASSES = Printer(columns("Name, Handler, Age"), _runtime_class)
PRIORITY_CLASSES = Printer(
    columns("Name, Value:integer, Global-Default:boolean, Age, PreemptionPolicy"), _priority_class
)
STORAGE_CLASSES = Printer(
    columns("Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion:boolean, Age"), _storage_class
)
LEASES = Printer(columns("Name, Holder, Age"), _lease)
CONTROLLER_REVISIONS = Printer(columns("Name, Controller, Revision, Age"), _controller_revision)
DISRUPTION_BUDGETS = Printer(
    columns("Name, Min Available, Max Unavailable, Allowed Disruptions:integer, Age"), _disruption_budget
)
QUOTAS = Printer(columns("Name, Request, Limit, Age"), _quota)
VOLUMES = Printer(
    columns(
        "Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, Age",
        "VolumeMode",
    ),
    _volume,
)
CLAIMS = Printer(
    columns("Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age", "VolumeMode"),
    _claim,
)
_EVENT_COLUMNS = columns("Last Seen, Type, Reason, Object, Subobject, Source, Message, First Seen, Count, Name")
_WIDE_EVENT_COLUMNS = {"Subobject", "Source", "First Seen", "Count", "Name"}
EVENTS = Printer([type(c)(c.name, c.type, c.name in _WIDE_EVENT_COLUMNS) for c in _EVENT_COLUMNS], _event)
