"""scale, eviction, binding, finalize, ephemeralcontainers: paths below an object that are not the object itself."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.auth.reviews import issue_token
from meshdojo.kubernetes.auth.tokens import TokenSigner
from meshdojo.kubernetes.deletion import Deleter
from meshdojo.kubernetes.disruption import healthy_pod, selects
from meshdojo.kubernetes.registry import Modifier, Registry
from meshdojo.kubernetes.requests import DeleteOptions, Options
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.scaling import scale_of, scaled
from meshdojo.kubernetes.timestamps import now

BUDGETS = "poddisruptionbudgets.policy"
_SEVERAL_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


class Subresources:
    """The subresources that are neither the object nor its status."""

    def __init__(self, registry: Registry, deleter: Deleter, signer: TokenSigner) -> None:
        self._registry = registry
        self._deleter = deleter
        self._signer = signer

    def get(self, resource: Resource, name: str, namespace: str, subresource: str) -> Object:
        """Raises StatusError 404, 405."""
        if subresource == "scale" and "scale" in resource.subresources:
            return scale_of(resource, self._registry.get(resource, name, namespace))
        if (resource.storage, subresource) == ("pods", "ephemeralcontainers"):
            return self._registry.get(resource, name, namespace)
        raise errors.unknown_resource()

    async def update(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        subresource: str,
        modify: Modifier,
        options: Options,
    ) -> Object:
        """PUT or PATCH. Raises StatusError 404 for a subresource that cannot be written, else as for the object."""
        if subresource == "scale" and "scale" in resource.subresources:
            change = scaled(resource, modify)
            return scale_of(resource, await self._registry.update(resource, name, namespace, change, options))
        if subresource == "finalize" and resource.storage == "namespaces":
            return await self._registry.update(resource, name, "", modify, options, subresource="finalize")
        if (resource.storage, subresource) == ("pods", "ephemeralcontainers"):
            change = _looking_in(modify)
            return await self._registry.update(resource, name, namespace, change, options, subresource=subresource)
        raise errors.unknown_resource()

    async def create(
        self, resource: Resource, name: str, namespace: str, subresource: str, obj: Object, options: Options
    ) -> Object:
        """POST. Raises StatusError 404 for a subresource that nothing can be posted to, else as the action does."""
        match resource.storage, subresource:
            case "pods", "eviction":
                return await self._evict(resource, name, namespace, obj, options)
            case "pods", "binding":
                return await self._bind(resource, name, namespace, obj, options)
            case "serviceaccounts", "token":
                account = self._registry.get(resource, name, namespace)
                return issue_token(self._registry.store, self._signer, account, obj)
        raise errors.unknown_resource()

    async def _evict(self, resource: Resource, name: str, namespace: str, obj: Object, options: Options) -> Object:
        how = _struct(obj, "Eviction", "deleteOptions")
        preconditions = _struct(how, "DeleteOptions", "preconditions")
        delete = DeleteOptions(
            how.get("propagationPolicy"),
            how.get("gracePeriodSeconds"),
            preconditions.get("uid"),
            preconditions.get("resourceVersion"),
        )
        await self._spend_budget(self._registry.get(resource, name, namespace), options)
        await self._deleter.delete(resource, name, namespace, delete, options)
        return success()

    async def _spend_budget(self, pod: Object, options: Options) -> None:
        """One allowed disruption less. Raises StatusError 429 when the pod's budget has none left, 500 for two budgets.

        Source: pkg/registry/core/pod/storage/eviction.go.
        """
        namespace = pod["metadata"]["namespace"]
        if (pod.get("status") or {}).get("phase") != "Running" or pod["metadata"].get("deletionTimestamp"):
            return
        budgets = [one for one in self._registry.store.list(BUDGETS, namespace) if selects(one, pod)]
        if len(budgets) > 1:
            raise errors.StatusError(500, "", _SEVERAL_BUDGETS)
        if not budgets or _may_go_unhealthy(budgets[0], pod):
            return
        spent = _spent(budgets[0], pod["metadata"]["name"])
        if not options.dry_run:
            await self._store_budget(spent)

    async def _store_budget(self, budget: Object) -> None:
        resource = self._registry.catalogue.by_name(BUDGETS)
        assert resource is not None
        metadata = budget["metadata"]
        await self._registry.update(
            resource, metadata["name"], metadata["namespace"], lambda _: budget, Options(), subresource="status"
        )

    async def _bind(self, resource: Resource, name: str, namespace: str, obj: Object, options: Options) -> Object:
        node = _struct(obj, "Binding", "target").get("name")
        if not node:
            raise errors.bad_request("target.name: Required value")
        await self._registry.update(
            resource, name, namespace, lambda pod: _bound(resource, pod, node), options, subresource="binding"
        )
        return success(201)


def _struct(obj: Object, kind: str, field: str) -> Object:
    """A field that is an object; {} without one. Raises StatusError 400 for anything else."""
    found = obj.get(field) or {}
    if not isinstance(found, dict):
        words = f"json: cannot unmarshal into Go struct field {kind}.{field}"
        raise errors.bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {words}')
    return found


def _may_go_unhealthy(budget: Object, pod: Object) -> bool:
    """Pods that are not healthy count for nothing: always, or while the others are enough, as the budget says."""
    if healthy_pod(pod):
        return False
    status = budget.get("status") or {}
    enough = status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0
    return bool(budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or enough)


def _spent(budget: Object, pod: str) -> Object:
    """The budget after the eviction of `pod`. Raises StatusError 429."""
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 1):
        raise errors.disrupted(f"The disruption budget {name} is still being processed by the server.", seconds=10)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 1:
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        raise errors.disrupted(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
    disrupted = {**(status.get("disruptedPods") or {}), pod: now()}
    return {**budget, "status": {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}}


def success(code: int = 201) -> Object:
    """A Status that says it was done."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


def _bound(resource: Resource, pod: Object, node: str) -> Object:
    bound = pod["spec"].get("nodeName")
    if bound:
        name = pod["metadata"]["name"]
        raise errors.conflict(resource, name, f'pod {name} is already assigned to node "{bound}"')
    status = pod.get("status") or {}
    others = [c for c in status.get("conditions") or [] if c["type"] != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now()}
    return {
        **pod,
        "spec": {**pod["spec"], "nodeName": node},
        "status": {**status, "conditions": [*others, scheduled]},
    }


def _looking_in(modify: Modifier) -> Modifier:
    """Nothing but the ephemeral containers changes. Source: dropNonEphemeralContainerUpdates of the real server."""

    def change(current: Object) -> Object:
        wanted = modify(current)
        spec = {name: value for name, value in current["spec"].items() if name != "ephemeralContainers"}
        added = (wanted.get("spec") or {}).get("ephemeralContainers")
        kept = ("name", "namespace", "uid", "resourceVersion")
        given = {name: value for name, value in (wanted.get("metadata") or {}).items() if name in kept}
        return {
            **current,
            "metadata": {**current["metadata"], **given},
            "spec": {**spec, **({"ephemeralContainers": added} if added else {})},
        }

    return change
