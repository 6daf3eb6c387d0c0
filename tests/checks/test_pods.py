from typing import Any

from meshdojo.checks.pods import has_sidecar, is_ready, selects


def test_ready_is_ready_and_staying(pod: Any) -> None:
    assert is_ready(pod("a"))
    assert not is_ready(pod("a", ready=False))
    leaving = pod("a")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not is_ready(leaving)
    assert not is_ready({"metadata": {}, "status": {}})


def test_a_sidecar_is_native_or_a_container(pod: Any) -> None:
    assert has_sidecar(pod("a"))
    assert not has_sidecar(pod("a", sidecar=False))
    old = pod("a", sidecar=False)
    old["spec"]["containers"].append({"name": "istio-proxy"})
    assert has_sidecar(old)


def test_a_selector_needs_all_its_labels(pod: Any) -> None:
    assert selects({"app": "web"}, pod("a", app="web", version="v1"))
    assert not selects({"app": "web", "version": "v2"}, pod("a", app="web", version="v1"))
