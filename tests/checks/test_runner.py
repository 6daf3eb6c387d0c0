import asyncio
from typing import Any

import pytest

from meshdojo.checks import registry
from meshdojo.checks.convergence import Convergence
from meshdojo.checks.outcome import CannotJudge, Error, Fail, Pass
from meshdojo.checks.probe import Probe
from meshdojo.checks.registry import UnknownCheck, check
from meshdojo.checks.runner import Result, Runner, passed
from meshdojo.cluster.errors import StatusError, Unreachable

pytestmark = pytest.mark.anyio


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Checks for these tests only: `checks(outcome or exception, …)` registers test.0, test.1, …"""
    registry.all_checks()
    monkeypatch.setattr(registry, "_checks", dict(registry._checks))

    def register(*results: Any) -> Any:
        for number, result in enumerate(results):

            @check(f"test.{number}", title="A test")
            async def judge(mesh: Any, result: Any = result) -> Any:
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    await asyncio.Event().wait()
                return result

        return [f"test.{number}" for number in range(len(results))]

    return register


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: object, *_: object) -> None:
        pass

    monkeypatch.setattr(Probe, "ensure", nothing)
    monkeypatch.setattr(Convergence, "wait", nothing)


async def test_results_come_in_order_and_as_they_are_made(cluster: Any, checks: Any, settled: Any) -> None:
    outcomes = [Pass("fine"), Fail("no", "a", "b", "c"), Pass("well")]
    reported: list[Result] = []
    results = await Runner(cluster).run(checks(*outcomes), reported.append)
    assert [result.outcome for result in results] == outcomes
    assert reported == results
    assert [result.passed for result in results] == [True, False, True]
    assert not passed(results)
    assert passed(results[:1])


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (CannotJudge("the probe is gone", "reset"), "the probe is gone"),
        (Unreachable("connection refused"), "the cluster does not answer: connection refused"),
        (StatusError(500, "InternalError", "etcd"), "the cluster refused: etcd"),
        (ZeroDivisionError("division by zero"), "this check is broken (ZeroDivisionError: division by zero)"),
        (None, "no judgement within 0.05 s"),
    ],
)
async def test_what_breaks_is_an_error_and_never_a_fail(
    cluster: Any, checks: Any, settled: Any, trouble: Any, reason: Any
) -> None:
    [result, after] = await Runner(cluster).run(checks(trouble, Pass("fine")), seconds=0.05)
    assert isinstance(result.outcome, Error)
    assert result.outcome.reason == reason
    assert result.outcome.remedy
    assert after.passed


async def test_a_mesh_that_does_not_settle_lets_no_check_judge(
    cluster: Any, checks: Any, settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trouble(self: object, *_: object) -> None:
        raise CannotJudge("Istio is not installed", "install it")

    monkeypatch.setattr(Convergence, "wait", trouble)
    results = await Runner(cluster).run(checks(Pass("fine"), Pass("fine")))
    assert [result.outcome for result in results] == [Error("Istio is not installed", "install it")] * 2


async def test_a_check_for_a_cluster_without_istio_does_not_wait_for_proxies(
    cluster: Any, checks: Any, settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trouble(self: object, *_: object) -> None:
        raise CannotJudge("Istio is not installed", "install it")

    monkeypatch.setattr(Convergence, "wait", trouble)

    @check("test.bare", title="A test", without_istio=True)
    async def judge(mesh: Any) -> Any:
        return Fail("no Istio", "a", "b", "c")

    [bare] = await Runner(cluster).run(["test.bare"])
    assert bare.failed
    bare, meshed = await Runner(cluster).run(["test.bare", *checks(Pass("fine"))])
    assert bare.failed
    assert meshed.outcome == Error("Istio is not installed", "install it")


async def test_a_check_for_a_cluster_without_istio_does_not_need_the_probe(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a webhook is left without its istiod, no pod of the probe can start."""

    async def stuck(self: object) -> None:
        raise AssertionError("asked for the probe")

    monkeypatch.setattr(Probe, "ensure", stuck)

    @check("test.half", title="A test", without_istio=True)
    async def judge(mesh: Any) -> Any:
        return Pass("seen")

    [half] = await Runner(cluster).run(["test.half"])
    assert half.passed


async def test_unknown_checks_are_refused_before_anything_is_done(cluster: Any) -> None:
    with pytest.raises(UnknownCheck):
        await Runner(cluster).run(["canary.nosuch"])
    assert cluster.execs == []
