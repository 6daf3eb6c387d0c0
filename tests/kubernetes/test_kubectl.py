"""Unmodified kubectl against the server: the commands of a learner, and what they print."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.kubernetes.conftest import Cluster, Kubectl

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers:
      - {name: web, image: "web:1", ports: [{containerPort: 80}], env: [{name: COLOR, value: blue}]}
"""

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.fleet.test}
spec:
  group: fleet.test
  scope: Namespaced
  names: {plural: ships, kind: Ship, shortNames: [sh]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {speed: {type: integer}, name: {type: string}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
    additionalPrinterColumns: [{name: Speed, type: integer, jsonPath: .spec.speed}]
  - name: v1alpha1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def deployment(name: str) -> str:
    return DEPLOYMENT.replace("NAME", name)


def read(kubectl: Kubectl, *arguments: str) -> Any:
    return json.loads(kubectl("get", *arguments, "-o", "json").out)


def test_apply_three_times(kubectl: Kubectl) -> None:
    first = kubectl("apply", "-f", "-", stdin=deployment("thrice"))
    second = kubectl("apply", "-f", "-", stdin=deployment("thrice"))
    third = kubectl("apply", "-f", "-", stdin=deployment("thrice").replace("blue", "green"))

    assert [done.out for done in (first, second, third)] == [
        "deployment.apps/thrice created\n",
        "deployment.apps/thrice unchanged\n",
        "deployment.apps/thrice configured\n",
    ]
    stored = read(kubectl, "deployment", "thrice")
    assert stored["metadata"]["generation"] == 2
    assert stored["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "COLOR", "value": "green"}]


def test_a_strategic_patch_merges_containers_by_name(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("merged"))
    kubectl("set", "image", "deployment/merged", "web=web:2")
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}'
    kubectl("patch", "deployment", "merged", "-p", patch)

    containers = read(kubectl, "deployment", "merged")["spec"]["template"]["spec"]["containers"]

    assert {container["name"]: container["image"] for container in containers} == {"web": "web:2", "side": "side:1"}


def test_scale_with_a_precondition(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("scaled"))

    refused = kubectl("scale", "deployment/scaled", "--replicas=5", "--current-replicas=9")
    done = kubectl("scale", "deployment/scaled", "--replicas=5", "--current-replicas=2")

    assert "Expected replicas to be 9, was 2" in refused.err
    assert done.out == "deployment.apps/scaled scaled\n"
    assert read(kubectl, "deployment", "scaled")["spec"]["replicas"] == 5


def test_label_annotate_and_select(kubectl: Kubectl) -> None:
    for name in ("red", "blue"):
        kubectl("create", "configmap", f"color-{name}")
        kubectl("label", "configmap", f"color-{name}", f"color={name}", "kind=color")
    kubectl("annotate", "configmap", "color-red", "why=because")

    def chosen(selector: str) -> str:
        return kubectl("get", "configmaps", "-l", selector, "-o", "name").out

    assert chosen("color=red") == "configmap/color-red\n"
    assert chosen("kind,color!=red") == "configmap/color-blue\n"
    assert chosen("color in (red,blue)") == "configmap/color-blue\nconfigmap/color-red\n"
    assert chosen("kind=color,color notin (red)") == "configmap/color-blue\n"
    assert read(kubectl, "configmap", "color-red")["metadata"]["annotations"] == {"why": "because"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get", "configmap", "nope"], 'Error from server (NotFound): configmaps "nope" not found\n'),
        (["get", "cm", "x", "-n", "nope"], 'Error from server (NotFound): namespaces "nope" not found\n'),
        (["get", "nonsense"], 'error: the server doesn\'t have a resource type "nonsense"\n'),
        (
            ["get", "pods", "--field-selector", "spec.nosuch=1"],
            'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", '
            'field selector "spec.nosuch=1": field label not supported: spec.nosuch\n',
        ),
        (
            ["get", "configmaps", "--field-selector", "data.a=1"],
            'Error from server (BadRequest): Unable to find "/v1, Resource=configmaps" that match label selector "", '
            'field selector "data.a=1": "data.a" is not a known field selector: only "metadata.name", '
            '"metadata.namespace"\n',
        ),
        (
            ["delete", "namespace", "default"],
            'Error from server (Forbidden): namespaces "default" is forbidden: this namespace may not be deleted\n',
        ),
        (
            ["create", "configmap", "x", "-n", "nope"],
            'error: failed to create configmap: namespaces "nope" not found\n',
        ),
    ],
)
def test_refusals(kubectl: Kubectl, arguments: list[str], words: str) -> None:
    done = kubectl(*arguments)

    assert done.code == 1
    assert done.err == words


def test_words_about_a_wrong_patch(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("patched"))

    wrong_type = kubectl("patch", "deployment", "patched", "-p", '{"spec":{"replicas":"many"}}')
    test = '[{"op":"test","path":"/spec/replicas","value":7}]'
    failed_test = kubectl("patch", "deployment", "patched", "--type=json", "-p", test)
    unknown = kubectl("patch", "deployment", "patched", "-p", '{"spec":{"nosuch":1}}')

    assert wrong_type.err == (
        'The request is invalid: patch: Invalid value: "map[spec:map[replicas:many]]": unrecognized type: int32\n'
    )
    assert failed_test.err == "The request is invalid: the server rejected our request due to an error in our request\n"
    assert unknown.out == "deployment.apps/patched patched (no change)\n"
    assert 'Warning: unknown field "spec.nosuch"\n' in unknown.err


def test_dry_run_changes_nothing(kubectl: Kubectl, cluster: Cluster) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("dry"))
    before = cluster.api.store.revision

    diff = kubectl("diff", "-f", "-", stdin=deployment("dry").replace("blue", "green"))
    dry = kubectl("apply", "--dry-run=server", "-f", "-", stdin=deployment("dry").replace("blue", "green"))
    deleted = kubectl("delete", "deployment", "dry", "--dry-run=server")

    assert diff.code == 1
    assert re.search(r"^-\s+value: blue$", diff.out, re.MULTILINE)
    assert dry.out == "deployment.apps/dry configured (server dry run)\n"
    assert "(server dry run)" in deleted.out
    assert cluster.api.store.revision == before


def test_server_side_apply_after_client_side_and_conflicts(kubectl: Kubectl) -> None:
    manifest = deployment("owned")
    kubectl("apply", "-f", "-", stdin=manifest)

    taken_over = kubectl("apply", "--server-side", "-f", "-", stdin=manifest.replace("blue", "green"))
    kubectl("scale", "deployment/owned", "--replicas=7")
    conflict = kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
    other = kubectl(
        "apply", "--server-side", "--field-manager=other", "-f", "-", stdin=manifest.replace("s: 2", "s: 7")
    )
    forced = kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    unknown = kubectl(
        "apply", "--server-side", "--validate=false", "-f", "-", stdin=manifest.replace("replicas", "reps")
    )

    assert taken_over.out == "deployment.apps/owned serverside-applied\n"
    assert 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas' in conflict.err
    assert 'conflict with "kubectl": .spec.template.spec.containers[name="web"].env[name="COLOR"].value' in other.err
    assert forced.code == 0
    assert read(kubectl, "deployment", "owned")["spec"]["replicas"] == 2
    assert unknown.err.endswith(
        "failed to create typed patch object (default/owned; apps/v1, Kind=Deployment): .spec.reps: "
        "field not declared in schema\n"
    )


def test_a_field_that_is_no_longer_applied_goes(kubectl: Kubectl) -> None:
    both = "{apiVersion: v1, kind: ConfigMap, metadata: {name: shrinking}, data: {a: one, b: two}}"
    kubectl("apply", "--server-side", "-f", "-", stdin=both)
    kubectl("patch", "configmap", "shrinking", "-p", '{"data":{"c":"theirs"}}')

    kubectl("apply", "--server-side", "-f", "-", stdin=both.replace(", b: two", ""))

    assert read(kubectl, "configmap", "shrinking")["data"] == {"a": "one", "c": "theirs"}


def test_a_custom_resource_definition_is_served_at_once(kubectl: Kubectl) -> None:
    ship = "{apiVersion: fleet.test/v1, kind: Ship, metadata: {name: belle}, spec: {speed: 12}}"
    before = kubectl("apply", "-f", "-", stdin=ship)
    created = kubectl("apply", "-f", "-", stdin=CRD)
    established = kubectl("wait", "--for=condition=established", "crd/ships.fleet.test", "--timeout=5s")
    made = kubectl("apply", "-f", "-", stdin=ship)
    old_version = json.loads(kubectl("get", "ships.v1alpha1.fleet.test", "belle", "-o", "json").out)
    table = kubectl("get", "sh")
    kubectl("delete", "crd", "ships.fleet.test")
    after = kubectl("get", "ships")

    assert 'no matches for kind "Ship" in version "fleet.test/v1"' in before.err
    assert created.out == "customresourcedefinition.apiextensions.k8s.io/ships.fleet.test created\n"
    assert established.out == "customresourcedefinition.apiextensions.k8s.io/ships.fleet.test condition met\n"
    assert made.out == "ship.fleet.test/belle created\n"
    assert old_version["apiVersion"] == "fleet.test/v1alpha1"
    assert table.out.splitlines() == ["NAME    SPEED", "belle   12"]
    assert "the server could not find the requested resource" in after.err


def test_wait_for_deletion_and_finalizers(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "held")
    kubectl("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":["test.dev/hold"]}}')
    kubectl("delete", "configmap", "held", "--wait=false")

    more = kubectl("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":["test.dev/x"]}}')
    still = read(kubectl, "configmap", "held")
    kubectl("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    gone = kubectl("wait", "--for=delete", "configmap/held", "--timeout=10s")

    assert 'found new finalizers []string{"test.dev/x"}' in more.err
    assert still["metadata"]["deletionTimestamp"]
    assert gone.code == 0
    assert kubectl("get", "configmap", "held").code == 1


def test_edit(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "configmap", "edited", "--from-literal=key=old")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/old/new/ "$1"\n')
    editor.chmod(0o755)

    done = kubectl("edit", "configmap", "edited", env={"KUBE_EDITOR": str(editor)})

    assert done.out == "configmap/edited edited\n"
    assert read(kubectl, "configmap", "edited")["data"] == {"key": "new"}


def test_explain_and_api_resources(kubectl: Kubectl) -> None:
    explained = kubectl("explain", "deployment.spec.replicas").out
    resources = kubectl("api-resources", "--no-headers").out

    assert "FIELD: replicas <integer>" in explained
    assert re.search(r"^pods\s+po\s+v1\s+true\s+Pod$", resources, re.MULTILINE)


def test_tokens_and_who_they_are(kubectl: Kubectl) -> None:
    token = kubectl("create", "token", "default").out.strip()
    # kubectl prefers the kubeconfig's own token, so the raw API is asked with another configuration.
    whoami = kubectl("auth", "whoami", "-o", "json")
    short = kubectl("create", "token", "default", "--duration=60s")

    assert len(token.split(".")) == 3
    assert json.loads(whoami.out)["status"]["userInfo"]["username"] == "kubernetes-admin"
    assert "may not specify a duration less than 10 minutes" in short.err


def test_chunked_lists(kubectl: Kubectl) -> None:
    for number in range(5):
        kubectl("create", "configmap", f"chunk-{number}")
        kubectl("label", "configmap", f"chunk-{number}", "chunked=yes")

    out = kubectl("get", "configmaps", "-l", "chunked", "--chunk-size=2", "-o", "name").out

    assert out.splitlines() == [f"configmap/chunk-{number}" for number in range(5)]
