"""Service account tokens: JSON web tokens (RFC 7519) signed with ES256.

Source of the claims: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims
"""

from __future__ import annotations

import base64
import binascii
import os
import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ISSUER = "https://kubernetes.default.svc.cluster.local"
_COORDINATE_BYTES = 32


class InvalidToken(Exception):
    """The token is not one of ours, or no longer valid; the message says why."""


class TokenSigner:
    """Signs and verifies with one P-256 key. The key is loaded (or made) when it is first needed."""

    def __init__(self, path: Path | None = None) -> None:
        """`path`: the PEM file that keeps the key, made if it is missing; None: a key of this process only."""
        self._path = path

    @cached_property
    def _key(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if self._path is not None and self._path.exists():
            key = load_pem_private_key(self._path.read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return key
        key = ec.generate_private_key(ec.SECP256R1())
        if self._path is not None:
            _write_key(self._path, key)
        return key

    def sign(self, claims: Mapping[str, Any], *, seconds: int) -> str:
        """A token with these claims that is valid from now on for so many seconds."""
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        issued = int(time.time())
        lifetime = {"iss": ISSUER, "iat": issued, "nbf": issued, "exp": issued + seconds, "jti": str(uuid.uuid4())}
        header = {"alg": "ES256", "kid": self.key_id}
        signed = f"{_encode(orjson.dumps(header))}.{_encode(orjson.dumps({**lifetime, **claims}))}"
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
        return f"{signed}.{_encode(signature)}"

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that we signed and that is valid now. Raises InvalidToken."""
        signed, _, signature = token.rpartition(".")
        try:
            claims = orjson.loads(_decode(signed.partition(".")[2]))
            self._check_signature(signed.encode(), _decode(signature))
        except (ValueError, binascii.Error):
            raise InvalidToken("invalid bearer token") from None
        if not isinstance(claims, dict) or claims.get("iss") != ISSUER:
            raise InvalidToken("invalid bearer token")
        if not claims.get("nbf", 0) <= time.time() + 1 <= claims.get("exp", 0) + 1:
            raise InvalidToken("service account token has expired")
        return claims

    def _check_signature(self, signed: bytes, signature: bytes) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        if len(signature) != 2 * _COORDINATE_BYTES:
            raise ValueError
        r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
        try:
            self._key.public_key().verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise ValueError from None

    @cached_property
    def key_id(self) -> str:
        """The "kid" of tokens and of `jwks`."""
        import hashlib

        return _encode(hashlib.sha256(b"".join(self._coordinates)).digest())

    @property
    def _coordinates(self) -> tuple[bytes, bytes]:
        numbers = self._key.public_key().public_numbers()
        return numbers.x.to_bytes(_COORDINATE_BYTES, "big"), numbers.y.to_bytes(_COORDINATE_BYTES, "big")

    def jwks(self) -> dict[str, Any]:
        """The JSON web key set (/openid/v1/jwks) with which others verify our tokens."""
        x, y = (_encode(number) for number in self._coordinates)
        key = {"use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256", "x": x, "y": y}
        return {"keys": [key]}


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def _write_key(path: Path, key: EllipticCurvePrivateKey) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
