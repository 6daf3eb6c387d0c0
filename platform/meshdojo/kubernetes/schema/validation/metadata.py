"""Checks of metadata, the same for every kind.

Source: k8s.io/apimachinery/pkg/api/validation (ValidateObjectMeta, ValidateObjectMetaUpdate).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema.validation import names

_ANNOTATIONS_LIMIT = 256 * 1024
_RBAC = "rbac.authorization.k8s.io"
_NAME_CHECKS: dict[tuple[str, str], Callable[[str], list[str]]] = {
    ("", "Namespace"): names.namespace_name,
    ("", "Service"): names.dns_1035_label,
    **{(_RBAC, kind): names.path_segment for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")},
}
_FINALIZER_MESSAGE = "name is neither a standard finalizer name nor is it fully qualified"
# Their validation is apimachinery's own, which knows no standard finalizers (a CRD has one without a slash).
_ANY_FINALIZER = frozenset(["apiextensions.k8s.io", "coordination.k8s.io"])
_IMMUTABLE = "field is immutable"


def check_metadata(resource: Resource, obj: Object, old: Object | None) -> list[FieldError]:
    """Violations in ``metadata``, in the real order."""
    metadata = obj.get("metadata") or {}
    causes = [*_check_name(resource, metadata), *_check_namespace(resource, metadata)]
    causes += check_labels(metadata.get("labels") or {}, "metadata.labels")
    causes += _check_annotations(metadata.get("annotations") or {}, "metadata.annotations")
    causes += _check_finalizers(resource, metadata)
    if old is not None:
        causes += _check_update(metadata, old["metadata"])
    return causes


def check_labels(labels: Object, path: str) -> Iterator[FieldError]:
    """Keys and values of labels."""
    for key, value in sorted(labels.items()):
        for message in names.qualified_name(key):
            yield FieldError.invalid(path, key, message)
        for message in names.label_value(value):
            yield FieldError.invalid(path, value, message)


def check_annotations(annotations: Object, path: str) -> Iterator[FieldError]:
    """Keys and the total size of annotations."""
    yield from _check_annotations(annotations, path)


def check_immutable(path: str, new: object, old: object) -> Iterator[FieldError]:
    """``field is immutable`` when the value changed."""
    if new != old:
        yield FieldError.invalid(path, new, _IMMUTABLE)


def _check_name(resource: Resource, metadata: Object) -> Iterator[FieldError]:
    name = metadata.get("name", "")
    check = _NAME_CHECKS.get((resource.group, resource.kind), names.dns_subdomain)
    prefix = metadata.get("generateName")
    if prefix:
        # A prefix may end in a dash, because something is added to it.
        for message in check(prefix.removesuffix("-") or "a"):
            yield FieldError.invalid("metadata.generateName", prefix, message)
    if not name:
        yield FieldError.required("metadata.name", "name or generateName is required")
        return
    for message in check(name):
        yield FieldError.invalid("metadata.name", name, message)


def _check_namespace(resource: Resource, metadata: Object) -> Iterator[FieldError]:
    namespace = metadata.get("namespace", "")
    if resource.namespaced:
        for message in names.dns_label(namespace) if namespace else ():
            yield FieldError.invalid("metadata.namespace", namespace, message)
    elif namespace:
        yield FieldError.forbidden("metadata.namespace", "not allowed on this type")


def _check_annotations(annotations: Object, path: str) -> Iterator[FieldError]:
    size = 0
    for key, value in sorted(annotations.items()):
        for message in names.qualified_name(key.lower()):
            yield FieldError.invalid(path, key, message)
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS_LIMIT:
        yield FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes")


def _check_finalizers(resource: Resource, metadata: Object) -> Iterator[FieldError]:
    standard = ("orphan", "foregroundDeletion", "kubernetes")
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        path = f"metadata.finalizers[{index}]"
        wrong = names.qualified_name(finalizer)
        for message in wrong:
            yield FieldError.invalid("metadata.finalizers", finalizer, message)
        if resource.group in _ANY_FINALIZER or "/" in finalizer or finalizer in standard:
            continue
        if not wrong:
            yield FieldError.invalid(path, finalizer, _FINALIZER_MESSAGE)


def _check_update(metadata: Object, old: Object) -> Iterator[FieldError]:
    if old.get("deletionTimestamp"):
        added = sorted(set(metadata.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if added:
            words = f"no new finalizers can be added if the object is being deleted, found new finalizers {_go(added)}"
            yield FieldError.forbidden("metadata.finalizers", words)
    for name in ("name", "namespace", "uid"):
        if old.get(name):
            yield from check_immutable(f"metadata.{name}", metadata.get(name, ""), old[name])


def _go(texts: list[str]) -> str:
    """A slice of strings in Go syntax."""
    quoted = ", ".join(f'"{text}"' for text in texts)
    return f"[]string{{{quoted}}}"
