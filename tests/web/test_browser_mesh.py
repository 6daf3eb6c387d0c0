"""The mesh pane, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect
from tests.web.samples import FakeJudge, FakeMesh, served
from tests.web.test_browser import opened, violations

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


def version(name: str, **more: Any) -> dict[str, Any]:
    standard = {"pods": 1, "ready": 1, "sidecars": 1, "weight": None, "rate": 0, "errors": 0.0}
    return {"name": f"web-{name}", "version": name, **standard, **more}


def node(identity: str, *versions: dict[str, Any], **more: Any) -> dict[str, Any]:
    kind, namespace, name = identity.split("/")
    bare = {"id": identity, "kind": kind, "namespace": namespace, "name": name, "mtls": "", "faults": [], "notes": []}
    return {**bare, "versions": list(versions), **more}


def way(source: str, target: str, **more: Any) -> dict[str, Any]:
    still = {"rate": 0, "errors": 0.0, "median": 0, "p95": 0, "total": 0, "codes": {}, "mtls": None}
    return {"source": source, "target": target, **still, **more}


GATEWAY, WEB = "gateway/istio-system/ingress", "service/fleet/web"
PARTS = {
    "nodes": [
        node(GATEWAY, version("ingress")),
        node(
            WEB,
            version("original", weight=90, rate=9.0),
            version("experimental", weight=10, rate=1.0, errors=0.5, ready=0, sidecars=0),
            mtls="STRICT",
            faults=["delay 2s, 50 %"],
        ),
    ],
    "ways": [way(GATEWAY, WEB, rate=10.0, errors=0.05, p95=31, mtls=True)],
}


async def test_the_graph_follows_the_mesh(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    mesh = FakeMesh()
    async with served(settings, judge, mesh=mesh):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        mesh.show(**PARTS)
        web = page.get_by_role("button", name="service web")
        for text in ("90 %", "10 %", "0/1 ready", "mTLS only", "delay 2s, 50 %", "no sidecar"):
            await expect(web).to_contain_text(text)
        await expect(web).to_have_accessible_name(
            "service web; mutual TLS strict; a pod without sidecar; original, weight 90 %, 1 of 1 pods ready, 9/s, no "
            "errors; experimental, weight 10 %, 0 of 1 pods ready, 1/s, 50 % errors; delay 2s, 50 %"
        )
        await expect(page.locator("[data-mesh-ways]")).to_contain_text(
            "ingress to web: 10/s, 5 % errors, 95 % within 31 ms, encrypted with mutual TLS"
        )
        await expect(page.locator(".way-busy.way-bad")).to_have_count(1)
        await expect(page.locator(".mesh-source")).to_have_text("Numbers: the test, last 5 s")
        mesh.show(nodes=[PARTS["nodes"][1]], ways=[])
        await expect(page.get_by_role("button", name="gateway ingress")).to_have_count(0)
        mesh.show(problem="No mesh is running.")
        await expect(page.locator(".mesh-problem")).to_have_text("No mesh is running.")
        assert complaints == []


async def test_a_node_closely_and_its_configuration_in_the_editor(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    mesh = FakeMesh()
    mesh.show(**PARTS)
    async with served(settings, judge, mesh=mesh):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        web = page.get_by_role("button", name="service web")
        await web.focus()
        await page.keyboard.press("Enter")
        panel = page.get_by_role("region", name="web", exact=True)
        await expect(panel).to_contain_text("web-1")
        await expect(panel).to_contain_text("[now] GET / 200")
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await expect(panel).to_have_count(0)
        await expect(web).to_be_focused()
        await web.click()
        await panel.get_by_text("Route fleet/web").click()
        await panel.get_by_role("button", name="Open in the editor").click()
        await expect(page.locator(".editor-host .cm-content")).to_contain_text("hosts: [old]")
        assert complaints == []


async def test_the_traffic_switch(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    mesh = FakeMesh()
    async with served(settings, judge, mesh=mesh):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        switch = page.get_by_role("switch", name="Traffic")
        await expect(switch).not_to_be_checked()
        await page.get_by_label("Requests a second").select_option("20/s")
        await switch.click()
        await expect(switch).to_be_checked()
        await expect(page.locator("[data-announcer]")).to_have_text("Traffic is on.")
        assert mesh.wish is not None
        assert mesh.wish.rate == 20
        await page.reload()
        await expect(switch).to_be_checked()  # it is a fact about the mesh, not about the page
        await switch.click()
        await expect(page.locator("[data-announcer]")).to_have_text("Traffic is off.")
        assert mesh.wish is None
        assert complaints == []


async def test_one_request_hop_by_hop(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    mesh = FakeMesh()
    async with served(settings, judge, mesh=mesh):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        await page.get_by_role("button", name="Trace a request").click()
        await expect(page.get_by_label("To", exact=True)).to_contain_text("ingress gateway")
        mesh.show(**PARTS)  # services that come later can be chosen, too
        await page.get_by_label("Path").fill("/version")
        await page.get_by_label("Header").fill("x-preview: yes: really")
        await page.get_by_label("To", exact=True).select_option("web.fleet, from inside")
        await page.get_by_role("button", name="Send", exact=True).click()
        result = page.locator(".trace-result")
        await expect(result).to_contain_text("503 in 10 ms")
        await expect(result).to_contain_text("UH: no healthy pod")
        await result.get_by_text("What this proxy saw").click()
        await expect(result).to_contain_text("mutual TLS")
        sent = mesh.traced[0]
        assert (sent.path, sent.to, sent.headers) == ("/version", "fleet/web", (("x-preview", "yes: really"),))
        await page.get_by_label("Path").fill("no slash")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(result).to_contain_text("it must begin with '/'")
        assert await violations(page) == []
        assert [one for one in complaints if "409" not in one] == []
