from __future__ import annotations

from meshdojo.istio.istioctl.proxy_status import subscribed


def test_types_in_istioctls_order() -> None:
    resources = {name: {"type": name, "state": "SYNCED"} for name in ("RDS", "CDS", "SDS", "LDS", "EDS")}
    assert subscribed({"resources": resources}) == "5 (CDS,LDS,EDS,RDS,SDS)"


def test_a_refused_type_is_marked() -> None:
    resources = {"x": {"type": "RDS", "error": "no such cluster"}, "y": {"type": "CDS"}}
    assert subscribed({"resources": resources}) == "2 (CDS,RDS REFUSED)"


def test_the_certificate_of_the_workload_does_not_count() -> None:
    resources = {"x": {"type": "SDS", "workload": True}, "y": {"type": "CDS"}}
    assert subscribed({"resources": resources}) == "1 (CDS)"


def test_a_proxy_that_has_asked_for_nothing() -> None:
    assert subscribed({}) == "0 ()"
