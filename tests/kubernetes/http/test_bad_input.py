"""What no client of good will sends: every answer is one of the API's own, in time, and never a 5xx."""

from __future__ import annotations

import asyncio
import json
import random
import string
import time
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kubernetes.conftest import FakeNode

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.auth.tokens import TokenSigner
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.http.app import App
from meshdojo.kubernetes.http.negotiation import MAX_BODY_BYTES
from meshdojo.kubernetes.requests import ADMIN
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

SECONDS = 60
TOKEN = "fuzz"
NAMESPACED = "/api/v1/namespaces/default"
PATHS = (
    "/", "/api", "/apis", "/api/v1", "/version", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1", "/healthz",
    f"{NAMESPACED}/pods", f"{NAMESPACED}/pods/p", f"{NAMESPACED}/pods/p/status", f"{NAMESPACED}/pods/p/eviction",
    f"{NAMESPACED}/pods/p/binding", f"{NAMESPACED}/services", f"{NAMESPACED}/configmaps/a", f"{NAMESPACED}/secrets",
    f"{NAMESPACED}/serviceaccounts/default/token", f"{NAMESPACED}/events", f"{NAMESPACED}/resourcequotas",
    f"{NAMESPACED}/limitranges", "/api/v1/namespaces", "/api/v1/namespaces/x/finalize", "/api/v1/nodes",
    "/apis/apps/v1/namespaces/default/deployments", "/apis/apps/v1/namespaces/default/deployments/d/scale",
    "/apis/apps/v1/namespaces/default/statefulsets", "/apis/batch/v1/namespaces/default/jobs",
    "/apis/batch/v1/namespaces/default/cronjobs", "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
    "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
    "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers",
    "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
    "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    "/apis/authentication.k8s.io/v1/tokenreviews", "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "/apis/nosuch/v1/things", "/api/v1/nosuch", "/api/v1/namespaces/%00/pods", "/api//v1", "/apis/apps/v1/../..",
)  # fmt: skip
BODIES: tuple[Any, ...] = (
    {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
    {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"}}},
    {
        "metadata": {"name": "d", "labels": {"a": "b"}, "annotations": {"c": "d"}, "ownerReferences": []},
        "spec": {
            "replicas": 1,
            "selector": {
                "matchLabels": {"a": "b"},
                "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}],
            },
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}}],
                    "initContainers": [{"name": "i", "image": "x", "restartPolicy": "Always"}],
                    "containers": [
                        {
                            "name": "c",
                            "image": "x",
                            "env": [{"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                            "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}, "requests": {"cpu": "1m"}},
                            "ports": [{"containerPort": 80, "protocol": "TCP"}],
                            "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1},
                            "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "a"}],
                            "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
                            "securityContext": {"runAsUser": 1},
                        }
                    ],
                },
            },
        },
    },
    {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1", "requests.cpu": "1"}, "scopes": ["BestEffort"]}},
    {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "1m"}}]}},
    {"metadata": {"name": "b"}, "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}},
    {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    {
        "metadata": {"name": "rb"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "jane"}],
    },
    {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}},
                    "additionalPrinterColumns": [{"name": "N", "type": "string", "jsonPath": ".spec.n"}],
                }
            ],
        },
    },
    {"spec": {"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods"}}},
    {"spec": {"token": "x", "audiences": ["a"]}},
    {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}}},
    {"metadata": {"name": "p"}, "deleteOptions": {"preconditions": {"uid": "x"}}},
    [{"op": "replace", "path": "/spec/replicas", "value": 3}, {"op": "test", "path": "/a/0/~1", "value": None}],
    {"spec": {"containers": [{"name": "c", "$patch": "delete"}], "$setElementOrder/containers": [{"name": "c"}]}},
)  # fmt: skip
TYPES = (
    *("application/json", "application/yaml", "application/merge-patch+json", "application/strategic-merge-patch+json"),
    *(
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "application/vnd.kubernetes.protobuf",
        "text/plain",
    ),
    *("", "application/json; charset=latin-1", "a/b/c"),
)
ACCEPTS = (
    *("application/json", "*/*", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "text/html", ""),
    *("application/vnd.kubernetes.protobuf", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", ";;,"),
)
QUERIES = (
    *("", "limit=1", "limit=x", "limit=-1", "continue=x", "continue=e30", "resourceVersion=99999999", "dryRun=All"),
    *(
        "resourceVersion=x",
        "labelSelector=a%3Db",
        "labelSelector=(",
        "labelSelector=a in (b",
        "fieldSelector=a",
        "pretty",
    ),
    *(
        "fieldSelector=metadata.name%3Dp",
        "fieldManager=m&force=true",
        "force=x",
        "dryRun=Some",
        "fieldValidation=Strict",
    ),
    *("gracePeriodSeconds=-1", "gracePeriodSeconds=x", "propagationPolicy=Sideways", "resourceVersionMatch=Exact"),
    *("fieldManager=" + "m" * 200, "%ff=%fe", "timeoutSeconds=x", "a=1;b=2", "sendInitialEvents=true"),
)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, 1e308, "", "x", "-1", "1e999999", "\x00", "ä" * 300, "${X}", [], {}, [None], [[]]),
    *({"": ""}, {"a": None}, [{}], "1" * 5000, "999999999999Gi", "2026-13-45T99:99:99Z", -(2**31), 2**31, "%", "a/b/c"),
)


# Where each body belongs: mutated there, it gets further than the first check.
RIGHT_PLACES = (
    (f"{NAMESPACED}/pods", 0),
    (f"{NAMESPACED}/services", 1),
    ("/apis/apps/v1/namespaces/default/deployments", 2),
    ("/apis/apps/v1/namespaces/default/statefulsets", 2),
    ("/apis/apps/v1/namespaces/default/daemonsets", 2),
    ("/apis/batch/v1/namespaces/default/jobs", 2),
    (f"{NAMESPACED}/resourcequotas", 3),
    (f"{NAMESPACED}/limitranges", 4),
    ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", 5),
    ("/apis/rbac.authorization.k8s.io/v1/clusterroles", 6),
    ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", 7),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", 8),
    ("/apis/authorization.k8s.io/v1/subjectaccessreviews", 9),
    ("/apis/authentication.k8s.io/v1/tokenreviews", 10),
    ("/apis/batch/v1/namespaces/default/cronjobs", 11),
    (f"{NAMESPACED}/pods/p/eviction", 12),
)
THOROUGH = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    database=None,
)


class Server:
    """The ASGI application in process: what a hundred thousand requests may cost is then known."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.api = Api(Store(), Block(0), tokens={TOKEN: ADMIN})
        self.bootstrap()
        self.run(self.api.create("serviceaccounts", {"metadata": {"name": "default"}}, "default"))
        for body, resource in ((BODIES[0], "pods"), (BODIES[2], "deployments.apps")):
            self.run(self.api.create(resource, body, "default"))
        transport = httpx.ASGITransport(App(self.api, FakeNode()))
        headers = {"authorization": f"Bearer {TOKEN}"}
        self.client = httpx.AsyncClient(transport=transport, base_url="https://api", headers=headers)

    def bootstrap(self) -> None:
        """Make what the API server starts with, as far as it is missing."""
        self.run(bootstrap(self.api, host="127.0.0.1", port=6443))

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(awaitable, SECONDS))

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.client.request(method, path, **options))
        return answer

    def close(self) -> None:
        self.run(self.client.aclose())
        self.run(self.api.close())
        self.loop.close()


@pytest.fixture(scope="module", name="server")
def server_fixture() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


def mutated(value: Any, chance: random.Random) -> Any:
    """`value` with something odd in one place."""
    if chance.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return chance.choice(ODD)
    if isinstance(value, list):
        position = chance.randrange(len(value))
        return [mutated(one, chance) if index == position else one for index, one in enumerate(value)]
    key = chance.choice(list(value))
    if chance.random() < 0.1:
        return {**value, "".join(chance.choices(string.printable, k=5)): chance.choice(ODD)}
    if chance.random() < 0.1:
        return {name: one for name, one in value.items() if name != key}
    return {**value, key: mutated(value[key], chance)}


def acceptable(answer: httpx.Response) -> None:
    """Not a 5xx, except those that the API means so; failures are a Status, or the text of a path that is none."""
    # A HEAD has no body: there the code alone tells (504: a resourceVersion of the future; 503: no endpoints).
    told = answer.status_code < 500 or answer.status_code in (503, 504)
    assert told, f"{answer.request.method} {answer.request.url}: {answer.request.content!r}: {answer.text}"
    if answer.status_code >= 400 and answer.content and answer.headers["content-type"].startswith("application/json"):
        status = orjson.loads(answer.content)
        assert (status["kind"], status["code"]) == ("Status", answer.status_code)


@THOROUGH
@given(
    seed=st.integers(0, 2**32),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW"]),
    path=st.sampled_from(PATHS),
    query=st.sampled_from(QUERIES),
    content_type=st.sampled_from(TYPES),
    accept=st.sampled_from(ACCEPTS),
)
def test_requests_that_are_almost_right(
    server: Server, seed: int, method: str, path: str, query: str, content_type: str, accept: str
) -> None:
    chance = random.Random(seed)
    body = json.dumps(mutated(chance.choice(BODIES), chance)).encode()
    if chance.random() < 0.2:
        body = body[: chance.randrange(len(body) + 1)] + chance.randbytes(chance.randrange(8))
    elif chance.random() < 0.1:
        body = b"k8s\0" + chance.randbytes(chance.randrange(60))
    headers = {"content-type": content_type, "accept": accept}
    # A path with dots or odd escapes must arrive as it is.
    url = httpx.URL(f"https://api{path}?{query}" if query else f"https://api{path}")
    acceptable(server.ask(method, str(url), content=body, headers=headers))
    if method == "DELETE" and "clusterroles" in path:
        # Gone is what allows the next request.
        server.bootstrap()


@THOROUGH
@given(
    seed=st.integers(0, 2**32), place=st.sampled_from(RIGHT_PLACES), validation=st.sampled_from(["Ignore", "Strict"])
)
def test_objects_that_are_almost_right(server: Server, seed: int, place: tuple[str, int], validation: str) -> None:
    chance = random.Random(seed)
    body = mutated(BODIES[place[1]], chance)
    if chance.random() < 0.4:
        body = mutated(body, chance)
    query = f"?dryRun=All&fieldValidation={validation}"
    headers = {"content-type": "application/json"}
    acceptable(server.ask("POST", place[0] + query, content=json.dumps(body).encode(), headers=headers))


@THOROUGH
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(["merge", "strategic", "json", "apply"]))
def test_patches_that_are_almost_right(server: Server, seed: int, kind: str) -> None:
    chance = random.Random(seed)
    media = {"merge": TYPES[2], "strategic": TYPES[3], "json": TYPES[4], "apply": TYPES[5]}[kind]
    body = json.dumps(mutated(BODIES[13] if kind == "json" else BODIES[2], chance)).encode()
    path = "/apis/apps/v1/namespaces/default/deployments/d"
    query = "?fieldManager=f&force=true&dryRun=All" if kind == "apply" else "?dryRun=All"
    acceptable(server.ask("PATCH", path + query, content=body, headers={"content-type": media}))


DEEP = 100_000


@pytest.mark.parametrize(
    ("content_type", "body", "codes"),
    [
        ("application/json", b"[" * DEEP, (400,)),
        ("application/json", b'{"a":' * DEEP + b"1" + b"}" * DEEP, (400, 422)),
        ("application/yaml", b"[" * 20_000, (400,)),
        ("application/yaml", b"- " * 20_000 + b"a", (400,)),
        ("application/yaml", b"- " * 200_000 + b"a", (400,)),
        ("application/yaml", b"a: " + b"[" * 200_000, (400,)),
        ("application/apply-patch+yaml", b"- " * 200_000 + b"a", (400, 415)),
        ("application/yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", (400, 422)),
        ("application/yaml", b"&x [*x]", (400,)),
        ("application/yaml", "a: \ud800".encode("utf-16", "surrogatepass"), (400,)),
        ("application/yaml", b"!!python/object/apply:os.system [true]", (400,)),
        ("application/yaml", b"\xff\xfe\x00\x00", (400,)),
        ("application/json", '{"metadata": {"name": "ä"}}'.encode("latin-1"), (400,)),
        ("application/json", '{"metadata": {"name": "a"}}'.encode("utf-16"), (400,)),
        ("application/json", b"\xef\xbb\xbf{}", (400, 422)),
        ("application/json", b'{"metadata": {"name": "a", "name": "b"}}', (201,)),
        ("application/json", b"NaN", (400,)),
        ("application/json", b"1" * 100_000, (400,)),
        ("application/json", b"", (400, 422)),
        ("application/vnd.kubernetes.protobuf", b"k8s\0" + b"\xff" * 1000, (400,)),
        ("application/vnd.kubernetes.protobuf", b"k8s", (400,)),
    ],
)
def test_bodies_that_are_traps(server: Server, content_type: str, body: bytes, codes: tuple[int, ...]) -> None:
    answer = server.ask(
        "POST",
        f"{NAMESPACED}/configmaps",
        content=body,
        headers={"content-type": content_type, "accept": "application/json"},
    )
    acceptable(answer)
    assert answer.status_code in codes, answer.text[:300]


def test_aliases_do_not_multiply(server: Server) -> None:
    """The laughing billion: nine levels of ten aliases each would be a gigabyte."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    body = "\n".join(["kind: ConfigMap", "metadata: {name: bomb}", "data:", *("  " + line for line in lines)]).encode()
    answer = server.ask("POST", f"{NAMESPACED}/configmaps", content=body, headers={"content-type": "application/yaml"})
    acceptable(answer)
    assert answer.status_code in (400, 413, 422)


def test_bodies_of_ten_megabytes_are_refused_before_they_are_read(server: Server) -> None:
    body = b'{"metadata":{"name":"big"},"data":{"a":"' + b"x" * 10_000_000 + b'"}}'
    for method, path, media in (
        ("POST", f"{NAMESPACED}/configmaps", "application/json"),
        ("PATCH", f"{NAMESPACED}/pods/p", "application/merge-patch+json"),
        ("DELETE", f"{NAMESPACED}/pods/p", "application/json"),
    ):
        answer = server.ask(method, path, content=body, headers={"content-type": media})
        assert answer.status_code == 413
        assert answer.json()["message"] == f"Request entity too large: limit is {MAX_BODY_BYTES}"


# What makes an expression that goes back and forth take the square of the length, or longer.
LONG = [
    head * 50_000 + tail for head, tail in (("a", "!"), ("1", "x"), ("a.", "!"), ("1h", "!"), ("$(", ""), ("[?(", ""))
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value has something that is no list nor object."""
    if not isinstance(value, dict | list):
        yield path
        return
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        yield from places(below, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {**value, path[0]: put(value[path[0]], path[1:], new)}
    return [put(below, path[1:], new) if index == path[0] else below for index, below in enumerate(value)]


@pytest.mark.parametrize(("body", "place"), {body: place for place, body in reversed(RIGHT_PLACES)}.items())
def test_long_values_take_no_longer_than_they_are(server: Server, body: int, place: str) -> None:
    """Some milliseconds of computing; the square of their length would be many seconds."""
    for path in places(BODIES[body]):
        for text in LONG:
            content = json.dumps(put(BODIES[body], path, text)).encode()
            began = time.process_time()
            headers = {"content-type": "application/json"}
            acceptable(server.ask("POST", f"{place}?dryRun=All", content=content, headers=headers))
            assert time.process_time() - began < 3, (path, text[:5])


WIDGETS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def widgets(schema: Any) -> dict[str, Any]:
    """A definition whose field "spec" has this schema."""
    return put(BODIES[8], ("spec", "versions", 0, "schema", "openAPIV3Schema", "properties", "spec"), schema)  # type: ignore[no-any-return]


WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("description", "format", "pattern", "title", "x-kubernetes-list-type"), "x"),
    **dict.fromkeys(("nullable", "uniqueItems", "exclusiveMaximum", "x-kubernetes-preserve-unknown-fields"), True),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maximum", "minimum", "multipleOf"), 1),
    **{name: {"type": "string"} for name in ("not", "items", "additionalProperties")},
    **{name: [{"type": "string"}] for name in ("allOf", "anyOf", "oneOf")},
    "type": "object",
    "enum": ["a"],
    "required": ["a"],
    "properties": {"a": {"type": "string"}},
    "default": {},
    "x-kubernetes-list-map-keys": ["a"],
    "x-kubernetes-validations": [{"rule": "true", "message": "m"}],
}


@pytest.mark.parametrize("field", SCHEMA)
def test_schemas_that_are_almost_right(server: Server, field: str) -> None:
    """Whatever definition is let in, its objects find no error of the server's."""
    for value in (SCHEMA[field], *ODD):
        for schema in ({"type": "array", "items": {"type": "string"}, field: value}, {**SCHEMA, field: value}):
            answer = server.ask("POST", WIDGETS, json=widgets(schema))
            acceptable(answer)
            specs: tuple[Any, ...] = ("abc", {}, ["a"]) if answer.status_code == 201 else ()
            for spec in specs:
                body = {**WIDGET, "metadata": {"generateName": "w"}, "spec": spec}
                acceptable(server.ask("POST", "/apis/example.com/v1/namespaces/default/widgets?dryRun=All", json=body))
            server.ask("DELETE", f"{WIDGETS}/widgets.example.com")


def test_a_pattern_cannot_take_for_ever(server: Server) -> None:
    """Python's own engine would need longer than the world is old."""
    assert server.ask("POST", WIDGETS, json=widgets({"type": "string", "pattern": "^(a+)+$"})).status_code == 201
    path = "/apis/example.com/v1/namespaces/default/widgets"
    refused = server.ask("POST", path, json={**WIDGET, "spec": "a" * 1000 + "!"})
    assert refused.status_code == 422
    assert "spec in body should match '^(a+)+$'" in refused.json()["message"]
    assert server.ask("POST", path, json={**WIDGET, "spec": "aaa"}).status_code == 201
    server.ask("DELETE", f"{WIDGETS}/widgets.example.com")


@pytest.mark.parametrize("path", ["/api/v1/namespaces", f"{NAMESPACED}/pods", f"{NAMESPACED}/services", WIDGETS])
def test_objects_without_a_name(server: Server, path: str) -> None:
    bodies: tuple[Any, ...] = ({}, {"metadata": {}}, {"metadata": {"name": ""}}, {"metadata": None})
    for body in bodies:
        answer = server.ask("POST", path, json=body)
        acceptable(answer)
        assert answer.status_code in (400, 422)


@pytest.mark.parametrize("metadata", [{"name": "x", "namespace": [None]}, {"name": ["x"]}, "x", ["x"], 1, None])
@pytest.mark.parametrize("path", ["/apis/scheduling.k8s.io/v1/priorityclasses/x", f"{NAMESPACED}/configmaps/x"])
def test_a_put_goes_where_its_path_says(server: Server, path: str, metadata: Any) -> None:
    answer = server.ask("PUT", path, json={"metadata": metadata, "value": 1})
    acceptable(answer)
    assert answer.status_code in (400, 404)


def test_the_body_of_a_custom_resource_says_what_it_is(server: Server) -> None:
    """Source: the answers of a real server."""
    widgets = {"plural": "gadgets", "kind": "Gadget"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    spec = {"group": "example.com", "scope": "Namespaced", "names": widgets, "versions": versions}
    server.ask("POST", WIDGETS, json={"metadata": {"name": "gadgets.example.com"}, "spec": spec})
    path = "/apis/example.com/v1/namespaces/default/gadgets"
    gadget = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}}

    def message(**changes: Any) -> str:
        body = {key: value for key, value in {**gadget, **changes}.items() if value is not None}
        return str(server.ask("POST", path, json=body).json().get("message"))

    assert message(kind=None) == (
        "the object provided is unrecognized (must be of type Gadget): Object 'Kind' is missing in "
        '\'{"apiVersion":"example.com/v1","metadata":{"name":"g"}}\' ({"apiVersion":"example.com/v1" ...)'
    )
    other = "the API version in the data ({}) does not match the expected API version (example.com/v1)"
    assert message(apiVersion=None) == other.format("")
    assert message(apiVersion="example.com/v2") == other.format("example.com/v2")
    assert message(kind="Other") == 'Other.example.com "g" is invalid: kind: Invalid value: "Other": must be Gadget'
    assert message() == "None"
    server.ask("DELETE", f"{WIDGETS}/gadgets.example.com")


def test_what_is_warned_of_may_hold_anything(server: Server) -> None:
    body = '{"metadata": {"name": "warned"}, "data\\u001b\\u0000\\u007f\\r\\n\\ud83d\\ude00": "x"}'
    answer = server.ask("POST", f"{NAMESPACED}/configmaps", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201
    assert answer.headers["warning"] == '299 - "unknown field \\"data??? ?\\""'


ORIGINS = (
    {"host": "evil.example"},
    {"host": "evil.example:6443", "origin": "https://evil.example:6443"},
    {"origin": "https://evil.example", "access-control-request-method": "GET", "sec-fetch-site": "cross-site"},
    {"origin": "null"},
)


@pytest.mark.parametrize("headers", ORIGINS, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_pages_of_other_origins_get_nothing(server: Server, method: str, headers: dict[str, str]) -> None:
    """A browser adds no token by itself, whatever the name it reached us by, and is never told to share an answer."""
    anonymous = {"authorization": "", **headers}
    assert server.ask(method, f"{NAMESPACED}/secrets", headers=anonymous).status_code == 403
    for asked in (anonymous, headers):
        answer = server.ask("OPTIONS", f"{NAMESPACED}/secrets", headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_tokens_of_others_and_of_the_past(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{NAMESPACED}/serviceaccounts/default/token"
    good = server.ask("POST", path, json={"spec": {}}).json()["status"]["token"]
    other = server.ask("POST", path, json={"spec": {"audiences": ["elsewhere"]}}).json()["status"]["token"]
    claims = server.api.signer.verify(good)
    foreign = TokenSigner().sign(claims, seconds=3600)

    def code(token: str) -> int:
        return server.ask("GET", f"{NAMESPACED}/pods", headers={"authorization": f"Bearer {token}"}).status_code

    assert code(good) == 403  # known, and without rights
    assert [code(other), code(foreign), code(good[:-2]), code(f"{good}x")] == [401] * 4
    past = server.api.signer.sign({**claims, "exp": int(time.time()) - 60}, seconds=0)
    assert code(past) == 401
    server.ask("DELETE", f"{NAMESPACED}/serviceaccounts/default")
    assert code(good) == 401


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer ", "Bearer a.b.c", "Bearer " + "x" * 100_000, "Bearer eyJhbGciOiJub25lIn0.e30.", "a"],
)
def test_tokens_that_are_none(server: Server, authorization: str) -> None:
    answer = server.ask("GET", f"{NAMESPACED}/pods", headers={"authorization": authorization})
    assert answer.status_code in (401, 403)
    acceptable(answer)
