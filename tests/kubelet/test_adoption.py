"""A kubelet that is killed, and another that goes on with its containers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubelet.processes import is_zombie, start_time
from meshdojo.kubernetes.node import LogOptions
from meshdojo.network import Block

Start = Callable[..., AbstractAsyncContextManager[Any]]
FOREVER = {"command": ["sleep", "1000"]}
SECONDS = 30
# Prints a line for each line of the file, which the test writes; so much each time that no pipe would hold it.
PRINTER = """
import sys, time
path, seen = sys.argv[1], 0
open(path, "a").close()
while True:
    lines = open(path).read().splitlines()
    for line in lines[seen:]:
        for number in range(4000):
            print(line, number, "." * 30)
        print(line, "printed", flush=True)
        open(path + ".done", "w").write(line)
    seen = len(lines)
    time.sleep(0.01)
"""
EXIT_WHEN_TOLD = "while [ ! -e $0 ]; do sleep 0.02; done; echo ending; exit 7"


def container(pod: Object, name: str = "") -> Object:
    """The status of a container, of the first by default."""
    status = pod.get("status") or {}
    found = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return next((one for one in found if not name or one["name"] == name), {})


async def eventually(true: Callable[[], Any]) -> Any:
    async with asyncio.timeout(SECONDS):
        while not (found := true()):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)
    return found


def pid_of(it: Any, name: str, which: int = 0) -> int:
    worker = next(one for one in it.kubelet._workers.values() if one.name == name)
    process = worker.containers[which].process
    assert process is not None
    return int(process.pid)


async def running(it: Any) -> tuple[int, int]:
    """Start the pod ``web``: the pids of its container and of the zygote."""
    await it.pod("web", FOREVER)
    await it.ready("web")
    return pid_of(it, "web"), it.kubelet.zygote.pid


def print_as(pid: int, text: str) -> None:
    """As if the process had printed this."""
    with open(f"/proc/{pid}/fd/1", "w") as output:
        output.write(text)


def there(pid: int) -> bool:
    return start_time(pid) is not None and not is_zombie(pid)


def test_a_container_goes_on_as_it_was(start: Start) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {**FOREVER, "readinessProbe": probe, "env": [{"name": "A", "value": "kept"}]}, FOREVER)
            await it.ready("web")
            pids = [pid_of(it, "web", which) for which in range(2)]
            await it.crash()
            before = await it.api.get("pods", "web", "default")
            assert all(map(there, pids))
            await it.revive()
            assert [pid_of(it, "web", which) for which in range(2)] == pids
            assert (await it.exec("web", "sh", "-c", "echo $A", container="c0"))[1] == "kept\n"
            again = await it.api.get("pods", "web", "default")
            assert again["status"] == before["status"]
            # And everything is as it would be without: an end is seen, and answered.
            os.kill(pids[0], signal.SIGKILL)
            restarted = await it.until("web", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 1)
            assert container(restarted)["lastState"]["terminated"]["exitCode"] == 137
            assert container(restarted, "c1")["restartCount"] == 0

    asyncio.run(scenario())


def test_it_survives_one_kubelet_after_the_other_and_ends_with_the_last(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            pid, zygote = await running(it)
            for _ in range(3):
                await it.crash()
                await it.revive()
                assert (pid_of(it, "web"), it.kubelet.zygote.pid) == (pid, zygote)
        assert not there(pid)
        assert not there(zygote)

    asyncio.run(scenario())


def test_when_nobody_holds_the_lifeline_any_more_everything_ends(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            pid, zygote = await running(it)
            await it.crash()
            assert there(pid)
            it.lifeline.close()
            await eventually(lambda: not there(pid) and not there(zygote))
            it.lifeline = it.lifeline.make()
            await it.revive()
            await it.until("web", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 1)

    asyncio.run(scenario())


def test_what_is_printed_in_between_is_in_the_log_once_and_nobody_waits(start: Start, tmp_path: Path) -> None:
    words, done = tmp_path / "words", tmp_path / "words.done"

    def say(word: str) -> None:
        with words.open("a") as file:
            file.write(word + "\n")

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["python", "-c", PRINTER, str(words)]})
            await it.ready("web")
            say("first")
            await it.logged("web", "first printed")
            await it.crash()
            say("second")
            await eventually(lambda: done.exists() and done.read_text() == "second")
            await it.revive()
            following = asyncio.create_task(it.logged("web", "third printed"))
            say("third")
            expected = [
                line
                for word in ("first", "second", "third")
                for line in (*(f"{word} {number} {'.' * 30}" for number in range(4000)), f"{word} printed")
            ]
            assert (await following).splitlines() == expected
            assert (await it.logs("web")).splitlines() == expected

    asyncio.run(scenario())


def test_what_was_printed_before_somebody_asks_is_in_the_answer(start: Start, tmp_path: Path) -> None:
    words, done = tmp_path / "words", tmp_path / "words.done"
    words.write_text("first\n")

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["python", "-c", PRINTER, str(words)]})
            await it.ready("web")
            zygote = it.kubelet.zygote.pid
            await eventually(lambda: done.exists() and done.read_text() == "first")
            await it.logged("web", "first printed")
            os.kill(zygote, signal.SIGSTOP)  # it has much else to do
            try:
                print_as(pid_of(it, "web"), "just now\n")
                asking = asyncio.create_task(it.logs("web", tail_lines=1))
                await asyncio.sleep(0)
            finally:
                os.kill(zygote, signal.SIGCONT)
            assert await asking == "just now\n"

    asyncio.run(scenario())


def test_an_end_in_between_is_told_with_its_code(start: Start, tmp_path: Path) -> None:
    command = {"command": ["sh", "-c", EXIT_WHEN_TOLD, str(tmp_path / "now")]}

    async def scenario() -> None:
        async with start() as it:
            await it.pod("once", command, restartPolicy="Never")
            await it.pod("always", {"command": ["sh", "-c", f"{EXIT_WHEN_TOLD}", str(tmp_path / "now")]})
            await it.ready("once")
            await it.ready("always")
            pids = [pid_of(it, name) for name in ("once", "always")]
            await it.crash()
            (tmp_path / "now").touch()
            await eventually(lambda: not any(map(there, pids)))
            (tmp_path / "now").unlink()
            await it.revive()
            once = container(await it.until("once", lambda pod: pod["status"]["phase"] == "Failed"))
            assert once["restartCount"] == 0
            ended = once["state"]["terminated"]
            assert (ended["exitCode"], ended["reason"], ended["containerID"]) == (7, "Error", once["containerID"])
            assert ended["startedAt"] <= ended["finishedAt"]
            always = await it.until("always", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 1)
            assert container(always)["lastState"]["terminated"]["exitCode"] == 7
            assert await it.logs("once") == "ending\n"
            assert await it.logs("always", previous=True) == "ending\n"
            assert await it.logs("always") == ""

    asyncio.run(scenario())


def test_a_pod_that_was_deleted_at_once_in_between_ends(start: Start, run_directory: Path) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.pod("other", FOREVER)
            uid = (await it.ready("web"))["metadata"]["uid"]
            await it.ready("other")
            pid, other = pid_of(it, "web"), pid_of(it, "other")
            await it.crash()
            await it.api.delete("pods", "web", "default", grace_seconds=0)
            assert there(pid)
            await it.revive()
            await eventually(lambda: not there(pid))
            assert not (run_directory / "pods" / uid).exists()
            assert there(other)
            # The zygote has forgotten it.
            await it.crash()
            await it.revive()
            assert pid_of(it, "other") == other
            await it.pod("web", FOREVER)
            await it.ready("web")

    asyncio.run(scenario())


def test_a_pod_whose_deletion_had_begun_ends_in_order(start: Start, tmp_path: Path) -> None:
    code = f"trap 'sleep 0.1; echo stopped > {tmp_path}/note; exit 0' TERM; while :; do sleep 0.02; done"

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["sh", "-c", code]})
            await it.ready("web")
            pid = pid_of(it, "web")
            await it.crash()
            await it.api.delete("pods", "web", "default", grace_seconds=10)
            assert there(pid)
            await it.revive()
            await it.gone("web")
            assert not there(pid)
            assert (tmp_path / "note").read_text() == "stopped\n"

    asyncio.run(scenario())


def test_a_command_whose_client_was_lost_ends_and_its_container_does_not(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.ready("web")
            command = await it.kubelet.exec("default", "web", "", ["sleep", "1000"], stdin=False, tty=False)
            pid, main = command.spawned.pid, pid_of(it, "web")
            await it.crash()
            await eventually(lambda: not there(pid))
            assert there(main)
            await it.revive()
            assert await it.exec("web", "echo", "again") == (0, "again\n", "")

    asyncio.run(scenario())


@pytest.mark.parametrize("tty", [False, True])
def test_standard_input_stays_open_and_can_be_attached_to_again(start: Start, tty: bool) -> None:
    code = 'while read line; do echo "got $line"; done; echo end; sleep 1000'

    async def heard(process: Any, text: bytes) -> None:
        seen = b""
        async with asyncio.timeout(SECONDS):
            async for chunk in process.stdout():
                seen += chunk
                if text in seen:
                    return
        pytest.fail(f"ended after {seen!r}")

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["sh", "-c", code], "stdin": True, "stdinOnce": True, "tty": tty})
            await it.ready("web")
            first = await it.kubelet.attach("default", "web", "", stdin=True, tty=tty)
            await first.write_stdin(b"one\n")
            await it.logged("web", "got one")
            await it.crash()
            await it.revive()
            second = await it.kubelet.attach("default", "web", "", stdin=True, tty=tty)
            await second.write_stdin(b"two\n")
            await heard(second, b"got two")
            if not tty:
                await second.close_stdin()
                await it.logged("web", "end\n")

    asyncio.run(scenario())


def test_what_has_been_initialised_is_not_again(start: Start, tmp_path: Path) -> None:
    note = tmp_path / "note"
    second = f"echo second >> {note}; " + EXIT_WHEN_TOLD.replace("exit 7", "exit 0")
    inits = [
        {"name": "first", "image": "test/python:1", "command": ["sh", "-c", f"echo first >> {note}"]},
        {"name": "side", "image": "test/python:1", "restartPolicy": "Always", **FOREVER},
        {"name": "second", "image": "test/python:1", "command": ["sh", "-c", second, str(tmp_path / "now")]},
    ]

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["sh", "-c", f"echo main >> {note}; sleep 1000"]}, initContainers=inits)
            await it.until("web", lambda pod: "running" in container(pod, "second").get("state", {}))
            await eventually(lambda: note.exists() and note.read_text() == "first\nsecond\n")
            side = pid_of(it, "web", 1)
            await it.crash()
            await it.revive()  # in the middle of the second
            assert pid_of(it, "web", 1) == side
            (tmp_path / "now").touch()
            await it.ready("web")
            await it.crash()
            await it.revive()
            assert pid_of(it, "web", 1) == side
            await eventually(lambda: note.read_text().endswith("main\n"))
            pod = await it.ready("web")
            assert note.read_text() == "first\nsecond\nmain\n"
            assert {container(pod, name)["restartCount"] for name in ("first", "second", "side", "c0")} == {0}

    asyncio.run(scenario())


def test_a_pod_of_which_the_api_knew_nothing_yet_is_adopted_too(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            before = await it.ready("web")
            pid = pid_of(it, "web")
            await it.crash()
            # As if it had died before it wrote anything.
            gone = {name: None for name in before["status"] if name not in ("phase", "conditions", "qosClass")}
            pending: Object = {"status": {**gone, "phase": "Pending", "conditions": []}}
            await it.api.patch("pods", "web", pending, "default", type="merge", subresource="status")
            await it.revive()
            after = await it.ready("web")
            assert pid_of(it, "web") == pid
            for name in ("restartCount", "containerID"):
                assert container(after)[name] == container(before)[name]
            assert after["status"]["podIP"] == before["status"]["podIP"]
            await it.pod("other", FOREVER)
            assert (await it.ready("other"))["status"]["podIP"] != before["status"]["podIP"]

    asyncio.run(scenario())


def test_a_probe_goes_on_and_what_was_ready_is_until_it_says_otherwise(start: Start, tmp_path: Path) -> None:
    well = tmp_path / "well"
    well.touch()
    probe = {"exec": {"command": ["test", "-e", str(well)]}, "periodSeconds": 1, "failureThreshold": 1}

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {**FOREVER, "readinessProbe": {**probe, "initialDelaySeconds": 1}})
            await it.ready("web")
            await it.crash()
            well.unlink()
            await it.revive()
            assert it.is_ready(await it.api.get("pods", "web", "default"))
            await it.until("web", lambda pod: not it.is_ready(pod))
            well.touch()
            assert container(await it.ready("web"))["restartCount"] == 0

    asyncio.run(scenario())


def test_without_the_zygote_the_containers_are_started_again(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            pid, zygote = await running(it)
            await it.crash()
            os.kill(zygote, signal.SIGKILL)
            await eventually(lambda: not there(pid) and not there(zygote))
            await it.revive()
            again = await it.until("web", lambda pod: it.is_ready(pod) and container(pod)["restartCount"] == 1)
            assert container(again)["lastState"]["terminated"]["reason"] == "Unknown"
            assert it.kubelet.zygote.pid != zygote
            await it.crash()
            await it.revive()
            assert container(await it.ready("web"))["restartCount"] == 1

    asyncio.run(scenario())


def test_a_changed_config_map_reaches_the_files_of_a_pod_that_was_adopted(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.apply("ConfigMap", "words", data={"word": "old"})
            mount = {"volumeMounts": [{"name": "words", "mountPath": "/words"}]}
            volume = {"name": "words", "configMap": {"name": "words"}}
            await it.pod("web", {**FOREVER, **mount}, volumes=[volume])
            await it.ready("web")
            await it.crash()
            await it.api.patch("configmaps", "words", {"data": {"word": "new"}}, "default", type="merge")
            await it.revive()
            async with asyncio.timeout(SECONDS):
                while (await it.exec("web", "cat", "/words/word"))[1] != "new":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    asyncio.run(scenario())


def test_node_ports_and_names_are_served_on(start: Start, block: Block) -> None:
    web = {"image": "test/server:1", "readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080}]
    look_up = 'import socket, time; socket.gethostbyname("web"); print("found", flush=True)'
    patient = f"import time\nwhile True:\n    exec({look_up!r}); time.sleep(0.01)"

    async def request() -> bytes:
        reader, writer = await asyncio.open_connection(str(block.node), 30080)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def scenario() -> None:
        async with start() as it:
            await it.apply("Service", "web", spec={"type": "NodePort", "selector": {"app": "web"}, "ports": ports})
            await it.pod("web", web)
            await it.ready("web")
            await it.served("web")
            await it.pod("asks", {"command": ["python", "-c", patient]}, restartPolicy="Never")
            await it.ready("asks")
            await it.logged("asks", "found")
            async with asyncio.timeout(SECONDS):
                while True:
                    try:
                        await request()
                        break
                    except ConnectionRefusedError:
                        await asyncio.sleep(0.02)
            proxy = it.kubelet.node_ports.process.pid
            await it.crash()
            assert (await request()).startswith(b"HTTP/1.0 200")
            await it.revive()
            assert it.kubelet.node_ports.process.pid == proxy
            assert (await request()).startswith(b"HTTP/1.0 200")
            await it.api.patch("services", "web", {"spec": {"ports": [{**ports[0], "nodePort": 30081}]}}, "default")
            async with asyncio.timeout(SECONDS):
                while True:
                    try:
                        await request()
                    except ConnectionRefusedError:
                        break
                    await asyncio.sleep(0.02)
            seen = len((await it.logs("asks")).splitlines())
            async with asyncio.timeout(SECONDS):
                async for line in await it.kubelet.logs("default", "asks", LogOptions(follow=True)):
                    assert line == b"found\n"
                    seen -= 1
                    if seen < 0:
                        break

    asyncio.run(scenario())
