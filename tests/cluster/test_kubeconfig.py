"""Kubeconfigs and service accounts: what is read, and what is said of those that cannot be used."""

from __future__ import annotations

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdojo.cluster import kubeconfig
from meshdojo.cluster.errors import BadKubeconfig, Unreachable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "fleet"}},
            {"name": "two", "context": {"cluster": "c"}},
            {"name": "three", "context": {"cluster": "nosuch"}},
        ],
    }


def write(folder: Path, document: Any, name: str = "config") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(document))
    return path


async def test_the_current_context(tmp_path: Path) -> None:
    access = kubeconfig.load(write(tmp_path, config(user={"token": "secret"})))
    assert (access.server, access.namespace, access.verify) == ("https://127.0.0.1:6443", "fleet", True)
    assert await access.credential.header() == "Bearer secret"


async def test_another_context(tmp_path: Path) -> None:
    access = kubeconfig.load(write(tmp_path, config()), "two")
    assert access.namespace == "default"
    assert await access.credential.header() == ""


async def test_certificates_as_data_and_as_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "client.key").write_text("KEY")
    user = {"client-certificate-data": encoded("CERT"), "client-key": "client.key"}
    access = kubeconfig.load(write(tmp_path, config({"certificate-authority-data": encoded("CA")}, user)))
    assert access.ca == b"CA"
    assert access.certificate == (b"CERT", b"KEY")


async def test_a_password(tmp_path: Path) -> None:
    access = kubeconfig.load(write(tmp_path, config(user={"username": "me", "password": "x"})))
    assert await access.credential.header() == "Basic " + encoded("me:x")


def test_what_kubectl_would_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(tmp_path, {"current-context": "two"}, "first")
    second = write(tmp_path, config(), "second")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}:{tmp_path / 'missing'}")
    assert kubeconfig.load().namespace == "default"
    monkeypatch.setenv("KUBECONFIG", str(second))
    assert kubeconfig.load().namespace == "fleet"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BadKubeconfig, match=r"\.kube/config cannot be read: No such file"):
        kubeconfig.load()


@pytest.mark.parametrize(
    ("document", "context", "words"),
    [
        (config({"server": "unix:///x"}), None, r"cluster\.server is 'unix:///x'; it must be an https:// address"),
        (config(), "four", r"contexts has no entry 'four'; there are: one, three, two"),
        (config(), "three", r"clusters has no entry 'nosuch'; there are: c"),
        ({"kind": "Config"}, None, r"no current-context is set; name a context"),
        ({"kind": "Pod"}, None, r"is no kubeconfig \(expected a mapping with kind: Config\)"),
        ([1], None, r"is no kubeconfig"),
        (config({"certificate-authority-data": "%"}), None, r"certificate-authority-data is no base64"),
        (config({"certificate-authority": "nosuch.crt"}), None, r"certificate-authority .*nosuch\.crt cannot be read"),
        (config(user={"client-key-data": encoded("KEY")}), None, r"belong together, one is missing"),
        (config(user={"exec": {"args": ["x"]}}), None, r"exec has no command"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, document: Any, context: str | None, words: str) -> None:
    with pytest.raises(BadKubeconfig, match=words):
        kubeconfig.load(write(tmp_path, document), context)


def test_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a: [")
    with pytest.raises(BadKubeconfig, match="config is no YAML"):
        kubeconfig.load(tmp_path / "config")


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    access = kubeconfig.load(write(tmp_path, config({"certificate-authority-data": encoded("nonsense")})))
    with pytest.raises(BadKubeconfig, match=r"the certificates for https://127\.0\.0\.1:6443 cannot be used"):
        access.tls()


def test_no_verification_only_when_asked_for(tmp_path: Path) -> None:
    assert kubeconfig.load(write(tmp_path, config())).tls().check_hostname
    careless = kubeconfig.load(write(tmp_path, config({"insecure-skip-tls-verify": True})))
    assert not careless.tls().check_hostname


def plugin(folder: Path, program: str) -> dict[str, Any]:
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\n{program}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    # A path with a slash is relative to the kubeconfig.
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "installHint": "get it"}}


async def test_a_credential_plugin_is_asked_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    answer = json.dumps({"status": {"token": "from-plugin"}})
    program = f"open({str(count)!r}, 'a').write('x')\nprint({answer!r})"
    access = kubeconfig.load(write(tmp_path, config(user=plugin(tmp_path, program))))
    assert await access.credential.header() == "Bearer from-plugin"
    assert await access.credential.header() == "Bearer from-plugin"
    assert count.read_text() == "x"
    assert access.credential.expire()
    assert await access.credential.header() == "Bearer from-plugin"
    assert count.read_text() == "xx"


@pytest.mark.parametrize(
    ("program", "words"),
    [("raise SystemExit(3)", "ended with exit code 3"), ("print('hello')", r"printed no ExecCredential")],
)
async def test_a_credential_plugin_that_fails(tmp_path: Path, program: str, words: str) -> None:
    access = kubeconfig.load(write(tmp_path, config(user=plugin(tmp_path, program))))
    with pytest.raises(Unreachable, match=words):
        await access.credential.header()


async def test_a_credential_plugin_that_is_not_installed(tmp_path: Path) -> None:
    user = {"exec": {"command": "nosuch-plugin", "installHint": "Install it from there."}}
    access = kubeconfig.load(write(tmp_path, config(user=user)))
    with pytest.raises(Unreachable, match=r"nosuch-plugin does not start: .*Install it from there\."):
        await access.credential.header()


async def test_the_service_account_of_a_pod(tmp_path: Path) -> None:
    folder = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount"
    folder.mkdir(parents=True)
    for name, text in (("token", "first\n"), ("ca.crt", "CA"), ("namespace", "fleet")):
        (folder / name).write_text(text)
    environment = {"KUBERNETES_SERVICE_HOST": "127.200.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    access = kubeconfig.in_cluster(str(tmp_path), environment)
    assert (access.server, access.namespace, access.ca) == ("https://127.200.0.1:443", "fleet", b"CA")
    assert await access.credential.header() == "Bearer first"
    (folder / "token").write_text("second")
    assert await access.credential.header() == "Bearer first"  # read a moment ago
    assert access.credential.expire()
    assert await access.credential.header() == "Bearer second"


def test_outside_a_pod(tmp_path: Path) -> None:
    with pytest.raises(BadKubeconfig, match="this program does not run in a pod"):
        kubeconfig.in_cluster(str(tmp_path), {})
    environment = {"KUBERNETES_SERVICE_HOST": "::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(BadKubeconfig, match="no service account token mounted"):
        kubeconfig.in_cluster(str(tmp_path), environment)
