"""The small tools on every pod's PATH: captured, of the pod, and with paths below mounts."""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from meshdojo.kubelet import commands
from meshdojo.kubelet.env import PATH
from meshdojo.kubelet.tools import tar

Start = Callable[..., AbstractAsyncContextManager[Any]]
FOREVER = {"command": ["sleep", "1000"]}
WEB = {"image": "test/server:1", "readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}
ECHO = """
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"hello " + line)
socketserver.TCPServer(("0.0.0.0", 9000), Handler).serve_forever()
"""


def test_clients_of_the_network_use_the_pods_own(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.apply(
                "Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
            )
            await it.apply("Service", "echo", spec={"selector": {"app": "echo"}, "ports": [{"port": 9000}]})
            await it.pod("web", WEB)
            await it.pod("echo", {"command": ["python", "-c", ECHO], "readinessProbe": {"tcpSocket": {"port": 9000}}})
            await it.pod("client", FOREVER)
            for name in ("web", "echo"):
                await it.served(name)
            await it.ready("client")
            said = await it.exec("client", "sh", "-c", "echo world | nc echo 9000")
            assert said == (0, "hello world\n", "")
            assert await it.exec("client", "nc", "-zv", "echo", "9000") == (
                0, "", "Connection to echo 9000 port [tcp/*] succeeded!\n",
            )  # fmt: skip
            refused = await it.exec("client", "nc", "-z", "-v", "web", "81")
            assert refused == (1, "", "nc: connect to web port 81 (tcp) failed: Connection refused\n")
            assert (await it.exec("client", "nc", "-z", "nosuch", "81"))[0] == 1
            page = await it.exec("client", "wget", "-qO-", "http://web/")
            assert page[0] == 0
            assert page[1].startswith("<!DOCTYPE HTML>")
            assert await it.exec("client", "wget", "-qO-", "http://web/nosuch") == (
                1, "", "wget: server returned error: HTTP/1.0 404 File not found\n",
            )  # fmt: skip
            assert await it.exec("client", "wget", "-q", "http://nosuch/") == (1, "", "wget: bad address 'nosuch'\n")
            found = await it.exec("client", "nslookup", "web")
            assert found[0] == 0
            assert "Address: 127." in found[1]
            assert (await it.exec("client", "nslookup", "nosuch"))[0] == 1

    asyncio.run(scenario())


def test_the_end_of_the_input_follows_the_answer() -> None:
    """A proxy that finds it together with the first bytes would reset the connection."""
    program = "import sys; from meshdojo.kubelet.tools import nc; nc._SETTLING = 60; sys.exit(nc.main(sys.argv))"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        words = ["-c", program, "127.0.0.1", str(listener.getsockname()[1])]
        process = subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with process, listener.accept()[0] as connection:
            assert process.stdin is not None
            process.stdin.write(b"world\n")
            process.stdin.close()
            process.stdin = None
            assert connection.recv(100) == b"world\n"
            with pytest.raises(BlockingIOError):
                connection.recv(1, socket.MSG_DONTWAIT)
            connection.sendall(b"hello world\n")
            assert connection.recv(1) == b""
            connection.close()
            assert process.communicate(timeout=60)[0] == b"hello world\n"
    assert process.returncode == 0


def test_ps_shows_the_container_and_not_the_machine(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", WEB, FOREVER)
            await it.ready("web")
            code, out, _ = await it.exec("web", "sh", "-c", "ps aux | cat", container="c0")
            assert code == 0
            commands = [line.split(None, 10)[10] for line in out.splitlines()[1:]]
            assert any("http.server" in command for command in commands)
            assert "ps aux" in commands
            assert any(command.startswith("sh -c") for command in commands)
            assert not any("sleep" in command for command in commands)
            code, out, _ = await it.exec("web", "ps", container="c1")
            assert "sleep 1000" in [line.split(None, 3)[3] for line in out.splitlines()[1:]]

    asyncio.run(scenario())


def test_a_shell_finds_what_is_mounted(start: Start) -> None:
    mounts = [{"name": "config", "mountPath": "/etc/nosuch/app"}, {"name": "scratch", "mountPath": "/tmp"}]
    volumes = [{"name": "config", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}]

    async def scenario() -> None:
        async with start() as it:
            await it.apply("ConfigMap", "settings", data={"a": "one\n", "b": "two\n"})
            await it.pod("web", {**FOREVER, "volumeMounts": mounts}, volumes=volumes)
            await it.ready("web")
            assert await it.exec("web", "sh", "-c", "cat /etc/nosuch/app/a; ls /etc/nosuch/app | wc -l") == (
                0,
                "one\n2\n",
                "",
            )
            assert await it.exec("web", "cat", "/etc/nosuch/app/b") == (0, "two\n", "")
            listed = await it.exec("web", "ls", "-l", "/etc/nosuch/app")
            assert [line.split()[8] for line in listed[1].splitlines()[1:]] == ["a", "b"]
            packed = "tar cf - /etc/nosuch/app 2>/dev/null | tar tf -; tar cf - -C /etc/nosuch/app a | tar tf -"
            _, members, _ = await it.exec("web", "sh", "-c", packed)
            assert {"etc/nosuch/app/a", "etc/nosuch/app/b", "a"} <= set(members.split())
            assert all(name.startswith("etc/nosuch/app/") for name in members.split() if name != "a")
            written = "cp /etc/nosuch/app/a /tmp/meshdojo-test-copy && grep -c one /tmp/meshdojo-test-copy"
            assert await it.exec("web", "sh", "-c", written) == (0, "1\n", "")

    asyncio.run(scenario())
    assert not Path("/tmp/meshdojo-test-copy").exists()


def test_commands_that_were_started_in_a_container_count_towards_its_limits(start: Start) -> None:
    greedy = "import time; hoard = bytearray(120_000_000); time.sleep(1000)"
    limited = {**FOREVER, "resources": {"limits": {"memory": "64Mi"}}}

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", limited, restartPolicy="Never")
            await it.ready("web")
            code, _, _ = await it.exec("web", "python", "-c", greedy)
            assert code == 137
            ended = await it.until("web", lambda pod: pod["status"]["phase"] == "Failed")
            assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"

    asyncio.run(scenario())


def test_a_host_without_tar_gets_ours(tmp_path: Path) -> None:
    assert commands.fallbacks(str(tmp_path)) == commands.FALLBACKS
    commands.write(tmp_path / "bin", str(tmp_path))
    assert "meshdojo.kubelet.tools.tar" in (tmp_path / "bin" / "tar").read_text()
    assert not (tmp_path / "bin" / "cat").exists()
    commands.write(tmp_path / "bin2", PATH)
    shim = (tmp_path / "bin2" / "cat").read_text()
    assert str(shutil.which("cat", path=PATH)) in shim


def test_a_mounted_path_is_translated_once(tmp_path: Path) -> None:
    commands.write(tmp_path / "bin", PATH)
    root = tmp_path / "root"
    (root / "tmp").mkdir(parents=True)
    (root / "tmp" / "a file").write_text("found")
    variables = {"MESHDOJO_ROOT": str(root), "MESHDOJO_MOUNTS": f"/tmp:{tmp_path.parent}", "PATH": PATH}
    for word in ("/tmp/a file", str(root / "tmp" / "a file")):
        ran = subprocess.run([tmp_path / "bin" / "cat", word], env=variables, capture_output=True, text=True)
        assert (ran.stdout, ran.stderr) == ("found", "")


@pytest.mark.parametrize("command", [["-xmf", "-", "-C"], ["xf", "-", "-C"], ["--extract", "--file", "-", "-C"]])
def test_our_tar_takes_what_kubectl_cp_sends(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a").write_text("content")
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as archive:
        archive.add(tmp_path / "from", "to")
    sent.seek(0)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(sent)))
    assert tar.main(["tar", *command, str(tmp_path)]) == 0
    assert (tmp_path / "to" / "a").read_text() == "content"


@pytest.mark.parametrize(
    ("name", "link"),
    [("../b", ""), ("to/../../b", ""), ("b", "../away"), ("b", "/etc/passwd"), ("deep/b", "../../away")],
)
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_our_tar_lets_nothing_leave_the_directory(
    tmp_path: Path, name: str, link: str, kind: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, inside = tmp_path / "a.tar", tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "away").write_text("outside")
    with tarfile.open(archive, "w") as made:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = kind, link
        made.addfile(member)
    assert tar.main(["tar", "xf", str(archive), "-C", str(inside)]) == 2
    assert "it would leave" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "away", "inside"]


def test_our_tar_drops_leading_slashes(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as made:
        made.addfile(tarfile.TarInfo("/etc/b"))
    assert tar.main(["tar", "xf", str(archive), "-C", str(tmp_path)]) == 0
    assert (tmp_path / "etc" / "b").read_bytes() == b""


def test_our_tar_sends_what_kubectl_cp_takes(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "a").write_text("content")
    archive = tmp_path / "out.tgz"
    assert tar.main(["tar", "czf", str(archive), "-C", str(tmp_path), "a"]) == 0
    with tarfile.open(archive) as found:
        assert found.getnames() == ["a"]
    assert tar.main(["tar", "cf", str(tmp_path / "x"), "nosuch"]) == 2
    assert tar.main(["tar", "tf", str(archive)]) == 0
    assert tar.main(["tar", "Zf", "x"]) == 2
    assert tar.main(["tar", "--nosuch"]) == 2
    read = capfdbinary.readouterr()
    assert read.out == b"a\n"
    assert b"nosuch: Cannot stat: No such file or directory" in read.err
