"""The names of custom resources: each belongs to one definition of its group, the first that asked for it.

What is asked for stands in the spec, what was given in ``status.acceptedNames``; a definition is served once all its
names were, and then goes on under those that it has.
Source: apiextensions-apiserver pkg/controller/status/naming_controller.go and pkg/controller/establish.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.timestamps import now

NAMES_ACCEPTED, ESTABLISHED = "NamesAccepted", "Established"
# Names of resources must differ from each other, and names of kinds. In the order in which the real one looks at them:
# the last conflict is the one that it tells.
_RESOURCES = (("plural", "PluralConflict"), ("singular", "SingularConflict"))
_KINDS = (("kind", "KindConflict"), ("listKind", "ListKindConflict"))


def with_accepted_names(crd: Object, group: Iterable[Object]) -> Object:
    """`crd` with the names that it gets, and the conditions that follow. `group`: what is stored of its group."""
    resources, kinds = _taken(group)
    asked = crd["spec"]["names"]
    status = crd.get("status") or {}
    accepted = {"kind": "", "plural": "", **(status.get("acceptedNames") or {})}
    conflicts: list[tuple[str, str]] = []
    for field, reason in _RESOURCES:
        _claim(accepted, asked, field, resources, reason, conflicts)
    _claim_short_names(accepted, asked, resources, conflicts)
    for field, reason in _KINDS:
        _claim(accepted, asked, field, kinds, reason, conflicts)
    accepted = _with(accepted, "categories", asked.get("categories"))
    conditions = _conditions(status.get("conditions") or [], conflicts)
    return {**crd, "status": {**status, "acceptedNames": accepted, "conditions": conditions}}


def established(crd: Object) -> bool:
    """Whether its kinds are served: it once had all the names that it asked for."""
    return _is_true((crd.get("status") or {}).get("conditions") or (), ESTABLISHED)


def _taken(group: Iterable[Object]) -> tuple[set[str], set[str]]:
    """The names of resources and of kinds that somebody has."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for crd in group:
        names = (crd.get("status") or {}).get("acceptedNames") or {}
        resources.update([names.get("plural", ""), names.get("singular", ""), *(names.get("shortNames") or ())])
        kinds.update([names.get("kind", ""), names.get("listKind", "")])
    return resources - {""}, kinds - {""}


def _claim(
    accepted: Object, asked: Object, field: str, taken: set[str], reason: str, conflicts: list[tuple[str, str]]
) -> None:
    name = asked.get(field, "")
    if name != accepted.get(field, "") and name in taken:
        conflicts.append((reason, _in_use(name)))
    elif name:
        accepted[field] = name


def _claim_short_names(accepted: Object, asked: Object, taken: set[str], conflicts: list[tuple[str, str]]) -> None:
    names, own = asked.get("shortNames") or [], accepted.get("shortNames") or []
    clashes = [_in_use(name) for name in names if name not in own and name in taken]
    if clashes:
        told = clashes[0] if len(clashes) == 1 else f"[{', '.join(dict.fromkeys(clashes))}]"
        conflicts.append(("ShortNamesConflict", told))
        return
    accepted.pop("shortNames", None)
    if names:
        accepted["shortNames"] = names


def _in_use(name: str) -> str:
    return f'"{name}" is already in use'


def _conditions(before: list[Any], conflicts: list[tuple[str, str]]) -> list[Object]:
    if conflicts:
        reason, message = conflicts[-1]
        names = _condition(before, NAMES_ACCEPTED, "False", reason, message)
    else:
        names = _condition(before, NAMES_ACCEPTED, "True", "NoConflicts", "no conflicts found")
    if not conflicts or _is_true(before, ESTABLISHED):
        words = "the initial names have been accepted"
        return [names, _condition(before, ESTABLISHED, "True", "InitialNamesAccepted", words)]
    return [names, _condition(before, ESTABLISHED, "False", "NotAccepted", "not all names are accepted")]


def _condition(before: list[Any], kind: str, status: str, reason: str, message: str) -> Object:
    old = next((one for one in before if one["type"] == kind and one["status"] == status), None)
    since = old["lastTransitionTime"] if old else now()
    return {"lastTransitionTime": since, "message": message, "reason": reason, "status": status, "type": kind}


def _is_true(conditions: Iterable[Any], kind: str) -> bool:
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


def _with(obj: Object, field: str, value: Any) -> Object:
    kept = {name: one for name, one in obj.items() if name != field}
    return {**kept, field: value} if value else kept
