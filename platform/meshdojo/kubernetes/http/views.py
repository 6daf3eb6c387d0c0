"""Serves what is nowhere stored (`kubernetes.views`)."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import crds, errors, views
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.discovery import Served
from meshdojo.kubernetes.http.forms import FORMS, show
from meshdojo.kubernetes.http.negotiation import negotiate
from meshdojo.kubernetes.http.paths import ResourcePath
from meshdojo.kubernetes.http.responses import answer, failure
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.selectors import predicate

_DEPRECATED = "v1 ComponentStatus is deprecated in v1.19+"
# A namespace that nobody can delete.
_OLDEST = "kube-system"


class Views:
    """Answers what is asked of these kinds."""

    def __init__(self, api: Api, served: Served) -> None:
        """`served` is all that discovery tells of."""
        self._api = api
        self._served = served

    def of(self, path: ResourcePath) -> Resource | None:
        """The kind that the path names, when it is one of these."""
        asked = (path.group, path.version, path.plural)
        return next((one for one in views.RESOURCES if (one.group, one.version, one.plural) == asked), None)

    def answer(self, request: Request, path: ResourcePath, verb: str, resource: Resource) -> Response:
        """The answer to a request. Raises StatusError 400, 404, 405, 406."""
        if path.subresource or path.namespace:
            raise errors.unknown_resource()
        if verb == "watch":
            words = f'watch is not supported on resources of kind "{resource.plural}"'
            raise errors.StatusError(405, "MethodNotAllowed", words, {"kind": resource.plural})
        if verb not in resource.verbs:
            raise errors.method_not_allowed()
        accepted = negotiate(request.headers.get("accept", ""), FORMS)
        query = request.query_params
        found = self._found(resource)
        warnings = [_DEPRECATED] if resource is views.COMPONENTS else []
        if path.name:
            shown = next((one for one in found if one["metadata"]["name"] == path.name), None)
            if shown is None:
                return failure(_not_found(resource, path.name), warnings)
        else:
            wanted = predicate(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
            shown = {
                "kind": resource.list_kind,
                "apiVersion": resource.api_version,
                "metadata": {"resourceVersion": str(self._api.store.revision)},
                "items": [one for one in found if wanted(one)],
            }
        body = show(resource, shown, accepted.form, query)
        return answer(body, media_type=accepted.media_type, warnings=warnings)

    def _found(self, resource: Resource) -> list[Object]:
        if resource is views.COMPONENTS:
            return views.component_statuses()
        root = self._api.store.get("namespaces", "", _OLDEST)
        if root is None:
            # The API server is about to be set up.
            return []
        return views.api_services(self._served, root, self._api.store.list(crds.STORAGE))


def _not_found(resource: Resource, name: str) -> errors.StatusError:
    """Component statuses are told of by their singular name."""
    told = resource.singular if resource is views.COMPONENTS else resource.plural
    return errors.not_found(replace(resource, plural=told, storage=""), name)
