"""What is not a resource: version, health, discovery, OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import discovery, errors, metrics, views
from meshdojo.kubernetes.auth.tokens import ISSUER, TokenSigner
from meshdojo.kubernetes.http.negotiation import JSON, parse_accept
from meshdojo.kubernetes.http.responses import answer, not_found
from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.version import VERSION

if TYPE_CHECKING:
    from meshdojo.kubernetes import openapi

HEALTH = ("/healthz", "/livez", "/readyz")


class Documents:
    """Answers GET on every path that is not a resource's."""

    def __init__(self, catalogue: Catalogue, signer: TokenSigner) -> None:
        self._catalogue = catalogue
        self.served = discovery.Aggregated(catalogue, Catalogue(metrics.RESOURCES), Catalogue(views.RESOURCES))
        self._signer = signer
        self._openapi: openapi.Documents | None = None
        self._fixed: dict[str, Callable[[Request], Response]] = {
            "/version": lambda _: answer(VERSION, pretty=True),
            "/": lambda _: answer({"paths": self._paths()}),
            "/api": self._core,
            "/apis": self._groups,
            "/openapi/v2": lambda _: self._openapi_v2(),
            "/openapi/v3": lambda _: Response(self._open_api().index(), media_type=JSON),
            "/openid/v1/jwks": lambda _: answer(self._signer.jwks(), media_type="application/jwk-set+json"),
            "/.well-known/openid-configuration": lambda _: answer(_OPENID),
        }

    def answer(self, request: Request) -> Response:
        """The document at the request's path. Raises StatusError 405, 406."""
        path = request.url.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            raise errors.method_not_allowed()
        if path.startswith(HEALTH):
            return self._health(path, request)
        if path in self._fixed:
            return self._fixed[path](request)
        match path.strip("/").split("/"):
            case ["api", version]:
                return _or_not_found(discovery.resource_list(self.served, "", version))
            case ["apis", group]:
                return _or_not_found(discovery.group(self.served, group))
            case ["apis", group, version]:
                return _or_not_found(discovery.resource_list(self.served, group, version))
            case ["openapi", "v3", "api", version]:
                return self._openapi_v3("", version)
            case ["openapi", "v3", "apis", group, version]:
                return self._openapi_v3(group, version)
        return not_found()

    def _health(self, path: str, request: Request) -> Response:
        if path not in HEALTH and not path.startswith(tuple(f"{health}/" for health in HEALTH)):
            return not_found()
        check = path.strip("/").partition("/")[0]
        if "verbose" in request.query_params:
            return Response(f"[+]ping ok\n[+]journal ok\n{check} check passed\n", media_type="text/plain")
        return Response("ok", media_type="text/plain")

    def _core(self, request: Request) -> Response:
        if _wants_aggregated(request):
            return answer(discovery.aggregated_core(self.served), media_type=discovery.AGGREGATED)
        return answer(discovery.core_versions(request.headers.get("host", "")))

    def _groups(self, request: Request) -> Response:
        if _wants_aggregated(request):
            return answer(discovery.aggregated_groups(self.served), media_type=discovery.AGGREGATED)
        return answer(discovery.group_list(self.served))

    def _open_api(self) -> openapi.Documents:
        if self._openapi is None:
            from meshdojo.kubernetes import openapi

            self._openapi = openapi.Documents(self._catalogue)
        return self._openapi

    def _openapi_v2(self) -> Response:
        from meshdojo.kubernetes import openapi

        return Response(openapi.V2_STUB, media_type=openapi.V2_CONTENT_TYPE)

    def _openapi_v3(self, group: str, version: str) -> Response:
        body = self._open_api().group_version(group, version)
        return not_found() if body is None else Response(body, media_type=JSON)

    def _paths(self) -> list[str]:
        groups = [f"/apis/{group}" for group in self.served.groups() if group]
        return sorted([*self._fixed, *HEALTH, "/api/v1", *groups])


_OPENID = {
    "issuer": ISSUER,
    "jwks_uri": f"{ISSUER}/openid/v1/jwks",
    "response_types_supported": ["id_token"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["ES256"],
}


def _wants_aggregated(request: Request) -> bool:
    """Whether the aggregated form comes before plain JSON in the Accept header."""
    for entry in parse_accept(request.headers.get("accept", "")):
        if entry.parameters.get("as") == "APIGroupDiscoveryList" and entry.parameters.get("v") == "v2":
            return True
        if entry.name == JSON and "as" not in entry.parameters:
            return False
    return False


def _or_not_found(document: Object | None) -> Response:
    return not_found() if document is None else answer(document)
