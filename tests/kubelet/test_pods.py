"""The life of pods, seen through the API."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

Start = Callable[..., AbstractAsyncContextManager[Any]]
FOREVER = {"command": ["sleep", "1000"]}

SIDECAR = """
import signal, sys, time

def note(text):
    with open("/shared/order", "a") as file:
        file.write(text + "\\n")

signal.signal(signal.SIGTERM, lambda *_: (note("stopped"), sys.exit(0)))
note("sidecar")
time.sleep(1000)
"""
LAST = """
with open("/shared/order", "r+") as file:
    print(file.read())
    file.write("main\\n")
"""


def container(pod: Object, index: int = 0, *, init: bool = False) -> Object:
    statuses: list[Object] = pod["status"].get("initContainerStatuses" if init else "containerStatuses") or [{}]
    return dict(statuses[index])


def test_a_pod_becomes_ready_and_says_all_that_a_real_one_says(start: Start, block: Block) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            status = (await it.ready("web"))["status"]
            assert {key: status[key] for key in ("phase", "hostIP", "qosClass")} == {
                "phase": "Running",
                "hostIP": str(block.node),
                "qosClass": "BestEffort",
            }
            assert status["podIP"] in [str(ip) for ip in list(block.pods)[256:260]]
            assert [(one["type"], one["status"]) for one in status["conditions"]] == [
                ("PodReadyToStartContainers", "True"),
                ("Initialized", "True"),
                ("Ready", "True"),
                ("ContainersReady", "True"),
                ("PodScheduled", "True"),
            ]
            assert set(container({"status": status})["state"]) == {"running"}
            assert await it.events("web") == [
                ("Pulled", 'Container image "test/python:1" already present on machine'),
                ("Created", "Created container: c0"),
                ("Started", "Started container c0"),
            ]

    asyncio.run(scenario())


def test_deletion_is_graceful(start: Start, run_directory: Path) -> None:
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'bye\\n'), sys.exit(0)))\n"
        "print('up', flush=True)\ntime.sleep(1000)"
    )

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["python", "-c", code]})
            await it.ready("web")
            follow = asyncio.create_task(it.logs("web", follow=True))
            await it.logged("web", "up")
            await it.api.delete("pods", "web", "default")
            ended = await it.until("web", lambda pod: "terminated" in container(pod)["state"])
            assert container(ended)["state"]["terminated"]["exitCode"] == 0
            await it.gone("web")
            assert (await follow).splitlines() == ["up", "bye"]
            assert ("Killing", "Stopping container c0") in await it.events("web")
            assert not list((run_directory / "pods").iterdir())

    asyncio.run(scenario())


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(start: Start) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(1000)"
    )

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["python", "-c", code]}, terminationGracePeriodSeconds=1)
            await it.ready("web")
            await it.logged("web", "up")
            await it.api.delete("pods", "web", "default")
            ended = await it.until("web", lambda pod: "terminated" in container(pod)["state"])
            assert container(ended)["state"]["terminated"]["exitCode"] == 137
            await it.gone("web")

    asyncio.run(scenario())


def test_a_crash_is_restarted_at_once_then_backed_off(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            created = await it.pod("web", {"command": ["sh", "-c", "echo dying; exit 3"]})
            seen = await it.until(
                "web",
                lambda pod: container(pod).get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff",
            )
            status = container(seen)
            assert status["restartCount"] == 1
            assert status["lastState"]["terminated"]["exitCode"] == 3
            uid = created["metadata"]["uid"]
            assert status["state"]["waiting"]["message"] == (
                f"back-off 10s restarting failed container=c0 pod=web_default({uid})"
            )
            assert seen["status"]["phase"] == "Running"
            assert await it.logs("web") == "dying\n"
            assert await it.logs("web", previous=True) == "dying\n"

    asyncio.run(scenario())


def test_pods_that_do_not_restart_succeed_or_fail(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("good", {"command": ["true"]}, restartPolicy="Never")
            await it.pod("bad", {"command": ["sh", "-c", "exit 4"]}, restartPolicy="Never")
            good = await it.until("good", lambda pod: pod["status"]["phase"] == "Succeeded")
            bad = await it.until("bad", lambda pod: pod["status"]["phase"] == "Failed")
            assert container(good)["state"]["terminated"]["reason"] == "Completed"
            assert container(bad)["state"]["terminated"] | {"startedAt": "", "finishedAt": "", "containerID": ""} == {
                "exitCode": 4, "reason": "Error", "startedAt": "", "finishedAt": "", "containerID": "",
            }  # fmt: skip
            ready = {one["type"]: one for one in good["status"]["conditions"]}["Ready"]
            assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")

    asyncio.run(scenario())


def test_init_containers_run_in_order_and_sidecars_until_the_end(start: Start, run_directory: Path) -> None:
    def says(text: str) -> list[str]:
        return ["sh", "-c", f"echo {text} >> ../../../volumes/shared/order"]

    mounts = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    init: list[Object] = [
        {"name": "one", "image": "test/python:1", "command": says("one"), **mounts},
        {
            "name": "side",
            "image": "test/python:1",
            "restartPolicy": "Always",
            "command": ["python", "-c", SIDECAR],
            "startupProbe": {"exec": {"command": ["grep", "sidecar", "../../../volumes/shared/order"]}},
            **mounts,
        },
        {"name": "two", "image": "test/python:1", "command": says("two"), **mounts},
    ]

    async def scenario() -> None:
        async with start() as it:
            await it.pod(
                "web",
                {"command": ["python", "-c", LAST], **mounts},
                initContainers=init,
                volumes=[{"name": "shared", "emptyDir": {}}],
                restartPolicy="Never",
            )
            done = await it.until("web", lambda pod: pod["status"]["phase"] == "Succeeded")
            assert (await it.logs("web", "c0")).split() == ["one", "sidecar", "two"]
            names = [one["name"] for one in done["status"]["initContainerStatuses"]]
            assert names == ["one", "side", "two"]
            order = run_directory / "pods" / done["metadata"]["uid"] / "volumes" / "shared" / "order"
            assert order.read_text().split() == ["one", "sidecar", "two", "main", "stopped"]

    asyncio.run(scenario())


def test_an_unknown_image_ends_in_back_off_with_an_event_that_lists_the_known_ones(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"image": "nosuch:1"})
            seen = await it.until(
                "web",
                lambda pod: container(pod).get("state", {}).get("waiting", {}).get("reason") == "ImagePullBackOff",
            )
            assert seen["status"]["phase"] == "Pending"
            texts = [text for reason, text in await it.events("web") if reason == "Failed"]
            assert texts[0].startswith('Failed to pull image "nosuch:1": ')
            assert "test/python, test/server" in texts[0]
            assert texts[1:] == ["Error: ErrImagePull", "Error: ImagePullBackOff"]

    asyncio.run(scenario())


def test_what_the_configuration_refers_to_may_come_later(start: Start) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "a"}}}]

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["sh", "-c", "echo $A; sleep 1000"], "env": env})
            seen = await it.until("web", lambda pod: container(pod).get("state", {}).get("waiting", {}).get("message"))
            assert container(seen)["state"]["waiting"] == {
                "reason": "CreateContainerConfigError",
                "message": 'configmap "late" not found',
            }
            await it.apply("ConfigMap", "late", data={"a": "here"})
            await it.ready("web")
            await it.logged("web", "here\n")

    asyncio.run(scenario())


def test_a_missing_command_is_a_start_error(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["nosuchcommand"]})
            seen = await it.until(
                "web",
                lambda pod: container(pod).get("state", {}).get("waiting", {}).get("reason") == "RunContainerError",
            )
            ended = container(seen)["lastState"]["terminated"]
            assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
            assert 'exec: "nosuchcommand": executable file not found in $PATH: unknown' in ended["message"]

    asyncio.run(scenario())


def test_a_missing_command_of_a_pod_that_is_not_restarted_fails_the_pod(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["nosuchcommand"]}, restartPolicy="Never")
            seen = await it.until("web", lambda pod: pod.get("status", {}).get("phase") == "Failed")
            assert container(seen)["state"]["terminated"]["reason"] == "StartError"

    asyncio.run(scenario())


def test_pods_come_back_with_their_addresses_after_a_restart_of_the_node(start: Start) -> None:
    store = Store()

    async def first() -> Object:
        async with start(store=store) as it:
            await it.pod("other", FOREVER)
            await it.pod("web", FOREVER)
            await it.pod("done", {"command": ["true"]}, restartPolicy="Never")
            await it.until("done", lambda pod: pod["status"]["phase"] == "Succeeded")
            await it.ready("other")
            ready: Object = await it.ready("web")
            return ready

    async def second(before: Object) -> None:
        async with start(store=store) as it:
            after = await it.until("web", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 1)
            assert after["status"]["podIP"] == before["status"]["podIP"]
            assert container(after)["lastState"]["terminated"]["reason"] == "Unknown"
            done = await it.api.get("pods", "done", "default")
            assert done["status"]["phase"] == "Succeeded"
            await it.pod("new", FOREVER)
            new = await it.ready("new")
            assert new["status"]["podIP"] != before["status"]["podIP"]

    async def scenario() -> None:
        await second(await first())

    asyncio.run(scenario())


def test_directories_of_pods_that_are_gone_are_removed_at_the_start(start: Start, run_directory: Path) -> None:
    (run_directory / "pods" / "orphan" / "containers").mkdir(parents=True)

    async def scenario() -> None:
        async with start():
            assert not (run_directory / "pods" / "orphan").exists()

    asyncio.run(scenario())


def test_when_the_zygote_dies_the_containers_are_started_again(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.ready("web")
            pid = it.kubelet.zygote.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            again = await it.until("web", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 1)
            assert container(again)["lastState"]["terminated"]["exitCode"] == 137
            assert (await it.exec("web", "true"))[0] == 0

    asyncio.run(scenario())


def test_what_died_with_the_zygote_does_not_count_towards_the_back_off(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.ready("web")
            zygote = it.kubelet.zygote.pid
            assert zygote is not None
            os.kill(zygote, signal.SIGKILL)
            await it.until("web", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 1)
            worker = it.kubelet._workers[(await it.api.get("pods", "web", "default"))["metadata"]["uid"]]
            os.kill(worker.containers[0].process.pid, signal.SIGKILL)
            await it.until("web", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 2)
            assert "BackOff" not in {reason for reason, _ in await it.events("web")}

    asyncio.run(scenario())


def test_a_failing_liveness_probe_restarts_the_container(start: Start) -> None:
    probe: dict[str, Any] = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {**FOREVER, "livenessProbe": probe})
            await it.until("web", lambda pod: container(pod).get("restartCount", 0) >= 1)
            assert ("Killing", "Container c0 failed liveness probe, will be restarted") in await it.events("web")

    asyncio.run(scenario())
