"""Token requests and reviews, as pods and control planes use them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.auth.authorization import Access, Decision
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.requests import ADMIN, Options, User
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

T = TypeVar("T")
Object = dict[str, Any]
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "web"}]}}


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await asyncio.wait_for(awaitable, 30)

    return asyncio.run(wait())


def token(api: Api, **spec: Any) -> Object:
    request = {"spec": spec}
    return run(api.create("serviceaccounts", request, "default", subresource="token", name="default"))


def review(api: Api, **spec: Any) -> Object:
    status: Object = run(api.create("tokenreviews.authentication.k8s.io", {"spec": spec}))["status"]
    return status


def test_a_token_for_a_pod_lives_as_long_as_the_pod(api: Api) -> None:
    pod = run(api.create("pods", POD, "default"))
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": pod["metadata"]["uid"]}
    issued = token(api, audiences=["istio-ca"], expirationSeconds=3607, boundObjectRef=reference)
    bearer = issued["status"]["token"]

    alive = review(api, token=bearer, audiences=["istio-ca"])
    run(api.delete("pods", "p", "default"))
    dead = review(api, token=bearer, audiences=["istio-ca"])

    assert issued["spec"]["expirationSeconds"] == 3607
    assert issued["status"]["expirationTimestamp"].endswith("Z")
    assert alive["authenticated"] is True
    assert alive["audiences"] == ["istio-ca"]
    assert alive["user"]["username"] == "system:serviceaccount:default:default"
    assert alive["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
    assert "authenticated" not in dead
    assert "pods default/p has been deleted" in dead["error"]


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({"expirationSeconds": 60}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**33}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"boundObjectRef": {"kind": "Pod", "name": "nope"}}, 404, 'pods "nope" not found'),
        ({"boundObjectRef": {"kind": "ConfigMap", "name": "x"}}, 400, "cannot bind token to object of type"),
    ],
)
def test_token_requests_that_are_refused(api: Api, spec: Object, code: int, words: str) -> None:
    with pytest.raises(StatusError) as caught:
        token(api, **spec)

    assert words in caught.value.message
    assert caught.value.code == code


def test_reviews_of_what_is_no_token(api: Api) -> None:
    assert review(api, token="abc") == {"user": {}, "error": "invalid bearer token"}
    with pytest.raises(StatusError, match="token is required"):
        review(api)


class OnlyPods:
    """Lets everyone look at pods, and nothing else."""

    def authorize(self, access: Access) -> Decision:
        return Decision(access.resource == "pods" and access.verb == "get", f"asked by {access.user.name}")


def test_access_reviews_ask_the_authorizer() -> None:
    api = Api(Store(), Block(0), authorizer=OnlyPods())

    def ask(resource: str, attributes: Object, **spec: Any) -> Object:
        body = {"spec": {"resourceAttributes": attributes, **spec}}
        name = f"{resource}.authorization.k8s.io"
        status: Object = run(api.create(name, body, options=Options(user=ADMIN)))["status"]
        return status

    mine = ask("selfsubjectaccessreviews", {"verb": "get", "resource": "pods"})
    theirs = ask("subjectaccessreviews", {"verb": "list", "resource": "pods"}, user="bob")

    assert mine == {"allowed": True, "reason": "asked by kubernetes-admin"}
    assert theirs == {"allowed": False, "reason": "asked by bob"}


def test_who_am_i(api: Api) -> None:
    me = User("jane", ("developers", "system:authenticated"), "7")
    answer = run(api.create("selfsubjectreviews.authentication.k8s.io", {}, options=Options(user=me)))

    assert answer["status"]["userInfo"] == {
        "username": "jane",
        "uid": "7",
        "groups": ["developers", "system:authenticated"],
    }
