"""The log on disk: what was acknowledged is there again, whatever happened to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from meshdojo.kubernetes import journal as journal_module
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.journal import Journal, JournalError
from meshdojo.kubernetes.store import Store


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def names(store: Store) -> list[str]:
    return [obj["metadata"]["name"] for obj in store.list("configmaps")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_a_restart_brings_back_objects_and_the_revision(path: Path) -> None:
    store = Store(Journal(path))
    first = store.put("configmaps", config_map("a", x="1"), None)
    store.put("configmaps", config_map("b"), None)
    changed = store.put("configmaps", config_map("a", x="2"), first)
    store.remove("configmaps", store.list("configmaps")[1])
    store.close()

    again = Store(Journal(path))

    assert again.list("configmaps") == [changed]
    assert again.revision == store.revision
    again.close()


def test_a_deletion_uses_up_its_revision_for_good(path: Path) -> None:
    store = Store(Journal(path))
    store.remove("configmaps", store.put("configmaps", config_map("a"), None))
    deleted_at = store.revision
    store.close()
    journal = Journal(path)
    journal.compact([], deleted_at)
    journal.close()

    again = Store(Journal(path))

    assert again.revision == deleted_at
    assert names(again) == []
    again.close()


@pytest.mark.parametrize("kept", [1, 9, 30])
def test_a_torn_last_record_is_dropped_and_reported(path: Path, kept: int) -> None:
    store = Store(Journal(path))
    store.put("configmaps", config_map("whole"), None)
    whole = path.stat().st_size
    store.put("configmaps", config_map("torn"), None)
    store.close()
    os.truncate(path, whole + kept)

    journal = Journal(path)

    assert len(journal.contents.torn) == kept
    again = Store(journal)
    assert names(again) == ["whole"]
    again.put("configmaps", config_map("after"), None)
    again.close()
    final = Store(Journal(path))
    assert names(final) == ["after", "whole"]
    final.close()


def test_damage_in_the_middle_is_refused_with_the_place_and_the_remedy(path: Path) -> None:
    store = Store(Journal(path))
    store.put("configmaps", config_map("a"), None)
    store.put("configmaps", config_map("b"), None)
    store.close()
    content = path.read_bytes().replace(b'"name":"a"', b'"name":"x"')
    path.write_bytes(content)

    with pytest.raises(JournalError, match=r"journal, record 2: damaged; .*meshdojo down"):
        Journal(path)


def test_a_file_of_another_format_is_refused(path: Path) -> None:
    path.write_bytes(journal_module._encode({"journal": 99, "revision": 0}))

    with pytest.raises(JournalError, match="format 99, but this version reads 1"):
        Journal(path)


def test_two_processes_cannot_use_one_journal(path: Path) -> None:
    journal = Journal(path)

    with pytest.raises(JournalError, match="in use by another process"):
        Journal(path)
    journal.close()


def test_compaction_keeps_the_live_objects_only(path: Path) -> None:
    store = Store(Journal(path))
    current = store.put("configmaps", config_map("a", x="0"), None)
    for number in range(1, 300):
        current = store.put("configmaps", config_map("a", x=str(number)), current)
    store.close()
    large = path.stat().st_size

    again = Store(Journal(path))
    again.close()

    assert path.stat().st_size < large / 50
    final = Store(Journal(path))
    assert final.list("configmaps") == [current]
    assert final.revision == store.revision
    final.close()


def test_a_full_disk_refuses_the_write_and_nothing_is_half_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(Journal(path))
    kept = store.put("configmaps", config_map("kept"), None)
    full = True

    def write(file: int, data: memoryview) -> int:
        if full:
            real_write(file, data[:10])  # a part still fitted
            raise OSError(28, "No space left on device")
        return real_write(file, data)

    real_write = os.write
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StatusError, match=r"was not stored: .*No space left on device; free space there") as caught:
        store.put("configmaps", config_map("lost"), None)
    full = False
    after = store.put("configmaps", config_map("after"), None)
    store.close()

    assert caught.value.code == 507
    assert store.list("configmaps") == [after, kept]
    again = Store(Journal(path))
    assert again.list("configmaps") == [after, kept]
    again.close()


def test_fsync_when_asked_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    store = Store(Journal(path, fsync=True))
    before = len(synced)

    store.put("configmaps", config_map("a"), None)

    assert len(synced) == before + 1
    store.close()


WRITER = """
    import asyncio, sys
    from pathlib import Path
    from meshdojo.kubernetes.api import Api
    from meshdojo.kubernetes.journal import Journal
    from meshdojo.kubernetes.store import Store
    from meshdojo.network import Block

    async def main():
        api = Api(Store(Journal(Path(sys.argv[1]))), Block(0))
        await api.create("namespaces", {"metadata": {"name": "default"}})
        number = 0
        while True:
            await api.create("configmaps", {"metadata": {"name": f"c{number}"}}, "default")
            print(number, flush=True)
            number += 1

    asyncio.run(main())
"""


def test_kill_dash_nine_loses_nothing_that_was_acknowledged(path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = -1
    with process.stdout:
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= 200:
                process.send_signal(signal.SIGKILL)
                break
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()

    store = Store(Journal(path))

    assert process.returncode == -signal.SIGKILL
    assert {f"c{number}" for number in range(acknowledged + 1)} <= set(names(store))
    store.close()
