"""The REST verbs on resources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.api import Api, parse_revision
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.http.bodies import read_body, require_kind
from meshdojo.kubernetes.http.forms import FORMS, show
from meshdojo.kubernetes.http.lists import list_objects
from meshdojo.kubernetes.http.negotiation import Accepted, negotiate, read_json, read_yaml
from meshdojo.kubernetes.http.paths import ResourcePath
from meshdojo.kubernetes.http.queries import delete_options, write_options
from meshdojo.kubernetes.http.responses import answer
from meshdojo.kubernetes.http.watches import WatchStream
from meshdojo.kubernetes.patches.patch import APPLY, CONTENT_TYPES, STRATEGIC
from meshdojo.kubernetes.requests import Options, User
from meshdojo.kubernetes.resources import Catalogue, Resource, split_api_version

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_ON_OBJECTS = ("get", "update", "patch", "delete")
_ON_COLLECTIONS = ("create", "list", "deletecollection")


class ResourceHandler:
    """Serves everything below a group version except what streams into pods."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.streams: set[WatchStream] = set()

    async def handle(self, request: Request, path: ResourcePath, user: User, verb: str) -> ASGIApp:
        """The answer to a request. Raises StatusError."""
        resource = self._api.catalogue.find(path.group, path.version, path.plural)
        if verb not in _VERBS:
            raise errors.method_not_allowed()
        if resource is None or (path.subresource and path.subresource not in resource.subresources):
            raise errors.unknown_resource()
        if bool(path.namespace) != resource.namespaced and (path.namespace or path.name or verb == "create"):
            raise errors.unknown_resource()
        if not path.subresource and (verb not in resource.verbs or not _fits(verb, path.name)):
            raise errors.method_not_allowed()
        match verb:
            case "get":
                return self._get(request, path, resource)
            case "list":
                return self._list(request, path, resource)
            case "watch":
                return self._watch(request, path, resource)
            case "delete" | "deletecollection":
                return await self._delete(request, path, resource, user)
        return await self._write(request, path, resource, user, verb)

    # --- reading ----------------------------------------------------------------------------------------------

    def _get(self, request: Request, path: ResourcePath, resource: Resource) -> Response:
        accepted = negotiate(request.headers.get("accept", ""), FORMS)
        revision = request.query_params.get("resourceVersion", "")
        if revision and parse_revision(revision) > self._api.store.revision:
            raise errors.too_large(parse_revision(revision), self._api.store.revision)
        obj = self._read(resource, path)
        return self._shown(request, resource, obj, accepted)

    def _read(self, resource: Resource, path: ResourcePath) -> Object:
        if path.subresource in ("", "status"):
            return self._api.registry.get(resource, path.name, path.namespace or "")
        return self._api.subresources.get(resource, path.name, path.namespace or "", path.subresource)

    def _list(self, request: Request, path: ResourcePath, resource: Resource) -> Response:
        accepted = negotiate(request.headers.get("accept", ""), FORMS)
        found = list_objects(self._api, resource, path.namespace, request.query_params)
        return self._shown(request, resource, found, accepted)

    def _shown(self, request: Request, resource: Resource, value: Object, accepted: Accepted) -> Response:
        body = show(resource, value, accepted.form, request.query_params)
        return answer(body, media_type=accepted.media_type, warnings=deprecations(resource))

    def _watch(self, request: Request, path: ResourcePath, resource: Resource) -> WatchStream:
        accepted = negotiate(request.headers.get("accept", "").replace(";stream=watch", ""), FORMS)
        query = dict(request.query_params)
        if path.name:
            query["fieldSelector"] = f"metadata.name={path.name}"
        stream = WatchStream(self._api, resource, path.namespace, query, accepted.form, self.streams.discard)
        self.streams.add(stream)
        return stream

    # --- writing ----------------------------------------------------------------------------------------------

    async def _write(self, request: Request, path: ResourcePath, resource: Resource, user: User, verb: str) -> Response:
        accepted = negotiate(request.headers.get("accept", ""), FORMS)
        kind = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}[verb]
        options = write_options(request.query_params, user, request.headers.get("user-agent", ""), kind)
        options.warnings.extend(deprecations(resource))
        if verb == "patch":
            code, obj = await self._patch(request, path, resource, options)
        else:
            code, obj = await self._put_or_post(request, path, resource, options, verb)
        body = show(resource, obj, accepted.form, request.query_params)
        return answer(body, code, media_type=accepted.media_type, warnings=options.warnings)

    async def _put_or_post(
        self, request: Request, path: ResourcePath, resource: Resource, options: Options, verb: str
    ) -> tuple[int, Object]:
        body = await request.body()
        obj = read_body(body, request.headers.get("content-type", ""), resource.kind)
        if not path.subresource:
            if resource.crd is not None:
                require_kind(obj, body, resource.kind)
            check_type(self._api.catalogue, resource, obj)
        if verb == "create":
            created = await self._api.create(
                resource, obj, path.namespace, subresource=path.subresource, name=path.name, options=options
            )
            return 201, created
        existed = self._api.store.get(resource.storage, path.namespace or "", path.name) is not None
        updated = await self._api.update(
            resource, obj, path.namespace, subresource=path.subresource, name=path.name, options=options
        )
        return (200 if existed else 201), updated

    async def _patch(
        self, request: Request, path: ResourcePath, resource: Resource, options: Options
    ) -> tuple[int, Object]:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        kind = CONTENT_TYPES.get(content_type)
        if kind is None:
            raise errors.StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        if kind == "apply" and not request.query_params.get("fieldManager"):
            options = replace(options, field_manager="")
        body = await request.body()
        prefix = "" if content_type == STRATEGIC else "error decoding patch: "
        patch: Any = read_yaml(body) if content_type == APPLY else read_json(body, prefix)
        existed = self._api.store.get(resource.storage, path.namespace or "", path.name) is not None
        patched = await self._api.patch(
            resource, path.name, patch, path.namespace, type=kind, subresource=path.subresource, options=options
        )
        return (200 if existed else 201), patched

    async def _delete(self, request: Request, path: ResourcePath, resource: Resource, user: User) -> Response:
        body = await request.body()
        content_type = request.headers.get("content-type", "")
        given = read_body(body, content_type, "DeleteOptions") if body.strip() else None
        how, dry_run = delete_options(request.query_params, given)
        options = Options(user=user, dry_run=dry_run)
        if path.name:
            deleted = await self._api.delete(
                resource,
                path.name,
                path.namespace,
                propagation=how.propagation,
                grace_seconds=how.grace_seconds,
                uid=how.uid,
                resource_version=how.resource_version,
                options=options,
            )
        else:
            deleted = await self._delete_collection(request, path, resource, options, how)
        return answer(deleted, warnings=options.warnings)

    async def _delete_collection(
        self, request: Request, path: ResourcePath, resource: Resource, options: Options, how: Any
    ) -> Object:
        query = request.query_params
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        doomed = await self._api.delete_collection(
            resource, path.namespace, labels=labels, fields=fields, how=how, options=options
        )
        metadata = {"resourceVersion": doomed.resource_version}
        return {
            "kind": resource.list_kind,
            "apiVersion": resource.api_version,
            "metadata": metadata,
            "items": doomed.items,
        }


def _fits(verb: str, name: str) -> bool:
    return verb not in (_ON_COLLECTIONS if name else _ON_OBJECTS)


def check_type(catalogue: Catalogue, resource: Resource, obj: Object) -> None:
    """The body is of the kind that the path names (a built-in kind need not say it). Raises StatusError 400, 422."""
    if resource.crd is not None:
        _check_custom_type(resource, obj)
        return
    stated, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if (stated, kind) == (resource.api_version, resource.kind):
        return
    group, version = split_api_version(str(stated))
    if catalogue.by_kind(group, version, str(kind)):
        internal = f"{resource.group.partition('.')[0] or 'core'}.{resource.kind}"
        why = f"converting ({version}.{kind}) to ({internal}): unknown conversion"
    else:
        why = f'no kind "{kind}" is registered for version "{stated}"'
    raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')


def _check_custom_type(resource: Resource, obj: Object) -> None:
    stated, kind = obj.get("apiVersion") or "", str(obj["kind"])
    if stated != resource.api_version:
        raise errors.bad_request(
            f"the API version in the data ({stated}) does not match the expected API version ({resource.api_version})"
        )
    if kind != resource.kind:
        metadata = obj.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, dict) else ""
        problem = FieldError.invalid("kind", kind, f"must be {resource.kind}")
        raise errors.invalid(resource.group, kind, name, [problem])


def deprecations(resource: Resource) -> list[str]:
    """Warnings that every use of the resource brings."""
    if resource.storage == "endpoints":
        return ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"]
    if resource.crd is not None:
        version = next(v for v in resource.crd["spec"]["versions"] if v["name"] == resource.version)
        if version.get("deprecated"):
            default = f"{resource.api_version} {resource.kind} is deprecated"
            return [version.get("deprecationWarning") or default]
    return []
