"""The client over HTTP: URLs, bodies, watches, failures."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from meshdojo.cluster.errors import StatusError, Unreachable
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.kubeconfig import Access, TokenFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Server

pytestmark = pytest.mark.anyio
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"}}
PODS = "/api/v1/namespaces/default/pods"
GROUP = {
    "versions": [{"version": "v1beta1"}, {"version": "v1"}],
    "preferredVersion": {"version": "v1"},
}
THINGS = {"resources": [{"name": "things", "kind": "Thing", "namespaced": True, "verbs": ["get"]}]}


def failure(code: int, reason: str, message: str, **more: Any) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, **more}


async def test_a_well_known_kind_needs_one_request(server: Server) -> None:
    server.answer("GET", f"{PODS}/web", POD)
    async with server.client() as client:
        assert await client.get("pods", "web", "default") == POD
    (call,) = server.calls
    assert call.headers["Authorization"] == "Bearer secret"


async def test_a_dry_run_says_so_and_a_write_does_not(server: Server) -> None:
    server.answer("POST", PODS, POD)
    async with server.client() as client:
        await client.create("pods", POD, "default", dry_run=True)
        await client.create("pods", POD, "default")
    assert [call.query for call in server.calls] == [{"dryRun": "All"}, {}]


async def test_every_write_goes_where_it_belongs(server: Server) -> None:
    for method, path in [
        ("POST", PODS),
        ("POST", f"{PODS}/web/binding"),
        ("PUT", f"{PODS}/web"),
        ("PUT", f"{PODS}/web/status"),
        ("PATCH", f"{PODS}/web"),
        ("DELETE", f"{PODS}/web"),
    ]:
        server.answer(method, path, POD)
    async with server.client() as client:
        await client.create("pods", POD, "default")
        await client.create("pods", {"kind": "Binding"}, "default", subresource="binding", name="web")
        await client.update("pods", POD)
        await client.update("pods", POD, "default", subresource="status")
        await client.patch("pods", "web", {"a": 1}, "default", type="apply", field_manager="me", force=True)
        await client.delete("pods", "web", "default", propagation="Orphan", grace_seconds=0, uid="u")
    made = [(call.method, call.path.removeprefix(PODS)) for call in server.calls]
    assert made == [
        ("POST", ""),
        ("POST", "/web/binding"),
        ("PUT", "/web"),
        ("PUT", "/web/status"),
        ("PATCH", "/web"),
        ("DELETE", "/web"),
    ]
    patch, delete = server.calls[-2:]
    assert patch.headers["Content-Type"] == "application/apply-patch+yaml"
    assert patch.query == {"fieldManager": "me", "force": "true"}
    assert delete.body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Orphan",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }


async def test_items_of_a_list_say_what_they_are(server: Server) -> None:
    item = {"metadata": {"name": "web"}}
    server.answer("GET", "/api/v1/pods", {"metadata": {"resourceVersion": "7"}, "items": [item]})
    async with server.client() as client:
        listed = await client.list("pods", labels="app=web", fields="status.phase=Running")
    assert listed.items == [{"apiVersion": "v1", "kind": "Pod", **item}]
    assert listed.resource_version == "7"
    assert server.calls[0].query == {"labelSelector": "app=web", "fieldSelector": "status.phase=Running"}


async def test_other_groups_are_discovered_once(server: Server) -> None:
    server.answer("GET", "/apis/example.com", GROUP)
    server.answer("GET", "/apis/example.com/v1", THINGS)
    server.answer("GET", "/apis/example.com/v1beta1", THINGS)
    for version in ("v1", "v1beta1"):
        server.answer("GET", f"/apis/example.com/{version}/namespaces/default/things/x", {"v": version})
    async with server.client() as client:
        assert await client.get("things.example.com", "x", "default") == {"v": "v1"}
        asked = len(server.calls)
        assert await client.get("things.v1beta1.example.com", "x", "default") == {"v": "v1beta1"}
        assert len(server.calls) == asked + 1


async def test_an_unknown_kind_is_looked_up_again_each_time(server: Server) -> None:
    async with server.client() as client:
        with pytest.raises(StatusError, match=r'resource type "things\.example\.com"') as caught:
            await client.list("things.example.com")
        assert (caught.value.code, caught.value.reason) == (404, "NotFound")
        server.answer("GET", "/apis/example.com", {"versions": [{"version": "v1"}]})
        server.answer("GET", "/apis/example.com/v1", THINGS)
        server.answer("GET", "/apis/example.com/v1/things", {"metadata": {}, "items": []})
        assert (await client.list("things.example.com")).items == []


async def test_a_refusal_carries_the_servers_words(server: Server) -> None:
    details = {"name": "web", "kind": "pods"}
    server.answer("GET", f"{PODS}/web", failure(404, "NotFound", 'pods "web" not found', details=details), 404)
    async with server.client() as client:
        with pytest.raises(StatusError, match=r'^pods "web" not found$') as caught:
            await client.get("pods", "web", "default")
    assert (caught.value.code, caught.value.reason, caught.value.details) == (404, "NotFound", details)


async def test_a_refusal_that_is_no_status_keeps_its_text(server: Server) -> None:
    async with server.client() as client:
        with pytest.raises(StatusError, match=r"^404 page not found$"):
            await client.raw("GET", "/nothing")


async def test_a_watch_gives_events_of_any_length(server: Server) -> None:
    large = {**POD, "data": "x" * 300_000}
    events = [{"type": "ADDED", "object": large}, {"type": "BOOKMARK", "object": POD}]

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write("".join(json.dumps(event) + "\n" for event in events).encode())
        return response

    server.handle("GET", PODS, stream)
    async with server.client() as client:
        seen = [event async for event in client.watch("pods", "default", since="5")]
    assert [(event.type, event.object) for event in seen] == [("ADDED", large), ("BOOKMARK", POD)]
    query = server.calls[0].query
    assert (query["watch"], query["resourceVersion"], query["allowWatchBookmarks"]) == ("true", "5", "true")


async def test_a_watch_from_too_long_ago_is_an_error(server: Server) -> None:
    gone = {"type": "ERROR", "object": failure(410, "Expired", "too old resource version: 5 (9)")}
    server.answer("GET", PODS, gone)
    async with server.client() as client:
        with pytest.raises(StatusError, match="too old") as caught:
            [event async for event in client.watch("pods", "default", since="5")]
    assert caught.value.code == 410


async def test_closing_a_watch_closes_its_connection(server: Server) -> None:
    closed = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(json.dumps({"type": "ADDED", "object": POD}).encode() + b"\n")
        try:
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    server.handle("GET", PODS, stream)
    async with server.client() as client:
        async with aclosing(client.watch("pods", "default")) as events:
            assert (await anext(events)).type == "ADDED"
        async with asyncio.timeout(10):
            await closed.wait()


async def test_a_refused_token_is_read_again(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")

    async def check(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer new":
            return web.json_response(POD)
        token.write_text("new")
        return web.json_response(failure(401, "Unauthorized", "Unauthorized"), status=401)

    server.handle("GET", f"{PODS}/web", check)
    async with server.client(credential=TokenFile(token)) as client:
        assert await client.get("pods", "web", "default") == POD


async def test_a_token_that_stays_refused_is_an_error(server: Server) -> None:
    server.answer("GET", f"{PODS}/web", failure(401, "Unauthorized", "Unauthorized"), 401)
    async with server.client() as client:
        with pytest.raises(StatusError, match="Unauthorized"):
            await client.get("pods", "web", "default")
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "the cluster at http://127.0.0.1:1 does not answer: Connection refused"),
        ("http://nowhere.invalid", "the cluster at http://nowhere.invalid does not answer: "),
    ],
)
async def test_no_answer(url: str, words: str) -> None:
    async with HTTPClient(Access(url)) as client:
        with pytest.raises(Unreachable) as caught:
            await client.version()
    assert str(caught.value).startswith(words)


async def test_apply_is_server_side_and_names_what_was_refused(server: Server) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    server.answer("PATCH", f"{path}/good", {"kind": "ConfigMap"})
    server.answer("PATCH", f"{path}/bad", failure(422, "Invalid", "no"), 422)
    manifests = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in ("good", "bad")]
    async with server.client() as client:
        assert await client.apply(manifests[0]) == ({"kind": "ConfigMap"},)
        with pytest.raises(StatusError, match=r"^ConfigMap bad: no$"):
            await client.apply(manifests)
        with pytest.raises(StatusError, match=r'no matches for kind "Thing" in version "example\.com/v1"'):
            await client.apply({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}})
    assert server.calls[0].query == {"fieldManager": "meshdojo", "force": "true"}
    assert server.calls[0].body == manifests[0]


async def test_numbers_as_keys_are_sent_as_text(server: Server) -> None:
    """`portLevelMtls: {9090: …}` in YAML."""
    server.answer("PATCH", "/api/v1/namespaces/default/configmaps/ports", {"kind": "ConfigMap"})
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ports"}, "data": {9090: "DISABLE"}}
    async with server.client() as client:
        await client.apply(manifest)
    assert server.calls[0].body == {**manifest, "data": {"9090": "DISABLE"}}


async def test_apply_waits_for_the_kinds_that_it_brings(server: Server) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
    }
    asked = 0

    async def group(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        body = {"versions": [{"version": "v1"}]} if asked > 2 else failure(404, "NotFound", "not yet")
        return web.json_response(body, status=200 if asked > 2 else 404)

    server.answer("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com", crd)
    server.handle("GET", "/apis/example.com", group)
    server.answer("GET", "/apis/example.com/v1", THINGS)
    server.answer("PATCH", "/apis/example.com/v1/namespaces/default/things/x", {"kind": "Thing"})
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    async with server.client() as client:
        assert [one["kind"] for one in await client.apply([crd, thing])] == ["CustomResourceDefinition", "Thing"]


async def test_logs(server: Server) -> None:
    async def text(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"one\ntwo \xff\n")

    server.handle("GET", f"{PODS}/web/log", text)
    async with server.client() as client:
        assert await client.logs("default", "web", "app", tail_lines=0, previous=True) == "one\ntwo �\n"
        lines = [line async for line in client.follow_logs("default", "web")]
    assert lines == [b"one", b"two \xff"]
    assert server.calls[0].query == {"container": "app", "previous": "true", "tailLines": "0"}


async def test_everything_that_is_served_is_asked_for_at_once(server: Server) -> None:
    def resource(name: str, kind: str, scope: str = "Namespaced") -> dict[str, Any]:
        return {"resource": name, "responseKind": {"kind": kind}, "scope": scope, "verbs": ["list"]}

    def versions(*names: str) -> list[dict[str, Any]]:
        return [{"version": name, "resources": [resource("things", "Thing")]} for name in names]

    core = {"metadata": {}, "versions": [{"version": "v1", "resources": [resource("nodes", "Node", "Cluster")]}]}
    server.answer("GET", "/api", {"items": [core]})
    server.answer(
        "GET", "/apis", {"items": [{"metadata": {"name": "example.com"}, "versions": versions("v1", "v1b1")}]}
    )
    async with server.client() as client:
        served = await client.discovery.all()
    assert [(one.name, one.version, one.namespaced) for one in served] == [
        ("nodes", "v1", False),
        ("things.example.com", "v1", True),
    ]
    assert {call.path for call in server.calls} == {"/api", "/apis"}
    assert all("APIGroupDiscoveryList" in call.headers["Accept"] for call in server.calls)


async def test_everything_that_an_older_server_serves(server: Server) -> None:
    server.answer("GET", "/api", {"versions": ["v1"]})
    pods = {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["list"]}
    server.answer("GET", "/apis", {"groups": [{"name": "example.com"}]})
    server.answer("GET", "/api/v1", {"resources": [pods, {**pods, "name": "pods/log"}]})
    server.answer("GET", "/apis/example.com", GROUP)
    server.answer("GET", "/apis/example.com/v1", THINGS)
    server.answer("GET", "/apis/example.com/v1beta1", THINGS)
    async with server.client() as client:
        served = await client.discovery.all()
    assert [(one.name, one.version) for one in served] == [("pods", "v1"), ("things.example.com", "v1")]


def test_importing_the_client_does_not_import_aiohttp() -> None:
    program = "import sys, meshdojo.cluster.http; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
