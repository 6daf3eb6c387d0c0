from __future__ import annotations

from typing import Any

from meshdojo.istio.validation.webhook import review


def answer(spec: dict[str, Any], kind: str = "VirtualService") -> dict[str, Any]:
    obj = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    response: dict[str, Any] = review({"request": {"uid": "7", "namespace": "shop", "object": obj}})["response"]
    return response


def test_a_right_object_passes() -> None:
    spec = {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}]}
    assert answer(spec) == {"uid": "7", "allowed": True}


def test_a_wrong_object_is_refused_with_istios_words() -> None:
    response = answer({"hosts": ["a"]})
    assert response["allowed"] is False
    assert response["status"]["message"] == (
        "configuration is invalid: http, tcp or tls must be provided in virtual service"
    )


def test_warnings() -> None:
    routes = [{"route": [{"destination": {"host": "a"}}]}] * 2
    response = answer({"hosts": ["a"], "http": routes})
    assert response["allowed"] is True
    assert response["warnings"] == ["virtualService rule #1 not used (only the last rule can have no matches)"]


def test_the_namespace_of_the_request_completes_the_object() -> None:
    obj = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "a"}}
    request = {"uid": "7", "namespace": "shop", "object": {**obj, "spec": {"action": "DENY"}}}
    message = review({"request": request})["response"]["status"]["message"]
    assert message.startswith("configuration is invalid: invalid policy a.shop: DENY action without `rules`")


def test_an_empty_request_is_answered() -> None:
    response = review({})["response"]
    assert response["allowed"] is False
    assert "none of Istio's kinds" in response["status"]["message"]
