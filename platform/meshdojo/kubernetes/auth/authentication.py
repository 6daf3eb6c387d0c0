"""From a bearer token to a user."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from meshdojo.kubernetes import errors
from meshdojo.kubernetes.auth.tokens import ISSUER, InvalidToken, TokenSigner
from meshdojo.kubernetes.requests import User
from meshdojo.kubernetes.store import Store


class Authenticator:
    """Knows the static tokens, and the service accounts whose tokens we signed."""

    def __init__(self, store: Store, signer: TokenSigner, static: Mapping[str, User]) -> None:
        self._store = store
        self._signer = signer
        self._static = dict(static)

    def authenticate(self, authorization: str) -> User | None:
        """The user of an Authorization header; None without a bearer token. Raises StatusError 401."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return self.user(token.strip())
        except InvalidToken:
            raise errors.unauthorized() from None

    def user(self, token: str, audiences: Sequence[str] = (ISSUER,)) -> User:
        """The user of a token that is meant for one of these audiences. Raises InvalidToken."""
        for known, user in self._static.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                return user
        claims = self._signer.verify(token)
        if not set(audiences) & set(claims.get("aud") or []):
            raise InvalidToken(f"token audiences {claims.get('aud')} is invalid for the target audiences {audiences}")
        return self._service_account(claims)

    def _service_account(self, claims: Mapping[str, Any]) -> User:
        """Source: pkg/serviceaccount: the account and what the token is bound to must still be there."""
        private = claims["kubernetes.io"]
        namespace = private["namespace"]
        account = private["serviceaccount"]
        self._check_exists("serviceaccounts", namespace, account)
        extra = [("authentication.kubernetes.io/credential-id", (f"JTI={claims['jti']}",))]
        if pod := private.get("pod"):
            self._check_exists("pods", namespace, pod)
            extra.append(("authentication.kubernetes.io/pod-name", (pod["name"],)))
            extra.append(("authentication.kubernetes.io/pod-uid", (pod["uid"],)))
        if secret := private.get("secret"):
            self._check_exists("secrets", namespace, secret)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(claims["sub"], groups, account["uid"], tuple(extra))

    def _check_exists(self, storage: str, namespace: str, reference: Mapping[str, str]) -> None:
        obj = self._store.get(storage, namespace, reference["name"])
        if obj is None or obj["metadata"]["uid"] != reference["uid"]:
            raise InvalidToken(f"{storage} {namespace}/{reference['name']} has been deleted")
