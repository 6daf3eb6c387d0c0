from typing import Any

import pytest

from meshdojo.course.masks import IN_CHAPTERS, mask, matches


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("web-original-5498689fbf-v728j", "web-original-<pod>"),
        ("api-gateway-84f5b7df46-q2m5x", "api-gateway-<pod>"),
        ("replicaset.apps/web-original-5498689fbf", "replicaset.apps/web-original-<hash>"),
        ("10.96.0.1", "<address>"),
        ("127.200.0.17:31380", "<address>"),
        ("Running 0 12s", "Running 0 <age>"),
        ("3 (4m2s ago) 2d4h", "3 (<age> ago) <age>"),
        ("2/2     Running   0            12s", "2/2     Running   <restarts>            <age>"),
        ("2/2     Running   1 (5s ago)   2d4h", "2/2     Running   <restarts>   <age>"),
        ("v1.34.4", "<version>"),
        ("1.31-dev", "<version>"),
        ("date: Sat, 21 Nov 2026 06:35:00 GMT", "date: <date>"),
        ("2026-11-21T06:35:00Z", "<date>"),
        ("c4cdec36-09ea-4b70-b4a8-067180e412ed", "<uid>"),
        ("x-envoy-upstream-service-time: 12", "x-envoy-upstream-service-time: <ms>"),
        ('deployment.apps "web" deleted', 'deployment.apps "web" deleted<where>'),
        ('deployment.apps "web" deleted from fleet namespace', 'deployment.apps "web" deleted<where>'),
    ],
)
def test_what_says_nothing_is_masked(text: Any, masked: Any) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "web-original",
        "position-tracker",
        "staff-service",
        "istio-ingressgateway",
        "meshdojo/fleet-web:1.0",
        "2/2",
        "weight: 90",
        "HTTP/1.1 503 Service Unavailable",
        "virtualservice.networking.istio.io/web configured",
        "no healthy upstream",
        "1/2     CrashLoopBackOff   4",
    ],
)
def test_what_says_something_is_left_alone(text: Any) -> None:
    assert mask(text) == text


def test_every_rule_says_why_it_is_there() -> None:
    assert all(rule.why for rule in IN_CHAPTERS)
    assert len({rule.name for rule in IN_CHAPTERS}) == len(IN_CHAPTERS)


def test_columns_may_change_their_width() -> None:
    documented = "NAME                            AGE\nweb-original-5498689fbf-v728j   3s\n"
    printed = "NAME                           AGE\nweb-original-548868bfb-aaaaa   3m20s"
    assert not matches(documented, printed)  # 'a' is not in Kubernetes' alphabet
    assert matches(documented, printed.replace("aaaaa", "b2cd4"))


@pytest.mark.parametrize(
    ("documented", "printed", "same"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("a\nb\n", "a\n", False),
        ("", "", True),
        ("", "anything\n", False),
        ("...\n", "", True),
        ("...\n", "any\nthing\n", True),
        ("a\n...\nz\n", "a\nz\n", True),
        ("a\n...\nz\n", "a\nb\nz\nc\nz\n", True),
        ("a\n...\nz\n", "a\nb\n", False),
        ("...\nb\n...\n", "a\nb\nc\n", True),
        ("...\nb\n", "b\nc\n", False),
    ],
)
def test_line_by_line(documented: Any, printed: Any, same: Any) -> None:
    assert matches(documented, printed, ()) is same


def test_seconds_are_masked_on_request_only() -> None:
    assert not matches("200 after 2.013204 s\n", "200 after 0.1 s\n")
    assert matches("200 after 2.013204 s\n", "200 after 0.1 s\n", ["seconds"])
    assert not matches("200 after 2.013204 s\n", "504 after 0.1 s\n", ["seconds"])


def test_counts_are_masked_on_request_only() -> None:
    assert not matches("  21 a\n 179 b\n", "  18 a\n 182 b\n")
    assert matches("  21 a\n 179 b\n", "  18 a\n 182 b\n", ["counts"])
    assert not matches("  21 a\n 179 b\n", " 200 b\n", ["counts"])
