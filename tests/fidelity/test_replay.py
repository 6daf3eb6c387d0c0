"""The same commands on the embedded mesh: word for word what the real cluster answered."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from tests.fidelity.cases import Outcome, Topic, recorded, topics
from tests.fidelity.cluster import Cluster
from tests.fidelity.record import difference

from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.embedded import lifecycle

RECORDED_WITH = "v1.34"
Replay = dict[str, dict[str, Outcome]]
CASES = [
    pytest.param(
        topic,
        case.name,
        id=f"{topic.name}: {case.name}",
        marks=[pytest.mark.xfail(reason=case.differs, raises=AssertionError)] if case.differs else [],
    )
    for topic in topics()
    for case in topic.cases
]


@pytest.fixture(scope="session")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    """What every case does on an environment of its own."""
    _same_kubectl()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHDOJO_HOME", str(tmp_path_factory.mktemp("home")))
        backend = EmbeddedBackend()
        try:
            asyncio.run(_start(backend))
            yield Cluster(backend.kubeconfig, str(backend.instance.tools)).run(topics())
        finally:
            lifecycle.delete(backend.instance)


def _same_kubectl() -> None:
    """kubectl's own words differ between its versions: only the one that recorded can be compared."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on the PATH")
    answer = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, check=True)
    version = json.loads(answer.stdout)["clientVersion"]["gitVersion"]
    if not version.startswith(f"{RECORDED_WITH}."):
        pytest.skip(f"the recordings are of kubectl {RECORDED_WITH}, and the one on the PATH is {version}")


async def _start(backend: EmbeddedBackend) -> None:
    await backend.start(lambda text: None)
    await backend.ensure_istio(lambda text: None)


@pytest.mark.parametrize(("topic", "case"), CASES)
def test_the_answer_is_the_real_one(replay: Replay, topic: Topic, case: str) -> None:
    ours, real = replay[topic.name][case], recorded(topic.name).get(case)
    assert ours == real, "\n" + difference(real, ours)
