"""Objects that contradict each other, or that cannot have an effect."""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.istio import hosts
from meshdojo.istio.analysis.message import Message
from meshdojo.istio.analysis.world import Item, World
from meshdojo.istio.models.base import NotParsed
from meshdojo.istio.models.destination_rule import ClientTLSSettings, DestinationRule, TrafficPolicy
from meshdojo.istio.models.gateway import Gateway
from meshdojo.istio.models.kinds import kind_of, parse
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.validation import unreachable
from meshdojo.istio.validation.check import rules


def schema(world: World) -> Iterator[Message]:
    """What the webhook would refuse; objects of a cluster have passed it."""
    for item in world.items:
        if kind_of(item.manifest) is not None:
            for text in _refusals(item):
                yield Message("IST0106", "Error", item.origin, f"Schema validation error: {text}")


def _refusals(item: Item) -> list[str]:
    try:
        return rules(parse(item.manifest)).errors
    except NotParsed as error:
        return [str(error)]


def mesh_hosts(world: World) -> Iterator[Message]:
    """Two VirtualServices for one host of the mesh: only one of them counts."""
    owners: dict[str, list[Item]] = {}
    for item, service in world.parsed(VirtualService):
        if not service.spec.gateways or hosts.MESH in service.spec.gateways:
            for host in dict.fromkeys(hosts.resolve(one, item.namespace) for one in service.spec.hosts):
                owners.setdefault(host, []).append(item)
    for host, items in owners.items():
        if len(items) < 2:
            continue
        names = ",".join(sorted(f"{one.namespace}/{one.name}" for one in items))
        text = (
            f"The VirtualServices {names} associated with mesh gateway define the same host */{host} which can lead to "
            "undefined behavior. This can be fixed by merging the conflicting VirtualServices into a single resource."
        )
        yield from (Message("IST0109", "Error", one.at("metadata", "name"), text) for one in items)


def unreachable_routes(world: World) -> Iterator[Message]:
    """IST0130 and IST0131: routes of a VirtualService that an earlier one hides."""
    for item, service in world.parsed(VirtualService):
        for warning in unreachable.warnings(service.spec.http):
            text = f"V{warning[1:]}."
            ineffective = " match " in warning.partition("(")[0]
            yield Message(
                "IST0131" if ineffective else "IST0130", "Info" if ineffective else "Warning", item.origin, text
            )


def gateway_hosts(world: World) -> Iterator[Message]:
    """VirtualServices of whose hosts the servers of their gateway serve none (one of several is enough)."""
    gateways = {f"{item.namespace}/{item.name}": gateway for item, gateway in world.parsed(Gateway)}
    for item, service in world.parsed(VirtualService):
        for index, name in enumerate(service.spec.gateways):
            if name == hosts.MESH:
                continue
            full = name if "/" in name else f"{item.namespace}/{name}"
            gateway = gateways.get(full)
            if gateway is None or not any(_serves(gateway, host) for host in service.spec.hosts):
                text = (
                    f"one or more host [{' '.join(service.spec.hosts)}] defined in VirtualService "
                    f"{item.namespace}/{item.name} not found in Gateway {full}."
                )
                yield Message("IST0132", "Warning", item.at("spec", "gateways", index), text)


def _serves(gateway: Gateway, host: str) -> bool:
    patterns = (entry.rpartition("/")[2] for server in gateway.spec.servers for entry in server.hosts)
    return any(hosts.overlap(pattern, host) is not None for pattern in patterns)


def destination_rules(world: World) -> Iterator[Message]:
    """Subsets that select no pod, hosts that no service has, rules for one host that contradict each other."""
    for item, rule in world.parsed(DestinationRule):
        full = hosts.resolve(rule.spec.host, item.namespace)
        if world.complete:
            yield from _subsets(world, item, rule, full)
            known = [*world.services, *world.external_hosts]
            if not any(hosts.overlap(full, one) is not None for one in known):
                text = (
                    f"The host {rule.spec.host} defined in the DestinationRule does not match any services in the mesh."
                )
                yield Message("IST0174", "Warning", item.origin, text)
        yield from _unverified(item, rule.spec.traffic_policy, rule.spec.host)


def _subsets(world: World, item: Item, rule: DestinationRule, full: str) -> Iterator[Message]:
    service = world.services.get(full)
    if service is None:
        return
    selector = service.spec.get("selector") or {}
    for subset in rule.spec.subsets:
        if not world.pods({**selector, **subset.labels}, service.namespace):
            text = (
                f"The Subset {subset.name} defined in the DestinationRule does not select any pods. "
                "Which may lead to 503 UH (NoHealthyUpstream)."
            )
            yield Message("IST0173", "Error", item.origin, text)


def _unverified(item: Item, policy: TrafficPolicy | None, host: str) -> Iterator[Message]:
    tls = policy.tls if policy else None
    place = f"{item.namespace}/{item.name}"
    if tls and _trusts_anybody(tls):
        text = (
            f"DestinationRule {place} in namespace {item.namespace} has TLS mode set to {tls.mode} but no "
            f"caCertificates are set to validate server identity for host: {host}"
        )
        yield Message("IST0128", "Warning", item.at("spec", "trafficPolicy", "tls", "caCertificates"), text)
    for index, port in enumerate(policy.port_level_settings if policy else ()):
        if port.tls and _trusts_anybody(port.tls):
            number = port.port.number if port.port else 0
            text = (
                f"DestinationRule {place} in namespace {item.namespace} has TLS mode set to {port.tls.mode} but no "
                f"caCertificates are set to validate server identity for host: {host} at port number:{number}"
            )
            path = ("spec", "trafficPolicy", "portLevelSettings", index, "tls", "caCertificates")
            yield Message("IST0129", "Warning", item.at(*path), text)


def _trusts_anybody(tls: ClientTLSSettings) -> bool:
    return tls.mode in ("SIMPLE", "MUTUAL") and not (tls.ca_certificates or tls.credential_name)
