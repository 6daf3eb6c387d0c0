"""Admission webhooks: who is asked, how, and what becomes of the answer. The webhook is a real HTTPS server."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import json
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.requests import Options
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

T = TypeVar("T")
Answer = Callable[[dict[str, Any]], dict[str, Any]]
PATIENCE_SECONDS = 30


def allow(request: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


def patch(*operations: dict[str, Any]) -> Answer:
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


@dataclass
class Node:
    """Leads the service's endpoint to where the test's server listens."""

    port: int = 0

    def transport(self, address: str, port: int) -> tuple[str, int]:
        if (address, port) != ("10.1.2.3", 9443) or not self.port:
            raise ConnectionRefusedError
        return "127.0.0.1", self.port


@dataclass
class Hook:
    """The webhook's server: `answer` decides, `reviews` is what it was asked."""

    api: Api
    ca: str
    node: Node
    answer: Answer = allow
    reviews: list[dict[str, Any]] = field(default_factory=list)
    delay: asyncio.Event | None = None
    status: int = 200

    async def handle(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.reviews.append({**review["request"], "path": request.path_qs})
        if self.delay is not None:
            await self.delay.wait()
        response = {"uid": review["request"]["uid"], **self.answer(review["request"])}
        body = {"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": response}
        return web.json_response(body, status=self.status)

    async def configure(self, kind: str = "mutating", *, name: str = "hook.test.dev", **webhook: Any) -> None:
        rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
        service = {"name": "hook", "namespace": "default", "path": "/check"}
        made = {
            "name": name,
            "clientConfig": {"service": service, "caBundle": self.ca},
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **webhook,
        }
        resource = f"{kind}webhookconfigurations.admissionregistration.k8s.io"
        await self.api.create(resource, {"metadata": {"name": f"{kind}-{name}"}, "webhooks": [made]})

    async def create(self, name: str = "a", **options: Any) -> dict[str, Any]:
        obj = {"metadata": {"name": name, "labels": {"app": "web"}}, "data": {"x": "1"}}
        return await self.api.create("configmaps", obj, "default", options=Options(**options))


def certificate(directory: Path) -> tuple[ssl.SSLContext, str]:
    """(a server's TLS context for hook.default.svc, the CA bundle to trust it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hook")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName("hook.default.svc"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "both.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "both.pem")
    return context, base64.b64encode(pem).decode()


Scenario = Callable[[Hook], Awaitable[T]]
Run = Callable[[Scenario[Any]], Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a scenario with a cluster in which the service ``hook`` leads to the webhook."""

    async def go(scenario: Scenario[Any]) -> Any:
        context, ca = certificate(tmp_path)
        hook = Hook(Api(Store(), Block(0)), ca, Node())
        app = web.Application()
        app.router.add_post("/{path:.*}", hook.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        hook.node.port = runner.addresses[0][1]
        hook.api.use_node(hook.node)
        await furnish(hook.api)
        try:
            return await asyncio.wait_for(scenario(hook), PATIENCE_SECONDS)
        finally:
            await hook.api.close()
            await runner.cleanup()

    def start(scenario: Scenario[Any]) -> Any:
        return asyncio.run(go(scenario))

    return start


async def furnish(api: Api) -> None:
    await bootstrap(api, host="127.0.0.1", port=6443)
    service = {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443, "name": "https", "targetPort": 9443}]}}
    await api.create("services", service, "default")
    slice_ = {
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": 9443, "protocol": "TCP"}],
    }
    await api.create("endpointslices.discovery.k8s.io", slice_, "default")


def refusal(run: Run, scenario: Callable[[Hook], Coroutine[Any, Any, Any]]) -> StatusError:
    with pytest.raises(StatusError) as caught:
        run(scenario)
    return caught.value


def test_a_patch_changes_what_is_stored(run: Run) -> None:
    async def scenario(hook: Hook) -> dict[str, Any]:
        hook.answer = patch({"op": "add", "path": "/data/added", "value": "by the webhook"})
        await hook.configure()
        await hook.create()
        stored: dict[str, Any] = await hook.api.get("configmaps", "a", "default")
        return stored

    assert run(scenario)["data"] == {"x": "1", "added": "by the webhook"}


def test_what_a_webhook_is_told(run: Run) -> None:
    async def scenario(hook: Hook) -> dict[str, Any]:
        await hook.configure()
        await hook.create()
        return hook.reviews[0]

    request = run(scenario)

    assert request["path"] == "/check?timeout=10s"
    assert request["operation"] == "CREATE"
    assert request["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert request["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (request["namespace"], request["name"], request["dryRun"]) == ("default", "a", False)
    assert request["object"]["data"] == {"x": "1"}
    assert request["oldObject"] is None
    assert request["userInfo"]["username"] == "system:apiserver"


def test_a_refusal_has_the_real_words(run: Run) -> None:
    async def scenario(hook: Hook) -> None:
        hook.answer = lambda _: {"allowed": False, "status": {"code": 400, "message": "configuration is invalid: no"}}
        await hook.configure("validating", name="validation.istio.io")
        await hook.create()

    error = refusal(run, scenario)

    assert error.message == 'admission webhook "validation.istio.io" denied the request: configuration is invalid: no'
    assert (error.code, error.reason) == (400, "")


def test_a_refusal_without_a_word(run: Run) -> None:
    async def scenario(hook: Hook) -> None:
        hook.answer = lambda _: {"allowed": False}
        await hook.configure("validating")
        await hook.create()

    error = refusal(run, scenario)

    assert error.message == 'admission webhook "hook.test.dev" denied the request without explanation'
    assert error.code == 400


def test_warnings_reach_the_client(run: Run) -> None:
    async def scenario(hook: Hook) -> list[str]:
        hook.answer = lambda _: {"allowed": True, "warnings": ["take care"]}
        await hook.configure("validating")
        warnings: list[str] = []
        await hook.create(warnings=warnings)
        return warnings

    assert run(scenario) == ["take care"]


PREFIX = (
    'Internal error occurred: failed calling webhook "hook.test.dev": failed to call webhook: '
    'Post "https://hook.default.svc:443/check?timeout=10s": '
)


def test_an_unreachable_webhook_fails_the_request(run: Run) -> None:
    async def scenario(hook: Hook) -> None:
        await hook.configure()
        hook.node.port = 0
        await hook.create()

    error = refusal(run, scenario)

    assert error.message == PREFIX + "dial tcp 10.1.2.3:9443: connect: connection refused"
    assert (error.code, error.reason) == (500, "InternalError")


def test_without_ready_endpoints_or_service(run: Run) -> None:
    async def no_endpoints(hook: Hook) -> None:
        await hook.configure()
        await hook.api.delete("endpointslices.discovery.k8s.io", "hook-1", "default")
        await hook.create()

    async def no_service(hook: Hook) -> None:
        await hook.configure()
        await hook.api.delete("services", "hook", "default")
        await hook.create()

    assert refusal(run, no_endpoints).message == PREFIX + 'no endpoints available for service "hook"'
    assert refusal(run, no_service).message == PREFIX + 'service "hook" not found'


def test_failure_policy_ignore_goes_on(run: Run) -> None:
    async def scenario(hook: Hook) -> dict[str, Any]:
        await hook.configure(failurePolicy="Ignore")
        hook.node.port = 0
        return await hook.create()

    assert run(scenario)["data"] == {"x": "1"}


def test_a_certificate_that_the_bundle_does_not_vouch_for(run: Run, tmp_path: Path) -> None:
    async def scenario(hook: Hook) -> None:
        other = tmp_path / "other"
        other.mkdir()
        hook.ca = certificate(other)[1]
        await hook.configure()
        await hook.create()

    assert "tls: failed to verify certificate: x509" in refusal(run, scenario).message


def test_a_webhook_that_takes_too_long(run: Run) -> None:
    async def scenario(hook: Hook) -> None:
        hook.delay = asyncio.Event()
        await hook.configure(timeoutSeconds=1)
        try:
            await hook.create()
        finally:
            hook.delay.set()

    assert refusal(run, scenario).message.endswith('check?timeout=1s": context deadline exceeded')


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"uid": "another", "allowed": True}, 'got "another"'),
        ({"allowed": True, "patch": "W10=", "patchType": "Other"}, 'invalid response.patchType of "Other"'),
        ({"allowed": True, "patch": "!", "patchType": "JSONPatch"}, "the patch is no JSON patch"),
    ],
)
def test_answers_that_break_the_protocol(run: Run, answer: dict[str, Any], words: str) -> None:
    async def scenario(hook: Hook) -> None:
        hook.answer = lambda _: answer
        await hook.configure()
        await hook.create()

    assert words in refusal(run, scenario).message


def test_an_error_status(run: Run) -> None:
    async def scenario(hook: Hook) -> None:
        hook.status = 503
        await hook.configure()
        await hook.create()

    assert "responded with the status code 503" in refusal(run, scenario).message


@pytest.mark.parametrize(
    ("webhook", "asked"),
    [
        ({"objectSelector": {"matchLabels": {"app": "web"}}}, True),
        ({"objectSelector": {"matchLabels": {"app": "other"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": "istio-injection", "operator": "Exists"}]}}, False),
        ({"matchConditions": [{"name": "one", "expression": "object.data.x == '1'"}]}, True),
        ({"matchConditions": [{"name": "two", "expression": "request.operation == 'DELETE'"}]}, False),
        ({"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}, True),
        ({"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]}, True),
        ({"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["pods"]}]}, False),
        ({"rules": [{"operations": ["UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}, False),
        (
            {
                "rules": [
                    {
                        "operations": ["*"],
                        "apiGroups": ["*"],
                        "apiVersions": ["*"],
                        "resources": ["*"],
                        "scope": "Cluster",
                    }
                ]
            },
            False,
        ),
    ],
)
def test_who_is_asked(run: Run, webhook: dict[str, Any], asked: bool) -> None:
    async def scenario(hook: Hook) -> int:
        await hook.configure(**webhook)
        await hook.create()
        return len(hook.reviews)

    assert run(scenario) == int(asked)


def test_the_next_webhook_sees_what_the_one_before_did(run: Run) -> None:
    async def scenario(hook: Hook) -> list[Any]:
        hook.answer = patch({"op": "add", "path": "/metadata/labels/seen", "value": "yes"})
        await hook.configure(name="a.test.dev")
        await hook.configure(name="b.test.dev")
        await hook.create()
        return [review["object"]["metadata"]["labels"].get("seen") for review in hook.reviews]

    assert run(scenario) == [None, "yes"]


def test_containers_that_a_webhook_adds_get_the_account_token_too(run: Run) -> None:
    async def scenario(hook: Hook) -> dict[str, Any]:
        side = {"name": "istio-proxy", "image": "proxy", "restartPolicy": "Always"}
        hook.answer = patch({"op": "add", "path": "/spec/initContainers", "value": [side]})
        rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        await hook.configure(rules=[rule])
        await hook.api.create("serviceaccounts", {"metadata": {"name": "default"}}, "default")
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "web"}]}}
        return await hook.api.create("pods", pod, "default")

    spec = run(scenario)["spec"]
    mounts = [container["volumeMounts"] for container in (*spec["containers"], *spec["initContainers"])]

    assert mounts[0] == mounts[1]
    assert mounts[0][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert len([v for v in spec["volumes"] if v["name"].startswith("kube-api-access-")]) == 1


def test_deletions_are_asked_about_with_the_old_object(run: Run) -> None:
    async def scenario(hook: Hook) -> dict[str, Any]:
        rule = {"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
        await hook.configure("validating", rules=[rule])
        await hook.create()
        await hook.api.delete("configmaps", "a", "default")
        return hook.reviews[0]

    request = run(scenario)

    assert request["object"] is None
    assert request["oldObject"]["data"] == {"x": "1"}
