"""The mesh pane, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect
from tests.web.samples import FakeJudge, FakeMesh, served
from tests.web.test_browser import opened, violations

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "artifacts" / "screenshots"


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


def _fleet(*more: dict[str, Any], **web: Any) -> list[dict[str, Any]]:
    names = ("api-gateway", "position-tracker", "staff-service")
    services = [node(f"service/fleet/{name}", version("v1")) for name in names]
    versions = web.pop("versions", [version("original")])
    return [node(GATEWAY, version("ingress")), node(WEB, *versions, **web), *services, *more]


def _ways(*pairs: tuple[str, str], **more: Any) -> list[dict[str, Any]]:
    full = {"rate": 42.0, "p95": 1250, "mtls": True} | more
    return [way(source, target, **full) for source, target in pairs]


API, POSITIONS, STAFF = (f"service/fleet/{name}" for name in ("api-gateway", "position-tracker", "staff-service"))
PROBE, INSIDE, OUT = "probe/meshdojo-outside/probe", "probe/meshdojo-probe/probe", "outside//outside"
CHAIN = ((GATEWAY, WEB), (WEB, API), (API, POSITIONS), (API, STAFF))
# What the graphs of the labs come to with everything in them: callers within and without, versions, errors.
DENSE: dict[str, dict[str, Any]] = {
    "install": {
        "nodes": _fleet(node(PROBE, version("probe")), node("service/post/parcels", version("v1"))),
        "ways": _ways((PROBE, GATEWAY), *CHAIN),
    },
    "canary": {
        "nodes": _fleet(
            node(PROBE, version("probe")),
            node(INSIDE, version("probe")),
            versions=[version("original", weight=90, rate=38.0), version("experimental", weight=10, rate=4.2)],
        ),
        "ways": _ways((PROBE, GATEWAY), (INSIDE, WEB), *CHAIN),
    },
    "breaking": {
        "nodes": _fleet(node(PROBE, version("probe")), node(INSIDE, version("probe")), node(OUT)),
        "ways": [
            *_ways((PROBE, GATEWAY), (INSIDE, WEB), (INSIDE, API), (OUT, GATEWAY), *CHAIN[:3]),
            *_ways((INSIDE, POSITIONS), (INSIDE, STAFF), (API, STAFF), errors=0.4),
        ],
    },
    "mtls": {
        "nodes": _fleet(
            *(node(one, version("v1")) for one in (PROBE, INSIDE, "workload/legacy/batch", "service/legacy/report")),
            mtls="STRICT",
        ),
        "ways": [
            *_ways((PROBE, GATEWAY), *CHAIN, ("service/legacy/report", STAFF)),
            *_ways((PROBE, WEB), (PROBE, STAFF), (PROBE, API), ("workload/legacy/batch", STAFF), mtls=False),
            *_ways((INSIDE, WEB), (INSIDE, API), (INSIDE, POSITIONS), (INSIDE, STAFF)),
        ],
    },
}
BOXES = """() => [...document.querySelectorAll(".mesh-labels > :not([hidden])")].map((label) => {
    const box = label.getBoundingClientRect();
    const covered = [...document.querySelectorAll(".node, .mesh-labels > :not([hidden])")].filter((one) => {
        if (one === label) return false;
        const other = one.getBoundingClientRect();
        const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const high = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        return wide > 0.5 && high > 0.5;
    });
    return [label.innerText, covered.map((one) => one.innerText)];
})"""


@pytest.mark.parametrize("lab", DENSE)
async def test_no_label_covers_another_nor_a_node(
    settings: Settings, judge: FakeJudge, chromium: Browser, lab: str
) -> None:
    mesh = FakeMesh()
    mesh.show(**DENSE[lab])
    ways = DENSE[lab]["ways"]
    failing = sum(one["errors"] > 0 for one in ways)
    async with served(settings, judge, mesh=mesh):
        for scheme in ("light", "dark"):
            page, complaints = await opened(chromium, settings.entry_url, scheme, 1440)
            await page.goto(f"{settings.url}/labs/split")
            labels = page.locator(".mesh-labels > :not([hidden])")
            for width in (1440, 768, 390):
                await page.set_viewport_size({"width": width, "height": 900})
                if width == 768:
                    await page.get_by_role("button", name="Mesh", exact=True).click()
                await expect(labels.first).to_be_visible()
                assert [one for one in await page.evaluate(BOXES) if one[1]] == []
                # The more important ones have their place, and those of a node that is looked at, all of them.
                await expect(page.locator(".way-label-bad:not([hidden])")).to_have_count(failing)
                FOLDER.mkdir(parents=True, exist_ok=True)
                await page.screenshot(path=FOLDER / f"graph-{lab}-{width}-{scheme}.png")
                await page.get_by_role("button", name="service staff-service").hover()
                await expect(labels).to_have_count(sum(STAFF in (one["source"], one["target"]) for one in ways))
                assert [one for one in await page.evaluate(BOXES) if one[1]] == []
                await page.mouse.move(0, 0)
            assert complaints == []
            await page.context.close()
