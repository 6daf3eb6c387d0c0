"""An injected pod, compared with the facts of one that was recorded on a real cluster."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from meshdojo.istio.injection.config import InjectionConfig
from meshdojo.istio.injection.inject import CannotInject, inject, warnings
from meshdojo.istio.models.proxy_config import ProxyConfig

JSON = dict[str, Any]


def environment(container: JSON) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def with_annotations(pod: JSON, annotations: dict[str, str]) -> JSON:
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}}


def test_the_pod_that_is_given_stays_as_it_is(pod: JSON, config: InjectionConfig) -> None:
    before = copy.deepcopy(pod)
    inject(pod, "shop", config)
    assert pod == before


def test_a_native_sidecar(pod: JSON, config: InjectionConfig) -> None:
    spec = inject(pod, "shop", config)["spec"]
    assert [one["name"] for one in spec["containers"]] == ["app"]
    init, proxy = spec["initContainers"]
    assert (init["name"], init["args"][0]) == ("istio-init", "istio-iptables")
    assert (proxy["name"], proxy["restartPolicy"]) == ("istio-proxy", "Always")
    assert proxy["args"][:2] == ["proxy", "sidecar"]
    assert proxy["startupProbe"]["httpGet"] == {"path": "/healthz/ready", "port": 15021}
    assert proxy["startupProbe"]["failureThreshold"] == 600
    assert proxy["lifecycle"]["preStop"]["exec"]["command"][0] == "pilot-agent"
    mounted = {mount["name"] for mount in proxy["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_what_the_agent_is_told(pod: JSON, config: InjectionConfig) -> None:
    proxy = inject(pod, "shop", config)["spec"]["initContainers"][1]
    told = environment(proxy)
    assert told["CA_ADDR"] == "istiod.istio-system.svc:15012"
    assert json.loads(told["ISTIO_META_POD_PORTS"]) == [
        {"containerPort": 8080, "protocol": "TCP"},
        {"name": "metrics", "containerPort": 9090},
    ]
    assert told["ISTIO_META_APP_CONTAINERS"] == "app"
    assert told["ISTIO_META_WORKLOAD_NAME"] == "web"
    assert told["ISTIO_META_OWNER"] == "kubernetes://apis/apps/v1/namespaces/shop/deployments/web"
    assert (told["ISTIO_META_MESH_ID"], told["TRUST_DOMAIN"]) == ("cluster.local", "cluster.local")
    assert told["ISTIO_META_CLUSTER_ID"] == "Kubernetes"
    assert told["PROXY_CONFIG"] == "{}\n"
    assert json.loads(told["ISTIO_KUBE_APP_PROBERS"]) == {
        "/app-health/app/readyz": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1}
    }
    fields = {entry["name"] for entry in proxy["env"] if "valueFrom" in entry}
    assert {"POD_NAME", "POD_NAMESPACE", "INSTANCE_IP", "SERVICE_ACCOUNT", "HOST_IP", "ISTIO_CPU_LIMIT"} <= fields


def test_labels_and_annotations(pod: JSON, config: InjectionConfig) -> None:
    metadata = inject(pod, "shop", config)["metadata"]
    assert metadata["labels"] == {
        **pod["metadata"]["labels"],
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": "web",
        "service.istio.io/canonical-revision": "v1",
    }
    assert metadata["annotations"]["kubectl.kubernetes.io/default-container"] == "app"
    assert metadata["annotations"]["prometheus.io/port"] == "15020"
    assert json.loads(metadata["annotations"]["sidecar.istio.io/status"]) == {
        "initContainers": ["istio-init", "istio-proxy"],
        "containers": None,
        "volumes": [
            "workload-socket",
            "credential-socket",
            "workload-certs",
            "istio-envoy",
            "istio-data",
            "istio-podinfo",
            "istio-token",
            "istiod-ca-cert",
            "istio-ca-crl",
        ],
        "imagePullSecrets": None,
        "revision": "default",
    }


def test_the_application_comes_after_the_proxy(pod: JSON, config: InjectionConfig) -> None:
    pod["spec"]["initContainers"] = [{"name": "migrate", "image": "web"}]
    inits = inject(pod, "shop", config)["spec"]["initContainers"]
    assert [one["name"] for one in inits] == ["istio-init", "istio-proxy", "migrate"]


def test_a_classic_sidecar_by_annotation(pod: JSON, config: InjectionConfig) -> None:
    spec = inject(with_annotations(pod, {"sidecar.istio.io/nativeSidecar": "false"}), "shop", config)["spec"]
    assert [one["name"] for one in spec["containers"]] == ["istio-proxy", "app"]
    assert [one["name"] for one in spec["initContainers"]] == ["istio-init"]
    assert "restartPolicy" not in spec["containers"][0]


def test_resources_by_annotation(pod: JSON, config: InjectionConfig) -> None:
    spec = inject(with_annotations(pod, {"sidecar.istio.io/proxyCPU": "7m"}), "shop", config)["spec"]
    assert spec["initContainers"][1]["resources"] == {"requests": {"cpu": "7m"}}
    assert inject(pod, "shop", config)["spec"]["initContainers"][1]["resources"]["requests"]["cpu"] == "10m"


def test_proxy_config_from_three_places(pod: JSON, config: InjectionConfig) -> None:
    entry = ProxyConfig.parse(
        {
            "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"environmentVariables": {"A": "object", "B": "object"}},
        }
    )
    chosen = with_annotations(pod, {"proxy.istio.io/config": "proxyMetadata: {B: annotation}\nconcurrency: 1"})
    told = environment(inject(chosen, "shop", config, [entry])["spec"]["initContainers"][1])
    assert json.loads(told["PROXY_CONFIG"]) == {
        "proxyMetadata": {"A": "object", "B": "annotation"},
        "concurrency": 1,
    }
    assert (told["A"], told["B"]) == ("object", "annotation")


def test_a_proxy_config_for_other_pods(pod: JSON, config: InjectionConfig) -> None:
    spec = {"selector": {"matchLabels": {"app": "other"}}, "concurrency": 2}
    entry = ProxyConfig.parse({"metadata": {"name": "a", "namespace": "shop"}, "spec": spec})
    told = environment(inject(pod, "shop", config, [entry])["spec"]["initContainers"][1])
    assert told["PROXY_CONFIG"] == "{}\n"


def test_a_proxy_config_of_the_namespace_wins_over_that_of_the_mesh(pod: JSON, config: InjectionConfig) -> None:
    entries = [
        ProxyConfig.parse({"metadata": {"name": name, "namespace": name}, "spec": {"concurrency": number}})
        for name, number in (("shop", 1), ("istio-system", 2), ("elsewhere", 3))
    ]
    told = environment(inject(pod, "shop", config, entries)["spec"]["initContainers"][1])
    assert json.loads(told["PROXY_CONFIG"]) == {"concurrency": 1}
    told = environment(inject(pod, "other", config, entries)["spec"]["initContainers"][1])
    assert json.loads(told["PROXY_CONFIG"]) == {"concurrency": 2}


def test_probes_stay_where_they_shall(pod: JSON, config: InjectionConfig) -> None:
    chosen = with_annotations(pod, {"sidecar.istio.io/rewriteAppHTTPProbers": "false"})
    spec = inject(chosen, "shop", config)["spec"]
    assert spec["containers"] == pod["spec"]["containers"]


def test_metrics_of_the_application(pod: JSON, config: InjectionConfig) -> None:
    own = {"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "prometheus.io/path": "/m"}
    made = inject(with_annotations(pod, own), "shop", config)
    told = environment(made["spec"]["initContainers"][1])
    assert json.loads(told["ISTIO_PROMETHEUS_ANNOTATIONS"]) == {"scrape": "true", "path": "/m", "port": "9090"}
    assert made["metadata"]["annotations"]["prometheus.io/port"] == "15020"


def test_a_gateway(pod: JSON, config: InjectionConfig) -> None:
    pod["spec"]["containers"] = [
        {"name": "istio-proxy", "image": "auto", "env": [{"name": "EXTRA", "value": "1"}], "ports": []}
    ]
    made = inject(with_annotations(pod, {"inject.istio.io/templates": "gateway"}), "shop", config)
    (proxy,) = made["spec"]["containers"]
    assert proxy["image"].endswith("/proxyv2:1.31-dev")
    assert proxy["args"][:2] == ["proxy", "router"]
    assert environment(proxy)["EXTRA"] == "1"
    assert "initContainers" not in made["spec"]
    assert "security.istio.io/tlsMode" not in made["metadata"]["labels"]


def test_an_unknown_template(pod: JSON, config: InjectionConfig) -> None:
    chosen = with_annotations(pod, {"inject.istio.io/templates": "sidecar,waypoint"})
    with pytest.raises(CannotInject, match='requested template "waypoint" not found; have sidecar, gateway'):
        inject(chosen, "shop", config)


@pytest.mark.parametrize("text", ["[", "a list", "- a"])
def test_a_proxy_config_annotation_that_is_wrong(text: str, pod: JSON, config: InjectionConfig) -> None:
    with pytest.raises(CannotInject, match=r"annotation proxy.istio.io/config: "):
        inject(with_annotations(pod, {"proxy.istio.io/config": text}), "shop", config)


def test_wishes_without_an_effect_are_told(pod: JSON) -> None:
    assert warnings(pod) == []
    name = "traffic.sidecar.istio.io/excludeInterfaces"
    assert warnings(with_annotations(pod, {name: "eth1"})) == [
        f'annotation "{name}" has no effect in the embedded mesh'
    ]
