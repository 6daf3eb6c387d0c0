"""Bodies that kubectl 1.34.4 sent, against the objects that its ``--dry-run=client`` prints."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes import protobuf
from meshdojo.kubernetes.protobuf.numbers import numbers
from meshdojo.kubernetes.protobuf.wire import WireError, fields, read_varint, signed

_BODIES = [json.loads(line) for line in (Path(__file__).parent / "kubectl_bodies.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", _BODIES, ids=lambda case: case["command"])
def test_what_kubectl_sends(case: dict[str, Any]) -> None:
    decoded = protobuf.decode(base64.b64decode(case["body"]))
    decoded.pop("status", None)
    decoded["metadata"].pop("namespace", None)
    case["object"].pop("status", None)
    assert decoded == case["object"]


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    meta = message(1, api_version.encode()) + message(2, kind.encode())
    return b"k8s\x00" + message(1, meta) + message(2, raw)


def message(number: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "it does not start with the four bytes"),
        (b"k8s\x00\xff", "a number does not end"),
        (envelope("v1", "Nope", b""), "Nope in v1 is not read from protobuf; send it as application/json"),
        (envelope("", "", b""), "an object without kind in no version is not read from protobuf"),
        (envelope("v1", "Node", b""), "Node in v1 is not read from protobuf"),
        (envelope("v1", "ConfigMap", message(9, b"x")), "field 9 of ConfigMap is unknown"),
        (envelope("v1", "ConfigMap", b"\x0a\x7f"), "field 1 is longer than its message"),
        (envelope("v1", "ConfigMap", b"\x08\x01"), "a number where bytes belong"),
        (envelope("v1", "ConfigMap", b"\x0b"), "wire type 3 of field 1 is unknown"),
    ],
)
def test_what_cannot_be_read(body: bytes, words: str) -> None:
    with pytest.raises(StatusError, match="protobuf") as refusal:
        protobuf.decode(body)
    assert refusal.value.code == 400
    assert words in refusal.value.message


def test_zero_values_of_unknown_fields_do_no_harm() -> None:
    # A newer kubectl writes fields that are no pointers also when they are zero.
    body = envelope("v1", "ConfigMap", b"\x48\x00" + message(9, b""))
    assert protobuf.decode(body) == {"kind": "ConfigMap", "apiVersion": "v1"}


def test_numbers_count_on_from_where_they_restart() -> None:
    known = numbers("CSIVolumeSource")
    assert known == {1: "driver", 2: "readOnly", 3: "fsType", 4: "volumeAttributes", 5: "nodePublishSecretRef"}
    job = numbers("DeploymentSpec")
    assert job is not None
    assert job[9] == "progressDeadlineSeconds"
    assert 8 not in job
    assert numbers("Nope") is None


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_numbers_of_64_bits(number: int) -> None:
    rest, encoded = number % (1 << 64), bytearray()
    while rest >= 0x80:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    value, end = read_varint(bytes(encoded), 0)
    assert (signed(value), end) == (number, len(encoded))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    try:
        list(fields(data))
    except WireError:
        return


@given(st.binary(max_size=200))
def test_any_body_is_an_object_or_a_refusal(data: bytes) -> None:
    try:
        protobuf.decode(envelope("v1", "Pod", b"") + data)
        protobuf.decode(b"k8s\x00" + data)
    except StatusError:
        return
