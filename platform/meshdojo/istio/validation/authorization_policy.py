"""AuthorizationPolicy: what the webhook says. The words are those of a real cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from meshdojo.istio.models.authorization_policy import (
    AuthorizationPolicy,
    AuthorizationRule,
    Condition,
    Operation,
    Source,
)
from meshdojo.istio.validation import names
from meshdojo.istio.validation.findings import Findings
from meshdojo.istio.validation.policies import selector

_HTTP_OPERATION = ("hosts", "not_hosts", "methods", "not_methods", "paths", "not_paths")
_HTTP_SOURCE = ("request_principals", "not_request_principals", "remote_ip_blocks", "not_remote_ip_blocks")
_BRACKETED_KEYS = ("request.headers", "request.auth.claims")
_BRACKETED = re.compile(r"([^\[\]]+)\[(.+)\]")
_DENY_TCP = (
    "configured AuthorizationPolicy will deny all traffic to TCP ports under its scope due to the use of only HTTP "
    "attributes in a DENY rule; it is recommended to explicitly specify the port"
)
_REFERENCES = (
    "core/v1/Service",
    "networking.istio.io/v1/ServiceEntry",
    "gateway.networking.k8s.io/v1/Gateway",
    "gateway.networking.k8s.io/v1/GatewayClass",
)


def check(obj: AuthorizationPolicy, found: Findings) -> None:
    """Source: ValidateAuthorizationPolicy in istio.io/istio/pkg/config/validation."""
    spec, policy = obj.spec, f"invalid policy {obj.name}.{obj.namespace}: "
    selector(spec.selector, found)
    for reference in (*spec.target_refs, *((spec.target_ref,) if spec.target_ref else ())):
        _reference(reference.group, reference.kind, policy, found)
    if spec.action == "CUSTOM":
        found.refuse_if(not (spec.provider and spec.provider.name), f"{policy}`provider.name` must not be empty")
    elif spec.provider:
        found.refuse(f"{policy}`provider` must not be with non CUSTOM action, found {spec.action}")
    if spec.action in ("DENY", "CUSTOM") and not spec.rules:
        found.refuse(
            f"{policy}{spec.action} action without `rules` is meaningless as it will never be triggered, "
            "add an empty rule `{}` if you want it be triggered for every request"
        )
    for index, rule in enumerate(spec.rules):
        _rule(rule, index, policy, found)
        if spec.action == "DENY" and _only_http(rule):
            found.warn(_DENY_TCP)


def _reference(group: str, kind: str, policy: str, found: Findings) -> None:
    allowed = {(entry.split("/")[0].replace("core", ""), entry.split("/")[-1]) for entry in _REFERENCES}
    if (group, kind) not in allowed:
        found.refuse(f"{policy}targetRef must be to one of [{' '.join(_REFERENCES)}] but was {group}/{kind}")


def _rule(rule: AuthorizationRule, index: int, policy: str, found: Findings) -> None:
    for sender in rule.from_:
        if sender.source is None:
            found.refuse(f"{policy}`from.source` must not be nil, found at rule {index}")
        elif not _given(sender.source):
            found.refuse(f"{policy}`from.source` must not be empty, found at rule {index}")
        else:
            _source(sender.source, policy, found)
    for target in rule.to:
        if target.operation is None:
            found.refuse(f"{policy}`to.operation` must not be nil, found at rule {index}")
        elif not _given(target.operation):
            found.refuse(f"{policy}`to.operation` must not be empty, found at rule {index}")
        else:
            _operation(target.operation, policy, found)
    for condition in rule.when:
        found.refuse_all(policy + problem for problem in _condition(condition))


def _given(message: Source | Operation) -> bool:
    return any(getattr(message, field) for field in type(message).model_fields)


def _label(field: str) -> str:
    return "".join(part.capitalize() for part in field.split("_"))


def _empty_values(message: Source | Operation) -> Iterator[str]:
    for field in type(message).model_fields:
        if "" in getattr(message, field):
            yield f"empty value not allowed, found in {_label(field)}"


def _source(source: Source, policy: str, found: Findings) -> None:
    found.refuse_all(policy + problem for problem in _empty_values(source))
    for blocks in (source.ip_blocks, source.not_ip_blocks, source.remote_ip_blocks, source.not_remote_ip_blocks):
        found.refuse_all((policy + problem for problem in _addresses(blocks)), listed=True)
    for field in ("service_accounts", "not_service_accounts"):
        for account in getattr(source, field):
            if account.count("/") > 1:
                found.refuse(
                    f"{policy}expected format 'serviceAccount' or 'namespace/serviceAccount', "
                    f'found "{account}" in {_label(field)}'
                )


def _addresses(blocks: Iterable[str]) -> Iterator[str]:
    for block in blocks:
        if block and names.subnet(block):
            yield f"bad CIDR range ({block})" if "/" in block else f"bad IP address ({block})"


def _operation(operation: Operation, policy: str, found: Findings) -> None:
    found.refuse_all(policy + problem for problem in _empty_values(operation))
    for ports in (operation.ports, operation.not_ports):
        found.refuse_all((policy + problem for problem in _ports(ports)), listed=True)
    paths = ((field, path) for field in ("paths", "not_paths") for path in getattr(operation, field))
    wrong = (problem for field, path in paths for problem in _path(path, _label(field)))
    if problem := next(wrong, ""):
        found.refuse(policy + problem)


def _ports(ports: Iterable[str]) -> Iterator[str]:
    for port in ports:
        if not port:
            continue
        if not port.isdigit():
            yield f'bad port ({port}): strconv.ParseUint: parsing "{port}": invalid syntax'
        elif not 0 < int(port) <= 65535:
            yield f"bad port ({port}): port number {port} must be in the range 1..65535"


def _path(path: str, label: str) -> Iterator[str]:
    """Templates: ``{*}`` is a segment, ``{**}`` the rest, and nothing else may have braces."""
    if "{" not in path and "}" not in path:
        return
    shown = path.removeprefix("/")
    refused = f"invalid or unsupported path {shown}, found in {label}."
    segments = shown.split("/")
    for index, segment in enumerate(segments):
        if segment == "{**}" and index < len(segments) - 1:
            yield f"{refused} {{**}} is not the last operator"
            return
        if ("{" in segment or "}" in segment) and segment not in ("{*}", "{**}"):
            yield f"{refused} Contains '{{' or '}}' beyond a supported path template"
            return
    if "*" in path.replace("{*}", "").replace("{**}", ""):
        yield f"{refused} Contains '*' beyond a supported path template"


def _condition(condition: Condition) -> Iterator[str]:
    if not condition.key:
        yield "`key` must not be empty"
        return
    if not condition.values and not condition.not_values:
        yield f"at least one of `values` or `notValues` must be set for key {condition.key}"
        return
    for field, values in (("value", condition.values), ("notValue", condition.not_values)):
        for problem in _attribute(condition.key, values):
            yield f"invalid `{field}` for `key` {condition.key}: {problem}"


def _attribute(key: str, values: Iterable[str]) -> list[str]:
    if key in ("request.headers", "experimental.envoy.filters"):
        return [f"bad key ({key}): should have format a[b]"]
    bracketed = _BRACKETED.fullmatch(key)
    if key.startswith("experimental.envoy") or (bracketed and bracketed[1] in _BRACKETED_KEYS):
        return []
    checks: dict[str, Callable[[Iterable[str]], Iterator[str]] | None] = {
        "source.ip": _addresses,
        "remote.ip": _addresses,
        "destination.ip": _addresses,
        "destination.port": _ports,
        **dict.fromkeys(
            ("source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain", "connection.sni")
        ),
        **dict.fromkeys(
            ("request.auth.principal", "request.auth.audiences", "request.auth.presenter", "request.auth.claims")
        ),
    }
    if key not in checks:
        return [f"unknown attribute: {key}"]
    found = list((checks[key] or (lambda _: iter(())))(values))
    count = f"{len(found)} error{'' if len(found) == 1 else 's'} occurred:\n"
    return [count + "".join(f"\t* {problem}\n" for problem in found) + "\n"] if found else []


def _only_http(rule: AuthorizationRule) -> bool:
    """Whether a rule looks at requests only and names no port, so that on TCP ports it matches everything."""
    operations = [target.operation for target in rule.to if target.operation]
    sources = [sender.source for sender in rule.from_ if sender.source]
    if any(operation.ports or operation.not_ports for operation in operations):
        return False
    if any(condition.key == "destination.port" for condition in rule.when):
        return False
    http = [any(getattr(operation, field) for field in _HTTP_OPERATION) for operation in operations]
    http += [any(getattr(source, field) for field in _HTTP_SOURCE) for source in sources]
    http += [condition.key.startswith("request.") for condition in rule.when]
    return any(http)
