"""Decodes objects of built-in kinds as the real server's Go structs do: types, unknown fields, zero values.

Source: sigs.k8s.io/json (a strict encoding/json) and what Kubernetes 1.34 answers. The first wrong type is what the
error names; a value with a decoder of its own (quantity, time, int-or-string) ends the decoding at once.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.schema.jsonschema import BOOL_OR_SCHEMA, wrong_types, zeroed
from meshdojo.kubernetes.schema.types import Field, Shape, Struct, struct

_QUANTITY_MESSAGE = f"quantities must match the regular expression '{quantity.PATTERN.pattern}'"
_TIME = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$")
_RANGES = {"int32": 2**31, "int64": 2**63}
_ABSENT = object()


class DecodeError(Exception):
    """A value has the wrong JSON type. The message is the real decoder's."""


class _AbortError(DecodeError):
    """Raised by values with a decoder of their own: nothing after them is looked at."""


@dataclass
class _Position:
    """Where the decoder is: `struct` and `names` for Go's words, `path` (with indexes) for unknown fields."""

    struct: str = ""
    names: tuple[str, ...] = ()
    path: str = ""

    def into(self, owner: Struct, name: str) -> _Position:
        return _Position(owner.name, (*self.names, name), f"{self.path}.{name}" if self.path else name)

    def at(self, index: int | str) -> _Position:
        suffix = f"[{index}]" if isinstance(index, int) else f".{index}"
        return _Position(self.struct, self.names, self.path + suffix)


@dataclass
class _Decoder:
    errors: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def value(self, shape: Shape, value: Any, position: _Position) -> Any:
        decode = getattr(self, f"_{shape.base}", None)
        return decode(shape, value, position) if decode else value

    def struct(self, owner: Struct, value: dict[str, Any], position: _Position) -> Object:
        result: Object = {}
        for name, given in value.items():
            known = owner.fields.get(name)
            if known is None:
                self.unknown.append(f"{position.path}.{name}" if position.path else name)
            elif given is not None:
                decoded = self.value(known.shape, given, position.into(owner, name))
                if decoded is not _ABSENT and not _omitted(known, decoded):
                    result[name] = decoded
        return result

    def _struct(self, shape: Shape, value: Any, position: _Position) -> Any:
        if not isinstance(value, dict):
            return self._wrong(shape, value, position)
        return self.struct(struct(shape.model), value, position)

    def _list(self, shape: Shape, value: Any, position: _Position) -> Any:
        assert shape.item is not None
        if not isinstance(value, list):
            return self._wrong(shape, value, position)
        return [self._item(shape.item, item, position.at(index)) for index, item in enumerate(value)]

    def _map(self, shape: Shape, value: Any, position: _Position) -> Any:
        assert shape.item is not None
        if not isinstance(value, dict):
            return self._wrong(shape, value, position)
        return {key: self._item(shape.item, item, position.at(key)) for key, item in value.items()}

    def _item(self, shape: Shape, value: Any, position: _Position) -> Any:
        """An element: null is the zero value of its type, as in Go."""
        decoded = _zero(shape) if value is None else self.value(shape, value, position)
        return _zero(shape) if decoded is _ABSENT else decoded

    def _any(self, _shape: Shape, value: Any, position: _Position) -> Any:
        """JSON as it is; of all there is, only the schema of a CustomResourceDefinition has types inside."""
        if position.names[-1:] != ("openAPIV3Schema",):
            return value
        if not isinstance(value, dict):
            return self._wrong_as(value, position, "v1.JSONSchemaProps")
        for wrong, owner, below, wanted in wrong_types(value):
            if wanted == BOOL_OR_SCHEMA:
                raise _AbortError("boolean or JSON schema expected")
            self._wrong_as(wrong, _Position(owner, (*position.names, *below)), wanted)
        return value if self.errors else zeroed(value)

    def _string(self, shape: Shape, value: Any, position: _Position) -> Any:
        return value if isinstance(value, str) else self._wrong(shape, value, position)

    def _bool(self, shape: Shape, value: Any, position: _Position) -> Any:
        return value if isinstance(value, bool) else self._wrong(shape, value, position)

    def _int32(self, shape: Shape, value: Any, position: _Position) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._wrong(shape, value, position)
        limit = _RANGES[shape.base]
        if isinstance(value, float) or not -limit <= value < limit:
            return self._wrong(shape, value, position, f"number {value}")
        return value

    _int64 = _int32

    def _float64(self, shape: Shape, value: Any, position: _Position) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._wrong(shape, value, position)
        return value

    def _bytes(self, shape: Shape, value: Any, position: _Position) -> Any:
        if not isinstance(value, str):
            return self._wrong(shape, value, position)
        compact = value.replace("\n", "").replace("\r", "")
        try:
            base64.b64decode(compact, validate=True)
        except (binascii.Error, ValueError):
            self.errors.append(f"illegal base64 data at input byte {_illegal_byte(compact)}")
            return _ABSENT
        return compact

    def _quantity(self, _shape: Shape, value: Any, _position: _Position) -> Any:
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        try:
            return quantity.canonical(text if isinstance(text, str) else "")
        except quantity.QuantityError:
            raise _AbortError(_QUANTITY_MESSAGE) from None

    def _intorstring(self, shape: Shape, value: Any, position: _Position) -> Any:
        return value if isinstance(value, str) else self._own(self._int32(Shape("int32"), value, position))

    def _time(self, shape: Shape, value: Any, position: _Position) -> Any:
        if not isinstance(value, str):
            return self._own(self._wrong(Shape("string"), value, position))
        if not _TIME.match(value):
            layout = "2006-01-02T15:04:05" + (".000000" if shape.base == "microtime" else "") + "Z07:00"
            raise _AbortError(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"')
        return value

    _microtime = _time

    def _own(self, decoded: Any) -> Any:
        if decoded is _ABSENT:
            raise _AbortError(self.errors[-1])
        return decoded

    def _wrong(self, shape: Shape, value: Any, position: _Position, found: str = "") -> Any:
        return self._wrong_as(value, position, shape.go, found)

    def _wrong_as(self, value: Any, position: _Position, wanted: str, found: str = "") -> Any:
        place = f"Go struct field {position.struct}.{'.'.join(position.names)}" if position.names else "Go value"
        self.errors.append(f"json: cannot unmarshal {found or _json_type(value)} into {place} of type {wanted}")
        return _ABSENT


def decode_struct(owner: Struct, value: Any, *names: str) -> tuple[Object, list[str]]:
    """(`value` as the struct `owner` reads it, the paths of unknown fields in the order of `value`).

    `names` say at which field of the object `value` is. Raises DecodeError for a wrong type.
    """
    decoder = _Decoder()
    if not isinstance(value, dict):
        raise DecodeError(
            f"json: cannot unmarshal {_json_type(value)} into Go value of type {Shape('struct', owner.model).go}"
        )
    decoded = decoder.struct(owner, value, _Position("", names, ".".join(names)))
    if decoder.errors:
        raise DecodeError(decoder.errors[0])
    return decoded, decoder.unknown


def _omitted(known: Field, value: Any) -> bool:
    """Whether Go leaves the value out (omitempty): empty lists and maps, zero values that are no pointers."""
    base = known.shape.base
    if base in ("list", "map"):
        return not value and not known.required
    if known.pointer or known.required or base in ("struct", "any", "quantity", "intorstring"):
        return False
    return value in ("", 0, False)


def _zero(shape: Shape) -> Any:
    if shape.base in ("list", "any"):
        return None
    if shape.base in ("struct", "map"):
        return {}
    return {"bool": False, "int32": 0, "int64": 0, "float64": 0, "intorstring": 0, "quantity": "0"}.get(shape.base, "")


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _illegal_byte(text: str) -> int:
    found = re.search(r"[^A-Za-z0-9+/]", text.rstrip("="))
    return found.start() if found else len(text)
