"""Server-side apply: the fields of a configuration are set, those it named before and no longer names are removed.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.fieldsets import ITEM, Path, element, fields_of, list_keys, one_value
from meshdojo.kubernetes.managedfields import APPLY, Entry, Manager, entries_of, with_entries
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import decode
from meshdojo.kubernetes.timestamps import now

_MISSING = object()
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Application:
    """One configuration that a manager applies. Raises StatusError 400, 422, 500 when it makes no sense."""

    def __init__(
        self, resource: Resource, config: Any, name: str, namespace: str, manager: str, force: bool, subresource: str
    ) -> None:
        _check(resource, config, manager)
        self._resource = resource
        self._force = force
        self._manager = Manager(manager, APPLY, resource.api_version, subresource)
        metadata: Object = {"name": name, **(config.get("metadata") or {})}
        if namespace:
            metadata["namespace"] = metadata.get("namespace") or namespace
        self.config = _decoded(resource, {**config, "metadata": metadata})
        self._fields = fields_of(resource, self.config)

    def created(self) -> Object:
        """The object to create when there is none yet."""
        return with_entries(self.config, [self._entry(None)])

    def applied(self, current: Object) -> Object:
        """What the configuration makes of the object. Raises StatusError 409 for conflicts, unless forced."""
        entries = entries_of(current)
        others = [entry for entry in entries if entry.manager != self._manager]
        mine = next((entry for entry in entries if entry.manager == self._manager), None)
        contested = self._contested(current, others)
        if contested and not self._force and not self._covers(current, contested):
            raise errors.field_manager_conflict(
                [(str(entry.manager), _shown(path)) for entry, paths in contested for path in paths]
            )
        lost = {path for _, paths in contested for path in paths}
        others = [replace(entry, fields=entry.fields - lost) for entry in others]
        merged = self._merged(current, self.config, ())
        for path in self._abandoned(mine, others):
            merged = _without(self._resource, merged, path, ())
        return with_entries(merged, [*others, self._entry(mine)])

    def _contested(self, current: Object, others: list[Entry]) -> list[tuple[Entry, list[Path]]]:
        """The fields that others own and to which the configuration would give another value."""
        live = fields_of(self._resource, current)
        contested = []
        for entry in others:
            shared = sorted(entry.fields & self._fields.keys())
            paths = [path for path in shared if live.get(path, _MISSING) not in (_MISSING, self._fields[path])]
            if paths:
                contested.append((entry, paths))
        return contested

    def _covers(self, current: Object, contested: list[tuple[Entry, list[Path]]]) -> bool:
        """Whether kubectl takes over what it applied itself before, from the client's side, and nobody changed since.

        Source: k8s.io/apimachinery/pkg/util/managedfields/internal/lastappliedmanager.go.
        """
        text = (current["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
        if self._manager.name != "kubectl" or not text:
            return False
        try:
            before, _ = decode(self._resource, orjson.loads(text), field_validation="Ignore")
        except (ValueError, errors.StatusError):
            return False
        applied, live = fields_of(self._resource, before), fields_of(self._resource, current)
        return all(applied.get(path, _MISSING) == live[path] for _, paths in contested for path in paths)

    def _abandoned(self, mine: Entry | None, others: list[Entry]) -> list[Path]:
        """What the manager owned, names no longer, and nobody else owns. What goes as a whole is named once."""
        if mine is None:
            return []
        kept = set(self._fields).union(*(entry.fields for entry in others))
        # What is set as a whole now may have been set part by part, when less was known of its type.
        whole = {path for path, value in self._fields.items() if value is not ITEM}
        gone = {path for path in mine.fields - kept if not any(path[:n] in whole for n in range(1, len(path)))}
        # An element stays while someone still owns something in it.
        alive = {path[:length] for path in kept for length in range(1, len(path))}
        dead = gone - alive
        return [path for path in dead if not any(path[:length] in dead for length in range(1, len(path)))]

    def _entry(self, before: Entry | None) -> Entry:
        fields = frozenset(self._fields)
        return before if before is not None and before.fields == fields else Entry(self._manager, fields, now())

    def _merged(self, live: Any, config: Any, names: Path) -> Any:
        if isinstance(live, dict) and isinstance(config, dict) and not one_value(self._resource, names):
            merged = dict(live)
            for name, value in config.items():
                merged[name] = self._merged(live.get(name), value, (*names, name))
            return merged
        keys = list_keys(self._resource, names) if isinstance(live, list) and isinstance(config, list) else None
        return config if keys is None else self._merged_list(live, config, keys, names)

    def _merged_list(self, live: list[Any], config: list[Any], keys: dict[str, Any], names: Path) -> list[Any]:
        merged = {element(keys, item): item for item in live}
        for item in config:
            name = element(keys, item)
            merged[name] = self._merged(merged[name], item, names) if keys and name in merged else item
        return list(merged.values())


def _check(resource: Resource, config: Any, manager: str) -> None:
    if not isinstance(config, dict):
        raise errors.bad_request("error decoding YAML: an apply configuration must be an object")
    if not manager:
        problem = FieldError.required("fieldManager", "is required for apply patch")
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", [problem])
    metadata = config.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise errors.bad_request("error decoding YAML: metadata must be an object")
    if metadata.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    if (config.get("apiVersion"), config.get("kind")) != (resource.api_version, resource.kind):
        group_version = config.get("apiVersion") or "/"
        raise errors.bad_request(f"invalid object type: {group_version}, Kind={config.get('kind') or ''}")


def _decoded(resource: Resource, config: Object) -> Object:
    """Fields that the schema does not know have words of their own here, and no reason."""
    try:
        decoded, unknown = decode(resource, config, field_validation="Warn")
    except errors.StatusError as error:
        wrong = re.search(r"cannot unmarshal (\S+) into Go struct field \w+\.(\S+) of type (\S+)$", error.message)
        if wrong is None:
            raise
        raise _untyped(resource, config, f".{wrong[2]}: expected {wrong[3]}, got {wrong[1]}") from None
    if unknown:
        field = unknown[0].removeprefix('unknown field "').removesuffix('"')
        raise _untyped(resource, config, f".{field}: field not declared in schema")
    return decoded


def _untyped(resource: Resource, config: Object, why: str) -> errors.StatusError:
    metadata = config["metadata"]
    group_version = resource.api_version if resource.group else f"/{resource.version}"
    where = f"{metadata.get('namespace', '')}/{metadata['name']}; {group_version}, Kind={resource.kind}"
    return errors.StatusError(500, "", f"failed to create typed patch object ({where}): {why}", {})


def _without(resource: Resource, value: Any, path: Path, names: Path) -> Any:
    """`value` without what `path` leads to."""
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        name = head.removeprefix("f:")
        if name not in value:
            return value
        if rest:
            return {**value, name: _without(resource, value[name], rest, (*names, name))}
        return {key: kept for key, kept in value.items() if key != name}
    keys = list_keys(resource, names) if isinstance(value, list) else None
    if keys is None:
        return value
    if not rest:
        return [item for item in value if element(keys, item) != head]
    return [_without(resource, item, rest, names) if element(keys, item) == head else item for item in value]


def _shown(path: Path) -> str:
    """A path as errors print it: ``.spec.containers[name="web"].image``."""
    return "".join(_shown_element(part) for part in path)


def _shown_element(part: str) -> str:
    if part.startswith("f:"):
        return f".{part[2:]}"
    if part.startswith("v:"):
        return f"[={part[2:]}]"
    pairs = part[3:-1].split(",")
    return f"[{','.join(_pair(pair) for pair in pairs)}]"


def _pair(pair: str) -> str:
    key, _, value = pair.partition(":")
    return key.strip(chr(34)) + "=" + value
