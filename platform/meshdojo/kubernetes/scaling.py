"""The Scale of a resource: how many there are and shall be, in one shape for all that can be scaled.

Workloads have their numbers at known places; a CustomResourceDefinition says where its objects have theirs
(``subresources.scale``). Source: pkg/registry/apps/deployment/storage (scaleFromDeployment, scaleUpdatedObjectInfo) and
apiextensions-apiserver pkg/registry/customresource (scaleFromCustomResource).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.registry import Modifier
from meshdojo.kubernetes.resources import Resource

Path = tuple[str, ...]

_NOT_A_NUMBER = (
    'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal into Go struct field '
    "ScaleSpec.spec.replicas of type int32"
)
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


@dataclass(frozen=True)
class _Places:
    """Where an object has its numbers. `selector` is the place of a text, or () for a workload's LabelSelector."""

    wanted: Path = ("spec", "replicas")
    running: Path = ("status", "replicas")
    selector: Path = ()


def scale_of(resource: Resource, obj: Object) -> Object:
    """The autoscaling/v1 Scale of an object. Raises StatusError 500 when a custom resource has no number wanted."""
    wanted = _at(obj, _places(resource).wanted)
    if wanted is None and resource.crd is not None:
        raise errors.internal(f'the spec replicas field "{_text(_places(resource).wanted)}" does not exist')
    return _scale(resource, obj, 1 if wanted is None else wanted)


def scaled(resource: Resource, modify: Modifier) -> Modifier:
    """The change of the object that a change of its Scale means. Raises StatusError 400, 409, 422."""
    places = _places(resource)

    def change(current: Object) -> Object:
        unset = None if resource.crd is not None else 1
        before = _at(current, places.wanted)
        scale = modify(_scale(resource, current, unset if before is None else before))
        given = scale.get("metadata") or {}
        metadata = current["metadata"]
        if given.get("resourceVersion") not in (None, "", metadata["resourceVersion"]):
            raise errors.conflict(resource, metadata["name"])
        return _with(current, places.wanted, _number(scale, metadata["name"], places))

    return change


def _number(scale: Object, name: str, places: _Places) -> int:
    """The number that a Scale asks for. Raises StatusError 400, 422."""
    spec = scale.get("spec") or {}
    replicas = spec.get("replicas", 0) if isinstance(spec, dict) else ""
    if replicas is None:
        raise errors.bad_request(f'the spec replicas field "{_text(places.wanted)}" cannot be empty')
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise errors.bad_request(_NOT_A_NUMBER)
    if replicas < 0:
        problem = FieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid("autoscaling", "Scale", name, [problem])
    return replicas


def _scale(resource: Resource, obj: Object, wanted: int | None) -> Object:
    metadata, places = obj["metadata"], _places(resource)
    running = _at(obj, places.running)
    status: dict[str, Any] = {"replicas": 0 if running is None else running}
    selector = _selector(resource, obj, places)
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in _KEPT if field in metadata},
        "spec": {"replicas": wanted},
        "status": status,
    }


def _places(resource: Resource) -> _Places:
    if resource.crd is None:
        return _Places()
    version = next(v for v in resource.crd["spec"]["versions"] if v["name"] == resource.version)
    scale = version["subresources"]["scale"]
    return _Places(
        _path(scale["specReplicasPath"]), _path(scale["statusReplicasPath"]), _path(scale.get("labelSelectorPath", ""))
    )


def _path(text: str) -> Path:
    """``.spec.replicas`` as (spec, replicas)."""
    return tuple(part for part in text.split(".") if part)


def _text(path: Path) -> str:
    return "".join(f".{part}" for part in path)


def _at(obj: Any, path: Path) -> Any:
    """What an object has at a path; None for nothing."""
    for part in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(part)
    return obj


def _with(obj: Object, path: Path, value: int) -> Object:
    """The object with `value` at a path; its objects on the way are made where they are missing."""
    first, *rest = path
    below = obj.get(first)
    return {**obj, first: _with(below if isinstance(below, dict) else {}, tuple(rest), value) if rest else value}


def _selector(resource: Resource, obj: Object, places: _Places) -> str:
    if resource.crd is not None:
        found = _at(obj, places.selector) if places.selector else ""
        return found if isinstance(found, str) else ""
    selector = _at(obj, ("spec", "selector")) or {}
    # The selector of a replication controller is a map of labels.
    return _selector_text(selector if resource.group else {"matchLabels": selector})


def _selector_text(selector: Object) -> str:
    """A LabelSelector as a string; keys sorted as the real one prints them."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        values = ",".join(sorted(expression.get("values") or []))
        match expression["operator"]:
            case "In":
                terms.append(f"{expression['key']} in ({values})")
            case "NotIn":
                terms.append(f"{expression['key']} notin ({values})")
            case "Exists":
                terms.append(expression["key"])
            case _:
                terms.append(f"!{expression['key']}")
    return ",".join(sorted(terms))
