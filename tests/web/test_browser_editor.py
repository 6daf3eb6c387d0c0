"""The editor, in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Locator, Page, expect
from tests.web.samples import FakeJudge, FakeManifests, served
from tests.web.test_browser import opened

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

HEAD = "apiVersion: net.test/v1\nkind: Route\nmetadata:\n  name: web\n"


async def editor(page: Page, settings: Settings) -> Locator:
    await page.goto(f"{settings.url}/labs/split")
    await page.get_by_role("tab", name="Editor").click()
    content = page.locator(".editor-host .cm-content")
    await expect(content).to_be_visible()
    return content


async def write(page: Page, content: Locator, text: str) -> None:
    """Replace all of the text."""
    await content.click()
    await page.keyboard.press("Control+a")
    await page.keyboard.insert_text(text)


def ours(complaints: list[str]) -> list[str]:
    """Chromium's own editing commands try to keep the style of what is replaced; the policy forbids it, rightly."""
    return [one for one in complaints if "Applying inline style" not in one]


async def test_it_completes_explains_and_finds_mistakes(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        content = await editor(page, settings)
        await write(page, content, HEAD + "spec:\n  http:\n    - mode: FAST\n      ")
        await page.keyboard.press("Control+Space")
        choices = page.locator(".cm-tooltip-autocomplete li")
        await expect(choices).to_have_text(["retrytrue or false", "weightnumber"])  # 'mode' is there already
        await page.keyboard.press("Escape")
        await page.keyboard.type("mo")
        await page.keyboard.press("Escape")
        await write(page, content, HEAD + "spec:\n  http:\n    - mode: ")
        await page.keyboard.press("Control+Space")
        await expect(choices).to_have_text(["FAST", "SLOW"])
        await page.keyboard.press("Escape")

        await write(page, content, HEAD + "spec:\n  hots: [a]\n  http:\n    - weight: ten\n      mode: NO\n")
        marks = page.locator(".cm-lintRange-error")
        await expect(marks).to_have_text(["hots", "ten", "NO"])
        await marks.first.hover()
        await expect(page.locator(".cm-tooltip-lint")).to_contain_text("Did you mean “hosts”?")
        await page.mouse.move(0, 0)
        await page.get_by_text("weight", exact=True).first.hover()
        await expect(page.locator(".explain")).to_contain_text("The share, in per cent.")
        assert ours(complaints) == []


async def test_it_applies_and_shows_the_servers_word_at_its_line(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    manifests = FakeManifests()
    async with served(settings, judge, manifests=manifests):
        page, complaints = await opened(chromium, settings.entry_url)
        content = await editor(page, settings)
        text = HEAD + "spec:\n  hosts: [new]\n  http:\n    - weight: 101\n"
        await write(page, content, text)
        await page.keyboard.press("Control+s")
        await expect(page.locator(".editor-outcome")).to_contain_text("Invalid value: 101")
        await expect(page.locator(".cm-lintRange-error")).to_have_text(["weight"])
        assert manifests.applied == []
        await write(page, content, text.replace("101", "100") + "---\n" + HEAD.replace("web", "other"))
        await page.get_by_role("button", name="Apply").click()
        await expect(page.locator(".editor-outcome")).to_contain_text("route.net.test/web configured")
        assert [one.split("name: ")[1].split()[0] for one in manifests.applied] == ["web", "other"]
        assert ours(complaints) == []


async def test_it_compares_opens_and_keeps_a_draft(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        content = await editor(page, settings)
        await page.get_by_label("Open", exact=True).focus()
        await expect(page.get_by_label("Open", exact=True).locator("option")).to_have_count(2)
        await page.get_by_label("Open", exact=True).select_option(label="Route fleet/web")
        await expect(content).to_contain_text("hosts: [old]")
        await write(page, content, HEAD + "spec:\n  hosts: [new]\n")
        await page.get_by_role("button", name="Compare").click()
        await expect(page.locator(".comparison .cm-deletedChunk")).to_contain_text("[old]")
        await expect(page.locator(".comparison .cm-changedLine")).to_contain_text("[new]")
        await page.get_by_role("button", name="Back").click()
        await page.reload()
        await page.get_by_role("tab", name="Editor").click()
        await expect(content).to_contain_text("hosts: [new]")
        assert ours(complaints) == []
