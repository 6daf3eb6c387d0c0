"""Service account tokens: what we signed is good, everything else is not."""

from __future__ import annotations

import base64
import json
import stat
import time
from pathlib import Path

import pytest

from meshdojo.kubernetes.auth.tokens import ISSUER, InvalidToken, TokenSigner


def test_a_token_carries_its_claims() -> None:
    signer = TokenSigner()

    claims = signer.verify(signer.sign({"sub": "me", "aud": ["x"]}, seconds=60))

    assert (claims["sub"], claims["aud"], claims["iss"]) == ("me", ["x"], ISSUER)
    assert claims["exp"] - claims["iat"] == 60
    assert claims["jti"]


def test_the_key_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "sa.key"

    token = TokenSigner(path).sign({"sub": "me"}, seconds=60)

    assert TokenSigner(path).verify(token)["sub"] == "me"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InvalidToken):
        TokenSigner().verify(token)


def test_a_token_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = TokenSigner()
    token = signer.sign({"sub": "me"}, seconds=60)
    later = time.time() + 62
    monkeypatch.setattr(time, "time", lambda: later)

    with pytest.raises(InvalidToken, match="expired"):
        signer.verify(token)


def forged(token: str) -> str:
    header, claims, signature = token.split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"sub": "system:admin"}
    encoded = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    return f"{header}.{encoded}.{signature}"


def test_what_we_did_not_sign_is_refused() -> None:
    signer = TokenSigner()
    token = signer.sign({"sub": "me"}, seconds=60)

    for wrong in (forged(token), token[:-4], token + "x", "a.b.c", "", "....", "é.é.é", token.rpartition(".")[0] + "."):
        with pytest.raises(InvalidToken, match="invalid bearer token"):
            signer.verify(wrong)


def test_others_can_verify_with_the_published_key() -> None:
    signer = TokenSigner()

    (key,) = signer.jwks()["keys"]
    header = json.loads(base64.urlsafe_b64decode(signer.sign({}, seconds=60).split(".")[0] + "=="))

    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
    assert header == {"alg": "ES256", "kid": key["kid"]}
    assert len(base64.urlsafe_b64decode(key["x"] + "=")) == 32
