"""Checks of persistent volumes and of the claims to them."""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import check_choice, check_format, check_required, check_selector

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_POLICIES = ("Delete", "Recycle", "Retain")
_VOLUME_MODES = ("Block", "Filesystem")
_NOT_A_SOURCE = frozenset(
    {
        *("accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy"),
        *("storageClassName", "volumeAttributesClassName", "volumeMode"),
    }
)
_FIXED_CLAIM = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
_FIXED_SOURCE = "spec.persistentvolumesource is immutable after creation"
_POSITIVE = "must be greater than zero"


def check_claim(claim: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidatePersistentVolumeClaim and ValidatePersistentVolumeClaimUpdate."""
    spec = claim.get("spec") or {}
    if old is not None:
        yield from _check_claim_update(spec, old)
        return
    yield from _check_claim_spec("spec", spec)


def _check_claim_spec(path: str, spec: Object) -> Iterator[FieldError]:
    yield from _check_modes(path, spec, "at least 1 access mode is required")
    yield from check_selector(f"{path}.selector", spec.get("selector") or {})
    requests = (spec.get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        yield FieldError.required(f"{path}.resources[storage]")
    else:
        yield from _check_positive(f"{path}.resources[storage]", requests["storage"])
    if spec.get("storageClassName"):
        yield from check_format(f"{path}.storageClassName", spec["storageClassName"], names.dns_subdomain)
    yield from check_choice(f"{path}.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)


def _check_claim_update(spec: Object, old: Object) -> Iterator[FieldError]:
    before = old.get("spec") or {}
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if _fixed(spec, before, bound=bound) != _fixed(before, before, bound=bound):
        yield FieldError.forbidden("spec", _FIXED_CLAIM)
    has = ((old.get("status") or {}).get("capacity") or {}).get("storage", "0")
    if bound and _requested(spec) < _requested(before) and _requested(spec) <= quantity.parse(has):
        yield FieldError.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def _requested(spec: Object) -> int:
    return quantity.parse(str(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")))


def _fixed(spec: Object, before: Object, *, bound: bool) -> Object:
    """What a claim keeps: it may be given a volume when it has none, and ask for more when it is bound."""
    free = {"volumeAttributesClassName"} | ({"resources"} if bound else set())
    if not before.get("volumeName"):
        free.add("volumeName")
    if before.get("storageClassName") is None:  # a default that came later
        free.add("storageClassName")
    return {field: value for field, value in spec.items() if field not in free}


def check_volume(volume: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidatePersistentVolume and ValidatePersistentVolumeUpdate."""
    spec = volume.get("spec") or {}
    yield from _check_modes("spec", spec, "")
    capacity = spec.get("capacity") or {}
    yield from check_required("spec.capacity", capacity)
    if set(capacity) != {"storage"}:
        yield FieldError.unsupported("spec.capacity", capacity or None, ("storage",))
    for name, value in capacity.items():
        yield from _check_positive(f"spec.capacity[{name}]", value)
    sources = _sources(spec)
    if not sources:
        yield FieldError.required("spec", "must specify a volume type")
    if "hostPath" in sources:
        yield from check_required("spec.hostPath.path", (sources["hostPath"] or {}).get("path"))
    yield from check_choice("spec.persistentVolumeReclaimPolicy", spec.get("persistentVolumeReclaimPolicy"), _POLICIES)
    if spec.get("storageClassName"):
        yield from check_format("spec.storageClassName", spec["storageClassName"], names.dns_subdomain)
    yield from check_choice("spec.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)
    if old is not None and sources != _sources(old.get("spec") or {}):
        yield FieldError.forbidden("spec.persistentvolumesource", _FIXED_SOURCE)


def _sources(spec: Object) -> Object:
    return {field: value for field, value in spec.items() if field not in _NOT_A_SOURCE}


def _check_modes(path: str, spec: Object, detail: str) -> Iterator[FieldError]:
    modes = spec.get("accessModes") or []
    yield from check_required(f"{path}.accessModes", modes, detail)
    for mode in modes:
        if mode not in _MODES:
            yield FieldError.unsupported(f"{path}.accessModes", mode, _MODES)


def _check_positive(path: str, value: object) -> Iterator[FieldError]:
    if quantity.parse(str(value)) <= 0:
        yield FieldError.invalid(path, value, _POSITIVE)
