"""Questions that are asked by creating an object: who am I, is this token good, may they do that; and token requests.

Nothing of it is stored. Source: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/ and
authorization-resources.
"""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.auth.authentication import Authenticator
from meshdojo.kubernetes.auth.authorization import Access, Authorizer
from meshdojo.kubernetes.auth.rbac import RBAC
from meshdojo.kubernetes.auth.tokens import ISSUER, InvalidToken, TokenSigner
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.requests import User
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.store import Store
from meshdojo.kubernetes.timestamps import now

MIN_TOKEN_SECONDS, DEFAULT_TOKEN_SECONDS, MAX_TOKEN_SECONDS = 600, 3600, 2**32
_BINDABLE = {"Pod": "pods", "Secret": "secrets"}


class Reviews:
    """Answers the kinds of authentication.k8s.io and authorization.k8s.io."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer, rbac: RBAC) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._rbac = rbac

    def answer(self, resource: Resource, review: Object, user: User) -> Object:
        """The review with its status. Raises StatusError 400, 422."""
        spec = review.get("spec") or {}
        match resource.plural:
            case "selfsubjectreviews":
                status: Object = {"userInfo": user.info()}
            case "tokenreviews":
                status = self._token(spec)
            case "selfsubjectrulesreviews":
                status = self._rules(spec, user)
            case "selfsubjectaccessreviews":
                status = self._access(resource, spec, user)
            case _:
                status = self._access(resource, spec, _subject(resource, spec))
        return {**review, "metadata": review.get("metadata") or {}, "status": status}

    def _token(self, spec: Object) -> Object:
        audiences = spec.get("audiences") or [ISSUER]
        token = spec.get("token", "")
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        try:
            user = self._authenticator.user(token, audiences)
        except InvalidToken as error:
            return {"user": {}, "error": str(error)}
        return {"authenticated": True, "user": user.info(), "audiences": audiences}

    def _rules(self, spec: Object, user: User) -> Object:
        """Source: pkg/registry/authorization/selfsubjectrulesreview."""
        namespace = spec.get("namespace", "")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        rules, problems = self._rbac.rules(user, namespace)
        status: Object = {
            "resourceRules": [_resource_rule(rule) for rule in rules if rule.get("resources")],
            "nonResourceRules": [
                {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
                for rule in rules
                if rule.get("nonResourceURLs")
            ],
            "incomplete": False,
        }
        return {**status, "evaluationError": ", ".join(problems)} if problems else status

    def _access(self, resource: Resource, spec: Object, user: User) -> Object:
        attributes, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if bool(attributes) == bool(path):
            words = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise errors.invalid_object(
                resource, "", [FieldError.invalid("spec.resourceAttributes", attributes, words)]
            )
        decision = self._authorizer.authorize(_asked(user, attributes or {}, path or {}))
        status: Object = {"allowed": decision.allowed}
        return {**status, "reason": decision.reason} if decision.reason else status


def _asked(user: User, attributes: Object, path: Object) -> Access:
    return Access(
        user,
        path.get("verb") or attributes.get("verb", ""),
        attributes.get("group", ""),
        attributes.get("resource", ""),
        attributes.get("subresource", ""),
        attributes.get("namespace", ""),
        attributes.get("name", ""),
        path.get("path", ""),
    )


def _subject(resource: Resource, spec: Object) -> User:
    if not spec.get("user") and not spec.get("groups"):
        problem = FieldError.invalid("spec.user", "", "at least one of user or group must be specified")
        raise errors.invalid_object(resource, "", [problem])
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))


def _resource_rule(rule: Object) -> Object:
    return {field: rule[field] for field in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(field)}


def issue_token(store: Store, signer: TokenSigner, account: Object, request: Object) -> Object:
    """Answer a TokenRequest for this service account. Raises StatusError 404, 409, 422.

    Source: pkg/registry/core/serviceaccount/storage/token.go.
    """
    spec = request.get("spec") or {}
    seconds = spec.get("expirationSeconds") or DEFAULT_TOKEN_SECONDS
    _check_seconds(seconds)
    metadata = account["metadata"]
    private: dict[str, Any] = {
        "namespace": metadata["namespace"],
        "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
    }
    private |= _bound_object(store, metadata["namespace"], spec.get("boundObjectRef"))
    audiences = spec.get("audiences") or [ISSUER]
    subject = f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}"
    token = signer.sign({"aud": audiences, "sub": subject, "kubernetes.io": private}, seconds=seconds)
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "creationTimestamp": now()},
        "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
        "status": {"token": token, "expirationTimestamp": now(seconds)},
    }


def _check_seconds(seconds: Any) -> None:
    field = "spec.expirationSeconds"
    if not isinstance(seconds, int) or seconds < MIN_TOKEN_SECONDS:
        problem = FieldError.invalid(field, seconds, "may not specify a duration less than 10 minutes")
    elif seconds > MAX_TOKEN_SECONDS:
        problem = FieldError.invalid(field, seconds, "may not specify a duration larger than 2^32 seconds")
    else:
        return
    raise errors.invalid("authentication.k8s.io", "TokenRequest", "", [problem])


def _bound_object(store: Store, namespace: str, reference: Object | None) -> dict[str, Any]:
    if not reference:
        return {}
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if kind not in _BINDABLE:
        raise errors.bad_request(f"cannot bind token to object of type {reference.get('apiVersion')}, Kind={kind}")
    obj = store.get(_BINDABLE[kind], namespace, name)
    if obj is None:
        raise errors.StatusError(
            404, "NotFound", f'{_BINDABLE[kind]} "{name}" not found', {"name": name, "kind": _BINDABLE[kind]}
        )
    uid = obj["metadata"]["uid"]
    if reference.get("uid") not in (None, "", uid):
        words = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
        words += "The object might have been deleted and then recreated"
        message = f'Operation cannot be fulfilled on {_BINDABLE[kind]} "{name}": {words}'
        raise errors.StatusError(409, "Conflict", message, {"name": name, "kind": _BINDABLE[kind]})
    return {kind.lower(): {"name": name, "uid": uid}}
