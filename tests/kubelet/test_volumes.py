"""Volumes as directories, mounts as links, and the runner that finds them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubelet.volumes import MountError, Volumes, mount, refers_to

Start = Callable[..., AbstractAsyncContextManager[Any]]
OBJECTS: dict[tuple[str, str], Object] = {
    ("configmaps", "cm"): {"kind": "ConfigMap", "data": {"a.txt": "1", "b": "2"}},
    ("secrets", "sec"): {"kind": "Secret", "data": {"key": base64.b64encode(b"\x00\x01").decode()}},
}


async def fetch(resource: str, namespace: str, name: str) -> Object | None:
    return OBJECTS.get((resource, name))


class Tokens:
    """Stands for the API: issues tokens."""

    def __init__(self, expires: str = "2999-01-01T00:00:00Z") -> None:
        self.requests: list[Object] = []
        self._expires = expires

    async def create(self, resource: str, obj: Object, namespace: str, *, subresource: str, name: str) -> Object:
        self.requests.append({"resource": f"{resource}/{subresource}", "name": name, **obj["spec"]})
        return {"status": {"token": "t0ken", "expirationTimestamp": self._expires}}


def pod(*volumes: Object) -> Object:
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "labels": {"app": "web"}},
        "spec": {"volumes": list(volumes), "containers": [{"name": "c"}]},
    }


def make(directory: Path, *volumes: Object, tokens: Any = None) -> Volumes:
    client: Any = tokens or Tokens()
    made = Volumes(directory, client, fetch)
    asyncio.run(made.make(pod(*volumes), {"podIP": "127.64.1.0"}))
    return made


def test_a_config_map_is_laid_out_as_the_kubelet_does(tmp_path: Path) -> None:
    make(tmp_path, {"name": "v", "configMap": {"name": "cm", "defaultMode": 0o400}})
    directory = tmp_path / "v"
    assert sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith("..")) == ["a.txt", "b"]
    assert (directory / "..data").is_symlink()
    assert (directory / "a.txt").readlink() == Path("..data/a.txt")
    assert (directory / "a.txt").read_text() == "1"
    assert (directory / "a.txt").stat().st_mode & 0o777 == 0o400


def test_a_change_is_swapped_in_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = {"name": "v", "configMap": {"name": "cm"}}
    make(tmp_path, volume)
    before = (tmp_path / "v" / "..data").readlink()
    make(tmp_path, volume)
    assert (tmp_path / "v" / "..data").readlink() == before
    monkeypatch.setitem(OBJECTS, ("configmaps", "cm"), {"kind": "ConfigMap", "data": {"b": "new"}})
    make(tmp_path, volume)
    assert not (tmp_path / "v" / before).exists()
    assert {entry.name for entry in (tmp_path / "v").iterdir() if not entry.name.startswith("..")} == {"b"}
    assert (tmp_path / "v" / "b").read_text() == "new"


def test_items_choose_keys_and_paths(tmp_path: Path) -> None:
    items = [{"key": "a.txt", "path": "deep/er/a"}]
    make(tmp_path, {"name": "v", "configMap": {"name": "cm", "items": items}})
    assert (tmp_path / "v" / "deep" / "er" / "a").read_text() == "1"
    assert not (tmp_path / "v" / "b").exists()


def test_secrets_and_downward_fields(tmp_path: Path) -> None:
    fields = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    make(
        tmp_path,
        {"name": "s", "secret": {"secretName": "sec"}},
        {"name": "d", "downwardAPI": {"items": fields}},
        {"name": "e", "emptyDir": {"medium": "Memory"}},
    )
    assert (tmp_path / "s" / "key").read_bytes() == b"\x00\x01"
    assert (tmp_path / "d" / "labels").read_text() == 'app="web"'
    assert list((tmp_path / "e").iterdir()) == []


def test_a_projected_volume_has_all_its_sources_and_a_token(tmp_path: Path) -> None:
    tokens = Tokens()
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "istio-ca", "expirationSeconds": 43200}},
        {"configMap": {"name": "cm", "items": [{"key": "b", "path": "ca.crt"}]}},
    ]
    volumes = make(tmp_path, {"name": "p", "projected": {"sources": sources}}, tokens=tokens)
    assert (tmp_path / "p" / "token").read_text() == "t0ken"
    assert (tmp_path / "p" / "ca.crt").read_text() == "2"
    assert tokens.requests[0]["audiences"] == ["istio-ca"]
    assert tokens.requests[0]["boundObjectRef"]["uid"] == "u"
    assert volumes.refresh_at is not None


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"configMap": {"name": "no"}}, 'MountVolume.SetUp failed for volume "v" : configmap "no" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "no", "path": "x"}]}},
            'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: no',
        ),
        ({"secret": {"secretName": "no"}}, 'MountVolume.SetUp failed for volume "v" : secret "no" not found'),
    ],
)
def test_what_is_missing_is_named_in_the_kubelets_words(tmp_path: Path, volume: Object, words: str) -> None:
    with pytest.raises(MountError) as raised:
        make(tmp_path, {"name": "v", **volume})
    assert str(raised.value) == words


def test_kinds_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MountError, match="volumes of type nfs do not exist in this cluster; use emptyDir, configMap"):
        make(tmp_path, {"name": "v", "nfs": {}})


def test_optional_sources_may_be_missing(tmp_path: Path) -> None:
    make(tmp_path, {"name": "v", "configMap": {"name": "no", "optional": True}})
    assert not (tmp_path / "v" / "..data" / "a").exists()


def test_mounts_are_links_below_the_root(tmp_path: Path) -> None:
    volumes = make(tmp_path / "volumes", {"name": "v", "configMap": {"name": "cm"}}, {"name": "e", "emptyDir": {}})
    root = tmp_path / "root"
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/etc/config/"},
            {"name": "v", "mountPath": "/var/run/x/a", "subPath": "a.txt"},
            {"name": "e", "mountPath": "/data", "subPathExpr": "$(POD)"},
        ]
    }
    assert mount(root, container, volumes, {"POD": "web"}) == ["/data", "/etc/config", "/var/run/x/a", "/run/x/a"]
    assert (root / "etc/config/b").read_text() == "2"
    assert (root / "run/x/a").read_text() == "1"
    (root / "data" / "file").write_text("x")
    assert (tmp_path / "volumes" / "e" / "web" / "file").read_text() == "x"
    mount(root, container, volumes, {"POD": "web"})  # a restart finds them there


def test_which_pods_an_object_concerns() -> None:
    projected = {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}}
    assert refers_to(pod(projected), "secrets", "s")
    assert refers_to(pod({"name": "v", "secret": {"secretName": "s"}}), "secrets", "s")
    assert not refers_to(pod(projected), "configmaps", "s")


SEES = """
import json, os, pathlib, sys
print(json.dumps([
    open("/etc/config/a").read(),
    sorted(name for name in os.listdir("/etc/config") if not name.startswith("..")),
    pathlib.Path("/etc/config/a").read_text(),
    os.path.exists("/etc/config/nosuch"),
    os.path.isdir("/data"),
    [entry.name for entry in os.scandir("/etc/config") if entry.name == "a"],
    pathlib.Path("/etc/passwd").exists(),
]))
pathlib.Path("/data/deep").mkdir()
os.rename("/data/deep", "/data/deeper")
print(os.listdir("/data"))
"""


def test_a_pod_sees_its_mounts_and_their_changes(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.apply("ConfigMap", "cm", data={"a": "1"})
            mounts = [{"name": "v", "mountPath": "/etc/config"}, {"name": "e", "mountPath": "/data"}]
            await it.pod(
                "web",
                {"command": ["sleep", "1000"], "volumeMounts": mounts},
                volumes=[{"name": "v", "configMap": {"name": "cm"}}, {"name": "e", "emptyDir": {}}],
            )
            await it.ready("web")
            code, out, err = await it.exec("web", "python", "-c", SEES)
            assert (code, err) == (0, "")
            seen, data = out.splitlines()
            assert json.loads(seen) == ["1", ["a"], "1", False, True, ["a"], True]
            assert data == "['deeper']"
            assert await it.exec("web", "cat", "/etc/config/a") == (0, "1", "")
            await it.api.patch("configmaps", "cm", {"data": {"a": "2"}}, "default")
            async with asyncio.timeout(30):
                while (await it.exec("web", "cat", "/etc/config/a"))[1] != "2":
                    pass

    asyncio.run(scenario())


def test_a_claim_is_the_directory_of_its_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "made when it is wanted"
    monkeypatch.setitem(OBJECTS, ("persistentvolumeclaims", "data"), {"spec": {"volumeName": "one"}})
    monkeypatch.setitem(OBJECTS, ("persistentvolumes", "one"), {"spec": {"hostPath": {"path": str(directory)}}})
    make(tmp_path, {"name": "v", "persistentVolumeClaim": {"claimName": "data"}})
    (tmp_path / "v" / "file").write_text("kept")
    assert (directory / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("claimed", "why"),
    [("data", 'persistentvolume "one" is of a type that does not exist'), ("nosuch", "is not bound")],
)
def test_a_claim_without_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claimed: str, why: str) -> None:
    monkeypatch.setitem(OBJECTS, ("persistentvolumeclaims", "data"), {"spec": {"volumeName": "one"}})
    monkeypatch.setitem(OBJECTS, ("persistentvolumes", "one"), {"spec": {"nfs": {"server": "a", "path": "/"}}})
    with pytest.raises(MountError, match=why):
        make(tmp_path, {"name": "v", "persistentVolumeClaim": {"claimName": claimed}})
