"""Every check of every lab on a cluster that is not as a lab leaves it: an error with its remedy, in time.

What a learner did is not to blame when a namespace of the lab is gone, Istio is absent, the API server is away, the
probe was evicted, or a reset was interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import yaml

from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.namespaces import delete_namespaces
from meshdojo.checks.outcome import Error
from meshdojo.checks.probe import NAMESPACES, Probe
from meshdojo.checks.registry import Check, all_checks
from meshdojo.checks.runner import CHECK_SECONDS, Result, Runner
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.course import load_course
from meshdojo.course.lab import Lab
from meshdojo.embedded import lifecycle
from meshdojo.validation import setup

pytestmark = pytest.mark.anyio
LABS = [lab for lab in load_course().labs if lab.tasks]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBackend]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHDOJO_HOME", str(tmp_path_factory.mktemp("home")))
        started = EmbeddedBackend()
        await started.start(setup.silent)
        yield started
        lifecycle.delete(started.instance)


@pytest.fixture
async def client(cluster: EmbeddedBackend) -> AsyncIterator[HTTPClient]:
    """A cluster with Istio and the probe, and without a lab."""
    await setup.prepare(cluster)
    async with HTTPClient.from_kubeconfig(cluster.kubeconfig) as opened:
        await delete_namespaces(opened, tuple({name for lab in LABS for name in lab.namespaces()}))
        yield opened


def checks_of(lab: Lab, *, mesh_only: bool = False) -> list[Check]:
    found = [check for check in all_checks().values() if check.lab == lab.id]
    return [check for check in found if not (mesh_only and check.without_istio)]


async def judged(client: HTTPClient, checks: Iterable[Check], runner: Runner | None = None) -> list[Result]:
    return await (runner or Runner(client)).run([check.id for check in checks])


def require_errors(results: list[Result]) -> None:
    """Each is an error that says what to do, came in time, and is no mistake in the check."""
    wrong = [f"{result.check.id}: {result.outcome}" for result in results if not isinstance(result.outcome, Error)]
    assert not wrong, "judged, though nothing can be judged:\n" + "\n".join(wrong)
    require_words(results)


def require_words(results: list[Result]) -> None:
    for result in results:
        assert result.seconds <= CHECK_SECONDS + 5, result
        if isinstance(result.outcome, Error):
            assert result.outcome.reason, result
            assert result.outcome.remedy, result
            assert "this check is broken" not in result.outcome.reason, result


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
async def test_the_namespaces_of_the_lab_are_gone(lab: Lab, client: HTTPClient) -> None:
    require_errors(await judged(client, checks_of(lab, mesh_only=True)))
    require_words(await judged(client, checks_of(lab)))


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
async def test_a_reset_was_interrupted(lab: Lab, client: HTTPClient) -> None:
    """The namespaces are there, and nothing in them."""
    await client.apply(obj for obj in lab.manifests() if obj["kind"] == "Namespace")
    require_errors(await judged(client, checks_of(lab, mesh_only=True)))
    require_words(await judged(client, checks_of(lab)))


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
async def test_the_probe_was_evicted(lab: Lab, client: HTTPClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pods vanish between the beginning of a run and the check that sends load."""

    async def ensure(probe: Probe) -> None:
        probe._pods = dict.fromkeys(NAMESPACES, "evicted")

    monkeypatch.setattr(Probe, "ensure", ensure)
    require_errors(await judged(client, checks_of(lab, mesh_only=True)))
    require_words(await judged(client, checks_of(lab)))


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
async def test_the_api_server_is_away(lab: Lab, cluster: EmbeddedBackend, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    async with HTTPClient.from_kubeconfig(tmp_path / "kubeconfig") as client:
        results = await judged(client, checks_of(lab))
    require_errors(results)
    assert all("does not answer" in result.outcome.reason for result in results if isinstance(result.outcome, Error))


async def test_istio_is_absent(cluster: EmbeddedBackend, client: HTTPClient) -> None:
    await cluster.remove_istio(setup.silent)
    for lab in LABS:
        require_errors(await judged(client, checks_of(lab, mesh_only=True)))
        async with asyncio.timeout(2 * CHECK_SECONDS):
            require_words(await judged(client, checks_of(lab)))
