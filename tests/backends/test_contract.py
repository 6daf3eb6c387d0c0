"""What `backends/base.py` promises, of every backend."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from tests.backends.conftest import Stage

from meshdojo.backends.base import BackendError, BackendNotRunning, BadChoice
from meshdojo.backends.context import ContextBackend
from meshdojo.backends.minikube import MinikubeBackend
from meshdojo.backends.select import open_backend
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE

SECONDS = 60


def quiet(_text: str) -> None:
    """Progress that nobody looks at."""


def appeared(file: Path) -> str:
    """The content of a file that another process is about to write."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if file.exists() and file.read_text():
            return file.read_text()
        time.sleep(0.01)
    raise TimeoutError(file)


async def ended(pid: int) -> bool:
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.05)
    return False


async def namespace(stage: Stage, name: str, **labels: str) -> None:
    async with HTTPClient.from_kubeconfig(stage.backend.kubeconfig) as client:
        await client.create("namespaces", {"metadata": {"name": name, "labels": labels}})


async def exists(stage: Stage, name: str) -> bool:
    async with HTTPClient.from_kubeconfig(stage.backend.kubeconfig) as client:
        return name in {one["metadata"]["name"] for one in (await client.list("namespaces")).items}


def test_before_the_first_start_everything_is_said_and_nothing_fails(stage: Stage) -> None:
    async def scenario() -> None:
        status = await stage.backend.status()
        assert (status.running, status.ready) == (False, False)
        assert status.detail
        await stage.backend.stop()
        assert not stage.backend.kubeconfig.exists()

    asyncio.run(scenario())


def test_a_start_a_second_one_and_a_stop(stage: Stage) -> None:
    ours = stage.backend.name != "context"

    async def scenario() -> None:
        steps: list[str] = []
        assert await stage.backend.start(steps.append) is ours
        assert stage.backend.kubeconfig.exists()
        assert steps or stage.backend.name == "embedded"
        status = await stage.backend.status()
        assert (status.running, status.ready, status.istio) == (True, True, "")
        assert status.kubernetes.startswith("v1.")
        assert await stage.backend.start(quiet) is False
        variables = await stage.backend.environment()
        assert variables["KUBECONFIG"] == str(stage.backend.kubeconfig)
        assert "GATEWAY_URL" not in variables
        with pytest.raises(BackendNotRunning, match="no gateway 'istio-ingressgateway'"):
            await stage.backend.endpoint()
        await stage.backend.stop()
        await stage.backend.stop()
        assert (await stage.backend.status()).running is False

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


def test_only_what_meshdojo_made_is_reset(stage: Stage) -> None:
    name = f"lab-{stage.backend.name}"

    async def scenario() -> None:
        await stage.backend.start(quiet)
        await namespace(stage, name, **{MANAGED_LABEL: MANAGED_VALUE})
        await namespace(stage, f"{name}-theirs")
        with pytest.raises(BackendError, match="was not made by meshdojo"):
            await stage.backend.reset(name, f"{name}-theirs")
        assert await exists(stage, name)
        await stage.backend.reset(name, "never-was-there")
        assert not await exists(stage, name)
        assert await exists(stage, f"{name}-theirs")

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


def test_a_program_that_fails_is_shown_with_what_it_said(stage: Stage) -> None:
    if stage.backend.name in ("embedded", "context"):
        return  # they start no program that could fail this way
    stage.mode("bad")

    async def scenario() -> None:
        with pytest.raises(BackendError, match="out of order") as raised:
            await stage.backend.start(quiet)
        assert "exit code 7" in str(raised.value)
        status = await stage.backend.status()
        assert status.running is False
        assert "out of order" in status.detail
        stage.mode("well")
        assert await stage.backend.start(quiet) is True

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


def test_a_start_that_hangs_can_be_cancelled_and_tried_again(stage: Stage) -> None:
    if stage.backend.name in ("embedded", "context"):
        return
    stage.mode("never")
    hanging = stage.folder / "hanging"

    async def scenario() -> None:
        starting = asyncio.create_task(stage.backend.start(quiet))
        pid = int(await asyncio.to_thread(appeared, hanging))
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert await ended(pid)
        stage.mode("well")
        assert await stage.backend.start(quiet) is True

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


def test_a_missing_program_is_named(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if stage.backend.name == "embedded":
        return
    monkeypatch.setenv("PATH", str(tmp_path))

    async def scenario() -> Any:
        with pytest.raises(BackendError, match="on the PATH"):
            await stage.backend.start(quiet)
        return await stage.backend.status()

    assert asyncio.run(scenario()).running is False


def test_a_cluster_of_the_users_keeps_its_istio_and_is_never_stopped(stage: Stage) -> None:
    """minikube and context: Istio was there first, the profile is not ours."""
    if stage.backend.name not in ("minikube", "context"):
        return
    (stage.folder / "exists").write_text("OK")

    async def scenario() -> None:
        assert await stage.backend.start(quiet) is False
        assert stage.backend.owned is False
        await namespace(stage, "istio-system")
        try:
            with pytest.raises(BackendError, match="was there before meshdojo, so it is left alone"):
                await stage.backend.remove_istio(quiet)
            with pytest.raises(BackendError, match="somebody else's, and no istiod"):
                await stage.backend.ensure_istio(quiet)
            assert await exists(stage, "istio-system")
        finally:
            async with HTTPClient.from_kubeconfig(stage.backend.kubeconfig) as client:
                await client.delete("namespaces", "istio-system")
        await stage.backend.stop()
        if isinstance(stage.backend, MinikubeBackend):
            await stage.backend.delete()

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))
    assert not stage.called("minikube", "stop")
    assert not stage.called("minikube", "delete")
    assert not stage.called("istioctl", "install")


def test_a_profile_that_meshdojo_made_is_stopped_and_deleted(stage: Stage) -> None:
    backend = stage.backend
    if not isinstance(backend, MinikubeBackend):
        return

    async def scenario() -> None:
        await backend.start(quiet)
        assert backend.owned
        await backend.stop()
        assert (await backend.status()).detail.endswith("is stopped")
        assert await backend.start(quiet) is True
        await backend.delete()
        assert (await backend.status()).detail.endswith("is not there")

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


def test_a_context_without_our_images_says_how_to_bring_them(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = stage.backend
    if not isinstance(backend, ContextBackend):
        return

    async def scenario() -> None:
        await backend.start(quiet)
        assert backend.confirmation.startswith("meshdojo")
        with pytest.raises(BackendError, match="do not list these images: meshdojo/"):
            await backend.ensure_images(quiet)
        monkeypatch.setenv("MESHDOJO_IMAGES_ARE_THERE", "1")
        await backend.ensure_images(quiet)

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


def test_a_context_that_is_not_there_is_answered_with_those_that_are(stage: Stage) -> None:
    """kubectl's own double here has one context, and refuses any other as the real one does."""
    if not isinstance(stage.backend, ContextBackend):
        return
    refuse = (
        '#!/bin/sh\n[ "$2" = view ] && { echo "error: cannot locate context $7" >&2; exit 1; }\necho work\necho wild\n'
    )
    (stage.folder / "kubectl").write_text(refuse)

    async def scenario() -> None:
        with pytest.raises(BadChoice, match=r"does not have the context 'moon'. There are: work, wild"):
            await ContextBackend("moon").start(quiet)
        with pytest.raises(BackendError, match="cannot locate context work"):
            await ContextBackend("work").start(quiet)

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


def test_commands_typed_in_a_lab_shell_mean_its_cluster(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        await stage.backend.start(quiet)
        for name, value in (await stage.backend.environment()).items():
            monkeypatch.setenv(name, value)
        inside = open_backend(os.environ["MESHDOJO_BACKEND"], os.environ["MESHDOJO_NAME"])
        assert type(inside) is type(stage.backend)
        assert inside.kubeconfig == stage.backend.kubeconfig
        assert (await inside.status()).ready
        assert shutil.which("meshdojo")
        await stage.backend.stop()

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))
