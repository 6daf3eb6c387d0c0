"""The OpenAPI documents: v3, one per group version, and a stub of v2.

kubectl needs them for ``apply``, ``create -f``, ``explain`` and ``--validate``. It looks at the schemas (with
``x-kubernetes-group-version-kind``), at the PATCH operations (the same extension, the ``fieldValidation`` parameter and
the patch types in ``requestBody.content``) and, for ``explain``, at the collection paths.
Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Catalogue, Resource, group_version
from meshdojo.kubernetes.schema import facts
from meshdojo.kubernetes.schema.structural import schema_of
from meshdojo.kubernetes.schema.types import Field, Shape, Struct, of_resource, struct

V2_CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

# openapi.v2.Document{swagger: "2.0", info: {title: "Kubernetes", version: "v1"}, paths: {}}
V2_STUB = b"\n\x032.0" + b"\x12\x10" + b"\n\nKubernetes" + b"\x12\x02v1" + b"B\x00"

_PREFIX = "#/components/schemas/"
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_STRATEGIC = "application/strategic-merge-patch+json"
_SCALARS: dict[str, Object] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "any": {"type": "object"},
}
# Scalars with a name of their own, which kubectl explain shows.
_NAMED: dict[str, tuple[str, Object]] = {
    "quantity": (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {
            "description": "An amount: digits, perhaps with a decimal point, and a suffix such as m, k, Mi or e3.",
            "oneOf": [{"type": "string"}, {"type": "number"}],
        },
    ),
    "intorstring": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {
            "description": "A whole number or a text: the number of a port or its name, a count or a percentage.",
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        },
    ),
}
# Query parameters and their types. Source: meta/v1 CreateOptions, DeleteOptions, ListOptions.
_WRITE = {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
_DELETE = {"dryRun": "string", "gracePeriodSeconds": "integer", "propagationPolicy": "string"}
_SELECT = {"fieldSelector": "string", "labelSelector": "string"}
_PAGE = {
    **dict.fromkeys(("continue", "resourceVersion", "resourceVersionMatch"), "string"),
    **dict.fromkeys(("allowWatchBookmarks", "sendInitialEvents", "watch"), "boolean"),
    **dict.fromkeys(("limit", "timeoutSeconds"), "integer"),
}
# What kubectl explain writes above the fields that every custom resource has.
_API_VERSION = "APIVersion defines the versioned schema of this representation of an object."
_KIND = "Kind is a string value representing the REST resource this object represents."


class Documents:
    """The documents of one catalogue, made when asked for and kept until the catalogue changes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._generation = -1
        self._documents: dict[str, bytes] = {}

    def index(self) -> bytes:
        """The answer to /openapi/v3: where each group version's document is."""
        paths = {}
        for group, versions in self._catalogue.groups().items():
            for version in versions:
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                etag = self._etag(group, version)
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={etag}"}
        return orjson.dumps({"paths": paths})

    def group_version(self, group: str, version: str) -> bytes | None:
        """The answer to /openapi/v3/apis/GROUP/VERSION (group '' is /openapi/v3/api/VERSION); None if not served."""
        if self._generation != self._catalogue.generation:
            self._documents.clear()
            self._generation = self._catalogue.generation
        key = group_version(group, version)
        if key not in self._documents:
            resources = self._catalogue.in_group(group, version)
            if not resources:
                return None
            self._documents[key] = orjson.dumps(document(resources))
        return self._documents[key]

    def _etag(self, group: str, version: str) -> str:
        """A hash that changes with what the document says, without making the document."""
        digest = hashlib.sha256()
        for resource in self._catalogue.in_group(group, version):
            revision = "" if resource.crd is None else resource.crd["metadata"].get("resourceVersion", "")
            digest.update(f"{resource.name}/{resource.version}/{revision};".encode())
        return digest.hexdigest().upper()


def document(resources: list[Resource]) -> Object:
    """The OpenAPI v3 document of the resources of one group version."""
    schemas: dict[str, Object] = {}
    paths: dict[str, Object] = {}
    for resource in resources:
        name = _add_schemas(resource, schemas)
        paths |= _paths(resource, name)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


# --- schemas ---------------------------------------------------------------------------------------------------------


def _add_schemas(resource: Resource, schemas: dict[str, Object]) -> str:
    """Adds the schema of the kind, of its list, and all they refer to. Returns the kind's component name."""
    if resource.crd is None:
        owner = of_resource(resource)
        assert owner is not None, f"the catalogue has {resource.name}, the installed kubernetes client has not"
        name = _add_struct(owner.model, schemas)
        schemas[name]["description"] = owner.description
    else:
        name = f"{resource.group}.{resource.version}.{resource.kind}"
        schemas[name] = _custom(resource, _add_struct("V1ObjectMeta", schemas))
    schemas[name]["x-kubernetes-group-version-kind"] = [_kind(resource, resource.kind)]
    schemas[f"{name}List"] = _list(resource, name)
    _add_struct("V1Status", schemas)
    return name


def _kind(resource: Resource, kind: str) -> Object:
    return {"group": resource.group, "kind": kind, "version": resource.version}


def _list(resource: Resource, name: str) -> Object:
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": _API_VERSION},
            "items": {"type": "array", "items": {"$ref": _PREFIX + name}},
            "kind": {"type": "string", "description": _KIND},
            "metadata": {"type": "object"},
        },
        "x-kubernetes-group-version-kind": [_kind(resource, resource.list_kind)],
    }


def _component(owner: Struct) -> str:
    """A unique name; kubectl explain shows what follows the last dot."""
    return f"io.k8s.api.{owner.model.removesuffix(owner.name).lower()}.{owner.name}"


def _add_struct(model: str, schemas: dict[str, Object]) -> str:
    """Adds the struct and all it refers to. Returns its component's name.

    What it is for stands where it is referred to: kubectl explain shows what it finds there and in the component, one
    below the other, and in a list of fields only the former.
    """
    owner = struct(model)
    name = _component(owner)
    if name not in schemas:
        schemas[name] = {"type": "object"}
        _fill_struct(owner, schemas[name], schemas)
    return name


def _fill_struct(owner: Struct, schema: Object, schemas: dict[str, Object]) -> None:
    schema["properties"] = {name: _field(owner.name, field, schemas) for name, field in owner.fields.items()}
    required = sorted(name for name, field in owner.fields.items() if field.required and not _optional(owner, name))
    if required:
        schema["required"] = required


def _optional(owner: Struct, field: str) -> bool:
    """The client's models ask for the spec of a Deployment and its like, the real document does not."""
    return field == "spec" and owner.name in ("DaemonSet", "Deployment", "StatefulSet")


def _field(owner: str, field: Field, schemas: dict[str, Object]) -> Object:
    schema = dict(_shape(field.shape, schemas))
    if "$ref" in schema:
        # A reference may have no siblings in OpenAPI 3.0: kubectl explain reads the description beside allOf.
        schema = {"allOf": [schema]}
    description = field.description or _struct_description(field)
    if description:
        schema["description"] = description
    if values := facts.ENUMS.get((owner, field.name)):
        schema["enum"] = list(values)
    key = facts.MERGE_KEYS.get((owner, field.name))
    retains = (owner, field.name) in facts.RETAIN_KEYS
    if key is not None or retains:
        merges = ["merge"] if key is not None else []
        schema["x-kubernetes-patch-strategy"] = ",".join([*merges, *(["retainKeys"] if retains else [])])
    if key:
        schema["x-kubernetes-patch-merge-key"] = key
    return schema


def _struct_description(field: Field) -> str:
    """The client's models leave out the description of a field that refers to a struct: the struct's own serves."""
    return struct(field.shape.model).description if field.shape.base == "struct" else ""


def _shape(shape: Shape, schemas: dict[str, Object]) -> Object:
    if shape.base == "list":
        assert shape.item is not None
        return {"type": "array", "items": _element(shape.item, schemas)}
    if shape.base == "map":
        assert shape.item is not None
        return {"type": "object", "additionalProperties": _element(shape.item, schemas)}
    if shape.base == "struct":
        return {"$ref": _PREFIX + _add_struct(shape.model, schemas)}
    if shape.base in _NAMED:
        name, schema = _NAMED[shape.base]
        schemas[name] = schema
        return {"$ref": _PREFIX + name}
    return _SCALARS[shape.base]


def _element(shape: Shape, schemas: dict[str, Object]) -> Object:
    element = _shape(shape, schemas)
    if shape.base != "struct":
        return {"allOf": [element]} if "$ref" in element else element
    return {"allOf": [element], "description": struct(shape.model).description}


def _custom(resource: Resource, metadata: str) -> Object:
    schema: Object = dict(schema_of(resource))
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
        **(schema.get("properties") or {}),
        "metadata": {"allOf": [{"$ref": _PREFIX + metadata}], "description": "Standard object's metadata."},
    }
    return schema


# --- paths -----------------------------------------------------------------------------------------------------------


def _paths(resource: Resource, name: str) -> dict[str, Object]:
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    collection = (
        f"{base}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{base}/{resource.plural}"
    )
    paths = {collection: _collection(resource, name)}
    if "get" in resource.verbs:
        paths[f"{collection}/{{name}}"] = _single(resource, name)
        if "status" in resource.subresources:
            status = _single(resource, name)
            paths[f"{collection}/{{name}}/status"] = {verb: status[verb] for verb in ("get", "put", "patch")}
    if resource.namespaced and "list" in resource.verbs:
        paths[f"{base}/{resource.plural}"] = {"get": _list_operation(resource, name)}
    return {path: _with_parameters(path, operations) for path, operations in paths.items()}


def _with_parameters(path: str, operations: Object) -> Object:
    """With what stands in braces in the path declared, beside the operations, as in the real document."""
    names = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    if not names:
        return operations
    schema = {"type": "string", "uniqueItems": True}
    return {**operations, "parameters": [{"name": n, "in": "path", "required": True, "schema": schema} for n in names]}


def _collection(resource: Resource, name: str) -> Object:
    operations = {}
    if "list" in resource.verbs:
        operations["get"] = _list_operation(resource, name)
    if "create" in resource.verbs:
        operations["post"] = _write(resource, "post", name)
    if "deletecollection" in resource.verbs:
        deleted = _operation(resource, "deletecollection", f"{name}List")
        operations["delete"] = deleted | {"parameters": _query(_DELETE | _SELECT)}
    return operations


def _list_operation(resource: Resource, name: str) -> Object:
    return _operation(resource, "list", f"{name}List") | {"parameters": _query(_SELECT | _PAGE)}


def _single(resource: Resource, name: str) -> Object:
    return {
        "get": _operation(resource, "get", name),
        "put": _write(resource, "put", name),
        "patch": _patch(resource, name),
        "delete": _operation(resource, "delete", _deleted(resource, name)) | {"parameters": _query(_DELETE)},
    }


def _deleted(resource: Resource, name: str) -> str:
    """What a DELETE answers when nothing keeps the object any longer: see `deletion.py`."""
    return name if resource.name == "pods" else _component(struct("V1Status"))


def _operation(resource: Resource, action: str, answer: str) -> Object:
    return {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource, resource.kind),
        "responses": {"200": {"description": "OK", "content": _content("application/json", answer)}},
    }


def _write(resource: Resource, action: str, name: str) -> Object:
    operation = _operation(resource, action, name)
    return operation | {"parameters": _query(_WRITE), "requestBody": {"content": _content("*/*", name)}}


def _patch(resource: Resource, name: str) -> Object:
    types = _PATCHES if resource.crd is not None else (*_PATCHES, _STRATEGIC)
    content: dict[str, Any] = {content_type: {"schema": {"type": "object"}} for content_type in types}
    operation = _operation(resource, "patch", name)
    return operation | {"parameters": _query(_WRITE | {"force": "boolean"}), "requestBody": {"content": content}}


def _query(parameters: Mapping[str, str]) -> list[Object]:
    return [
        {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}
        for name, kind in sorted(parameters.items())
    ]


def _content(content_type: str, name: str) -> Object:
    return {content_type: {"schema": {"$ref": _PREFIX + name}}}
