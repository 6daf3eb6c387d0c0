from __future__ import annotations

import ssl
import stat
from pathlib import Path

from cryptography import x509

from meshdojo.embedded.certificates import new_token, write_serving_certificate


def test_the_serving_certificate_is_valid_for_its_addresses(tmp_path: Path) -> None:
    write_serving_certificate(tmp_path, ["127.64.0.1"])
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.64.0.1" in map(str, names.get_values_for_type(x509.IPAddress))
    certificate.verify_directly_issued_by(authority)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")


def test_keys_are_for_the_owner_alone_and_made_once(tmp_path: Path) -> None:
    write_serving_certificate(tmp_path, ["127.64.0.1"])
    key = (tmp_path / "server.key").read_bytes()
    assert stat.S_IMODE((tmp_path / "server.key").stat().st_mode) == 0o600
    write_serving_certificate(tmp_path, ["127.64.0.1"])
    assert (tmp_path / "server.key").read_bytes() == key


def test_tokens_differ() -> None:
    assert new_token() != new_token()
