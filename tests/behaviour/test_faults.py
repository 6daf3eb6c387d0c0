"""Injected faults: delays and aborts, how often, for whom, and what does not work against them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from tests.behaviour.world import NAMESPACE, World

from meshdojo.checks.binomial import design
from meshdojo.cluster.errors import StatusError

ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: server}}
spec:
  hosts: [server]
  http:
    - name: faulty
      {route}
      route: [{{destination: {{host: server}}}}]
"""
URL = f"http://server.{NAMESPACE}/"
HALF = design(0.5, 0.2, 0.8)


def apply(world: World, fault: str, more: str = "") -> None:
    world.apply(ROUTE.format(route=f"fault: {fault}\n      {more}"))


def traced(world: World, **options: Any) -> tuple[Any, Any]:
    """An answer, and what the client's proxy wrote about it."""
    request_id = uuid4().hex
    answer = world.get(headers={"x-request-id": request_id, "x-test": request_id, **options})
    [entry] = world.log("client", request_id)
    return answer, entry


def test_an_abort_answers_in_the_service_s_place(world: World) -> None:
    apply(world, "{abort: {percentage: {value: 100}, httpStatus: 418}}")
    answer, entry = traced(world)
    assert (answer.status, answer.body, answer.header("server")) == (418, "fault filter abort", "envoy")
    assert (entry.verdict, entry.route, entry.upstream) == ("418 FI fault_filter_abort", "faulty", "-")
    assert [world.seen(entry.id, version)[0] for version in ("v1", "v2")] == [0, 0]


@pytest.mark.parametrize("percentage", ["", "percentage: {value: 0}, "])
def test_an_abort_without_a_percentage_never_strikes(world: World, percentage: str) -> None:
    apply(world, f"{{abort: {{{percentage}httpStatus: 503}}}}")
    assert {answer.status for answer in world.many(20)} == {200}


@pytest.mark.parametrize("percentage", ["", "percentage: {value: 0}, "])
def test_a_delay_without_a_percentage_never_strikes(world: World, percentage: str) -> None:
    apply(world, f"{{delay: {{{percentage}fixedDelay: 600s}}}}")
    assert {answer.status for answer in world.many(20)} == {200}


def test_a_share_of_the_requests(world: World) -> None:
    apply(world, "{abort: {percentage: {value: 50}, httpStatus: 503}}")
    answers = world.many(HALF.requests)
    assert HALF.accepts(sum(answer.status == 503 for answer in answers))


def test_a_delay_is_a_real_answer_that_comes_late(world: World) -> None:
    apply(world, "{delay: {percentage: {value: 100}, fixedDelay: 0.5s}}")
    answer, entry = traced(world)
    assert answer.seconds >= 0.49
    assert (answer.status, entry.verdict, entry.route) == (200, "200 DI via_upstream", "faulty")
    assert int(entry.duration) >= 490
    assert world.seen(entry.id, "v1")[0] + world.seen(entry.id, "v2")[0] == 1


def test_the_delay_comes_before_the_abort(world: World) -> None:
    both = "percentage: {value: 100}"
    apply(world, f"{{delay: {{{both}, fixedDelay: 0.5s}}, abort: {{{both}, httpStatus: 503}}}}")
    answer, entry = traced(world)
    assert answer.seconds >= 0.49
    assert (answer.status, entry.verdict) == (503, "503 DI,FI fault_filter_abort")


def test_a_delay_does_not_count_towards_the_route_s_timeout(world: World) -> None:
    apply(world, "{delay: {percentage: {value: 100}, fixedDelay: 1s}}", "timeout: 0.5s")
    answer, entry = traced(world)
    assert answer.seconds >= 0.99
    assert entry.verdict == "200 DI via_upstream"


def test_a_slow_service_does_count(world: World) -> None:
    apply(world, "{delay: {percentage: {value: 100}, fixedDelay: 0.1s}}", "timeout: 0.3s")
    answer, entry = traced(world, **{"x-delay": "1"})
    assert (answer.status, entry.verdict) == (504, "504 DI,UT response_timeout")


def test_an_injected_abort_is_not_retried(world: World) -> None:
    apply(world, "{abort: {percentage: {value: 50}, httpStatus: 503}}", "retries: {attempts: 10, retryOn: '5xx,503'}")
    answers = world.many(HALF.requests)
    assert HALF.accepts(sum(answer.status == 503 for answer in answers))


def test_a_fault_is_in_the_proxy_of_every_caller(world: World) -> None:
    apply(world, "{abort: {percentage: {value: 50}, httpStatus: 503}}")
    answers = world.many(HALF.requests, URL, source="other")
    assert HALF.accepts(sum(answer.status == 503 for answer in answers))
    [outside] = world.many(1, URL, source="outside")
    assert outside.status == 200


def test_an_abort_of_grpc_is_200_for_a_plain_client(world: World) -> None:
    apply(world, "{abort: {percentage: {value: 100}, grpcStatus: UNAVAILABLE}}")
    plain = world.get()
    assert (plain.status, plain.body, plain.header("grpc-status")) == (200, "fault filter abort", None)
    grpc = world.get(headers={"content-type": "application/grpc"}, method="POST")
    assert (grpc.status, grpc.body, grpc.header("grpc-status")) == (200, "", "14")
    assert grpc.header("grpc-message") == "fault filter abort"


@pytest.mark.parametrize(("status", "number"), [("NOT_FOUND", "5"), ("DATA_LOSS", "15")])
def test_the_status_of_grpc(world: World, status: str, number: str) -> None:
    apply(world, f"{{abort: {{percentage: {{value: 100}}, grpcStatus: {status}}}}}")
    answer = world.get(headers={"content-type": "application/grpc"}, method="POST")
    assert answer.header("grpc-status") == number


def test_clients_cannot_ask_for_a_fault(world: World) -> None:
    apply(world, "{abort: {percentage: {value: 0}, httpStatus: 503}}")
    asked = {"x-envoy-fault-abort-request": "503", "x-envoy-fault-abort-request-percentage": "100"}
    assert world.get(headers=asked).status == 200


def test_the_old_percent_of_a_delay_still_counts(world: World) -> None:
    apply(world, "{delay: {percent: 100, fixedDelay: 0.3s}}")
    answer, entry = traced(world)
    assert answer.seconds >= 0.29
    assert entry.flags == "DI"


def test_a_direct_answer_cannot_have_a_fault(world: World) -> None:
    route = "fault: {abort: {percentage: {value: 100}, httpStatus: 503}}\n      directResponse: {status: 200}"
    text = ROUTE.format(route=route).replace("      route: [{destination: {host: server}}]\n", "")
    with pytest.raises(StatusError, match="HTTP route cannot contain both fault and direct_response"):
        world.apply(text)


def test_faults_at_the_gateway(world: World) -> None:
    world.apply(f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: faults}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [faults.example]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: faults}}
spec:
  hosts: [faults.example]
  gateways: [faults]
  http:
    - match: [{{headers: {{x-drill: {{exact: "1"}}}}}}]
      fault: {{abort: {{percentage: {{value: 100}}, httpStatus: 503}}}}
      route: [{{destination: {{host: server.{NAMESPACE}.svc.cluster.local}}}}]
    - route: [{{destination: {{host: server.{NAMESPACE}.svc.cluster.local}}}}]
""")
    url, host = "http://istio-ingressgateway.istio-system/", {"host": "faults.example"}
    assert world.get(url, host, source="outside").status == 200
    assert world.get(url, {**host, "x-drill": "1"}, source="outside").body == "fault filter abort"
