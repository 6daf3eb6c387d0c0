"""ResourceQuota: nothing beyond what the quotas of a namespace leave.

What is used is counted at the moment of the request, so that no two requests can share the last place.
Sources: k8s.io/apiserver/pkg/admission/plugin/resourcequota, pkg/quota/v1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors, usage
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.resources import Catalogue, Resource
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.store import Store
from meshdojo.kubernetes.usage import Amounts

QUOTAS = "resourcequotas"


class Quotas:
    """Refuses what exceeds a quota. The last plugin of the chain: between it and the store nothing may happen."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Changes nothing."""
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError 403."""
        if attributes.obj is None or attributes.subresource or attributes.operation == "DELETE":
            return
        quotas = self._store.list(QUOTAS, attributes.namespace) if attributes.namespace else []
        if not quotas:
            return
        wanted = _added(attributes.resource, attributes.obj, attributes.old)
        for quota in quotas:
            self._check(attributes, quota, wanted, attributes.obj)

    def _check(self, attributes: Attributes, quota: Object, wanted: Amounts, obj: Object) -> None:
        hard: Object = (quota.get("spec") or {}).get("hard") or {}
        is_pod = attributes.resource.storage == "pods"
        if is_pod and not in_scope(quota, obj):
            return
        name = quota["metadata"]["name"]
        missing = usage.missing(obj, hard) if is_pod and attributes.operation == "CREATE" else {}
        if missing:
            words = "; ".join(f"{what} for: {','.join(containers)}" for what, containers in sorted(missing.items()))
            raise errors.forbidden(attributes.resource, attributes.name, f"failed quota: {name}: must specify {words}")
        limited = [what for what in hard if wanted.get(what)]
        if not limited:
            return
        used = self.used(quota)
        over = [what for what in limited if used[what] + wanted[what] > quantity.parse(str(hard[what]))]
        if over:
            shown = {what: usage.text(used[what], str(hard[what])) for what in over}
            asked = {what: usage.text(wanted[what], str(hard[what])) for what in over}
            raise errors.forbidden(
                attributes.resource,
                attributes.name,
                f"exceeded quota: {name}, requested: {usage.shown(over, asked)}, used: {usage.shown(over, shown)}, "
                f"limited: {usage.shown(over, hard)}",
            )

    def used(self, quota: Object) -> Amounts:
        """What is used now of all that a quota limits."""
        hard = (quota.get("spec") or {}).get("hard") or {}
        total: Counter[str] = Counter(dict.fromkeys(hard, 0))
        for resource in self._concerned(hard):
            for obj in self._store.list(resource.storage, quota["metadata"]["namespace"]):
                if resource.storage != "pods" or in_scope(quota, obj):
                    total.update({k: v for k, v in usage.used_by(resource, obj).items() if k in hard})
        return dict(total)

    def _concerned(self, hard: Iterable[str]) -> list[Resource]:
        found = {}
        for name in hard:
            resource = self._catalogue.by_name(_resource_name(name))
            if resource is not None and resource.namespaced:
                found[resource.storage] = resource
        return list(found.values())


def _resource_name(name: str) -> str:
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name.startswith("services."):
        return "services"
    if name == "requests.storage":
        return "persistentvolumeclaims"
    return name if name in usage.COUNTED else "pods"


def _added(resource: Resource, obj: Object, old: Object | None) -> Amounts:
    before = usage.used_by(resource, old) if old is not None else {}
    return {name: amount - before.get(name, 0) for name, amount in usage.used_by(resource, obj).items()}


def in_scope(quota: Object, pod: Object) -> bool:
    """Whether a quota counts this pod: its scopes must all hold."""
    spec = quota.get("spec") or {}
    expressions = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    expressions += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_holds(expression, pod) for expression in expressions)


def _holds(expression: Object, pod: Object) -> bool:
    spec = pod.get("spec") or {}
    best_effort = not usage.pod_amounts(pod, "requests") and not usage.pod_amounts(pod, "limits")
    terminating = spec.get("activeDeadlineSeconds") is not None
    priority = spec.get("priorityClassName", "")
    match expression["scopeName"]:
        case "BestEffort":
            return best_effort
        case "NotBestEffort":
            return not best_effort
        case "Terminating":
            return terminating
        case "NotTerminating":
            return not terminating
        case "PriorityClass":
            values = expression.get("values") or ()
            return {
                "In": priority in values,
                "NotIn": priority not in values,
                "Exists": bool(priority),
                "DoesNotExist": not priority,
            }[expression["operator"]]
    return False
