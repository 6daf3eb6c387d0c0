"""Reads the protobuf bodies that kubectl (from 1.32) sends for the objects it makes itself.

The answer may be JSON, the request must be understood: kubectl does not fall back after a 415. A body is ``k8s\\0`` and
a ``runtime.Unknown``: the type, and the object's bytes.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

import base64
import struct as binary
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.protobuf.numbers import numbers
from meshdojo.kubernetes.protobuf.wire import WireError, fields, signed
from meshdojo.kubernetes.resources import split_api_version
from meshdojo.kubernetes.schema.decoding import DecodeError, decode_struct
from meshdojo.kubernetes.schema.types import Shape, Struct, of_kind, struct

_MAGIC = b"k8s\x00"
_OTHERS = {("policy/v1", "Eviction"): "V1Eviction", ("autoscaling/v1", "Scale"): "V1Scale"}
_SKIPPED = object()


def decode(body: bytes) -> Object:
    """The object in `body`, with kind and apiVersion. Raises StatusError 400 for what cannot be read."""
    if not body.startswith(_MAGIC):
        raise errors.bad_request("the body is no Kubernetes protobuf: it does not start with the four bytes 'k8s\\0'")
    try:
        return _decode_unknown(body[len(_MAGIC) :])
    except (WireError, DecodeError, binary.error, UnicodeDecodeError, orjson.JSONDecodeError) as error:
        raise errors.bad_request(f"the protobuf body cannot be read: {error}") from None


def _decode_unknown(envelope: bytes) -> Object:
    parts = dict(fields(envelope))
    type_meta = {number: _text(value) for number, value in fields(_bytes(parts.get(1, b"")))}
    api_version, kind = type_meta.get(1, ""), type_meta.get(2, "")
    owner = _owner(api_version, kind)
    obj = {"kind": kind, "apiVersion": api_version, **_struct(owner, _bytes(parts.get(2, b"")))}
    # Go writes every field that is no pointer, also when it is zero.
    return decode_struct(owner, obj)[0]


def _owner(api_version: str, kind: str) -> Struct:
    group, version = split_api_version(api_version)
    model = _OTHERS.get((api_version, kind))
    owner = struct(model) if model else (of_kind(group, version, kind) if version else None)
    if owner is None or _known(owner) is None:
        raise errors.bad_request(
            f"{kind or 'an object without kind'} in {api_version or 'no version'} is not read from protobuf; "
            "send it as application/json"
        )
    return owner


def _known(owner: Struct) -> dict[int, str] | None:
    """The fields of a struct: by the client's name where versions differ."""
    return numbers(owner.model) or numbers(owner.name)


def _struct(owner: Struct, message: bytes) -> Object:
    known = _known(owner)
    if known is None:
        # The real status of an object is the server's business: what a client sends is zero values.
        if owner.name.endswith("Status") or not message:
            return {}
        raise WireError(f"{owner.name} is not read from protobuf; send the object as application/json")
    result: Object = {}
    _fill(owner, known, message, result)
    return result


def _fill(owner: Struct, known: dict[int, str], message: bytes, result: Object) -> None:
    for number, value in fields(message):
        name = known.get(number)
        if name is None:
            if value not in (0, b""):
                raise WireError(f"field {number} of {owner.name} is unknown; send the object as application/json")
        elif name.startswith("^"):
            inline = numbers(name[1:]) or {}
            _fill(owner, inline, _bytes(value), result)
        else:
            _add(owner.fields[name].shape, name, value, result)


def _add(shape: Shape, name: str, value: int | bytes, result: Object) -> None:
    if shape.base == "list":
        assert shape.item is not None
        result.setdefault(name, []).append(_value(shape.item, value))
    elif shape.base == "map":
        assert shape.item is not None
        entry = dict(fields(_bytes(value)))
        result.setdefault(name, {})[_text(entry.get(1, b""))] = _map_value(shape.item, entry.get(2, b""))
    else:
        decoded = _value(shape, value)
        if decoded is not _SKIPPED:
            result[name] = decoded


def _map_value(shape: Shape, value: int | bytes) -> Any:
    if shape.base == "list":
        assert shape.item is not None
        # A map of lists is a map of messages whose field 1 is repeated.
        return [_value(shape.item, item) for _, item in fields(_bytes(value))]
    return _value(shape, value)


def _value(shape: Shape, value: int | bytes) -> Any:
    base = shape.base
    if base == "struct":
        return _struct(struct(shape.model), _bytes(value))
    if base in ("int32", "int64"):
        return signed(_integer(value))
    if base == "bool":
        return bool(_integer(value))
    if base == "float64":
        return binary.unpack("<d", _bytes(value))[0]
    if base == "string":
        return _text(value)
    if base == "bytes":
        return base64.b64encode(_bytes(value)).decode()
    return _WRAPPED[base](dict(fields(_bytes(value))))


def _time(parts: dict[int, int | bytes]) -> Any:
    """Seconds and nanoseconds since 1970; an empty message is no time."""
    if not parts:
        return _SKIPPED
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=signed(_integer(parts.get(1, 0))))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(parts: dict[int, int | bytes]) -> Any:
    if not parts:
        return _SKIPPED
    return f"{_time(parts)[:-1]}.{_integer(parts.get(2, 0)) // 1000:06d}Z"


def _int_or_string(parts: dict[int, int | bytes]) -> int | str:
    return _text(parts.get(3, b"")) if parts.get(1) else signed(_integer(parts.get(2, 0)))


def _quantity(parts: dict[int, int | bytes]) -> str:
    return _text(parts.get(1, b"")) or "0"


def _raw(parts: dict[int, int | bytes]) -> Any:
    return orjson.loads(_bytes(parts.get(1, b"null")))


_WRAPPED = {
    "time": _time,
    "microtime": _micro_time,
    "intorstring": _int_or_string,
    "quantity": _quantity,
    "any": _raw,
}


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise WireError("a number where bytes belong")
    return value


def _integer(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise WireError("bytes where a number belongs")
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()
