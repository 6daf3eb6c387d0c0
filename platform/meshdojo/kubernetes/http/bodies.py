"""Request bodies: JSON, YAML, or the protobuf that kubectl sends for some kinds."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.http.negotiation import JSON, PROTOBUF, READABLE, YAML, read_json, read_yaml

_UNRECOGNIZED = "the object provided is unrecognized (must be of type {})"
# Characters of a body that a refusal quotes at its end.
_SUMMARY = 30


def read_body(body: bytes, content_type: str, kind: str) -> Object:
    """The object in a body. Raises StatusError 400, 415."""
    media_type = content_type.partition(";")[0].strip().lower() or JSON
    value: Any
    if media_type == PROTOBUF:
        # Only kubectl sends it, for few commands.
        from meshdojo.kubernetes import protobuf

        value = protobuf.decode(body)
    elif media_type == JSON:
        value = read_json(body, f"{_UNRECOGNIZED.format(kind)}: couldn't get version/kind; json parse error: ")
    elif media_type == YAML:
        value = read_yaml(body)
    else:
        raise errors.unsupported_media_type(READABLE)
    if not isinstance(value, dict):
        raise errors.bad_request(f"{_UNRECOGNIZED.format(kind)}: it is no object but {_describe(value)}")
    return value


def require_kind(obj: Object, body: bytes, kind: str) -> None:
    """The body of a custom resource must name its kind; of a built-in one the path says it. Raises StatusError 400.

    Source: UnstructuredJSONScheme and NewMissingKindErrWithBody of k8s.io/apimachinery/pkg/runtime.
    """
    if not obj.get("kind"):
        why = f"Object 'Kind' is missing in '{body.decode(errors='replace')}' ({_summary(body)})"
        raise errors.bad_request(f"{_UNRECOGNIZED.format(kind)}: {why}")


def _summary(body: bytes) -> str:
    text = body.decode(errors="replace") if body.startswith(b"{") else body.hex()
    return f"{text[:_SUMMARY]} ..." if len(text) > _SUMMARY else text


def _describe(value: Any) -> str:
    return {list: "a list", str: "a string", bool: "a boolean"}.get(
        type(value), "null" if value is None else "a number"
    )
