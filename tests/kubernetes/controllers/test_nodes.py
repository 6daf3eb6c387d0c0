"""The one node: what it says of itself, also after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.controllers.manager import Controllers
from meshdojo.kubernetes.controllers.nodes import NodeFacts
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

pytestmark = pytest.mark.anyio
FACTS = NodeFacts("meshdojo", "127.64.0.1", "v1.34.4")


async def test_the_node_is_ready_and_keeps_its_identity_over_a_restart(tmp_path: Path) -> None:
    api = Api(Store(), Block(0))
    await bootstrap(api, host="127.64.0.1", port=6443)
    async with Controllers(api, node=FACTS, ca="pem", volumes=tmp_path):
        node = await api.get("nodes", "meshdojo")
    async with Controllers(api, node=FACTS, ca="pem", volumes=tmp_path):
        again = await api.get("nodes", "meshdojo")
        lease = await api.get("leases.coordination.k8s.io", "meshdojo", "kube-node-lease")
    conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
    assert conditions == {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "127.64.0.1"}
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.4"
    assert again["metadata"]["uid"] == node["metadata"]["uid"]
    before, after = (one["status"]["conditions"][-1]["lastTransitionTime"] for one in (node, again))
    assert before == after
    assert lease["spec"]["holderIdentity"] == "meshdojo"
    assert lease["metadata"]["ownerReferences"][0]["uid"] == node["metadata"]["uid"]
