"""How commands talk to the cluster and to istiod."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from meshdojo.cluster.errors import ClusterError, StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.istioctl.command import CommandError, Invocation

JSON = dict[str, Any]
T = TypeVar("T")
ISTIOD_PORT = 15014


def run(invocation: Invocation, work: Callable[[HTTPClient], Awaitable[T]]) -> T:
    """Run `work` with a client for the cluster that the flags choose. Raises CommandError for what the cluster says."""

    async def session() -> T:
        async with HTTPClient.from_kubeconfig(
            invocation["kubeconfig"] or None, invocation["context"] or None
        ) as client:
            return await work(client)

    try:
        return asyncio.run(session())
    except* ClusterError as group:
        raise CommandError(_first(group)) from None


def _first(group: BaseExceptionGroup[Any]) -> str:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else str(inner)


def namespace(invocation: Invocation, client: HTTPClient) -> str:
    """The namespace of the flags, or else the kubeconfig's."""
    return str(invocation["namespace"] or client.access.namespace)


async def istiods(client: HTTPClient, system: str, revision: str = "") -> list[JSON]:
    """The running pods of the control plane."""
    labels = f"app=istiod,istio.io/rev={revision}" if revision else "app=istiod"
    pods = (await client.list("pods", system, labels=labels)).items
    return [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]


async def debug(client: HTTPClient, pod: JSON, path: str, **query: str) -> Any:
    """What istiod answers at ``/debug/PATH``, through the API server's pod proxy."""
    metadata = pod["metadata"]
    base = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}:{ISTIOD_PORT}/proxy/debug/{path}"
    return json.loads(await client.raw("GET", base + (f"?{urlencode(query)}" if query else "")))


async def all_istiods(client: HTTPClient, system: str, path: str, revision: str = "") -> list[tuple[str, Any]]:
    """The name and the answer of every istiod. Raises CommandError if there is none."""
    pods = await istiods(client, system, revision)
    if not pods:
        raise CommandError(f'no running Istio pods in "{system}"')
    answers = await asyncio.gather(*(debug(client, pod, path) for pod in pods))
    return [(pod["metadata"]["name"], answer) for pod, answer in zip(pods, answers, strict=True)]


def is_missing(error: StatusError) -> bool:
    """Whether the object, or its kind, is not there."""
    return error.code == 404
