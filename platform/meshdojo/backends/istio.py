"""Istio on a cluster that is ours: taking all of it away, and knowing whether it is still the one that we installed.

Learners install, change and half remove Istio; the next lab expects the demo profile as it was. So after an
installation its *fingerprint* is kept (what its objects say, without what the cluster fills in), and compared before
each lab. A mesh that differs is made anew, from nothing: an installation on top of what somebody left (another
revision, a namespace that was deleted by hand, webhooks without a control plane) would not end where a new one does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from meshdojo.backends.base import BackendError
from meshdojo.backends.namespaces import delete_namespaces
from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE
from meshdojo.cluster.rollout import completed

NAMESPACE = "istio-system"
RECORD, RECORD_NAMESPACE = "meshdojo-istio", "kube-system"
READY_SECONDS = 300.0

_ADMISSION = "admissionregistration.k8s.io"
WEBHOOKS = (f"mutatingwebhookconfigurations.{_ADMISSION}", f"validatingwebhookconfigurations.{_ADMISSION}")
_RBAC = "rbac.authorization.k8s.io"
ROLES = (f"clusterrolebindings.{_RBAC}", f"clusterroles.{_RBAC}")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
_NAMESPACED = (
    "deployments.apps",
    "daemonsets.apps",
    "services",
    "configmaps",
    "serviceaccounts",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
    f"rolebindings.{_RBAC}",
    f"roles.{_RBAC}",
)
_GROUP = ".istio.io"
# What istioctl, the charts, and istiod itself label their objects with.
_COMPONENT, _CHART, _MADE_BY_ISTIOD = "operator.istio.io/component", "app.kubernetes.io/part-of", "istio.io/config"


async def remove(client: HTTPClient) -> None:
    """Take away Istio and everything that an installation, whole or half removed, leaves; return when it is gone.

    Istio's own resources go with their kinds. Webhooks go first: from then on nothing asks a control plane that may
    not be there. Nothing to remove is fine. A record of it stays: the Istio that comes next is a lab's own, whoever
    types the command, and may be taken away again. Raises ClusterError.
    """
    await _delete_all(client, WEBHOOKS, _is_webhook_of_istio)
    # An istiod that still runs would write its root certificate anew: without its role it cannot.
    await _delete_all(client, ROLES, _is_istios)
    await _stop_pods(client)
    await asyncio.gather(
        delete_namespaces(client, (NAMESPACE,)),
        _remove_kinds(client),
        _delete_all(client, _NAMESPACED, _is_istios_elsewhere),
    )
    await _keep(client, "")


async def present(client: HTTPClient) -> bool:
    """Whether anything of Istio is there that a learner would notice: its namespace or one of its kinds."""
    namespaces = {_name(one) for one in await _listed(client, "namespaces")}
    return NAMESPACE in namespaces or bool(await _groups(client))


async def ensure(client: HTTPClient, profile: str, install: Callable[[], Awaitable[None]]) -> bool:
    """See that the Istio of `profile` is there as `install` made it, and ready; whether it had to be made anew.

    Resources that apply to the whole mesh go in any case: whoever wants some puts them there afterwards.
    Pods of ours that are older than its control plane are replaced: their sidecars trust another root, or are missing.
    Raises BackendError when it does not become ready, ClusterError.
    """
    await _sweep(client)
    anew = await _record(client) != await _signature(client, profile)
    if anew:
        await remove(client)
        await install()
    await _ready(client)
    if anew:
        await _keep(client, await _signature(client, profile))
    await _renew_sidecars(client)
    return anew


async def fingerprint(client: HTTPClient) -> str:
    """A hash of all that an installation decides: '' without an istiod."""
    lists = await asyncio.gather(
        *(_listed(client, resource, NAMESPACE) for resource in _NAMESPACED),
        *(_listed(client, resource) for resource in (*WEBHOOKS, *ROLES)),
        _kinds(client),
    )
    if not lists[0]:
        return ""
    said = [_said(obj) for objects in lists for obj in objects if _counts(obj)]
    said.sort(key=lambda one: (one["kind"], one["name"]))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


# What an installation says


def _counts(obj: Object) -> bool:
    """Whether the object was installed, and not made up by the running istiod (roots, leases) or by Kubernetes."""
    if obj["kind"] in ("ClusterRole", "ClusterRoleBinding"):
        return _is_istios(obj)
    if obj["kind"].endswith("WebhookConfiguration"):
        return _is_webhook_of_istio(obj)
    made_up = obj["metadata"]["name"].endswith("-ca-root-cert") or obj["metadata"]["name"] == "kube-root-ca.crt"
    unlabelled = obj["kind"] in ("ConfigMap", "ServiceAccount") and not _is_istios(obj)
    return not made_up and not unlabelled


def _said(obj: Object) -> Object:
    said = {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion")}
    return {"name": obj["metadata"]["name"], **_without(said, _FILLED_IN)}


# Filled in by the cluster (addresses, ports, defaults), by istiod (its certificate, the policy once it can answer), or
# by somebody who restarted pods.
_FILLED_IN = frozenset(
    {
        *("clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "ipFamilies", "resourceVersion", "uid"),
        *("caBundle", "failurePolicy", "kubectl.kubernetes.io/restartedAt", "secrets"),
    }
)


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value]
    return value


async def _kinds(client: HTTPClient) -> list[Object]:
    """Istio's kinds, as discovery lists them: their CRDs would be megabytes of schemas."""
    return [{"kind": "Kinds", "metadata": {"name": "istio"}, "names": sorted(await _resources(client))}]


async def _resources(client: HTTPClient) -> list[str]:
    """The names of the resources that Istio's kinds are served as."""
    versions = [one["preferredVersion"]["groupVersion"] for one in await _groups(client)]
    answers = await asyncio.gather(*(client.raw("GET", f"/apis/{version}") for version in versions))
    return [
        f"{one['name']}.{version.partition('/')[0]}"
        for version, answer in zip(versions, answers, strict=True)
        for one in json.loads(answer)["resources"]
        if "/" not in one["name"]
    ]


async def _sweep(client: HTTPClient) -> None:
    """Delete Istio's own resources in its namespace: they apply to the whole mesh, and an installation brings none."""
    resources = await _resources(client)
    lists = await asyncio.gather(*(_listed(client, name, NAMESPACE) for name in resources))
    found = [(resource, _name(one)) for resource, objects in zip(resources, lists, strict=True) for one in objects]
    await asyncio.gather(*(_delete(client, resource, name, NAMESPACE) for resource, name in found))


async def _groups(client: HTTPClient) -> list[Object]:
    groups = json.loads(await client.raw("GET", "/apis"))["groups"]
    return [one for one in groups if one["name"].endswith(_GROUP)]


async def _signature(client: HTTPClient, profile: str) -> str:
    return f"{profile} {await fingerprint(client)}"


async def _record(client: HTTPClient) -> str:
    try:
        found = await client.get("configmaps", RECORD, RECORD_NAMESPACE)
    except StatusError as error:
        if error.code != 404:
            raise
        return ""
    return str((found.get("data") or {}).get("installed", ""))


async def _keep(client: HTTPClient, signature: str) -> None:
    metadata = {"name": RECORD, "namespace": RECORD_NAMESPACE}
    record = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"installed": signature}}
    await client.apply(record)


async def _ready(client: HTTPClient) -> None:
    deployments = [one["metadata"]["name"] for one in (await client.list("deployments.apps", NAMESPACE)).items]
    late = set(deployments)

    async def wait(name: str) -> None:
        await completed(client, NAMESPACE, name)
        late.discard(name)

    try:
        async with asyncio.timeout(READY_SECONDS):
            await asyncio.gather(*map(wait, deployments))
    except TimeoutError:
        names, why = ", ".join(sorted(late)), f"kubectl describe pods -n {NAMESPACE}"
        raise BackendError(f"Istio is not ready after {READY_SECONDS:g} s: {names}. Why: {why}") from None


async def _renew_sidecars(client: HTTPClient) -> None:
    istiod = await _listed(client, "deployments.apps", NAMESPACE)
    since = max(
        (one["metadata"]["creationTimestamp"] for one in istiod if _labels(one).get("app") == "istiod"), default=""
    )
    ours = {
        _name(one)
        for one in await _listed(client, "namespaces")
        if _labels(one).get(MANAGED_LABEL) == MANAGED_VALUE and _labels(one).get("istio-injection") == "enabled"
    }
    stale = [
        one["metadata"]
        for one in await _listed(client, "pods")
        if one["metadata"]["namespace"] in ours and one["metadata"]["creationTimestamp"] < since
    ]
    await asyncio.gather(*(_delete(client, "pods", one["name"], one["namespace"]) for one in stale))


# Removing


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def _is_istios(obj: Object) -> bool:
    labels = _labels(obj)
    return _COMPONENT in labels or labels.get(_CHART) == "istio" or obj["metadata"]["name"].startswith("istiod-")


def _is_istios_elsewhere(obj: Object) -> bool:
    """In other namespaces: gateways that istioctl put there, and the root certificate that istiod puts everywhere."""
    labels = _labels(obj)
    return obj["metadata"]["namespace"] != NAMESPACE and (_COMPONENT in labels or _MADE_BY_ISTIOD in labels)


def _is_webhook_of_istio(obj: Object) -> bool:
    services = (one.get("clientConfig", {}).get("service") or {} for one in obj.get("webhooks") or ())
    return any(service.get("namespace") == NAMESPACE for service in services) or _is_istios(obj)


async def _stop_pods(client: HTTPClient) -> None:
    """End the namespace's pods at once. They hold no state, and a namespace waits for the last of its pods."""
    for resource, grace in (("deployments.apps", None), ("replicasets.apps", None), ("pods", 0)):
        found = await _listed(client, resource, NAMESPACE)
        names = [one["metadata"]["name"] for one in found]
        await asyncio.gather(*(_delete(client, resource, name, NAMESPACE, grace) for name in names))


async def _remove_kinds(client: HTTPClient) -> None:
    waiting = {name for name in map(_name, await _listed(client, CRDS)) if name.endswith(_GROUP)}
    await asyncio.gather(*(_delete(client, CRDS, name) for name in waiting))
    while waiting:
        listed = await client.list(CRDS)
        waiting &= {_name(one) for one in listed.items}
        if not waiting:
            return
        async for event in client.watch(CRDS, since=listed.resource_version):
            if event.type == "DELETED":
                waiting.discard(_name(event.object))
            if not waiting:
                return


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


async def _delete_all(client: HTTPClient, resources: Iterable[str], wanted: Callable[[Object], bool]) -> None:
    listed = await asyncio.gather(*(_listed(client, resource) for resource in resources))
    found = [(resource, obj) for resource, objects in zip(resources, listed, strict=True) for obj in objects]
    await asyncio.gather(
        *(
            _delete(client, resource, _name(obj), obj["metadata"].get("namespace"))
            for resource, obj in found
            if wanted(obj)
        )
    )


async def _listed(client: Client, resource: str, namespace: str | None = None) -> list[Object]:
    """The objects; none of a kind that the cluster does not have."""
    try:
        return (await client.list(resource, namespace)).items
    except StatusError as error:
        if error.code != 404:
            raise
        return []


async def _delete(
    client: Client, resource: str, name: str, namespace: str | None = None, grace: int | None = None
) -> None:
    try:
        await client.delete(resource, name, namespace, propagation="Background", grace_seconds=grace)
    except StatusError as error:
        if error.code != 404:
            raise
