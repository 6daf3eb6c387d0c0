"""Checks of the volumes of a pod."""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import check_format, check_name, check_required, check_unique

_MODES = "must be a number between 0 and 0777 (octal), both inclusive"
_LARGEST_MODE = 0o777


def check_volumes(path: str, volumes: list[Object]) -> Iterator[FieldError]:
    """Names, and one source for each volume."""
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        below = f"{path}[{index}]"
        wrong = [*_check_sources(below, volume), *check_name(f"{below}.name", volume.get("name"), names.dns_label)]
        yield from wrong
        if not any(cause.field == f"{below}.name" for cause in wrong):
            yield from check_unique(f"{below}.name", volume["name"], seen)


def _check_sources(path: str, volume: Object) -> Iterator[FieldError]:
    sources = [name for name in volume if name != "name" and volume[name] is not None]
    ordered = sorted(sources, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    for position, name in enumerate(ordered):
        if position:
            yield FieldError.forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
        else:
            yield from _check_source(f"{path}.{name}", name, volume[name])
    if not sources:
        yield FieldError.required(path, "must specify a volume type")


_ORDER = ("emptyDir", "hostPath", "gitRepo", "secret", "nfs", "downwardAPI", "configMap", "projected", "csi")
_NAMED = {"configMap": "name", "secret": "secretName", "persistentVolumeClaim": "claimName", "csi": "driver"}


def _check_source(path: str, kind: str, source: Object) -> Iterator[FieldError]:
    if kind in _NAMED:
        yield from check_required(f"{path}.{_NAMED[kind]}", source.get(_NAMED[kind]))
    if kind == "hostPath":
        yield from check_required(f"{path}.path", source.get("path"))
        yield from check_format(f"{path}.path", source.get("path") or "", _no_backsteps)
    mode = source.get("defaultMode")
    if mode is not None and not 0 <= mode <= _LARGEST_MODE:
        yield FieldError.invalid(f"{path}.defaultMode", mode, _MODES)
    if kind in ("configMap", "secret"):
        for index, item in enumerate(source.get("items") or ()):
            yield from _check_item(f"{path}.items[{index}]", item)


def _check_item(path: str, item: Object) -> Iterator[FieldError]:
    yield from check_required(f"{path}.key", item.get("key"))
    yield from check_required(f"{path}.path", item.get("path"))
    yield from check_format(f"{path}.path", item.get("path") or "", local_path)


def local_path(text: str) -> list[str]:
    """A path below a directory: relative, without steps back."""
    if text.startswith("/"):
        return ["must be a relative path"]
    return _no_backsteps(text)


def _no_backsteps(text: str) -> list[str]:
    return ["must not contain '..'"] if ".." in text.split("/") else []
