"""The editor's requests, with a cluster that the test makes up; and kubectl's output made fit for an editor."""

from __future__ import annotations

import httpx
import pytest
from tests.web.samples import OPENAPI, FakeJudge, FakeManifests, served
from tests.web.test_terminal import csrf, enter_as_somebody_else

from meshdojo.web.local.kubectl import cleaned
from meshdojo.web.manifests import ManifestError, path_of, schema_of
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


def test_a_kinds_schema_comes_with_what_it_refers_to_and_no_more() -> None:
    found = schema_of(OPENAPI, "net.test/v1", "Route")
    assert found["root"] == "route.v1"
    assert set(found["schemas"]) == {"route.v1", "http", "meta"}
    with pytest.raises(ManifestError, match="has no kind 'Rout'"):
        schema_of(OPENAPI, "net.test/v1", "Rout")


def test_where_documents_are() -> None:
    assert path_of("v1") == "/openapi/v3/api/v1"
    assert path_of("apps/v1") == "/openapi/v3/apis/apps/v1"


def test_an_object_loses_what_only_the_server_writes() -> None:
    text = """
apiVersion: v1
kind: Service
metadata:
  name: web
  uid: 4711
  resourceVersion: "9"
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: "{}"
spec: {type: ClusterIP}
status: {}
"""
    assert cleaned(text) == "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  type: ClusterIP\n"
    assert cleaned("") == ""


async def post(client: httpx.AsyncClient, path: str, *documents: str) -> httpx.Response:
    return await client.post(path, json={"documents": documents}, headers=await csrf(client))


async def test_documents_are_applied_up_to_the_first_that_is_refused(settings: Settings, judge: FakeJudge) -> None:
    manifests = FakeManifests()
    async with served(settings, judge, manifests=manifests) as client:
        answer = await post(client, "/editor/apply", "one", "weight: 101", "three")
        assert [one["ok"] for one in answer.json()] == [True, False]
        assert manifests.applied == ["one"]
        assert [one["ok"] for one in (await post(client, "/editor/check", "one", "weight: 101")).json()] == [
            True,
            False,
        ]
        assert manifests.applied == ["one"]
        difference = (await post(client, "/editor/diff", "new")).json()[0]
        assert "hosts: [old]" in difference["before"]


async def test_what_can_be_opened(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        headers = await csrf(client)
        await client.post("/labs/split/files", json={"name": "route.yaml", "text": "kind: Route\n"}, headers=headers)
        found = (await client.get("/labs/split/editor")).json()
        assert found == {
            "files": ["route.yaml"],
            "objects": [{"kind": "Route", "namespace": "fleet", "name": "web"}],
        }
        assert (await client.get("/labs/split/files/route.yaml")).json() == {"text": "kind: Route\n"}
        assert (await client.get("/labs/next/files/route.yaml")).status_code == 404
        assert (
            "kind: Route" in (await client.get("/editor/object", params={"kind": "Route", "name": "x"})).json()["text"]
        )


@pytest.mark.parametrize("name", ["../x.yaml", ".hidden.yaml", "a/b.yaml", "x.sh", "", "-.yaml"])
async def test_files_stay_in_the_labs_folder(settings: Settings, judge: FakeJudge, name: str) -> None:
    async with served(settings, judge) as client:
        answer = await client.post("/labs/split/files", json={"name": name, "text": ""}, headers=await csrf(client))
        assert answer.status_code == 422


async def test_links_are_not_followed(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        folder = settings.state_directory / "work" / "split"
        folder.mkdir(parents=True, exist_ok=True)
        secret = settings.state_directory / "secret"
        secret.write_text("secret")
        (folder / "link.yaml").symlink_to(secret)
        assert (await client.get("/labs/split/files/link.yaml")).status_code == 422


async def test_options_cannot_be_smuggled_in(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        query = {"kind": "--kubeconfig=/etc/passwd", "name": "x"}
        assert (await client.get("/editor/object", params=query)).status_code == 422
        query = {"api_version": "../../secrets", "kind": "x"}
        assert (await client.get("/editor/schema", params=query)).status_code == 422


async def test_the_editor_and_the_mesh_are_the_owners(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        client.cookies.clear()
        await enter_as_somebody_else(settings, client)
        headers = await csrf(client)
        for path in ("/labs/split/editor", "/editor/object?kind=a&name=b", "/mesh/live", "/mesh/node?id=x"):
            assert (await client.get(path)).status_code == 403, path
        for path in ("/editor/apply", "/editor/check", "/editor/diff", "/mesh/traffic", "/mesh/trace"):
            answer = await client.post(path, json={"documents": [], "on": True, "path": "/"}, headers=headers)
            assert answer.status_code == 403, path
