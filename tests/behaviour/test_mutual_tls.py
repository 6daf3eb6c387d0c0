"""Mutual TLS: what a server takes (PeerAuthentication, at every level) against what a caller sends (DestinationRule).

Only the labels of policies in the tests' own namespaces are used: a policy of the mesh's would reach everything else
on a shared cluster, so that level is tested on a translated snapshot (`tests/istio/translation`) and by the lab `mtls`.
"""

from __future__ import annotations

import pytest
from tests.behaviour.world import Answer, World

POLICY = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}}}
spec: {spec}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: server}}
spec: {{host: server, trafficPolicy: {{tls: {{mode: {mode}}}}}}}
"""
CALLER = "spiffe://cluster.local/ns/behaviour/sa/default"
# A connection that was pooled before answers once more by the old rules, and there is one to each of the four pods.
# That the last of so many requests is the first to meet one of them happens less than once in 100 million tests.
ENOUGH = 80
TERMINATED = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
NO_TLS_THERE = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
    "remote connection failure"
)


def policy(spec: str, name: str = "default") -> str:
    return POLICY.format(name=name, spec=spec)


def from_client(world: World, url: str = "http://server/") -> str:
    """How a request from inside the mesh fares: ``mutual``, ``plain``, or the status and body of a failure."""
    return fate(world.many(ENOUGH, url)[-1])


def from_outside(world: World, url: str = "http://server/") -> str:
    return fate(world.get(url, source="outside"))


def fate(answer: Answer) -> str:
    if answer.error:
        return answer.error
    if answer.status != 200:
        return f"{answer.status} {answer.body}"
    return "mutual" if f"URI={CALLER}" in answer.received.get("x-forwarded-client-cert", "") else "plain"


def test_without_rules_the_mesh_speaks_mutual_tls_and_takes_plain_text(world: World) -> None:
    assert (from_client(world), from_outside(world)) == ("mutual", "plain")


def test_the_application_is_told_who_called_whatever_the_caller_says(world: World) -> None:
    forged = {"x-forwarded-client-cert": "By=a;URI=spiffe://cluster.local/ns/bank/sa/director"}
    told = world.get(headers=forged).received["x-forwarded-client-cert"]
    assert "bank" not in told
    assert told.startswith("By=spiffe://cluster.local/ns/behaviour/sa/default;Hash=")
    assert told.endswith(f';Subject="";URI={CALLER}')
    assert "x-forwarded-client-cert" not in world.get(headers=forged, source="outside").received
    other = world.get("http://server.behaviour/", source="other").received["x-forwarded-client-cert"]
    assert other.endswith("URI=spiffe://cluster.local/ns/behaviour-other/sa/default")


STRICT, PERMISSIVE = "{mtls: {mode: STRICT}}", "{mtls: {mode: PERMISSIVE}}"
RESET = "ConnectionResetError"


def own(fields: str = "", app: str = "server") -> str:
    """The spec of a policy for some workloads."""
    return f"{{selector: {{matchLabels: {{app: {app}}}}}{fields and f', {fields}'}}}"


@pytest.mark.parametrize(
    ("general", "special", "client", "outside"),
    [
        (STRICT, "", "mutual", RESET),
        (PERMISSIVE, "", "mutual", "plain"),
        # Callers are told that there is no TLS.
        ("{mtls: {mode: DISABLE}}", "", "plain", "plain"),
        ("{mtls: {mode: UNSET}}", "", "mutual", "plain"),
        ("{}", "", "mutual", "plain"),
        # The workload's own policy beats the namespace's, in both directions.
        (STRICT, own("mtls: {mode: PERMISSIVE}"), "mutual", "plain"),
        (PERMISSIVE, own("mtls: {mode: STRICT}"), "mutual", RESET),
        # One that does not say anything asks the next.
        (STRICT, own(), "mutual", RESET),
        (STRICT, own("mtls: {mode: UNSET}"), "mutual", RESET),
        # One that selects nothing of the server's has no effect on it.
        ("", own("mtls: {mode: STRICT}", app="nobody"), "mutual", "plain"),
        # The port is the pod's (8080), not the service's (80).
        ("", own('portLevelMtls: {"8080": {mode: STRICT}}'), "mutual", RESET),
        ("", own('portLevelMtls: {"80": {mode: STRICT}}'), "mutual", "plain"),
        ("", own('mtls: {mode: STRICT}, portLevelMtls: {"8080": {mode: PERMISSIVE}}'), "mutual", "plain"),
        ("", own('mtls: {mode: STRICT}, portLevelMtls: {"8080": {mode: DISABLE}}'), "plain", "plain"),
        ("", own('mtls: {mode: STRICT}, portLevelMtls: {"9999": {mode: DISABLE}}'), "mutual", RESET),
        (STRICT, own('portLevelMtls: {"8080": {mode: UNSET}}'), "mutual", RESET),
        (STRICT, own('portLevelMtls: {"9999": {mode: DISABLE}}'), "mutual", RESET),
    ],
)
def test_what_a_server_takes(world: World, general: str, special: str, client: str, outside: str) -> None:
    specs = {"default": general, "own": special}
    world.apply("---".join(policy(spec, name) for name, spec in specs.items() if spec))
    assert (from_client(world), from_outside(world)) == (client, outside)


# (mode of the caller's rule, mode of the server's policy, what the caller gets)
@pytest.mark.parametrize(
    ("mode", "mtls", "expected"),
    [
        ("DISABLE", "PERMISSIVE", "plain"),
        ("DISABLE", "STRICT", f"503 {TERMINATED}"),
        ("DISABLE", "DISABLE", "plain"),
        ("ISTIO_MUTUAL", "PERMISSIVE", "mutual"),
        ("ISTIO_MUTUAL", "STRICT", "mutual"),
        ("ISTIO_MUTUAL", "DISABLE", f"503 {NO_TLS_THERE}"),
        ("SIMPLE", "PERMISSIVE", f"503 {NO_TLS_THERE}"),
        ("SIMPLE", "STRICT", f"503 {NO_TLS_THERE}"),
    ],
)
def test_what_a_caller_sends_meets_what_the_server_takes(world: World, mode: str, mtls: str, expected: str) -> None:
    world.apply(RULE.format(mode=mode) + "---" + policy(f"{{mtls: {{mode: {mtls}}}}}"))
    assert from_client(world) == expected


def test_strict_resets_a_plain_client_that_was_served_before(world: World) -> None:
    assert from_outside(world) == "plain"
    world.apply(policy("{mtls: {mode: STRICT}}"))
    assert from_outside(world) == "ConnectionResetError"
    assert from_client(world) == "mutual"
    world.undo()
    assert from_outside(world) == "plain"
