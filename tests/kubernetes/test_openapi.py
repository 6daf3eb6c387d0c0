from __future__ import annotations

import orjson

from meshdojo.kubernetes.openapi import V2_STUB, Documents
from meshdojo.kubernetes.protobuf.wire import fields
from meshdojo.kubernetes.resources import Catalogue


def crd(description: str) -> dict[str, object]:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "description": description}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "metadata": {"name": "things.x.example", "resourceVersion": description},
        "spec": {
            "group": "x.example",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [version],
        },
    }


def test_a_document_describes_types_and_merge_keys() -> None:
    body = Documents(Catalogue.builtin()).group_version("apps", "v1")
    assert body is not None
    schemas = orjson.loads(body)["components"]["schemas"]
    deployment = schemas["io.k8s.api.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    containers = schemas["io.k8s.api.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    assert containers["items"]["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.v1.Container"}]
    assert schemas["io.k8s.api.v1.PodSpec"]["required"] == ["containers"]
    assert schemas["io.k8s.api.v1.PodSpec"]["properties"]["restartPolicy"]["enum"] == ["Always", "Never", "OnFailure"]
    assert "required" not in deployment


def test_what_a_struct_is_for_is_said_once() -> None:
    """kubectl explain shows the description of a field, and below it that of the component it refers to."""
    body = Documents(Catalogue.builtin()).group_version("apps", "v1")
    assert body is not None
    schemas = orjson.loads(body)["components"]["schemas"]
    for name, schema in schemas.items():
        for field in schema["properties"].values() if "properties" in schema else ():
            place = field.get("items", field)
            for part in place.get("allOf", ()):
                referred = schemas[part["$ref"].rpartition("/")[2]]
                assert place.get("description") != referred.get("description"), name
    assert "description" in schemas["io.k8s.api.v1.Deployment"]
    pod = schemas["io.k8s.api.v1.PodSpec"]["properties"]
    assert pod["containers"]["items"]["description"]
    assert pod["securityContext"]["description"]


def test_amounts_and_ports_have_types_of_their_own() -> None:
    body = Documents(Catalogue.builtin()).group_version("", "v1")
    assert body is not None
    schemas = orjson.loads(body)["components"]["schemas"]
    limits = schemas["io.k8s.api.v1.ResourceRequirements"]["properties"]["limits"]
    target = schemas["io.k8s.api.v1.ServicePort"]["properties"]["targetPort"]
    assert limits["additionalProperties"]["allOf"][0]["$ref"].endswith(".Quantity")
    assert target["allOf"][0]["$ref"].endswith(".IntOrString")


def test_deleting_answers_a_status_a_pod_or_a_list() -> None:
    body = Documents(Catalogue.builtin()).group_version("", "v1")
    assert body is not None
    paths = orjson.loads(body)["paths"]

    def answered(path: str) -> str:
        content = paths[f"/api/v1/namespaces/{{namespace}}/{path}"]["delete"]["responses"]["200"]["content"]
        return str(content["application/json"]["schema"]["$ref"].rpartition(".")[2])

    assert answered("configmaps/{name}") == "Status"
    assert answered("pods/{name}") == "Pod"
    assert answered("configmaps") == "ConfigMapList"


def test_every_reference_leads_somewhere() -> None:
    catalogue = Catalogue.builtin()
    documents = Documents(catalogue)
    for group, versions in catalogue.groups().items():
        for version in versions:
            body = documents.group_version(group, version)
            assert body is not None
            known = orjson.loads(body)["components"]["schemas"]
            referred = {part.split('"')[0] for part in body.decode().split('"$ref":"#/components/schemas/')[1:]}
            assert referred <= known.keys()


def test_patch_operations_say_what_kubectl_looks_for() -> None:
    body = Documents(Catalogue.builtin()).group_version("", "v1")
    assert body is not None
    patch = orjson.loads(body)["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "kind": "Pod", "version": "v1"}
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


def test_documents_follow_the_catalogue() -> None:
    catalogue = Catalogue.builtin()
    documents = Documents(catalogue)
    assert documents.group_version("x.example", "v1") is None
    catalogue.add_crd(crd("first"))
    body = documents.group_version("x.example", "v1")
    assert body is not None
    assert documents.group_version("x.example", "v1") is body
    before = orjson.loads(documents.index())["paths"]["apis/x.example/v1"]
    catalogue.add_crd(crd("second"))
    changed = documents.group_version("x.example", "v1")
    assert changed is not None
    document = orjson.loads(changed)
    assert document["components"]["schemas"]["x.example.v1.Thing"]["properties"]["spec"]["description"] == "second"
    content = document["paths"]["/apis/x.example/v1/namespaces/{namespace}/things/{name}"]["patch"]["requestBody"]
    assert "application/strategic-merge-patch+json" not in content["content"]
    assert orjson.loads(documents.index())["paths"]["apis/x.example/v1"] != before


def test_the_stub_of_v2_is_a_protobuf_message() -> None:
    document = dict(fields(V2_STUB))
    info = document[2]
    assert isinstance(info, bytes)
    assert (document[1], dict(fields(info)), document[8]) == (b"2.0", {1: b"Kubernetes", 2: b"v1"}, b"")
