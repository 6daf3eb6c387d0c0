from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.injection.config import InjectionConfig
from meshdojo.istio.install import istiod
from meshdojo.istio.install.options import load

JSON = dict[str, Any]


@pytest.fixture(scope="session")
def config() -> InjectionConfig:
    """What an installation of the demo profile tells the injector."""
    options = load(["profile=demo"])
    maps = {one["metadata"]["name"]: one["data"] for one in istiod.config_maps(options)}
    return InjectionConfig.load(maps["istio-sidecar-injector"], maps["istio"]["mesh"])


@pytest.fixture
def pod() -> JSON:
    """A pod of Deployment web, as its ReplicaSet makes it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "1", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-5d-",
            "labels": {"app": "web", "version": "v1", "pod-template-hash": "5d"},
            "ownerReferences": [owner],
        },
        "spec": {
            "containers": [
                {
                    "name": "app",
                    "image": "web",
                    "ports": [{"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9090, "name": "metrics"}],
                    "readinessProbe": {
                        "httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"},
                        "timeoutSeconds": 1,
                        "periodSeconds": 10,
                    },
                }
            ],
            "serviceAccountName": "default",
        },
    }
