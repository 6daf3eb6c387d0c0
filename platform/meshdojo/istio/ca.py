"""The certificate authority of the mesh: a self-signed root, and workload certificates with SPIFFE identities.

The root lives in the secret ``istio-system/istio-ca-secret``, under the keys that real Istio uses, so that it
survives istiod. Workload certificates are ECDSA P-256, valid for 24 hours, and renewed when half of that has passed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SECRET = "istio-ca-secret"  # noqa: S105  a name
SECRET_TYPE = "istio.io/ca-root"  # noqa: S105
ROOT_CONFIG_MAP = "istio-ca-root-cert"
WORKLOAD_HOURS = timedelta(hours=24)
ROOT_YEARS = timedelta(days=3650)
# Clocks differ, also between a suspended laptop and its containers.
_SKEW = timedelta(minutes=2)
# What is never renewed outlives a clock that is put back by less than this.
_LONG_SKEW = timedelta(days=1)
UTC = timezone.utc  # noqa: UP017  cryptography and mypy agree on this spelling


@dataclass(frozen=True)
class KeyPair:
    """A certificate chain and its private key, PEM; valid until `expires` (UTC)."""

    chain: bytes
    key: bytes
    expires: datetime
    issued: datetime

    def due(self, now: datetime) -> bool:
        """Whether it has to be renewed: half of its life has passed, or the clock was put back to before it began."""
        return now < self.issued - _SKEW or now >= self.issued + (self.expires - self.issued) / 2


class CertificateAuthority:
    """Issues certificates of one root. `serial` grows when workload certificates are issued anew."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, trust_domain: str) -> None:
        self.root = certificate.public_bytes(serialization.Encoding.PEM)
        self.serial = 1
        self._certificate = certificate
        self._key = key
        self._trust_domain = trust_domain
        self._issued: dict[tuple[str, str], KeyPair] = {}

    @classmethod
    def create(cls, trust_domain: str = "cluster.local", now: datetime | None = None) -> CertificateAuthority:
        """A new root."""
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain)])
        builder = _builder(name, name, key.public_key(), now - _LONG_SKEW, ROOT_YEARS)
        usage = _key_usage(sign_certificates=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, hashes.SHA256()), key, trust_domain)

    @classmethod
    def from_secret(cls, secret: Mapping[str, Any], trust_domain: str = "cluster.local") -> CertificateAuthority:
        """The root of an earlier istiod. Raises ValueError for a secret that holds no usable EC key pair."""
        data = secret.get("data") or {}
        try:
            certificate = x509.load_pem_x509_certificate(base64.b64decode(data["ca-cert.pem"]))
            key = serialization.load_pem_private_key(base64.b64decode(data["ca-key.pem"]), password=None)
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"secret {SECRET}: ca-cert.pem or ca-key.pem is missing or no PEM ({error})") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"secret {SECRET}: ca-key.pem is no EC key; delete the secret to get a new root")
        return cls(certificate, key, trust_domain)

    def to_secret(self, namespace: str) -> dict[str, Any]:
        """The secret that keeps the root."""
        data = {"ca-cert.pem": self.root, "ca-key.pem": _key_pem(self._key)}
        data |= {"cert-chain.pem": b"", "key.pem": b"", "root-cert.pem": b""}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": namespace},
            "type": SECRET_TYPE,
            "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
        }

    def certificate(self, namespace: str, service_account: str) -> KeyPair:
        """The present certificate of an identity; a new one when it is due."""
        now = datetime.now(UTC)
        known = self._issued.get((namespace, service_account))
        if known is None or known.due(now):
            uri = f"spiffe://{self._trust_domain}/ns/{namespace}/sa/{service_account}"
            known = self.issue([x509.UniformResourceIdentifier(uri)], now)
            self._issued[namespace, service_account] = known
        return known

    def any_due(self, now: datetime | None = None) -> bool:
        """Whether some workload certificate has to be renewed."""
        now = now or datetime.now(UTC)
        return any(pair.due(now) for pair in self._issued.values())

    def serving(self, names: Sequence[str]) -> KeyPair:
        """A server certificate for DNS names (istiod's own webhooks). Nothing renews it: it began a day ago."""
        now = datetime.now(UTC)
        return self.issue([x509.DNSName(name) for name in names], now - _LONG_SKEW, ROOT_YEARS / 10)

    def issue(self, names: Sequence[x509.GeneralName], now: datetime, life: timedelta = WORKLOAD_HOURS) -> KeyPair:
        """A certificate without a subject, as Istio's: the names alone (critical) say who it is."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name([]), self._certificate.subject, key.public_key(), now, life)
        builder = builder.add_extension(_key_usage(), critical=True)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        chain = certificate.public_bytes(serialization.Encoding.PEM) + self.root
        return KeyPair(chain, _key_pem(key), now + life, now)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
    )


def _key_usage(*, sign_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=not sign_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
