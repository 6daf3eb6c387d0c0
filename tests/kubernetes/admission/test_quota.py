"""Quotas and limit ranges: what they count, fill in and refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from meshdojo.kubernetes import usage
from meshdojo.kubernetes.admission.limits import with_defaults
from meshdojo.kubernetes.admission.quota import in_scope
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.requests import Options

T = TypeVar("T")
Object = dict[str, Any]


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await asyncio.wait_for(awaitable, 30)

    return asyncio.run(wait())


def container(name: str = "c", **resources: Object) -> Object:
    return {"name": name, "image": "x", **({"resources": resources} if resources else {})}


def pod(name: str, *containers: Object, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": list(containers) or [container()], **spec}}


def quota(api: Api, **hard: str) -> None:
    named = {name.replace("_", "."): value for name, value in hard.items()}
    run(api.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": named}}, "default"))


def test_a_pod_uses_its_containers_and_sidecars_or_its_largest_init_container() -> None:
    own = {"requests": {"cpu": "100m"}}
    whole = pod(
        "p",
        container("a", **own),
        container("b", **own),
        initContainers=[
            {**container("sidecar", **own), "restartPolicy": "Always"},
            container("init", requests={"cpu": "1"}),
        ],
    )
    assert usage.text(usage.pod_amounts(whole, "requests")["cpu"]) == "1100m"
    assert usage.pod_amounts(pod("p", container("a", **own), container("b", **own)), "requests") == {"cpu": 2 * 10**8}
    assert usage.text(256 * 2**20 * usage.ONE, "2Gi") == "256Mi"
    assert usage.text(1500 * usage.ONE, "2Gi") == "1500"
    assert usage.text(10**8, "1") == "100m"


def test_what_exceeds_a_quota_is_refused_and_a_dry_run_uses_nothing(api: Api) -> None:
    quota(api, pods="2", secrets="1")
    for name in ("a", "b"):
        run(api.create("pods", pod(f"dry-{name}"), "default", options=Options(dry_run=True)))
        run(api.create("pods", pod(name), "default"))
    with pytest.raises(StatusError) as raised:
        run(api.create("pods", pod("c"), "default"))
    assert (raised.value.code, raised.value.message) == (
        403,
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
    )
    run(api.patch("pods", "a", {"status": {"phase": "Succeeded"}}, "default", subresource="status"))
    run(api.create("pods", pod("c"), "default"))
    run(api.create("secrets", {"metadata": {"name": "s"}}, "default"))
    with pytest.raises(StatusError, match="requested: secrets=1, used: secrets=1, limited: secrets=1"):
        run(api.create("secrets", {"metadata": {"name": "t"}}, "default"))
    run(api.create("secrets", {"metadata": {"name": "t"}}, "kube-system"))


def test_two_requests_do_not_share_the_last_place(api: Api) -> None:
    quota(api, pods="1")

    async def race() -> list[Any]:
        both = (api.create("pods", pod(name), "default") for name in ("a", "b"))
        return await asyncio.gather(*both, return_exceptions=True)

    outcomes = run(race())
    assert sum(isinstance(one, StatusError) for one in outcomes) == 1


def test_a_change_counts_by_what_it_adds(api: Api) -> None:
    quota(api, services_nodeports="0")
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}
    run(api.create("services", service, "default"))
    with pytest.raises(StatusError, match=r"exceeded quota: q, requested: services\.nodeports=1"):
        run(api.patch("services", "s", {"spec": {"type": "NodePort"}}, "default"))
    run(api.patch("services", "s", {"metadata": {"labels": {"a": "b"}}}, "default"))


def test_a_quota_of_compute_wants_every_container_to_say(api: Api) -> None:
    quota(api, requests_cpu="1", limits_memory="1Gi")
    with pytest.raises(
        StatusError, match=r"failed quota: q: must specify limits\.memory for: a,b; requests\.cpu for: b"
    ):
        run(api.create("pods", pod("p", container("a", requests={"cpu": "1m"}), container("b")), "default"))
    big = container("a", requests={"cpu": "900m"}, limits={"memory": "512Mi", "cpu": "1"})
    run(api.create("pods", pod("p", big), "default"))
    with pytest.raises(
        StatusError, match=r"requested: requests\.cpu=900m, used: requests\.cpu=900m, limited: requests\.cpu=1"
    ):
        run(api.create("pods", pod("p2", big), "default"))


@pytest.mark.parametrize(
    ("scope", "spec", "counts"),
    [
        ({"scopes": ["BestEffort"]}, {}, True),
        ({"scopes": ["NotBestEffort"]}, {}, False),
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 5}, True),
        ({"scopes": ["NotTerminating"]}, {"activeDeadlineSeconds": 5}, False),
        ({"scopes": ["BestEffort", "NotTerminating"]}, {}, True),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, {}, False),
    ],
)
def test_scopes(scope: Object, spec: Object, counts: bool) -> None:
    assert in_scope({"spec": scope}, pod("p", **spec)) is counts


def test_a_limit_range_fills_in_what_is_missing_and_says_so(api: Api) -> None:
    item = {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}
    limits = {"metadata": {"name": "l"}, "spec": {"limits": [item]}}
    sized = with_defaults(pod("p", container("a", requests={"cpu": "5m"}), container("b")), limits)
    assert sized["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu, memory limit for container a; cpu request for "
        "container b; cpu, memory limit for container b"
    }
    assert sized["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "5m"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    whole = pod("p", container(requests={"cpu": "1"}, limits={"cpu": "1", "memory": "1Gi"}))
    assert with_defaults(whole, limits) is whole


@pytest.mark.parametrize(
    ("item", "resources", "words"),
    [
        (
            {"min": {"cpu": "10m"}},
            {"requests": {"cpu": "1m"}},
            "minimum cpu usage per Container is 10m, but request is 1m",
        ),
        ({"max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "maximum cpu usage per Container is 1, but limit is 2"),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {},
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
    ],
)
def test_what_a_limit_range_refuses(api: Api, item: Object, resources: Object, words: str) -> None:
    limits = {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **item}]}}
    run(api.create("limitranges", limits, "default"))
    with pytest.raises(StatusError) as raised:
        run(api.create("pods", pod("p", container(**resources)), "default"))
    assert raised.value.message == f'pods "p" is forbidden: {words}'
