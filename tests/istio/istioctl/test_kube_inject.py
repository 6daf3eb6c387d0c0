from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdojo.istio.injection.config import InjectionConfig
from meshdojo.istio.istioctl.kube_inject import injected_object
from meshdojo.istio.istioctl.main import main

JSON = dict[str, Any]
POD_SPEC = {"containers": [{"name": "app", "image": "web"}]}


def deployment(**metadata: Any) -> JSON:
    template = {"metadata": {"labels": {"app": "web"}, **metadata}, "spec": POD_SPEC}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": template}}


def inits(spec: JSON) -> list[str]:
    return [one["name"] for one in spec.get("initContainers", ())]


def test_a_deployment_gets_the_sidecar_in_its_template() -> None:
    made = injected_object(deployment(), InjectionConfig())
    pod = made["spec"]["template"]
    assert inits(pod["spec"]) == ["istio-init", "istio-proxy"]
    told = {one["name"]: one.get("value") for one in pod["spec"]["initContainers"][1]["env"]}
    assert told["ISTIO_META_WORKLOAD_NAME"] == "web"
    assert told["ISTIO_META_OWNER"] == "kubernetes://apis/apps/v1/namespaces/default/deployments/web"
    assert pod["metadata"]["labels"]["service.istio.io/canonical-name"] == "web"


def test_other_kinds() -> None:
    cron = {"template": {"spec": POD_SPEC}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "j"},
        "spec": {"jobTemplate": {"spec": cron}},
    }
    made = injected_object(job, InjectionConfig())
    assert inits(made["spec"]["jobTemplate"]["spec"]["template"]["spec"]) == ["istio-init", "istio-proxy"]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}}
    assert injected_object(service, InjectionConfig()) is service


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"sidecar.istio.io/inject": "false"}},
        {"annotations": {"sidecar.istio.io/inject": "false"}},
        {"annotations": {"sidecar.istio.io/status": "{}"}},
    ],
)
def test_what_stays_as_it_is(metadata: JSON) -> None:
    obj = deployment(**metadata)
    assert injected_object(obj, InjectionConfig()) is obj


def test_from_files_without_a_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("config", "policy: enabled"), ("mesh", "trustDomain: my.mesh"), ("values", "{}")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(
        sys, "stdin", io.StringIO(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [deployment()]}))
    )
    flags = {"injectConfigFile": "config", "meshConfigFile": "mesh", "valuesFile": "values"}
    argv = [f"--{flag}={tmp_path / name}" for flag, name in flags.items()]
    assert main(["kube-inject", "-f", "-", *argv]) == 0
    made = yaml.safe_load(capsys.readouterr().out)
    told = {one["name"]: one.get("value") for one in made["spec"]["template"]["spec"]["initContainers"][1]["env"]}
    assert told["TRUST_DOMAIN"] == "my.mesh"


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "while parsing"), ("just text", "every document needs an apiVersion and a kind")],
)
def test_files_that_cannot_be_read(text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert main(["kube-inject", "-f", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {path}: ")
    assert message in error
