"""Who may ask, what a path means, and that every failure is a Status (words recorded on Kubernetes 1.34)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from meshdojo.kubernetes.http.paths import ResourcePath
from meshdojo.kubernetes.http.responses import warning_header

if TYPE_CHECKING:
    from tests.kubernetes.conftest import Cluster

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
JSON = {"content-type": "application/json"}
MERGE = {"content-type": "application/merge-patch+json"}
JSON_PATCH = {"content-type": "application/json-patch+json"}
APPLY = {"content-type": "application/apply-patch+yaml"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ResourcePath("", "v1", None, "pods")),
        ("/api/v1/namespaces", ResourcePath("", "v1", None, "namespaces")),
        ("/api/v1/namespaces/x", ResourcePath("", "v1", None, "namespaces", "x")),
        ("/api/v1/namespaces/x/status", ResourcePath("", "v1", None, "namespaces", "x", "status")),
        ("/api/v1/namespaces/x/pods", ResourcePath("", "v1", "x", "pods")),
        ("/api/v1/namespaces/x/pods/p/log", ResourcePath("", "v1", "x", "pods", "p", "log")),
        ("/api/v1/namespaces/x/pods/p/proxy/a/b", ResourcePath("", "v1", "x", "pods", "p", "proxy", "a/b")),
        ("/apis/apps/v1/deployments/", ResourcePath("apps", "v1", None, "deployments")),
        ("/apis/apps/v1", ResourcePath("apps", "v1")),
        ("/apis/apps", None),
        ("/healthz", None),
        ("/", None),
    ],
)
def test_paths(path: str, expected: ResourcePath | None) -> None:
    assert ResourcePath.parse(path) == expected


def test_without_a_token(http: httpx.Client) -> None:
    refused = http.get(CONFIG_MAPS, headers={"authorization": ""})
    wrong = http.get(CONFIG_MAPS, headers={"authorization": "Bearer nope"})
    basic = http.get(CONFIG_MAPS, headers={"authorization": "Basic YTpi"})
    healthy = http.get("/readyz", headers={"authorization": ""})

    for answer in (refused, basic):
        assert answer.status_code == 403
        assert answer.json()["message"].startswith(
            'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group ""'
        )
    assert wrong.status_code == 401
    assert wrong.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }
    assert healthy.text == "ok"


def test_a_service_account_token_opens_the_door_until_the_account_goes(http: httpx.Client) -> None:
    account = "/api/v1/namespaces/default/serviceaccounts"
    http.post(account, json={"metadata": {"name": "robot"}})
    token = http.post(f"{account}/robot/token", json={}).json()["status"]["token"]
    headers = {"authorization": f"Bearer {token}"}

    who = http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}, headers=headers).json()
    review = {"spec": {"token": token}}
    reviewed = http.post("/apis/authentication.k8s.io/v1/tokenreviews", json=review).json()["status"]
    other = {"spec": {"token": token, "audiences": ["istio-ca"]}}
    for_another = http.post("/apis/authentication.k8s.io/v1/tokenreviews", json=other).json()["status"]
    http.delete(f"{account}/robot")
    after = http.get(CONFIG_MAPS, headers=headers)

    user = who["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:default:robot"
    assert user["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert reviewed["authenticated"] is True
    assert reviewed["user"]["username"] == user["username"]
    assert "authenticated" not in for_another
    assert after.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "code", "words"),
    [
        ("POST", CONFIG_MAPS, JSON, b"{bad", 400, "the object provided is unrecognized (must be of type ConfigMap): "),
        ("POST", CONFIG_MAPS, JSON, b"", 400, "unexpected end of JSON input (<empty>)"),
        ("POST", CONFIG_MAPS, JSON, b'{"data":', 400, "unexpected end of JSON input"),
        ("POST", CONFIG_MAPS, JSON, b"[1]", 400, "it is no object but a list"),
        ("POST", CONFIG_MAPS, JSON, b"\xff\xfe", 400, "json parse error"),
        ("POST", CONFIG_MAPS, JSON, b'{"a":' * 400 + b"1" + b"}" * 400, 400, "exceeded max depth: 400 levels"),
        ("POST", CONFIG_MAPS, JSON, b"[" * 100_000, 400, "json parse error"),
        ("POST", CONFIG_MAPS, JSON, b'{"metadata":5}', 400, "cannot be handled as a ConfigMap: json: cannot unmarshal"),
        ("POST", CONFIG_MAPS, JSON, b'{"metadata":{"name":7}}', 400, "json: cannot unmarshal number into Go struct"),
        (
            "POST",
            CONFIG_MAPS,
            JSON,
            b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}',
            400,
            'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): '
            "unknown conversion",
        ),
        (
            "POST",
            CONFIG_MAPS,
            JSON,
            b'{"kind":"Nope","apiVersion":"v1","metadata":{"name":"x"}}',
            400,
            'no kind "Nope" is registered for version "v1"',
        ),
        (
            "POST",
            CONFIG_MAPS,
            JSON,
            b'{"metadata":{"name":"x","namespace":"other"}}',
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "POST",
            CONFIG_MAPS,
            {"content-type": "text/html"},
            b"{}",
            415,
            "the body of the request was in an unknown format - accepted media types include: application/json",
        ),
        (
            "POST",
            f"{CONFIG_MAPS}/x",
            JSON,
            b"{}",
            405,
            "the server does not allow this method on the requested resource",
        ),
        ("PUT", CONFIG_MAPS, JSON, b"{}", 405, "the server does not allow this method"),
        ("PUT", f"{CONFIG_MAPS}/there", JSON, b'{"metadata":{"name":"zz"}}', 400, "does not match the name on the URL"),
        ("PUT", f"{CONFIG_MAPS}/there", JSON, b'{"metadata":{}}', 400, "undeterminable: name must be provided"),
        ("PATCH", f"{CONFIG_MAPS}/there", JSON, b"{}", 415, "415: Unsupported Media Type"),
        ("PATCH", f"{CONFIG_MAPS}/there", MERGE, b"{bad", 400, "error decoding patch: "),
        ("PATCH", f"{CONFIG_MAPS}/there", MERGE, b"[]", 400, "error decoding patch: json: cannot unmarshal array"),
        ("PATCH", f"{CONFIG_MAPS}/there", JSON_PATCH, b"{}", 400, "Go value of type []handlers.jsonPatchOp"),
        ("PATCH", f"{CONFIG_MAPS}/there", JSON_PATCH, b'[{"op":"nope"}]', 422, "the server rejected our request"),
        (
            "PATCH",
            f"{CONFIG_MAPS}/there",
            APPLY,
            b"a: b",
            422,
            "fieldManager: Required value: is required for apply patch",
        ),
        ("PATCH", f"{CONFIG_MAPS}/there?fieldManager=x", APPLY, b"a: b", 400, "invalid object type: /, Kind="),
        ("PATCH", f"{CONFIG_MAPS}/there?fieldManager=x", APPLY, b"a: [b", 400, "error decoding YAML: "),
        ("PATCH", f"{CONFIG_MAPS}/there?fieldManager=x", APPLY, b"a: &x [*x]", 400, "aliases (*x) are not supported"),
        ("GET", f"{CONFIG_MAPS}/there", {"accept": "text/html"}, b"", 406, "406: Not Acceptable"),
        ("GET", f"{CONFIG_MAPS}?limit=x", {}, b"", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("GET", f"{CONFIG_MAPS}?resourceVersion=x", {}, b"", 400, "invalid resource version: "),
        ("GET", f"{CONFIG_MAPS}?resourceVersion=99999999", {}, b"", 504, "Too large resource version: 99999999"),
        ("GET", f"{CONFIG_MAPS}?resourceVersionMatch=Exact", {}, b"", 422, "resourceVersionMatch is forbidden unless"),
        ("GET", f"{CONFIG_MAPS}?continue=xx", {}, b"", 400, "invalid continue token: continue key is not valid"),
        ("GET", f"{CONFIG_MAPS}?labelSelector=a%3Db%3Dc", {}, b"", 400, "found '=', expected: ',' or 'end of string'"),
        ("GET", f"{CONFIG_MAPS}?watch=1&sendInitialEvents=true", {}, b"", 422, "requires setting resourceVersionMatch"),
        ("GET", "/api/v1/namespaces/default/nopes", {}, b"", 404, "the server could not find the requested resource"),
        ("GET", "/apis/apps/v1/nopes", {}, b"", 404, "the server could not find the requested resource"),
        ("GET", "/api/v2/pods", {}, b"", 404, "the server could not find the requested resource"),
        ("GET", f"{CONFIG_MAPS}/there/nope", {}, b"", 404, "the server could not find the requested resource"),
        (
            "DELETE",
            f"{CONFIG_MAPS}/there?propagationPolicy=x",
            {},
            b"",
            422,
            '"Foreground", "Background", "Orphan", "nil"',
        ),
        (
            "DELETE",
            f"{CONFIG_MAPS}/there?dryRun=x",
            {},
            b"",
            422,
            'dryRun: Unsupported value: ["x"]: supported values: "All"',
        ),
        ("DELETE", f"{CONFIG_MAPS}/there", JSON, b"{bad", 400, "json parse error"),
        ("DELETE", "/api/v1/namespaces", {}, b"", 405, "the server does not allow this method"),
        ("OPTIONS", CONFIG_MAPS, {}, b"", 405, "the server does not allow this method"),
        ("POST", f"{CONFIG_MAPS}?dryRun=x", JSON, b'{"metadata":{"name":"x"}}', 422, 'supported values: "All"'),
        (
            "POST",
            f"{CONFIG_MAPS}?fieldValidation=x",
            JSON,
            b'{"metadata":{"name":"x"}}',
            422,
            "fieldValidation: Unsupported",
        ),
        ("POST", "/healthz", {}, b"", 405, "the server does not allow this method"),
    ],
)
def test_bad_requests(
    http: httpx.Client, method: str, path: str, headers: dict[str, str], body: bytes, code: int, words: str
) -> None:
    http.post(CONFIG_MAPS, json={"metadata": {"name": "there"}})

    answer = http.request(method, path, headers=headers, content=body)

    assert words in answer.json()["message"]
    assert (answer.status_code, answer.json()["code"]) == (code, code)
    assert answer.json()["kind"] == "Status"


@pytest.mark.parametrize(
    "path", ["/apis/nope.dev/v1/pods", "/apis/apps/v9/deployments", "/nope", "/apis/nope.dev", "/metrics"]
)
def test_unknown_paths(http: httpx.Client, path: str) -> None:
    answer = http.get(path)

    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_body_that_is_too_large(http: httpx.Client) -> None:
    answer = http.post(CONFIG_MAPS, content=b" " * (3 * 1024 * 1024 + 1), headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["message"] == "Request entity too large: limit is 3145728"


def test_an_unexpected_failure_is_a_status_too(
    http: httpx.Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(cluster.api.registry, "get", fail)

    answer = http.get(f"{CONFIG_MAPS}/x")

    assert answer.status_code == 500
    assert answer.json()["reason"] == "InternalError"
    assert "mistake" not in answer.text


def test_unknown_fields_warn_unless_strict(http: httpx.Client) -> None:
    body = {"metadata": {"name": "fields"}, "dat": {}, "spec": 1}

    strict = http.post(f"{CONFIG_MAPS}?fieldValidation=Strict", json=body)
    warned = http.post(CONFIG_MAPS, json=body)

    assert strict.status_code == 400
    assert strict.json()["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'unknown field "dat", unknown field "spec"'
    )
    assert warned.status_code == 201
    assert warned.headers.get_list("warning") == ['299 - "unknown field \\"dat\\""', '299 - "unknown field \\"spec\\""']


def test_deprecated_kinds_warn(http: httpx.Client) -> None:
    answer = http.get("/api/v1/namespaces/default/endpoints")

    assert answer.headers["warning"] == (
        '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    )


def test_warnings_fit_into_a_header() -> None:
    assert warning_header('say "hi"\nü') == '299 - "say \\"hi\\" ?"'
    # A server that sends a control character in a header is cut off by its own HTTP library.
    assert warning_header('unknown field "\x1b\x00\x7f"') == '299 - "unknown field \\"???\\""'
    assert len(warning_header("x" * 1000)) < 300


@pytest.mark.parametrize(
    ("agent", "query", "indented"),
    [
        ("curl/8.16.0", "", True),
        ("Mozilla/5.0 (X11)", "", True),
        ("kubectl/v1.34.4", "", False),
        ("kubectl/v1.34.4", "?pretty=true", True),
        ("curl/8.16.0", "?pretty=false", False),
    ],
)
def test_people_get_json_that_can_be_read(http: httpx.Client, agent: str, query: str, indented: bool) -> None:
    found = http.get(CONFIG_MAPS + query, headers={"user-agent": agent})
    missing = http.get("/api/v1/nosuch" + query, headers={"user-agent": agent})
    for answer in (found, missing):
        assert answer.json()["apiVersion"] == "v1"
        assert answer.text.startswith('{\n  "') is indented
        assert answer.text.endswith("}") is indented
