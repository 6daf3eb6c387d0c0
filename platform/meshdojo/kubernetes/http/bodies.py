"""Request bodies: JSON, YAML, or the protobuf that kubectl sends for some kinds."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.http.negotiation import JSON, PROTOBUF, READABLE, YAML, read_json, read_yaml

_UNRECOGNIZED = "the object provided is unrecognized (must be of type {})"


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


def _describe(value: Any) -> str:
    return {list: "a list", str: "a string", bool: "a boolean"}.get(
        type(value), "null" if value is None else "a number"
    )
