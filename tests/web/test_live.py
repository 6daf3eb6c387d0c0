"""The judge works while somebody watches; what it finds is kept first and told then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from tests.web.samples import BROKEN, FAILED, PASSED, FakeJudge, judged

from meshdojo.web import live
from meshdojo.web.database import Database, migrate, open_engine
from meshdojo.web.live import Checking, Hub, Update
from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.progress import Progress, Verdict

pytestmark = pytest.mark.anyio


@pytest.fixture
async def progress(tmp_path: Path) -> AsyncIterator[Progress]:
    engine = open_engine(f"sqlite:///{tmp_path / 'site.db'}")
    await migrate(engine)
    yield Progress(Database(engine))
    await engine.dispose()


@pytest.fixture
async def hub(judge: FakeJudge, progress: Progress) -> AsyncIterator[Hub]:
    hub = Hub(judge, progress, "embedded", linger=0.0)
    yield hub
    await hub.close()


async def until(true: Callable[[], bool], changed: asyncio.Event) -> None:
    """Wait for the state to be so, waking at each change."""
    async with asyncio.timeout(60):
        while not true():
            changed.clear()
            await changed.wait()


async def test_an_outcome_is_on_disk_before_anybody_hears_of_it(hub: Hub, judge: FakeJudge, progress: Progress) -> None:
    async with hub.watch(LOCAL_LEARNER, "split") as changed:
        state = (await hub.lab(LOCAL_LEARNER, "split")).state
        await judge.started.wait()
        judge.say("split", Checking("dark"))
        await until(lambda: state.checking == "dark", changed)
        judge.say("split", *judged("dark", PASSED))
        await until(lambda: "dark" in state.now, changed)
        kept = await progress.lab(LOCAL_LEARNER, "split")
        assert kept.passed_at == state.progress.passed_at == {"dark": state.now["dark"].at}
        assert state.checking is None


async def test_true_now_is_kept_apart_from_passed_at(hub: Hub, judge: FakeJudge) -> None:
    async with hub.watch(LOCAL_LEARNER, "split") as changed:
        state = (await hub.lab(LOCAL_LEARNER, "split")).state
        await judge.started.wait()
        judge.say("split", *judged("dark", PASSED), *judged("dark", FAILED))
        await until(lambda: "dark" in state.now and state.now["dark"].verdict == FAILED, changed)
        assert "dark" in state.progress.passed_at
        judge.say("split", *judged("dark", BROKEN))
        await until(lambda: state.now["dark"].verdict == BROKEN, changed)
        assert "dark" in state.progress.passed_at


async def test_the_judge_stops_when_the_last_watcher_leaves_and_starts_again(hub: Hub, judge: FakeJudge) -> None:
    async with hub.watch(LOCAL_LEARNER, "split"), hub.watch(LOCAL_LEARNER, "split"):
        await judge.started.wait()
        assert list(judge.watching) == ["split"]
    judge.started.clear()
    async with asyncio.timeout(60):
        await judge.left.wait()
    assert judge.watching == {}
    async with hub.watch(LOCAL_LEARNER, "split"):
        await judge.started.wait()


async def test_a_reload_does_not_start_the_judge_anew(judge: FakeJudge, progress: Progress) -> None:
    hub = Hub(judge, progress, "embedded", linger=60.0)
    async with hub.watch(LOCAL_LEARNER, "split"):
        await judge.started.wait()
    judge.started.clear()
    async with hub.watch(LOCAL_LEARNER, "split") as changed:
        judge.say("split", *judged("dark", PASSED))
        state = (await hub.lab(LOCAL_LEARNER, "split")).state
        await until(lambda: "dark" in state.now, changed)
        assert not judge.started.is_set()
    await hub.close()
    assert judge.watching == {}
    assert judge.closed


async def test_without_a_lab_only_the_mesh_is_watched(hub: Hub, judge: FakeJudge) -> None:
    async with hub.watch(LOCAL_LEARNER, None) as changed:
        await until(lambda: hub.mesh.state == "ready", changed)
        assert judge.watching == {}


async def test_the_mesh_status_follows_the_judge(hub: Hub, judge: FakeJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STATUS_INTERVAL", 0.0)
    async with hub.watch(LOCAL_LEARNER, None) as changed:
        await until(lambda: hub.mesh.state == "ready", changed)
        judge.mesh = replace(judge.mesh, state="unreachable")
        await until(lambda: hub.mesh.state == "unreachable", changed)


async def test_a_mesh_that_goes_or_comes_back_is_judged_anew(
    hub: Hub, judge: FakeJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STATUS_INTERVAL", 0.0)
    async with hub.watch(LOCAL_LEARNER, "split") as changed:
        await judge.started.wait()
        await until(lambda: hub.mesh.state == "ready", changed)
        assert judge.rechecks == 0
        for state in ("absent", "ready"):
            judge.mesh = replace(judge.mesh, state=state)
            async with asyncio.timeout(60):
                await judge.rechecked.wait()
            judge.rechecked.clear()
    assert judge.rechecks == 2


async def test_an_environment_that_stays_broken_is_one_attempt(
    hub: Hub, judge: FakeJudge, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Verdict] = []
    record = progress.record

    async def count(learner: int, lab: str, task: str, verdict: Verdict) -> datetime:
        kept.append(verdict)
        return await record(learner, lab, task, verdict)

    monkeypatch.setattr(progress, "record", count)
    async with hub.watch(LOCAL_LEARNER, "split") as changed:
        state = (await hub.lab(LOCAL_LEARNER, "split")).state
        await judge.started.wait()
        for _ in range(20):
            judge.say("split", *judged("dark", BROKEN))
        judge.say("split", *judged("dark", FAILED), *judged("dark", FAILED))
        judge.say("split", *judged("tenth", PASSED))
        await until(lambda: "tenth" in state.now, changed)
    assert kept == [BROKEN, FAILED, FAILED, PASSED]


async def test_a_judge_that_dies_is_started_again(
    progress: Progress, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Mortal(FakeJudge):
        deaths = 0

        async def watch(self, lab: str, recheck: asyncio.Event, passed: Container[str]) -> AsyncGenerator[Update, None]:
            if self.deaths < 2:
                self.deaths += 1
                raise RuntimeError("the judge has fainted")
            async for update in super().watch(lab, recheck, passed):
                yield update

    monkeypatch.setattr(live, "RESTART_DELAY", 0.0)
    judge = Mortal()
    hub = Hub(judge, progress, "embedded", linger=0.0)
    async with hub.watch(LOCAL_LEARNER, "split"):
        async with asyncio.timeout(60):
            await judge.started.wait()
    await hub.close()
    assert judge.deaths == 2
    assert "the judge has fainted" in caplog.text


async def test_a_slow_watcher_holds_nobody_up_and_sees_the_newest(hub: Hub, judge: FakeJudge) -> None:
    async with hub.watch(LOCAL_LEARNER, "split") as slow, hub.watch(LOCAL_LEARNER, "split") as quick:
        state = (await hub.lab(LOCAL_LEARNER, "split")).state
        await judge.started.wait()
        for _ in range(50):
            judge.say("split", *judged("dark", FAILED))
        judge.say("split", *judged("dark", PASSED))
        await until(lambda: "dark" in state.now and state.now["dark"].verdict == PASSED, quick)
        assert slow.is_set()
