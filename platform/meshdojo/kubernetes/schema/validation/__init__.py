"""What a valid object of a built-in kind is, with the real API server's words.

Source: the validation of Kubernetes 1.34, as seen in what a real server answers. One module per family of kinds; each
check yields the causes of a 422 in the order of the real validator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema.validation.metadata import check_metadata

Check = Callable[[Object, Object | None], Iterable[FieldError]]

_CHECKS: dict[tuple[str, str], Check] = {}


def validate_builtin(resource: Resource, obj: Object, old: Object | None) -> None:
    """Raises the 422 with every violation: of metadata first, then of the kind's own fields."""
    causes = check_metadata(resource, obj, old)
    check = _CHECKS.get((resource.group, resource.kind))
    if check is not None:
        causes += check(obj, old)
    if causes:
        raise errors.invalid_object(resource, obj.get("metadata", {}).get("name", ""), causes)
