"""From a PATCH request to the change it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshdojo.cluster.client import Object, PatchType
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.patches.merge import merge
from meshdojo.kubernetes.resources import Resource


def patcher(resource: Resource, type: PatchType, patch: Any) -> Callable[[Object], Object]:
    """What this patch makes of an object of this resource. Raises StatusError 400, 415, 422."""
    if type == "merge":
        if not isinstance(patch, dict):
            raise errors.bad_request("json: cannot unmarshal the patch: it must be an object")
        return lambda current: dict(merge(current, patch))
    raise NotImplementedError(type)
