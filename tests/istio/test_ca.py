from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from meshdojo.istio.ca import CertificateAuthority


def test_a_workload_certificate_says_who_it_is_and_nothing_else() -> None:
    authority = CertificateAuthority.create()
    pair = authority.certificate("fleet", "web")
    leaf, root = x509.load_pem_x509_certificates(pair.chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/ns/fleet/sa/web"]
    assert leaf.subject == x509.Name([])
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    leaf.verify_directly_issued_by(root)


def test_certificates_live_a_day_and_are_renewed_at_half_of_it() -> None:
    pair = CertificateAuthority.create().certificate("fleet", "web")
    assert pair.expires - pair.issued == timedelta(hours=24)
    assert not pair.due(pair.issued + timedelta(hours=11, minutes=59))
    assert pair.due(pair.issued + timedelta(hours=12))


def test_a_certificate_of_the_future_is_renewed_and_the_root_outlives_a_clock_that_is_put_back() -> None:
    now = datetime.now(UTC)
    authority = CertificateAuthority.create(now=now)
    pair = authority.issue([x509.DNSName("a")], now)
    assert not pair.due(now - timedelta(seconds=30))
    assert pair.due(now - timedelta(hours=1))
    for chain in (authority.root, authority.serving(["istiod"]).chain):
        assert x509.load_pem_x509_certificate(chain).not_valid_before_utc < now - timedelta(hours=23)


def test_an_identity_has_one_certificate_until_it_is_due() -> None:
    authority = CertificateAuthority.create()
    pair = authority.certificate("fleet", "web")
    assert authority.certificate("fleet", "web") is pair
    assert authority.certificate("fleet", "other") is not pair
    assert not authority.any_due(pair.issued)
    assert authority.any_due(pair.issued + timedelta(hours=13))


def test_the_root_survives_in_its_secret() -> None:
    authority = CertificateAuthority.create()
    again = CertificateAuthority.from_secret(authority.to_secret("istio-system"))
    assert again.root == authority.root
    leaf, root = x509.load_pem_x509_certificates(again.certificate("fleet", "web").chain)
    leaf.verify_directly_issued_by(root)


def test_a_broken_secret_is_named() -> None:
    with pytest.raises(ValueError, match=r"istio-ca-secret: ca-cert\.pem or ca-key\.pem is missing"):
        CertificateAuthority.from_secret({"data": {}})
    with pytest.raises(ValueError, match="istio-ca-secret"):
        CertificateAuthority.from_secret({"data": {"ca-cert.pem": "bm8=", "ca-key.pem": "bm8="}})
