"""Role-based access control: what bindings and roles allow, with the words of the real authorizer.

Sources: plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation of Kubernetes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.auth.authorization import Access, Decision
from meshdojo.kubernetes.requests import User
from meshdojo.kubernetes.store import Store

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"
MASTERS = "system:masters"
_ACCOUNT = "system:serviceaccount:"
Subject = tuple[str, str]
"""(kind, name) of a user or group; the name of a service account is that of its user."""


@dataclass(frozen=True)
class Grant:
    """A binding that concerns a user: what it says about itself, and the role that it refers to."""

    words: str
    role: str
    namespace: str
    subject: str


class RBAC:
    """The authorizer of a cluster. Reads bindings and roles in the store; their subjects are indexed after a change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index: dict[tuple[str, Subject], list[tuple[Object, str]]] | None = None
        for storage in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
            store.follow(storage, self._changed)

    def _changed(self, _change: Any) -> None:
        self._index = None

    def authorize(self, access: Access) -> Decision:
        """Whether a binding allows it, and which one; else what went wrong on the way."""
        if MASTERS in access.user.groups:
            return Decision(True)
        missing = []
        for grant, rules in self._grants(access.user, access.namespace):
            if rules is None:
                missing.append(not_found(grant))
                continue
            if any(allows(rule, access) for rule in rules):
                return Decision(True, f"RBAC: allowed by {grant.words} to {grant.subject}")
        return Decision(False, _resolution(missing))

    def rules(self, user: User, namespace: str) -> tuple[list[Object], list[str]]:
        """All rules that a user has in a namespace ('': cluster-wide ones only), and what could not be resolved."""
        found: list[Object] = []
        missing = []
        for grant, rules in self._grants(user, namespace):
            if rules is None:
                missing.append(not_found(grant))
            else:
                found += rules
        return found, missing

    def role_rules(self, reference: Object, namespace: str) -> list[Object] | None:
        """The rules of the role that a binding in `namespace` refers to; None when there is none."""
        if reference.get("kind") == "ClusterRole":
            role = self._store.get(CLUSTER_ROLES, "", str(reference.get("name")))
        else:
            role = self._store.get(ROLES, namespace, str(reference.get("name")))
        return None if role is None else list(role.get("rules") or ())

    def _grants(self, user: User, namespace: str) -> Iterator[tuple[Grant, list[Object] | None]]:
        """Cluster role bindings first, then those of the namespace."""
        for scope, kind in (("", "ClusterRoleBinding"), *(((namespace, "RoleBinding"),) if namespace else ())):
            for binding, subject in self._bindings(user, scope):
                reference = binding["roleRef"]
                name = binding["metadata"]["name"] + (f"/{scope}" if scope else "")
                words = f'{kind} "{name}" of {reference["kind"]} "{reference["name"]}"'
                grant = Grant(words, f'{reference["kind"].lower()}.{GROUP} "{reference["name"]}"', scope, subject)
                yield grant, self.role_rules(reference, scope)

    def _bindings(self, user: User, namespace: str) -> list[tuple[Object, str]]:
        """Those that name the user or one of its groups, with the words for that subject, each once."""
        if self._index is None:
            self._index = self._indexed()
        found: dict[str, tuple[Object, str]] = {}
        for subject in (("User", user.name), *(("Group", group) for group in user.groups)):
            for binding, words in self._index.get((namespace, subject), ()):
                found.setdefault(binding["metadata"]["name"], (binding, words))
        return [found[name] for name in sorted(found)]

    def _indexed(self) -> dict[tuple[str, Subject], list[tuple[Object, str]]]:
        index: dict[tuple[str, Subject], list[tuple[Object, str]]] = defaultdict(list)
        for storage in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS):
            for binding in self._store.list(storage):
                namespace = binding["metadata"].get("namespace", "")
                for subject in binding.get("subjects") or ():
                    key, words = _subject(subject, namespace)
                    index[namespace, key].append((binding, words))
        return index


def _subject(subject: Object, namespace: str) -> tuple[Subject, str]:
    kind, name = subject.get("kind", ""), subject.get("name", "")
    if kind == "ServiceAccount":
        owner = subject.get("namespace") or namespace
        return ("User", f"{_ACCOUNT}{owner}:{name}"), f'ServiceAccount "{name}/{owner}"'
    return (kind, name), f'{kind} "{name}"'


def not_found(grant: Grant) -> str:
    """What is said about a binding whose role is not there."""
    return f"{grant.role} not found"


def _resolution(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    words = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
    return f"RBAC: {words}"


# Rules


def allows(rule: Object, access: Access) -> bool:
    """Whether a rule covers what is asked for."""
    if not _has(rule.get("verbs"), access.verb):
        return False
    if access.path:
        return any(_path_matches(url, access.path) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups"), access.group)
        and _resource_matches(rule.get("resources") or (), access.resource, access.subresource)
        and (not names or access.name in names)
    )


def _has(choices: Sequence[str] | None, wanted: str) -> bool:
    return "*" in (choices or ()) or wanted in (choices or ())


def _resource_matches(resources: Sequence[str], resource: str, subresource: str) -> bool:
    wanted = f"{resource}/{subresource}" if subresource else resource
    if "*" in resources or wanted in resources:
        return True
    return bool(subresource) and f"*/{subresource}" in resources


def _path_matches(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url[:-1]))


def uncovered(owned: Sequence[Object], wanted: Sequence[Object]) -> list[Object]:
    """The parts of `wanted` that `owned` does not cover: rules with one group, resource and verb each."""
    return [part for rule in wanted for part in _parts(rule) if not any(_covers(one, part) for one in owned)]


def _parts(rule: Object) -> Iterator[Object]:
    verbs = rule.get("verbs") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                base = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames") or ()
                yield from ({**base, "resourceNames": [name]} for name in names) if names else (base,)
    for url in rule.get("nonResourceURLs") or ():
        yield from ({"nonResourceURLs": [url], "verbs": [verb]} for verb in verbs)


def _covers(owner: Object, part: Object) -> bool:
    """Source: ruleCovers in pkg/registry/rbac/validation/policy_comparator.go."""
    if not _has(owner.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        return any(_url_covers(url, part["nonResourceURLs"][0]) for url in owner.get("nonResourceURLs") or ())
    resource, _, subresource = part["resources"][0].partition("/")
    if not _has(owner.get("apiGroups"), part["apiGroups"][0]):
        return False
    if not _resource_matches(owner.get("resources") or (), resource, subresource):
        return False
    names = owner.get("resourceNames") or ()
    return not names or ("resourceNames" in part and part["resourceNames"][0] in names)


def _url_covers(owner: str, wanted: str) -> bool:
    return owner in ("*", wanted) or (owner.endswith("*") and wanted.startswith(owner.rstrip("*")))


def shown(rules: Sequence[Object]) -> list[str]:
    """Rules in Go's syntax, those about the same resource joined, sorted."""
    return sorted({_compact(rule) for rule in _joined(rules)})


def _joined(rules: Sequence[Object]) -> list[Object]:
    joined: dict[tuple[str, str], Object] = {}
    others = []
    for rule in rules:
        if "resourceNames" in rule or "nonResourceURLs" in rule:
            others.append(rule)
            continue
        key = (rule["apiGroups"][0], rule["resources"][0])
        before = joined.get(key, {"verbs": []})["verbs"]
        joined[key] = {**rule, "verbs": [*before, *(verb for verb in rule["verbs"] if verb not in before)]}
    return [*joined.values(), *others]


_SHOWN = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "nonResourceURLs": "NonResourceURLs",
    "resourceNames": "ResourceNames",
    "verbs": "Verbs",
}


def _compact(rule: Object) -> str:
    parts = [f"{name}:{_quoted(rule[field])}" for field, name in _SHOWN.items() if rule.get(field)]
    return "{" + ", ".join(parts) + "}"


def _quoted(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def groups_shown(user: User) -> str:
    """A user's groups as Go prints them."""
    return _quoted(user.groups)
