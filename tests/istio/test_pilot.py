"""istiod against a real API server in process."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.istio.world import free_block, run_directory

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.istio.ca import ROOT_CONFIG_MAP, SECRET
from meshdojo.istio.crds import manifests
from meshdojo.istio.pilot import BadEnvironment, Pilot, Settings, main
from meshdojo.istio.version import VERSION
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.store import Store

pytestmark = pytest.mark.anyio
SYSTEM = "istio-system"
MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"


class Istiod:
    """A running istiod, and the API that it watches."""

    def __init__(self, api: Api, settings: Settings, session: aiohttp.ClientSession) -> None:
        self.api = api
        self.settings = settings
        self.session = session

    async def get(self, path: str, port: int = 15014) -> tuple[int, str]:
        async with self.session.get(f"http://{self.settings.address}:{port}{path}") as answer:
            return answer.status, await answer.text()

    async def until(self, look: Callable[[], Any]) -> Any:
        async with asyncio.timeout(60):
            while not (found := await look()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found


async def found_or_none(api: Api, resource: str, name: str, namespace: str | None = None) -> Object | None:
    try:
        return await api.get(resource, name, namespace)
    except StatusError:
        return None


@pytest.fixture
async def istiod(tmp_path: Path) -> AsyncIterator[Istiod]:
    with free_block() as block, run_directory() as run:
        api = Api(Store(), block)
        await bootstrap(api, host=str(block.node), port=6443)
        for name in (SYSTEM, "fleet"):
            await api.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for crd in manifests():
            await api.create("customresourcedefinitions.apiextensions.k8s.io", crd)
        settings = Settings(run, str(block.pods[300]))
        async with Pilot(api, settings), aiohttp.ClientSession() as session:
            yield Istiod(api, settings, session)


async def test_it_is_ready_and_tells_what_it_knows(istiod: Istiod) -> None:
    assert await istiod.get("/ready", 8080) == (200, "")
    assert json.loads((await istiod.get("/debug/syncz"))[1]) == []
    assert "pilot_services " in (await istiod.get("/metrics"))[1]
    assert (await istiod.get("/debug/config_dump?proxyID=x"))[0] == 404
    assert (await istiod.get("/debug/config_distribution?resource=x"))[0] == 422


async def test_the_root_is_kept_and_published(istiod: Istiod) -> None:
    secret = await istiod.api.get("secrets", SECRET, SYSTEM)
    root = base64.b64decode(secret["data"]["ca-cert.pem"]).decode()

    async def published() -> Object | None:
        return await found_or_none(istiod.api, "configmaps", ROOT_CONFIG_MAP, "fleet")

    found = await istiod.until(published)
    assert found["data"]["root-cert.pem"] == root
    await istiod.api.delete("configmaps", ROOT_CONFIG_MAP, "fleet")
    await istiod.until(published)
    late = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}
    await istiod.api.create("namespaces", late)
    await istiod.until(lambda: found_or_none(istiod.api, "configmaps", ROOT_CONFIG_MAP, "late"))


async def test_objects_reach_the_snapshot(istiod: Istiod) -> None:
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "fleet"},
        "spec": {"hosts": ["web"]},
    }
    created = await istiod.api.create("virtualservices.networking.istio.io", route, "fleet")
    version = created["metadata"]["resourceVersion"]

    async def known() -> bool:
        pages = json.loads((await istiod.get("/debug/configz"))[1])
        return [one["metadata"]["resourceVersion"] for one in pages] == [version]

    await istiod.until(known)


async def test_it_says_its_version(istiod: Istiod) -> None:
    status, text = await istiod.get("/version")
    assert (status, text) == (200, f"{VERSION}-meshdojo-Clean")


async def test_it_writes_its_ca_into_its_webhooks_and_answers_them(istiod: Istiod) -> None:
    webhook = {
        "name": "namespace.sidecar-injector.istio.io",
        "clientConfig": {"service": {"name": "istiod", "namespace": SYSTEM, "path": "/inject"}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "istio"},
        "webhooks": [webhook],
    }
    await istiod.api.create(MUTATING, configuration)

    async def bundle() -> str:
        found = await istiod.api.get(MUTATING, "istio")
        return str(found["webhooks"][0]["clientConfig"].get("caBundle", ""))

    context = ssl.create_default_context(cadata=base64.b64decode(await istiod.until(bundle)).decode())
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "object": {}}}
    url = f"https://{istiod.settings.address}:15017"
    async with istiod.session.post(
        f"{url}/validate", json=review, ssl=context, server_hostname="istiod.istio-system.svc"
    ) as answer:
        assert (await answer.json())["response"]["uid"] == "u"
    async with istiod.session.post(
        f"{url}/inject", data=b"no", ssl=context, server_hostname="istiod.istio-system.svc"
    ) as answer:
        assert (answer.status, await answer.text()) == (400, "the body is not JSON; expected an AdmissionReview")


def test_settings_name_what_is_missing() -> None:
    with pytest.raises(BadEnvironment, match="MESHDOJO_RUN is not set"):
        Settings.read({})
    with pytest.raises(BadEnvironment, match="MESHDOJO_POD_IP is not set"):
        Settings.read({"MESHDOJO_RUN": "/run"})
    found = Settings.read({"MESHDOJO_RUN": "/run", "MESHDOJO_POD_IP": "127.64.1.1", "REVISION": "canary"})
    assert found.named("istiod") == "istiod-canary"


def test_other_commands_end_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"]) == 1
    assert "the only command is 'discovery'" in capsys.readouterr().err
