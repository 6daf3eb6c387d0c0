"""Every field has exactly one effect, and the table agrees with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

import meshdojo.istio.crds
from meshdojo.istio.crds import manifest_names
from meshdojo.istio.models.base import Kind, Model
from meshdojo.istio.models.kinds import KINDS
from meshdojo.istio.validation.check import check
from meshdojo.istio.validation.effects import EFFECTS, KindEffects

PACKAGE = Path(meshdojo.istio.crds.__file__).parent
# These read no fields for their effect.
ASIDE = {"models", "validation", "install", "istioctl"}
NO_EFFECT_ANYWHERE = {
    # A real mesh ignores these, too.
    "Gateway spec.servers.defaultEndpoint",
    "Gateway spec.servers.port.targetPort",
    "Gateway spec.servers.name",
    # The default of a oneOf: what is left when the other members are absent.
    "DestinationRule spec.trafficPolicy.loadBalancer.consistentHash.useSourceIp",
    "DestinationRule spec.trafficPolicy.portLevelSettings.loadBalancer.consistentHash.useSourceIp",
    "DestinationRule spec.subsets.trafficPolicy.loadBalancer.consistentHash.useSourceIp",
    "DestinationRule spec.subsets.trafficPolicy.portLevelSettings.loadBalancer.consistentHash.useSourceIp",
}


def message(annotation: Any) -> type[Model] | None:
    """The message type inside of Optional, tuples, maps and Annotated."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated or origin is tuple:
        return message(arguments[0])
    if origin in (Union, UnionType):
        return message(next(one for one in arguments if one is not NoneType))
    if origin is dict:
        return message(arguments[1])
    return annotation if isinstance(annotation, type) and issubclass(annotation, Model) else None


def fields(model: type[Model], path: str = "spec") -> Iterator[tuple[str, str]]:
    """(path, attribute) of every field."""
    for attribute, info in model.model_fields.items():
        place = f"{path}.{manifest_names(attribute, info)[0]}"
        yield place, attribute
        if (inner := message(info.annotation)) is not None:
            yield from fields(inner, place)


def spec(kind: type[Kind]) -> type[Model]:
    found = message(kind.model_fields["spec"].annotation)
    assert found is not None
    return found


def test_every_kind_is_in_the_table() -> None:
    assert sorted(EFFECTS) == sorted(kind.TYPE.kind for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_exception_names_a_field_and_none_two_effects(kind: type[Kind]) -> None:
    effects = EFFECTS[kind.TYPE.kind]
    paths = [path for path, _ in fields(spec(kind))]
    for patterns in (effects.implemented, effects.harmless, effects.refused):
        for pattern in patterns:
            only = KindEffects(refused=(pattern,))
            assert any(only.of(path) == "refused" for path in paths), f"{pattern} names no field"
    for path in paths:
        lists = (effects.implemented, effects.harmless, effects.refused)
        found = [index for index, one in enumerate(lists) if KindEffects(refused=one).of(path) == "refused"]
        assert len(found) <= 1, f"{path} has two effects"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_to_be_implemented_is_read_by_the_code(kind: type[Kind]) -> None:
    """A field that no module of translation, registry or injection reads has no effect."""
    source = "".join(
        path.read_text() for path in PACKAGE.rglob("*.py") if ASIDE.isdisjoint(path.relative_to(PACKAGE).parts)
    )
    read = set(re.findall(r"\.([a-z_0-9]+)", source)) | set(re.findall(r'"([a-z_0-9]+)"', source))
    effects = EFFECTS[kind.TYPE.kind]
    everything = list(fields(spec(kind)))
    unread = [
        path
        for path, attribute in everything
        if attribute not in read
        and f"{kind.TYPE.kind} {path}" not in NO_EFFECT_ANYWHERE
        and has_an_effect(path, everything, effects)
    ]
    assert unread == []


def has_an_effect(path: str, everything: list[tuple[str, str]], effects: KindEffects) -> bool:
    """Whether a field is said to be implemented: it, or for a message any field below it."""
    below = [one for one, _ in everything if one.startswith(f"{path}.")]
    return any(effects.of(one) == "implemented" for one in below or [path])


def manifest(kind: str, **spec: Any) -> dict[str, Any]:
    group = "security" if kind in ("AuthorizationPolicy", "PeerAuthentication") else "networking"
    return {"apiVersion": f"{group}.istio.io/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def test_a_refused_field_is_named_once_with_its_place() -> None:
    policy = {"tunnel": {"protocol": "CONNECT", "targetHost": "a.example", "targetPort": 443}}
    found = check(manifest("DestinationRule", host="a", trafficPolicy=policy))
    (error,) = found.errors
    assert error.startswith("spec.trafficPolicy.tunnel is not supported by the embedded mesh: leave it out")


def test_a_harmless_field_warns() -> None:
    retries = {"attempts": 1, "retryRemoteLocalities": True}
    route = {"route": [{"destination": {"host": "a"}}], "retries": retries}
    found = check(manifest("VirtualService", hosts=["a"], http=[route]))
    assert (found.errors, found.warnings) == (
        [],
        ["spec.http[0].retries.retryRemoteLocalities has no effect in the embedded mesh"],
    )


def test_a_value_that_is_refused() -> None:
    server = {
        "port": {"number": 443, "name": "tls", "protocol": "TLS"},
        "hosts": ["a.example"],
        "tls": {"mode": "AUTO_PASSTHROUGH"},
    }
    (error,) = check(manifest("Gateway", servers=[server])).errors
    assert error.startswith('spec.servers[0].tls.mode: "AUTO_PASSTHROUGH" is not supported')


def test_a_kind_that_is_refused_as_a_whole() -> None:
    kinds = [kind for kind, effects in EFFECTS.items() if effects.default == "refused"]
    assert "EnvoyFilter" in kinds
    patch = {"applyTo": "CLUSTER", "patch": {"operation": "MERGE", "value": {"name": "x"}}}
    entry = manifest("EnvoyFilter", configPatches=[patch]) | {"apiVersion": "networking.istio.io/v1alpha3"}
    (error,) = check(entry).errors
    assert error.startswith("EnvoyFilter is not supported by the embedded mesh")


def test_what_only_repeats_a_default_is_not_complained_about() -> None:
    found = check(manifest("ServiceEntry", hosts=["a.example"], location="MESH_EXTERNAL", resolution="NONE"))
    assert (found.errors, found.warnings) == ([], [])
