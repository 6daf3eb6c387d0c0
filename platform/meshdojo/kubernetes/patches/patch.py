"""From a PATCH request to the change it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from meshdojo.cluster.client import Object, PatchType
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.patches.merge import merge
from meshdojo.kubernetes.patches.operations import apply_operations
from meshdojo.kubernetes.patches.strategic import consumed, conversion_error, go_map, strategic_merge
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import Undecodable

JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
CONTENT_TYPES: dict[str, PatchType] = {JSON: "json", MERGE: "merge", STRATEGIC: "strategic", APPLY: "apply"}


def patcher(resource: Resource, type: PatchType, patch: Any) -> Callable[[Object], Object]:
    """What this patch makes of an object of this resource. Raises StatusError 400, 415, 422."""
    if type == "json":
        return lambda current: apply_operations(current, patch)
    if not isinstance(patch, dict):
        words = f"json: cannot unmarshal {_go_type(patch)} into Go value of type map[string]interface {{}}"
        raise errors.bad_request(f"error decoding patch: {words}")
    if type == "merge":
        return lambda current: dict(merge(current, patch))
    if resource.crd is not None:
        raise errors.unsupported_media_type([JSON, MERGE, APPLY])
    return lambda current: strategic_merge(resource, current, patch)


class Patching:
    """Applies a patch, and says in the real server's words why what came out is no object of its kind."""

    def __init__(self, resource: Resource, type: PatchType, patch: Any) -> None:
        self._apply = patcher(resource, type, patch)
        self._type = type
        self._patch = patch
        self._patched: Object = {}

    def __call__(self, current: Object) -> Object:
        self._patched = self._apply(current)
        return self._patched

    def refusal(self, error: Undecodable) -> errors.StatusError:
        """422 about the patch, without kind and name. Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go."""
        if self._type == "strategic":
            problem = FieldError.invalid("patch", go_map(consumed(self._patch)), conversion_error(error.words))
        else:
            patched = orjson.dumps(self._patched, option=orjson.OPT_SORT_KEYS).decode()
            problem = FieldError.invalid("patch", patched, error.words)
        return errors.invalid("", "", "", [problem])


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "array"
        case None:
            return "null"
        case _:
            return "number"
