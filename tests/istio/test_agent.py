import json
import os
from pathlib import Path

import pytest

from meshdojo.istio import agent, bootstrap

ENVIRONMENT = {
    "MESHDOJO_RUN": "/run/x",
    "MESHDOJO_POD_UID": "uid-1",
    "POD_NAME": "web-1",
    "POD_NAMESPACE": "fleet",
    "INSTANCE_IP": "127.64.1.2",
    "SERVICE_ACCOUNT": "web",
    "CA_ADDR": "istiod.istio-system.svc:15012",
    "ISTIO_META_WORKLOAD_NAME": "web",
    "PROXY_CONFIG": "{}\n",
}
ARGUMENTS = ["proxy", "sidecar", "--domain", "fleet.svc.cluster.local", "--proxyLogLevel=warning"]


def built(**more: str) -> bootstrap.Json:
    return bootstrap.build(agent.pod({**ENVIRONMENT, **more}, agent.Arguments.parse(ARGUMENTS)))


def test_arguments_in_both_forms() -> None:
    found = agent.Arguments.parse([*ARGUMENTS, "--proxyComponentLogLevel=misc:error", "--log_output_level=x"])
    assert found == agent.Arguments("sidecar", "fleet.svc.cluster.local", "warning", "misc:error")


def test_the_node_is_named_as_istio_names_it() -> None:
    node = built()["node"]
    assert node["id"] == "sidecar~127.64.1.2~web-1.fleet~fleet.svc.cluster.local"
    assert node["cluster"] == "web.fleet"
    assert node["metadata"]["SERVICE_ACCOUNT"] == "web"


def test_the_admin_interface_is_a_socket_in_the_pods_directory() -> None:
    assert built()["admin"]["address"]["pipe"]["path"] == "/run/x/pods/uid-1/admin.sock"


@pytest.mark.parametrize(
    ("address", "revision"),
    [("istiod.istio-system.svc:15012", "default"), ("istiod-canary.istio-system.svc:15012", "canary")],
)
def test_the_revision_decides_which_istiod(address: str, revision: str) -> None:
    assert agent.revision({"CA_ADDR": address}) == revision


def test_statistics_are_published_as_the_pod_asks() -> None:
    config = json.dumps({"proxyStatsMatcher": {"inclusionPrefixes": ["cluster.outbound"]}})
    patterns = built(PROXY_CONFIG=config)["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"]
    assert {"prefix": "cluster.outbound"} in patterns
    assert {"prefix": "cluster.outbound"} not in built()["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"]


def test_annotations_count_in_place_of_the_proxys_configuration() -> None:
    """Pattern by pattern: what no annotation speaks of is as the configuration says."""
    settings = {"inclusionPrefixes": ["cluster.outbound"], "inclusionRegexps": [".*other.*"]}
    annotations = {
        "sidecar.istio.io/statsInclusionRegexps": ".*outlier.*,.*breakers.*",
        "sidecar.istio.io/statsInclusionSuffixes": "overflow",
    }
    assert agent.stats_matcher(settings, annotations) == {
        "inclusionPrefixes": ["cluster.outbound"],
        "inclusionSuffixes": ["overflow"],
        "inclusionRegexps": [".*outlier.*", ".*breakers.*"],
    }


def test_annotations_are_read_from_the_volume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "annotations").write_text('a.b/c="x \\"y\\"\\nz"\nodd="\\x07"\n')
    assert agent.downward(tmp_path / "annotations") == {"a.b/c": 'x "y"\nz'}
    assert "odd is not understood" in capsys.readouterr().err
    assert agent.downward(tmp_path / "nothing") == {}


def test_a_rewritten_probe_reaches_the_application_with_its_headers() -> None:
    probe = {"httpGet": {"path": "/ok?x=1", "port": 80, "httpHeaders": [{"name": "Host", "value": "me"}]}}
    config = built(ISTIO_KUBE_APP_PROBERS=json.dumps({"/app-health/app/readyz": probe}))
    cluster = config["static_resources"]["clusters"][-1]
    address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    assert address == {"address": "127.128.1.2", "port_value": 61080}
    past = built(
        ISTIO_KUBE_APP_PROBERS=json.dumps({"/app-health/app/readyz": probe}), MESHDOJO_REDIRECTION="-d 80,15020"
    )
    cluster = past["static_resources"]["clusters"][-1]
    address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    assert address == {"address": "127.64.1.2", "port_value": 61080}  # the application has the pod's address there
    text = json.dumps(config["static_resources"]["listeners"])
    assert '"prefix_rewrite": "/ok?x=1"' in text
    assert '"host_rewrite_literal": "me"' in text


@pytest.mark.parametrize("missing", ["MESHDOJO_RUN", "MESHDOJO_POD_UID", "POD_NAME", "POD_NAMESPACE"])
def test_a_missing_variable_is_named(missing: str) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != missing}
    with pytest.raises(agent.BadEnvironment, match=f"{missing} is not set"):
        agent.pod(environment, agent.Arguments.parse(ARGUMENTS))


def test_broken_settings_are_named() -> None:
    with pytest.raises(agent.BadEnvironment, match="PROXY_CONFIG is not JSON"):
        built(PROXY_CONFIG="{")
    with pytest.raises(agent.BadEnvironment, match="allowed are 'proxy sidecar'"):
        agent.Arguments.parse(["proxy", "ztunnel"])


def test_iptables_has_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert agent.main(["istio-iptables", "-p", "15001"]) == 0
    assert "no iptables rules" in capsys.readouterr().out


def test_wrong_arguments_end_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert agent.main(["nonsense"]) == 1
    assert "Error: arguments 'nonsense'" in capsys.readouterr().err


def test_the_wheel_has_an_envoy_that_runs() -> None:
    assert os.access(agent.envoy_binary(), os.X_OK)
    command = agent.command(agent.Arguments("sidecar"), Path("/x.json"))
    assert command[command.index("--drain-strategy") + 1] == "immediate"
