"""Secrets (SDS): the workload's certificate, the mesh's root, and what Gateways and DestinationRules refer to."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Protocol

from meshdojo.istio.messages import CertificateValidationContext, DataSource, Secret, TlsCertificate
from meshdojo.istio.translation.tls import CA_SUFFIX, CREDENTIAL_PREFIX, ROOT_SECRET, WORKLOAD_SECRET

Object = Mapping[str, Any]
# tls.* of kubernetes.io/tls, and the older names that Istio still takes.
_CERTIFICATE, _KEY, _CA = ("tls.crt", "cert"), ("tls.key", "key"), ("ca.crt", "cacert")


class Certificate(Protocol):
    """A key pair, PEM."""

    @property
    def chain(self) -> bytes:
        """Certificate and what signed it, PEM."""
        ...

    @property
    def key(self) -> bytes:
        """The private key, PEM."""
        ...


def workload(certificate: Certificate) -> Any:
    """The proxy's own certificate."""
    return Secret(name=WORKLOAD_SECRET, tls_certificate=_pair(certificate.chain, certificate.key))


def root(pem: bytes) -> Any:
    """What certificates of the mesh are checked against."""
    return Secret(name=ROOT_SECRET, validation_context=_authority(pem))


def credential(name: str, secrets: Mapping[tuple[str, str], Object], namespace: str) -> Any:
    """The Envoy secret ``kubernetes://NAME`` or ``kubernetes://NAME-cacert``; None when there is no usable Secret.

    It is looked for in the gateway's own namespace. CA certificates come from the Secret itself or from one called
    NAME-cacert.
    """
    plain = name.removeprefix(CREDENTIAL_PREFIX)
    if plain.endswith(CA_SUFFIX):
        candidates = secrets.get((namespace, plain)), secrets.get((namespace, plain.removesuffix(CA_SUFFIX)))
        authority = next((pem for one in candidates if one is not None and (pem := _data(one, _CA))), None)
        return Secret(name=name, validation_context=_authority(authority)) if authority else None
    found = secrets.get((namespace, plain))
    if found is None:
        return None
    chain, key = _data(found, _CERTIFICATE), _data(found, _KEY)
    return Secret(name=name, tls_certificate=_pair(chain, key)) if chain and key else None


def _data(secret: Object, names: tuple[str, str]) -> bytes:
    given = secret.get("data") or {}
    for name in names:
        if given.get(name):
            try:
                return base64.b64decode(given[name])
            except binascii.Error:
                return b""
    return b""


def _pair(chain: bytes, key: bytes) -> Any:
    return TlsCertificate(certificate_chain=DataSource(inline_bytes=chain), private_key=DataSource(inline_bytes=key))


def _authority(pem: bytes) -> Any:
    return CertificateValidationContext(trusted_ca=DataSource(inline_bytes=pem))
