"""AuthorizationPolicy: which ones hold for a pod, and the RBAC filters that they become.

The forms are those of Istio (istio/pilot/pkg/security/authz), compared with a real proxy's configuration: a filter each
for AUDIT, DENY and ALLOW, in that order; a policy for each rule, named ``ns[NAMESPACE]-policy[NAME]-rule[INDEX]`` as it
appears in access logs. What looks at requests is left out for plain TCP: from a DENY rule just the condition (it then
denies more), from an ALLOW the whole rule (it then allows less).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from meshdojo import network
from meshdojo.istio.configs import Config
from meshdojo.istio.messages import (
    RBAC,
    Filter,
    HeaderMatcher,
    HttpFilter,
    HttpRBAC,
    NetworkRBAC,
    PathMatcher,
    Permission,
    Principal,
    RBACPolicy,
    RegexMatcher,
    StringMatcher,
    TypedExtensionConfig,
    UriTemplateMatchConfig,
)
from meshdojo.istio.models.authorization_policy import (
    AuthorizationPolicy,
    AuthorizationRule,
    Condition,
    Operation,
    Source,
)
from meshdojo.istio.snapshot import Snapshot, fits
from meshdojo.istio.translation import build
from meshdojo.istio.workload import Workload

Convert = Callable[[str], Any]
SPIFFE = "spiffe://"
DRY_RUN = "istio.io/dry-run"
_ACTIONS = {"ALLOW": RBAC.ALLOW, "DENY": RBAC.DENY, "AUDIT": RBAC.LOG}
_STAT_PREFIXES = {"ALLOW": "istio_dry_run_allow_", "DENY": "istio_dry_run_deny_", "AUDIT": "istio_dry_run_allow_"}
_HEADER_KEY = re.compile(r"request\.headers\[(.+)\]")
_TEMPLATE = re.compile(r"\{(\*\*?)\}")


@dataclass(frozen=True)
class Policies:
    """Those that hold for one pod, the oldest first."""

    configs: tuple[Config[AuthorizationPolicy], ...] = ()

    @property
    def serials(self) -> tuple[int, ...]:
        """What changes when one of the policies does: part of the key under which a translation is kept."""
        return tuple(one.serial for one in self.configs)

    @property
    def origins(self) -> tuple[str, ...]:
        """The policies by kind, namespace and name, for refusals to point to."""
        return tuple(one.ref for one in self.configs)


NO_POLICIES = Policies()


def applying(snapshot: Snapshot, pod: Workload) -> Policies:
    """Of the pod's namespace and of the root namespace, those that select the pod or nothing.

    A selector in the root namespace looks at the pods of every namespace.
    """
    namespaces = (pod.namespace, snapshot.mesh.root_namespace)
    found = (one for one in snapshot.authorization_policies if one.namespace in namespaces)
    return Policies(tuple(one for one in found if fits(_selector(one), pod.labels)))


def _selector(one: Config[AuthorizationPolicy]) -> Mapping[str, str]:
    return one.object.spec.selector.match_labels if one.object.spec.selector else {}


def http_filters(policies: Policies) -> list[Any]:
    """For an HTTP connection manager, before all other filters."""
    return [
        HttpFilter(name="envoy.filters.http.rbac", typed_config=build.packed(HttpRBAC(**fields)))
        for fields in _filters(policies, tcp=False)
    ]


def network_filters(policies: Policies) -> list[Any]:
    """For a chain of plain TCP, before the proxy."""
    return [
        Filter(name="envoy.filters.network.rbac", typed_config=build.packed(NetworkRBAC(stat_prefix="tcp.", **fields)))
        for fields in _filters(policies, tcp=True)
    ]


def _filters(policies: Policies, *, tcp: bool) -> Iterator[dict[str, Any]]:
    for action in ("AUDIT", "DENY", "ALLOW"):
        chosen = [one for one in policies.configs if one.object.spec.action == action]
        if not chosen:
            continue
        fields: dict[str, Any] = {"shadow_rules_stat_prefix": _STAT_PREFIXES[action]}
        for name, dry in (("rules", False), ("shadow_rules", True)):
            if part := [one for one in chosen if _dry_run(one) is dry]:
                fields[name] = RBAC(action=_ACTIONS[action], policies=dict(_policies(part, action, tcp=tcp)))
        yield fields


def _dry_run(one: Config[AuthorizationPolicy]) -> bool:
    return one.object.metadata.annotations.get(DRY_RUN) == "true"


def _policies(configs: Iterable[Config[AuthorizationPolicy]], action: str, *, tcp: bool) -> Iterator[tuple[str, Any]]:
    for one in configs:
        prefix = f"ns[{one.namespace}]-policy[{one.name}]-rule"
        if not one.object.spec.rules:  # matches nothing: ALLOW then allows nothing
            never = RBACPolicy(permissions=[_not(_ANY_PERMISSION)], principals=[Principal(not_id=_ANY_PRINCIPAL)])
            yield f"{prefix}[0]", never
        for index, rule in enumerate(one.object.spec.rules):
            terms = _Terms(one.namespace, tcp=tcp)
            made = _rule(terms, rule)
            if not (action == "ALLOW" and terms.partial):
                yield f"{prefix}[{index}]", made


_ANY_PERMISSION, _ANY_PRINCIPAL = Permission(any=True), Principal(any=True)


def _not(permission: Any) -> Any:
    return Permission(not_rule=permission)


class _Terms:
    """The conditions of one rule, turned into permissions (what is asked for) and principals (by whom).

    Each is one value or another: ``or_rules`` of what the values become; the ``not`` form is the negation of that.
    `partial` says afterwards that some of them could not be said for plain TCP.
    """

    def __init__(self, namespace: str, *, tcp: bool) -> None:
        self._namespace = namespace
        self._tcp = tcp
        self.partial = False

    def operation(self, operation: Operation) -> list[Any]:
        """The permissions of one ``to``, all of which must hold."""
        fields: tuple[tuple[str, str, Convert, bool], ...] = (
            ("hosts", "not_hosts", _host, True),
            ("methods", "not_methods", _method, True),
            ("paths", "not_paths", _path, True),
            ("ports", "not_ports", _port, False),
        )
        return self._fields(operation, fields, _permissions)

    def source(self, source: Source) -> list[Any]:
        """The principals of one ``from``, all of which must hold."""
        fields: tuple[tuple[str, str, Convert, bool], ...] = (
            ("principals", "not_principals", _identity, False),
            ("trust_domains", "not_trust_domains", _trust_domain, False),
            ("request_principals", "not_request_principals", _no_token, True),
            ("service_accounts", "not_service_accounts", self._service_account, False),
            ("namespaces", "not_namespaces", _of_namespace, False),
            ("remote_ip_blocks", "not_remote_ip_blocks", _remote_ip, False),
            ("ip_blocks", "not_ip_blocks", _direct_remote_ip, False),
        )
        return self._fields(source, fields, _principals)

    def _fields(self, message: Any, fields: Any, combine: Callable[[list[Any]], Any]) -> list[Any]:
        found: list[Any] = []
        for name, negation, convert, http in fields:
            found += self._both(getattr(message, name), getattr(message, negation), convert, combine, http=http)
        return found

    def _both(
        self,
        values: tuple[str, ...],
        others: tuple[str, ...],
        convert: Convert,
        combine: Callable[[list[Any]], Any],
        *,
        http: bool,
    ) -> list[Any]:
        if http and self._tcp:
            self.partial = self.partial or bool(values or others)
            return []
        found = [combine([convert(value) for value in values])] if values else []
        if others:
            found.append(_negated(combine([convert(value) for value in others])))
        return found

    def when(self, condition: Condition) -> tuple[list[Any], list[Any]]:
        """(permissions, principals) of one condition; it becomes one or the other."""
        if destination := _DESTINATION_KEYS.get(condition.key):
            found = self._both(condition.values, condition.not_values, destination, _permissions, http=False)
            return found, []
        convert, http = self._sender(condition.key)
        return [], self._both(condition.values, condition.not_values, convert, _principals, http=http)

    def _sender(self, key: str) -> tuple[Convert, bool]:
        """What the values of a key become, and whether it looks at requests."""
        if header := _HEADER_KEY.fullmatch(key):
            return partial(_request_header, header[1]), True
        if key == "source.serviceAccount":
            return self._service_account, False
        return _SOURCE_KEYS.get(key, (_no_token, True))

    def _service_account(self, value: str) -> Any:
        namespace, slash, name = value.rpartition("/")
        return _authenticated(_regex(f"{SPIFFE}.+/ns/{namespace if slash else self._namespace}/(.+/|)sa/{name}(/.+)?"))


def _rule(terms: _Terms, rule: AuthorizationRule) -> Any:
    when = [terms.when(condition) for condition in rule.when]
    asked = [one for permissions, _ in when for one in permissions]
    held = [one for _, principals in when for one in principals]
    targets = [terms.operation(one.operation) for one in rule.to if one.operation] or [[]]
    senders = [terms.source(one.source) for one in rule.from_ if one.source] or [[]]
    return RBACPolicy(
        permissions=[_all_permissions([*target, *asked]) for target in targets],
        principals=[_all_principals([*sender, *held]) for sender in senders],
    )


def _all_permissions(found: list[Any]) -> Any:
    return Permission(and_rules=Permission.Set(rules=found or [_ANY_PERMISSION]))


def _all_principals(found: list[Any]) -> Any:
    return Principal(and_ids=Principal.Set(ids=found or [_ANY_PRINCIPAL]))


def _permissions(found: list[Any]) -> Any:
    return Permission(or_rules=Permission.Set(rules=found))


def _principals(found: list[Any]) -> Any:
    return Principal(or_ids=Principal.Set(ids=found))


def _negated(found: Any) -> Any:
    return Permission(not_rule=found) if isinstance(found, Permission) else Principal(not_id=found)


# Values


def _string(value: str, **options: Any) -> Any:
    """``value*``, ``*value`` or all of it."""
    if value.startswith("*"):
        return StringMatcher(suffix=value[1:], **options)
    return StringMatcher(prefix=value[:-1], **options) if value.endswith("*") else StringMatcher(exact=value, **options)


def _regex(text: str) -> Any:
    return StringMatcher(safe_regex=RegexMatcher(regex=text))


def _header(name: str, value: str, **options: Any) -> Any:
    if value == "*":
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=_string(value, **options))


def _request_header(name: str, value: str) -> Any:
    return Principal(header=_header(name, value))


def _host(value: str) -> Any:
    return Permission(header=_header(":authority", value, ignore_case=True))


def _method(value: str) -> Any:
    return Permission(header=_header(":method", value))


def _path(value: str) -> Any:
    if "{" in value:
        template = UriTemplateMatchConfig(path_template=_TEMPLATE.sub(r"\1", value))
        return Permission(uri_template=TypedExtensionConfig(name="uri-template", typed_config=build.packed(template)))
    return Permission(url_path=PathMatcher(path=_regex(".+") if value == "*" else _string(value)))


def _port(value: str) -> Any:
    """Of the pod; the proxy sees the one under which the runtime serves it."""
    return Permission(destination_port=network.mapped_port(int(value)))


def _destination_ip(value: str) -> Any:
    return Permission(destination_ip=build.cidr(value))


def _server_name(value: str) -> Any:
    return Permission(requested_server_name=_regex(".+") if value == "*" else _string(value))


def _authenticated(matcher: Any) -> Any:
    return Principal(authenticated=Principal.Authenticated(principal_name=matcher))


def _identity(value: str) -> Any:
    if value == "*":
        return _authenticated(_regex(".+"))
    if value.startswith("*"):
        return _authenticated(_regex(f"{SPIFFE}.*{value[1:]}"))
    return _authenticated(_string(SPIFFE + value))


def _trust_domain(value: str) -> Any:
    if "*" in value:
        return _authenticated(_regex(f"{SPIFFE}{_any_for_star(value)}/.*"))
    return _authenticated(StringMatcher(prefix=f"{SPIFFE}{value}/"))


def _of_namespace(value: str) -> Any:
    return _authenticated(_regex(f".*/ns/{_any_for_star(value)}/.*"))


def _any_for_star(value: str) -> str:
    return value.replace("*", ".*")


def _remote_ip(value: str) -> Any:
    return Principal(remote_ip=build.cidr(value))


def _direct_remote_ip(value: str) -> Any:
    return Principal(direct_remote_ip=build.cidr(value))


def _no_token(_value: str) -> Any:
    """A condition on a token. There is no RequestAuthentication in this mesh, so no request carries a valid one."""
    return Principal(not_id=_ANY_PRINCIPAL)


_DESTINATION_KEYS: Mapping[str, Convert] = {
    "destination.ip": _destination_ip,
    "destination.port": _port,
    "connection.sni": _server_name,
}
# The function, and whether it looks at requests.
_SOURCE_KEYS: Mapping[str, tuple[Convert, bool]] = {
    "source.ip": (_direct_remote_ip, False),
    "remote.ip": (_remote_ip, False),
    "source.namespace": (_of_namespace, False),
    "source.principal": (_identity, False),
    "source.trustDomain": (_trust_domain, False),
}
