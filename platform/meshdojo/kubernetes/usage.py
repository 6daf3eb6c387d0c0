"""What objects use of the things that quotas and limits are about. Pure; amounts are billionths (`schema.quantity`).

Source: pkg/quota/v1/evaluator/core of Kubernetes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import quantity

Amounts = dict[str, int]
ONE = quantity.parse("1")
COMPUTE = ("cpu", "memory", "ephemeral-storage")
# Those that a quota can limit by their plain name; everything else is ``count/RESOURCE.GROUP``.
COUNTED = (
    *("configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets"),
    "services",
)
_FINISHED = ("Succeeded", "Failed")


def used_by(resource: Resource, obj: Object) -> Amounts:
    """All that `obj` uses, by the names of quotas."""
    used = {f"count/{resource.name}": ONE}
    if not resource.group and resource.plural in COUNTED:
        used[resource.plural] = ONE
    match resource.storage:
        case "pods":
            return {} if (obj.get("status") or {}).get("phase") in _FINISHED else used | _compute(obj)
        case "services":
            return used | _service(obj.get("spec") or {})
        case "persistentvolumeclaims":
            requests = ((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}
            return used | {"requests.storage": quantity.parse(str(requests.get("storage", "0")))}
    return used


def _service(spec: Object) -> Amounts:
    kind, ports = spec.get("type", "ClusterIP"), len(spec.get("ports") or ()) * ONE
    nodeports = ports if kind == "NodePort" or (kind == "LoadBalancer" and allocates(spec)) else 0
    return {"services.nodeports": nodeports, "services.loadbalancers": ONE if kind == "LoadBalancer" else 0}


def allocates(spec: Object) -> bool:
    """Whether a load balancer's service gets node ports."""
    return bool(spec.get("allocateLoadBalancerNodePorts", True))


def _compute(pod: Object) -> Amounts:
    requests, limits = pod_amounts(pod, "requests"), pod_amounts(pod, "limits")
    used = {f"requests.{name}": amount for name, amount in requests.items()}
    used |= {f"limits.{name}": amount for name, amount in limits.items()}
    return used | {name: amount for name, amount in requests.items() if name in COMPUTE}


def pod_amounts(pod: Object, kind: str) -> Amounts:
    """The requests or limits of a whole pod: containers and sidecars together, or the largest init container's."""
    spec = pod.get("spec") or {}
    total: Counter[str] = Counter()
    largest: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            total.update(own)
            own = {}
        for name, amount in own.items():
            largest[name] = max(largest.get(name, 0), amount + total[name])
    for container in spec.get("containers") or ():
        total.update(amounts(container, kind))
    return {name: max(total[name], largest.get(name, 0)) for name in {*total, *largest}}


def amounts(container: Object, kind: str) -> Amounts:
    """The requests or limits of one container."""
    stated = (container.get("resources") or {}).get(kind) or {}
    return {name: quantity.parse(str(value)) for name, value in stated.items()}


def missing(pod: Object, wanted: Iterable[str]) -> dict[str, list[str]]:
    """Quota's compute resource -> the containers that do not say how much of it they want."""
    found: dict[str, list[str]] = {}
    spec = pod.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for name in wanted:
            kind, _, resource = name.partition(".") if "." in name else ("requests", "", name)
            if kind in ("requests", "limits") and resource in COMPUTE and resource not in amounts(container, kind):
                found.setdefault(name, []).append(container["name"])
    return found


def text(amount: int, like: str = "") -> str:
    """An amount as a quantity, in binary units where `like` has them."""
    if like.endswith("i") and amount >= 1024 * ONE and amount % (1024 * ONE) == 0:
        return quantity.canonical(f"{amount // ONE // 1024}Ki")
    return quantity.canonical(f"{amount}n")


def shown(names: Iterable[str], values: Mapping[str, str]) -> str:
    """``pods=1,services=2``, sorted."""
    return ",".join(f"{name}={values[name]}" for name in sorted(names))
