"""Failures with the real API server's words.

Sources: k8s.io/apimachinery/pkg/api/errors, k8s.io/apimachinery/pkg/util/validation/field, and what Kubernetes 1.34
answered. Every constructor returns a `StatusError` to raise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshdojo.cluster.errors import StatusError as StatusError
from meshdojo.kubernetes.resources import Resource

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
BAD_REQUEST = 400
GONE = 410
NOT_FOUND = 404
RETRY_AFTER = "retryAfterSeconds"


@dataclass(frozen=True)
class FieldError:
    """One cause of a 422.

    `field` is the path (``spec.ports[0].port``), `reason` the CauseType (``FieldValueInvalid``,
    ``FieldValueRequired``, ...), `body` the words after the path (``Invalid value: "x": must be ...``).
    """

    field: str
    reason: str
    body: str

    def __str__(self) -> str:
        return f"{self.field}: {self.body}" if self.field else self.body

    def cause(self) -> dict[str, str]:
        """The StatusCause."""
        return {"reason": self.reason, "message": self.body, "field": self.field}

    @classmethod
    def required(cls, field: str, detail: str = "") -> FieldError:
        """``spec.x: Required value: detail``."""
        return cls(field, "FieldValueRequired", f"Required value{_suffix(detail)}")

    @classmethod
    def invalid(cls, field: str, value: Any, detail: str = "") -> FieldError:
        """``spec.x: Invalid value: "value": detail``."""
        return cls(field, "FieldValueInvalid", f"Invalid value: {go_value(value)}{_suffix(detail)}")

    @classmethod
    def unsupported(cls, field: str, value: Any, allowed: Sequence[str]) -> FieldError:
        """``spec.x: Unsupported value: "value": supported values: "a", "b"``."""
        values = ", ".join(f'"{choice}"' for choice in allowed)
        words = f"Unsupported value: {go_value(value)}: supported values: {values}"
        return cls(field, "FieldValueNotSupported", words)

    @classmethod
    def duplicate(cls, field: str, value: Any) -> FieldError:
        """``spec.x: Duplicate value: "value"``."""
        return cls(field, "FieldValueDuplicate", f"Duplicate value: {go_value(value)}")

    @classmethod
    def not_found(cls, field: str, value: Any) -> FieldError:
        """``spec.x: Not found: "value"``."""
        return cls(field, "FieldValueNotFound", f"Not found: {go_value(value)}")

    @classmethod
    def forbidden(cls, field: str, detail: str = "") -> FieldError:
        """``spec.x: Forbidden: detail``."""
        return cls(field, "FieldValueForbidden", f"Forbidden{_suffix(detail)}")


def _suffix(detail: str) -> str:
    return f": {detail}" if detail else ""


def go_value(value: Any) -> str:
    """A bad value as field.Error prints it: strings quoted, numbers and booleans bare, the rest as JSON."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None:
        return "null"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def _details(resource: Resource | None, name: str = "", **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if resource is not None and resource.group:
        details["group"] = resource.group
    if resource is not None:
        details["kind"] = resource.plural
    return details | more


def not_found(resource: Resource, name: str) -> StatusError:
    """``pods "web" not found``."""
    return StatusError(404, "NotFound", f'{resource.name} "{name}" not found', _details(resource, name))


def unknown_resource() -> StatusError:
    """A path that names no resource of a known group."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def deletion_precondition(resource: Resource, name: str, words: str) -> StatusError:
    """409 for a DELETE that wanted another uid or resourceVersion; it names the kind, not the resource."""
    message = f'Operation cannot be fulfilled on {resource.kind} "{name}": {words}'
    return StatusError(409, "Conflict", message, {"name": name, "kind": resource.kind})


def already_exists(resource: Resource, name: str) -> StatusError:
    """``pods "web" already exists``."""
    return StatusError(409, "AlreadyExists", f'{resource.name} "{name}" already exists', _details(resource, name))


def conflict(resource: Resource, name: str, words: str = MODIFIED) -> StatusError:
    """``Operation cannot be fulfilled on pods "web": the object has been modified; ...``."""
    message = f'Operation cannot be fulfilled on {resource.name} "{name}": {words}'
    return StatusError(409, "Conflict", message, _details(resource, name))


def invalid(group: str, kind: str, name: str, causes: Sequence[FieldError]) -> StatusError:
    """422: ``Deployment.apps "web" is invalid: spec.x: Required value``, several causes in brackets."""
    unique = list(dict.fromkeys(str(cause) for cause in causes))
    words = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details["causes"] = [cause.cause() for cause in causes]
    qualified = f"{kind}.{group}" if group else kind
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {words}', details)


def invalid_object(resource: Resource, name: str, causes: Sequence[FieldError]) -> StatusError:
    """`invalid` for an object of `resource`."""
    return invalid(resource.group, resource.kind, name, causes)


def bad_request(message: str) -> StatusError:
    """400 BadRequest with these words."""
    return StatusError(400, "BadRequest", message)


def unprocessable() -> StatusError:
    """A JSON patch that cannot be applied."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def unauthorized() -> StatusError:
    """401."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, words: str, causes: list[dict[str, str]] | None = None) -> StatusError:
    """``pods "web" is forbidden: words`` (without a name: ``pods is forbidden: words``)."""
    details = {"causes": causes} if causes else {}
    return forbidden_resource(resource.group, resource.plural, name, words, **details)


def forbidden_resource(group: str, plural: str, name: str, words: str, **details: Any) -> StatusError:
    """`forbidden` for what need not be served."""
    qualified = f"{plural}.{group}" if group else plural
    subject = f'{qualified} "{name}"' if name else qualified
    named = {"name": name} if name else {}
    grouped = {"group": group} if group else {}
    return StatusError(
        403, "Forbidden", f"{subject} is forbidden: {words}", {**named, **grouped, "kind": plural, **details}
    )


def namespace_terminating(resource: Resource, name: str, namespace: str) -> StatusError:
    """A create in a namespace that is on its way out."""
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    words = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(resource, name, words, [cause])


def method_not_allowed() -> StatusError:
    """405."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def too_old(requested: str, oldest: str) -> StatusError:
    """410 for a watch from a resourceVersion that the history no longer holds."""
    return StatusError(410, "Expired", f"too old resource version: {requested} ({oldest})")


def list_expired() -> StatusError:
    """410 for an exact resourceVersion that is gone."""
    return StatusError(410, "Expired", "The resourceVersion for the provided list is too old.")


def continue_expired() -> StatusError:
    """410 for a continue token whose snapshot is gone."""
    return StatusError(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter.",
    )


def too_large(requested: int, current: int) -> StatusError:
    """504 for a resourceVersion that does not exist yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Too large resource version: {requested}, current: {current}"
    return StatusError(504, "Timeout", message, {"causes": [cause], RETRY_AFTER: 1})


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415 for a body in a format that this request does not take."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return StatusError(415, "UnsupportedMediaType", message)


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406 for an Accept header that names nothing we can write."""
    message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(accepted)}"
    return StatusError(406, "NotAcceptable", message, {})


def too_large_body(limit: int) -> StatusError:
    """413 for a body above `limit` bytes."""
    message = f"Request entity too large: limit is {limit}"
    return StatusError(413, "RequestEntityTooLarge", message)


def internal(message: str) -> StatusError:
    """500: ``Internal error occurred: message``."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def not_stored(path: str, why: str) -> StatusError:
    """507: the change could not be written to the journal at `path`, so it did not happen."""
    message = f"the change was not stored: writing {path} failed: {why}; free space there and try again"
    return StatusError(507, "InternalError", message, {RETRY_AFTER: 1})


def disrupted(words: str, *, seconds: int = 0) -> StatusError:
    """429 for an eviction that a disruption budget does not allow now."""
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": words}]}
    if seconds:
        details[RETRY_AFTER] = seconds
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return StatusError(429, "TooManyRequests", message, details)


def service_unavailable(message: str) -> StatusError:
    """503 with these words."""
    return StatusError(503, "ServiceUnavailable", message)


def field_manager_conflict(conflicts: Sequence[tuple[str, str]]) -> StatusError:
    """409 of a server-side apply. `conflicts`: (words about the manager, field), e.g. ('"other"', ".spec.replicas")."""
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": field}
        for manager, field in conflicts
    ]
    noun = "conflict" if len(conflicts) == 1 else "conflicts"
    managers = {manager for manager, _ in conflicts}
    if len(conflicts) == 1:
        words = f"conflict with {conflicts[0][0]}: {conflicts[0][1]}"
    else:
        words = "\n".join(_conflicts_with(manager, conflicts) for manager in sorted(managers))
    message = f"Apply failed with {len(conflicts)} {noun}: {words}"
    return StatusError(409, "Conflict", message, {"causes": causes})


def _conflicts_with(manager: str, conflicts: Sequence[tuple[str, str]]) -> str:
    fields = [f"- {field}" for other, field in conflicts if other == manager]
    return "\n".join([f"conflicts with {manager}:", *fields])
