"""What a learner types near the canary lab, with unmodified kubectls, against a real environment."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

from meshdojo.embedded.environment import Environment

Kubectl = Callable[..., str]


def test_get_in_its_usual_forms(fleet: Kubectl) -> None:
    table = fleet("get", "pods", "-n", "fleet").splitlines()
    assert re.split(r"\s{2,}", table[0].strip()) == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert all(re.search(r"\s1/1\s+Running\s", line) for line in table[1:])
    assert "meshdojo" in fleet("get", "pods", "-n", "fleet", "-o", "wide")
    items = json.loads(fleet("get", "deploy,svc", "-n", "fleet", "-o", "json"))["items"]
    assert {item["kind"] for item in items} == {"Deployment", "Service"}
    assert fleet("get", "deploy", "web-original", "-n", "fleet", "-o", "name") == "deployment.apps/web-original\n"
    assert fleet("get", "svc", "web", "-n", "fleet", "-o", "jsonpath={.spec.ports[0].port}") == "80"
    assert "web" in fleet("get", "pods", "-A", "-l", "app=web", "--show-labels")
    assert "kind: Service" in fleet("get", "svc", "web", "-n", "fleet", "-o", "yaml")


def test_what_does_not_exist_is_named(fleet: Kubectl) -> None:
    assert fleet("get", "pod", "nosuch", "-n", "fleet", code=1) == (
        'Error from server (NotFound): pods "nosuch" not found\n'
    )
    assert 'the server doesn\'t have a resource type "virtualservices"' in fleet("get", "virtualservices", code=1)


def test_before_istio_its_kinds_are_unknown(fleet: Kubectl) -> None:
    route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\nspec: {}\n"
    answer = fleet("apply", "-f", "-", stdin=route, code=1)
    assert 'no matches for kind "VirtualService" in version "networking.istio.io/v1"' in answer
    assert "ensure CRDs are installed first" in answer


def test_describe_shows_events_and_endpoints(fleet: Kubectl) -> None:
    pod = fleet("describe", "pod", "-n", "fleet", "-l", "app=web")
    assert "Successfully assigned fleet/web-original" in pod
    assert re.search(r"Endpoints:\s+127\.", fleet("describe", "svc", "web", "-n", "fleet"))
    assert "NewReplicaSet:" in fleet("describe", "deploy", "web-original", "-n", "fleet")


def test_apply_says_created_configured_unchanged(fleet: Kubectl) -> None:
    def manifest(value: str) -> str:
        return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: note, namespace: fleet}}\ndata: {{key: {value}}}\n"

    assert fleet("apply", "-f", "-", stdin=manifest("one")) == "configmap/note created\n"
    assert fleet("apply", "-f", "-", stdin=manifest("one")) == "configmap/note unchanged\n"
    assert fleet("apply", "-f", "-", stdin=manifest("two")) == "configmap/note configured\n"
    assert "+  key: three" in fleet_diff(fleet, manifest("three"))
    assert fleet("delete", "configmap", "note", "-n", "fleet") == (
        'configmap "note" deleted from fleet namespace\n' if _says_namespace(fleet) else 'configmap "note" deleted\n'
    )


def fleet_diff(kubectl: Kubectl, manifest: str) -> str:
    """``kubectl diff`` ends with 1 when there is a difference, and prints it to standard output."""
    try:
        kubectl("diff", "-f", "-", stdin=manifest)
    except AssertionError as difference:
        return str(difference)
    return ""


def _says_namespace(kubectl: Kubectl) -> bool:
    version = json.loads(kubectl("version", "--client", "-o", "json"))["clientVersion"]
    return int(re.sub(r"\D.*", "", version["minor"])) >= 34


def test_wrong_fields_are_refused_with_the_servers_words(fleet: Kubectl) -> None:
    wrong = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad, namespace: fleet}\nspec: {replica: 2}\n"
    answer = fleet("apply", "-f", "-", stdin=wrong, code=1)
    assert 'strict decoding error: unknown field "spec.replica"' in answer
    missing = wrong.replace("replica: 2", "replicas: 2")
    assert 'The Deployment "bad" is invalid' in fleet("apply", "-f", "-", stdin=missing, code=1)
    assert "error converting YAML to JSON" in fleet("apply", "-f", "-", stdin="a: [", code=1)


def test_labels_annotations_and_patches(fleet: Kubectl) -> None:
    assert fleet("label", "ns", "default", "color=blue") == "namespace/default labeled\n"
    assert "not labeled" in fleet("label", "ns", "default", "color=blue")
    assert "--overwrite is false" in fleet("label", "ns", "default", "color=red", code=1)
    assert fleet("label", "ns", "default", "color-") == "namespace/default unlabeled\n"
    assert "annotated" in fleet("annotate", "svc", "web", "-n", "fleet", "note=x", "--overwrite")
    patched = fleet("patch", "svc", "web", "-n", "fleet", "-p", '{"metadata": {"labels": {"x": "y"}}}')
    assert patched == "service/web patched\n"


def test_scale_and_rollout(fleet: Kubectl) -> None:
    assert "scaled" in fleet("scale", "deploy", "staff-service", "-n", "fleet", "--replicas=2")
    assert "successfully rolled out" in fleet("rollout", "status", "deploy", "staff-service", "-n", "fleet")
    fleet("set", "env", "deploy/staff-service", "-n", "fleet", "COLOR=red")
    assert "successfully rolled out" in fleet("rollout", "status", "deploy", "staff-service", "-n", "fleet")
    assert "REVISION" in fleet("rollout", "history", "deploy", "staff-service", "-n", "fleet")
    assert "rolled back" in fleet("rollout", "undo", "deploy", "staff-service", "-n", "fleet")
    fleet("rollout", "restart", "deploy", "staff-service", "-n", "fleet")
    fleet("rollout", "status", "deploy", "staff-service", "-n", "fleet")
    fleet("scale", "deploy", "staff-service", "-n", "fleet", "--replicas=1")
    fleet("wait", "-n", "fleet", "--for=jsonpath={.status.replicas}=1", "deploy/staff-service", "--timeout=60s")


def test_exec_and_logs(fleet: Kubectl) -> None:
    answer = json.loads(fleet("exec", "-n", "fleet", "deploy/web-original", "--", "curl", "-s", "http://api-gateway/"))
    assert answer["service"] == "api-gateway"
    assert fleet("exec", "-i", "-n", "fleet", "deploy/web-original", "--", "cat", stdin="hello") == "hello"
    fleet("exec", "-n", "fleet", "deploy/web-original", "--", "sh", "-c", "exit 7", code=7)
    fleet("exec", "-n", "fleet", "deploy/web-original", "--", "curl", "-s", "http://nosuch/", code=6)
    assert "fleet.web" in fleet("logs", "-n", "fleet", "deploy/web-original") or fleet(
        "logs", "-n", "fleet", "-l", "app=web", "--tail=5"
    )
    assert "is not valid for pod" in fleet("logs", "-n", "fleet", "deploy/web-original", "-c", "nosuch", code=1)


def test_top(fleet: Kubectl) -> None:
    pods = {
        line.split()[0]: line.split()[1:] for line in fleet("top", "pods", "-n", "fleet", "--no-headers").splitlines()
    }
    assert len(pods) >= 4
    assert all(re.fullmatch(r"\d+m", cpu) and re.fullmatch(r"[1-9]\d*Mi", memory) for cpu, memory in pods.values())
    name = next(iter(pods))
    assert name in fleet("top", "pod", name, "-n", "fleet", "--containers")
    [node] = fleet("top", "node", "--no-headers").splitlines()
    assert node.startswith("meshdojo ")


def test_explain(fleet: Kubectl) -> None:
    answer = fleet("explain", "deployment.spec.template.spec.containers")
    assert "KIND:       Deployment" in answer
    assert "livenessProbe" in answer
    assert 'field "nosuch" does not exist' in fleet("explain", "pod.nosuch", code=1)


def test_port_forward(fleet: Kubectl, program: Path, environment: Environment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["port-forward", "-n", "fleet", "svc/web", f"{port}:80", "--kubeconfig", str(environment.kubeconfig)]
    forward = subprocess.Popen(
        [str(program), *command],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert forward.stdout is not None
    with forward, forward.stdout:
        try:
            assert "Forwarding from" in forward.stdout.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=30) as answer:
                assert json.load(answer)["version"] == "original"
        finally:
            forward.terminate()


def test_an_unknown_image_says_which_exist(fleet: Kubectl) -> None:
    fleet("run", "strange", "--image=nginx:1.27")
    fleet(
        "wait", "pod/strange", "--timeout=60s",
        "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff",
    )  # fmt: skip
    assert "meshdojo/fleet-web" in fleet("describe", "pod", "strange")
    fleet("delete", "pod", "strange", "--wait")


def test_a_namespace_takes_everything_with_it(fleet: Kubectl) -> None:
    fleet("create", "namespace", "short")
    fleet("create", "deployment", "probe", "-n", "short", "--image=meshdojo/probe:1.0")
    fleet("wait", "-n", "short", "--for=condition=Available", "deploy/probe", "--timeout=60s")
    fleet("delete", "namespace", "short", "--wait", "--timeout=60s")
    assert 'namespaces "short" not found' in fleet("get", "ns", "short", code=1)
    assert fleet("get", "pods", "-n", "short", "-o", "name") == ""


def test_a_shell_in_a_pod_of_its_own_reads_what_is_typed(fleet: Kubectl) -> None:
    typed = "echo one\necho two >&2\nexit 3\n"
    printed = fleet(
        "run", "typed", "-i", "--rm", "--restart=Never", "--image=curlimages/curl", "--", "sh", stdin=typed, code=3
    )
    assert "two" in printed


def test_debug_looks_into_a_pod_with_a_container_that_stays_listed(fleet: Kubectl) -> None:
    fleet("run", "looked-into", "--image=curlimages/curl", "--", "sleep", "1000")
    fleet("wait", "--for=condition=Ready", "pod/looked-into", "--timeout=60s")
    command = ["debug", "looked-into", "-c", "lens", "-i", "--image=curlimages/curl", "--", "sh"]
    assert "hello from looked-into" in fleet(*command, stdin="echo hello from $(hostname)\nexit\n")
    shown = fleet("get", "pod", "looked-into", "-o", "jsonpath={.status.ephemeralContainerStatuses[0]['name','ready']}")
    assert shown == "lens false"
    assert fleet("get", "pod", "looked-into", "-o", "jsonpath={.status.phase}") == "Running"
    assert "hello from looked-into" in fleet("logs", "looked-into", "-c", "lens")
    assert "Ephemeral Containers" in fleet("describe", "pod", "looked-into")
    fleet("delete", "pod", "looked-into", "--now")
