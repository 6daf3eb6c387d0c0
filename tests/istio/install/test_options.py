from __future__ import annotations

import io
from pathlib import Path

import pytest

from meshdojo.istio.install.options import EFFECTIVE, HARMLESS, load
from meshdojo.istio.install.paths import BadOption


def test_later_settings_win_over_profile_and_files(tmp_path: Path) -> None:
    operator = tmp_path / "operator.yaml"
    operator.write_text(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  profile: demo\n"
        "  meshConfig:\n    accessLogFile: /tmp/a\n  components:\n    egressGateways:\n"
        "    - name: istio-egressgateway\n      enabled: false\n"
    )
    options = load(["meshConfig.accessLogFile=/tmp/b"], [operator])
    assert options.spec["meshConfig"]["accessLogFile"] == "/tmp/b"
    assert options.spec["components"]["egressGateways"] == [{"name": "istio-egressgateway", "enabled": False}]
    assert options.spec["components"]["ingressGateways"][0]["enabled"] is True
    assert options.warnings == ()


def test_the_mesh_config_may_be_among_the_values_and_loses_against_the_one_that_is_not(tmp_path: Path) -> None:
    """As istioctl 1.31 does: its order of files does not matter for that."""
    values, spec = tmp_path / "values.yaml", tmp_path / "spec.yaml"
    head = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  profile: demo\n"
    values.write_text(
        f"{head}  values: {{meshConfig: {{accessLogFile: /v, outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}}}\n"
    )
    spec.write_text(f"{head}  meshConfig: {{accessLogFile: /s}}\n")
    mesh = load([], [values]).spec["meshConfig"]
    assert (mesh["accessLogFile"], mesh["outboundTrafficPolicy"]) == ("/v", {"mode": "REGISTRY_ONLY"})
    for files in ([values, spec], [spec, values]):
        options = load(["values.meshConfig.trustDomain=my.mesh"], files)
        assert "meshConfig" not in options.spec["values"]
        assert options.spec["meshConfig"]["accessLogFile"] == "/s"
        assert options.spec["meshConfig"]["trustDomain"] == "my.mesh"
        assert options.spec["meshConfig"]["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}


def test_standard_input_is_the_last_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": {"profile": "demo"}}'
    operator = tmp_path / "operator.yaml"
    operator.write_text(text.replace("demo", "minimal"))
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert load([], [operator, Path("-")]).spec["profile"] == "demo"
    with pytest.raises(BadOption, match="merge inputs: stdin is only allowed as the last filename"):
        load([], [Path("-"), operator])


def test_set_chooses_the_profile_of_a_file(tmp_path: Path) -> None:
    operator = tmp_path / "operator.yaml"
    operator.write_text("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {profile: demo}\n")
    options = load(["profile=minimal"], [operator])
    assert options.spec["components"]["ingressGateways"][0]["enabled"] is False


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("foo=bar", 'could not unmarshal: json: unknown field "foo"'),
        ("components.foo.enabled=true", 'could not unmarshal: json: unknown field "foo"'),
        ("components.pilot.foo=1", 'could not unmarshal: json: unknown field "foo"'),
        (
            "values.foo=1",
            "could not unmarshal: error unmarshaling JSON: while decoding JSON: "
            'unknown field "foo" in istio.operator.v1alpha1.Values',
        ),
        ("profile=nosuch", 'merge inputs: profile "nosuch" not found: open profiles/nosuch.yaml: file does not exist'),
        ("profile=ambient", 'profile "ambient" is not offered by the embedded mesh; it has default, demo'),
        ("revision=A_B", "invalid revision specified: A_B"),
        ("components.pilot.enabled=maybe", "cannot unmarshal string into a value of type bool"),
        ("meshConfig.outboundTrafficPolicy.mode=FOO", 'unknown value "FOO" for enum istio.mesh.v1alpha1.MeshConfig'),
        ("values.meshConfig.outboundTrafficPolicy.mode=FOO", 'unknown value "FOO" for enum istio.mesh.v1alpha1'),
        ("values.global.istioNamespace=mesh", "values.global.istioNamespace=mesh is not possible in the embedded mesh"),
        ("components.cni.enabled=true", "components.cni.enabled=true is not possible in the embedded mesh: only false"),
        ("values.global.proxy.nonsense=1", "values.global.proxy.nonsense is not supported by the embedded mesh"),
        ("components.ingressGateways[name:x].enabled=false", "element [name:x] not found"),
    ],
)
def test_what_is_refused(setting: str, message: str) -> None:
    with pytest.raises(BadOption) as caught:
        load([setting])
    assert message in str(caught.value)


@pytest.mark.parametrize("setting", ["values.global.proxy.tracer=zipkin", "meshConfig.enableTracing=true"])
def test_what_is_harmless_is_accepted_with_a_warning(setting: str) -> None:
    path = setting.partition("=")[0]
    assert load([setting]).warnings == (f"{path} has no effect in the embedded mesh",)


def test_no_pattern_stands_in_both_lists() -> None:
    assert set(EFFECTIVE).isdisjoint(HARMLESS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file or directory"),
        ("a: [", "error converting YAML to JSON"),
        ("kind: Pod\napiVersion: v1\n", "expected an IstioOperator of install.istio.io/v1alpha1, found v1 Pod"),
        ("just text", "expected an IstioOperator of install.istio.io/v1alpha1, found no mapping"),
    ],
)
def test_files_that_cannot_be_used(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "operator.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadOption, match=message):
        load([], [path])


def test_the_revision_is_the_same_everywhere() -> None:
    for options in (load(["revision=canary"]), load([], revision="canary"), load(["values.revision=canary"])):
        assert options.revision == options.value("revision") == "canary"
    assert load(["revision=default"]).revision == ""
