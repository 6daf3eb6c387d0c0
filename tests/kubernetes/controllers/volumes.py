"""Claims, volumes and pods for the tests of what binds them."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object


def claim(name: str = "data", **spec: Any) -> Object:
    """A claim of 1 GiB."""
    whole = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"metadata": {"name": name}, "spec": whole}


def volume(name: str = "one", **spec: Any) -> Object:
    """A volume of 2 GiB that a directory of the node is."""
    whole = {
        "capacity": {"storage": "2Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/nowhere"},
        "storageClassName": "manual",
        **spec,
    }
    return {"metadata": {"name": name}, "spec": whole}


def pod(claimed: str = "data", name: str = "user") -> Object:
    """A pod that uses a claim."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claimed}}]
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "one"}], "volumes": volumes}}


def phase(obj: Object) -> str:
    """What a claim's or a volume's status says."""
    return str(obj["status"].get("phase"))
