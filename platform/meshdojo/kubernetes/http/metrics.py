"""Serves the metrics API (`kubernetes.metrics`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors, metrics
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.http.forms import FORMS, show
from meshdojo.kubernetes.http.lists import list_objects
from meshdojo.kubernetes.http.negotiation import negotiate
from meshdojo.kubernetes.http.paths import ResourcePath
from meshdojo.kubernetes.http.responses import answer, not_found
from meshdojo.kubernetes.node import Node
from meshdojo.kubernetes.resources import Resource


class Metrics:
    """Answers what is asked below the group."""

    def __init__(self, api: Api, node: Node) -> None:
        self._api = api
        self._node = node

    async def answer(self, request: Request, path: ResourcePath, verb: str) -> Response:
        """The answer to a request. Raises StatusError."""
        if path.version != metrics.VERSION:
            return not_found()
        resource = next((one for one in metrics.RESOURCES if one.plural == path.plural), None)
        if resource is None or path.subresource or (path.namespace and not resource.namespaced):
            raise errors.unknown_resource()
        if verb not in resource.verbs:
            raise errors.method_not_allowed()
        accepted = negotiate(request.headers.get("accept", ""), FORMS)
        found = await self._found(request, path, resource)
        body = show(resource, found, accepted.form, request.query_params)
        return answer(body, media_type=accepted.media_type)

    async def _found(self, request: Request, path: ResourcePath, resource: Resource) -> Object:
        measured = self._api.resource(resource.plural)
        if path.name:
            obj = self._api.store.get(measured.storage, path.namespace or "", path.name)
            items = await self._measure(resource, [obj] if obj is not None else [])
            if not items:
                raise _not_measured(resource, path)
            return items[0]
        listed = list_objects(self._api, measured, path.namespace, request.query_params)
        items = await self._measure(resource, listed["items"])
        return {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": {}, "items": items}

    async def _measure(self, resource: Resource, objects: list[Object]) -> list[Object]:
        used = await self._node.usage()
        if resource is metrics.NODES:
            return [metrics.node_metrics(obj, used.total) for obj in objects]
        found = ((pod, used.pods.get((pod["metadata"]["namespace"], pod["metadata"]["name"]))) for pod in objects)
        return [metrics.pod_metrics(pod, containers) for pod, containers in found if containers]


def _not_measured(resource: Resource, path: ResourcePath) -> errors.StatusError:
    """As metrics-server says it: in the words of its kind, with the namespace before the name."""
    name = f"{path.namespace}/{path.name}" if path.namespace else path.name
    kind = f"{resource.kind.lower()}.{metrics.GROUP}"
    details = {"name": name, "group": metrics.GROUP, "kind": resource.kind.lower()}
    return errors.StatusError(404, "NotFound", f'{kind} "{name}" not found', details)
