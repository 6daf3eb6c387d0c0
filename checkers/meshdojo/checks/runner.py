"""Runs the checks of a task: wait for the mesh to settle, then judge, each within its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from meshdojo.checks.convergence import Convergence
from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import CannotJudge, Error, Fail, Outcome, Pass
from meshdojo.checks.probe import Probe
from meshdojo.checks.registry import Check, find
from meshdojo.cluster.errors import ClusterError, Unreachable
from meshdojo.cluster.http import HTTPClient

CHECK_SECONDS = 60.0


@dataclass(frozen=True)
class Result:
    """What came of one check, and how long it took (seconds)."""

    check: Check
    outcome: Outcome
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the check is fulfilled."""
        return isinstance(self.outcome, Pass)

    @property
    def failed(self) -> bool:
        """Whether it is not, by the learner's doing (an error is neither)."""
        return isinstance(self.outcome, Fail)


class Runner:
    """Judges one cluster; keep it for as long as the client is open."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client
        self._probe = Probe(client)
        self._convergence = Convergence(client)

    async def run(
        self, ids: Iterable[str], report: Callable[[Result], None] | None = None, seconds: float = CHECK_SECONDS
    ) -> list[Result]:
        """Run the checks `ids` in order on one view of the mesh; `report` gets each result as it comes.

        Raises UnknownCheck. Nothing else is raised: what goes wrong becomes an `Error` outcome.
        """
        checks = find(ids)
        trouble: Outcome = Pass("nothing to wait for")
        if not all(check.without_istio for check in checks):
            trouble = await self._outcome(self._probed(), 2 * seconds)
            if not isinstance(trouble, Error):
                trouble = await self._outcome(self._settled(), seconds)
        mesh = Mesh(self._client, self._probe, self._convergence)
        results = []
        for check in checks:
            start = time.monotonic()
            broken = isinstance(trouble, Error) and not check.without_istio
            outcome = trouble if broken else await self._outcome(check.judge(mesh), seconds)
            results.append(Result(check, outcome, time.monotonic() - start))
            if report:
                report(results[-1])
        return results

    async def _probed(self) -> Outcome:
        await self._probe.ensure()
        return Pass("the probe is ready")

    async def _settled(self) -> Outcome:
        await self._convergence.wait()
        return Pass("the mesh has settled")

    async def _outcome(self, judging: object, seconds: float) -> Outcome:
        try:
            async with asyncio.timeout(seconds):
                return await judging  # type: ignore[misc, no-any-return]
        except CannotJudge as error:
            return error.error
        except Unreachable as error:
            return Error(f"the cluster does not answer: {error}", "Is it running? 'meshdojo status' tells.")
        except ClusterError as error:
            return Error(f"the cluster refused: {error}", "'meshdojo reset LAB' sets the lab up again.")
        except TimeoutError:
            return Error(f"no judgement within {seconds:g} s", "Try again; see 'meshdojo status'.")
        except Exception as error:  # a mistake of ours must not look like one of the learner's
            return Error(f"this check is broken ({type(error).__name__}: {error})", "Please report it.")


def passed(results: Iterable[Result]) -> bool:
    """Whether a task is done: every check passed."""
    return all(result.passed for result in results)
