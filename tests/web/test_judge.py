"""From the checks' outcomes to verdicts on tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from meshdojo.backends.base import Status
from meshdojo.checks.outcome import Error, Fail, Outcome, Pass
from meshdojo.checks.registry import Check, UnknownCheck
from meshdojo.checks.runner import Result
from meshdojo.checks.watch import Begun, Event, Settled
from meshdojo.cluster.http import HTTPClient
from meshdojo.web import judge as judging
from meshdojo.web.judge import ClusterJudge, mesh_status, summary
from meshdojo.web.live import Checking, Judged, Update
from meshdojo.web.progress import Verdict

pytestmark = pytest.mark.anyio

CHECKS = {"dark": ("split.hidden", "split.preview"), "tenth": ("split.share", "split.preview")}
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: it
clusters: [{name: it, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: none}}]
contexts: [{name: it, context: {cluster: it, user: me}}]
"""


def result(id: str, outcome: Outcome, seconds: float = 0.5) -> Result:
    return Result(Check(id, id, False, None), outcome, seconds)  # type: ignore[arg-type]


FINE = Pass("400 of 400 answers")
NOT_YET = Fail("Nothing arrives.", "0 of 400", "40 of 400", "Weights?")


def test_a_task_has_passed_when_every_check_has() -> None:
    assert summary([result("a.b", FINE), result("a.c", FINE), result("a.d", Pass("and more"))]) == Verdict(
        "pass", saw="400 of 400 answers\nand more", seconds=1.5
    )


def test_the_first_failure_speaks_and_an_error_before_it() -> None:
    failed = Verdict("fail", "Nothing arrives.", "0 of 400", "40 of 400", "Weights?", 1.0)
    assert summary([result("a.b", FINE), result("a.c", NOT_YET)]) == failed
    broken = summary([result("a.b", NOT_YET), result("a.c", Error("the probe is gone", "reset"))])
    assert (broken.outcome, broken.reason, broken.hint) == ("error", "the probe is gone", "reset")


def test_the_status_of_a_backend_in_our_words() -> None:
    assert mesh_status("embedded", Status(running=False, ready=False, detail="not running")).state == "absent"
    assert mesh_status("embedded", Status(running=True, ready=False, detail="refused")).state == "unreachable"
    ready = mesh_status("kind", Status(running=True, ready=True, kubernetes="v1.34.0", istio="1.31.0"))
    assert (ready.state, ready.backend, ready.kubernetes, ready.istio) == ("ready", "kind", "v1.34.0", "1.31.0")


class Rounds:
    """Stands for `checks.watch.watch`: a round when it starts, and one for each `recheck`."""

    def __init__(self) -> None:
        self.orders: list[Sequence[str]] = []
        self.servers: list[str] = []
        self.outcomes: dict[str, Outcome] = {}

    async def watch(
        self, client: HTTPClient, order: Callable[[], Sequence[str]], recheck: asyncio.Event
    ) -> AsyncGenerator[Event, None]:
        self.servers.append(client.access.server)
        while True:
            checks = order()
            self.orders.append(checks)
            for check in checks:
                yield Begun(check)
                yield result(check, self.outcomes.get(check, NOT_YET))
            yield Settled(())
            await recheck.wait()
            recheck.clear()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    rounds = Rounds()
    monkeypatch.setattr(judging, "watch", rounds.watch)
    return rounds


def cluster_judge(kubeconfig: Path) -> ClusterJudge:
    backend = SimpleNamespace(name="embedded", kubeconfig=kubeconfig)
    return ClusterJudge(backend, lambda lab: CHECKS if lab == "split" else {}, "meshdojo up")


async def take(updates: AsyncGenerator[Update, None], count: int) -> list[Update]:
    async with asyncio.timeout(60):
        return [await anext(updates) for _ in range(count)]


async def test_tasks_are_judged_and_those_that_passed_come_last(rounds: Rounds, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    rounds.outcomes = {"split.hidden": FINE, "split.preview": FINE}
    recheck, passed = asyncio.Event(), set[str]()
    async with contextlib.aclosing(cluster_judge(tmp_path / "kubeconfig").watch("split", recheck, passed)) as updates:
        seen = await take(updates, 5)
        assert [type(update) for update in seen] == [Checking, Checking, Judged, Checking, Judged]
        assert [update.task for update in seen] == ["dark", "dark", "dark", "tenth", "tenth"]
        assert [update.verdict.outcome for update in seen if isinstance(update, Judged)] == ["pass", "fail"]
        passed.add("dark")
        recheck.set()
        assert [update.task for update in await take(updates, 5)] == ["tenth", "tenth", "tenth", "dark", "dark"]
    assert rounds.orders == [
        ["split.hidden", "split.preview", "split.share"],
        ["split.share", "split.preview", "split.hidden"],
    ]


async def test_without_a_cluster_it_says_so_and_notices_one(rounds: Rounds, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    async with contextlib.aclosing(cluster_judge(kubeconfig).watch("split", asyncio.Event(), ())) as updates:
        for update in await take(updates, 2):
            assert isinstance(update, Judged)
            assert (update.verdict.outcome, update.verdict.reason) == ("error", "No mesh is running.")
            assert "meshdojo up" in update.verdict.hint
        waiting = asyncio.create_task(take(updates, 3))
        kubeconfig.write_text(KUBECONFIG)
        assert [type(update) for update in await waiting] == [Checking, Checking, Judged]


async def test_another_kubeconfig_means_another_cluster(rounds: Rounds, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    async with contextlib.aclosing(cluster_judge(kubeconfig).watch("split", asyncio.Event(), ())) as updates:
        await take(updates, 5)
        kubeconfig.write_text(KUBECONFIG.replace("127.0.0.1", "127.0.0.2"))
        await take(updates, 5)
    assert rounds.servers[0] != rounds.servers[-1] == "https://127.0.0.2:1"


async def test_a_check_that_does_not_exist_is_the_labs_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)

    async def refuse(*_: object) -> AsyncGenerator[Event, None]:
        raise UnknownCheck("check 'split.hidden' does not exist")
        yield  # so that this is a generator

    monkeypatch.setattr(judging, "watch", refuse)
    async with contextlib.aclosing(
        cluster_judge(tmp_path / "kubeconfig").watch("split", asyncio.Event(), ())
    ) as updates:
        for update in await take(updates, 2):
            assert isinstance(update, Judged)
            assert update.verdict.reason == "This lab is broken: check 'split.hidden' does not exist."


async def test_a_lab_that_is_gone_has_nothing_to_judge(rounds: Rounds, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    async with contextlib.aclosing(
        cluster_judge(tmp_path / "kubeconfig").watch("gone", asyncio.Event(), ())
    ) as updates:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(updates), 0.2)
