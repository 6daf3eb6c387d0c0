"""TLS contexts: mutual TLS of the mesh, towards other servers, and what a gateway serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.messages import (
    BoolValue,
    CertificateValidationContext,
    CommonTlsContext,
    DataSource,
    DownstreamTlsContext,
    RawBuffer,
    SdsSecretConfig,
    StringMatcher,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
    UpstreamTlsContext,
)
from meshdojo.istio.models.common import ServerTLSSettings
from meshdojo.istio.models.destination_rule import ClientTLSSettings
from meshdojo.istio.translation.build import ads, transport_socket

WORKLOAD_SECRET, ROOT_SECRET = "default", "ROOTCA"
MESH_ALPN = ("istio-peer-exchange", "istio", "istio-http/1.0", "istio-http/1.1", "istio-h2")
CREDENTIAL_PREFIX, CA_SUFFIX = "kubernetes://", "-cacert"
# Envoy's own default bundle of certificate authorities does not exist; this is Istio's (Debian's) place.
SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_VERSIONS = {
    "TLS_AUTO": TlsParameters.TLS_AUTO,
    "TLSV1_0": TlsParameters.TLSv1_0,
    "TLSV1_1": TlsParameters.TLSv1_1,
    "TLSV1_2": TlsParameters.TLSv1_2,
    "TLSV1_3": TlsParameters.TLSv1_3,
}


def _secret(name: str) -> Any:
    return SdsSecretConfig(name=name, sds_config=ads())


def _mesh_parameters() -> Any:
    return TlsParameters(
        tls_minimum_protocol_version=TlsParameters.TLSv1_2, tls_maximum_protocol_version=TlsParameters.TLSv1_3
    )


def _combined(matchers: Iterable[Any], secret: str) -> Any:
    return CommonTlsContext.CombinedCertificateValidationContext(
        default_validation_context=CertificateValidationContext(match_typed_subject_alt_names=matchers),
        validation_context_sds_secret_config=_secret(secret),
    )


def _uri(**match: str) -> Any:
    return SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.URI, matcher=StringMatcher(**match))


def mesh_client(name: ClusterName, identities: Iterable[str], sni: str = "") -> Any:
    """Mutual TLS towards pods of the mesh, whose certificates must carry one of `identities` (none: any)."""
    common = CommonTlsContext(
        tls_params=_mesh_parameters(),
        alpn_protocols=["istio"],
        tls_certificate_sds_secret_configs=[_secret(WORKLOAD_SECRET)],
        combined_validation_context=_combined([_uri(exact=one) for one in identities], ROOT_SECRET),
    )
    return transport_socket("tls", UpstreamTlsContext(common_tls_context=common, sni=sni or name.sni))


def mesh_server(trust_domain: str) -> Any:
    """Mutual TLS as a sidecar serves it."""
    common = CommonTlsContext(
        tls_params=_mesh_parameters(),
        alpn_protocols=["h2", "http/1.1"],
        tls_certificate_sds_secret_configs=[_secret(WORKLOAD_SECRET)],
        combined_validation_context=_combined([_uri(prefix=f"spiffe://{trust_domain}/")], ROOT_SECRET),
    )
    return transport_socket(
        "tls", DownstreamTlsContext(common_tls_context=common, require_client_certificate=BoolValue(value=True))
    )


def plain() -> Any:
    """The transport socket without TLS."""
    return transport_socket("raw_buffer", RawBuffer())


def client(settings: ClientTLSSettings, host: str, http2: bool) -> Any:
    """SIMPLE and MUTUAL of a DestinationRule, towards servers that are not the mesh's."""
    common = CommonTlsContext(alpn_protocols=["h2"] if http2 else [])
    if settings.credential_name:
        name = f"{CREDENTIAL_PREFIX}{settings.credential_name}"
        if settings.mode == "MUTUAL":
            common.tls_certificate_sds_secret_configs.append(_secret(name))
        if not settings.insecure_skip_verify:
            common.combined_validation_context.CopyFrom(_combined(_names(settings), name + CA_SUFFIX))
    else:
        _client_files(common, settings)
    wildcard = host.startswith("*")
    return transport_socket(
        "tls", UpstreamTlsContext(common_tls_context=common, sni=settings.sni or ("" if wildcard else host))
    )


def _client_files(common: Any, settings: ClientTLSSettings) -> None:
    if settings.mode == "MUTUAL":
        common.tls_certificates.append(
            TlsCertificate(
                certificate_chain=DataSource(filename=settings.client_certificate),
                private_key=DataSource(filename=settings.private_key),
            )
        )
    roots = settings.ca_certificates or SYSTEM_ROOTS
    if not settings.insecure_skip_verify and roots != "system":
        common.validation_context.CopyFrom(
            CertificateValidationContext(
                trusted_ca=DataSource(filename=roots), match_typed_subject_alt_names=_names(settings)
            )
        )


def _names(settings: ClientTLSSettings) -> list[Any]:
    kinds = (SubjectAltNameMatcher.DNS, SubjectAltNameMatcher.URI)
    return [
        SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=name))
        for name in settings.subject_alt_names
        for kind in kinds
    ]


def gateway_server(settings: ServerTLSSettings) -> Any:
    """What a Gateway's HTTPS server presents: SIMPLE, MUTUAL, OPTIONAL_MUTUAL or ISTIO_MUTUAL."""
    if settings.mode == "ISTIO_MUTUAL":
        return mesh_server("")
    name = f"{CREDENTIAL_PREFIX}{settings.credential_name}"
    common = CommonTlsContext(
        tls_params=TlsParameters(
            tls_minimum_protocol_version=_VERSIONS[settings.min_protocol_version],
            tls_maximum_protocol_version=_VERSIONS[settings.max_protocol_version],
            cipher_suites=settings.cipher_suites,
        ),
        alpn_protocols=["h2", "http/1.1"],
    )
    if settings.credential_name:
        common.tls_certificate_sds_secret_configs.append(_secret(name))
    else:
        common.tls_certificates.append(
            TlsCertificate(
                certificate_chain=DataSource(filename=settings.server_certificate),
                private_key=DataSource(filename=settings.private_key),
            )
        )
    mutual = settings.mode in ("MUTUAL", "OPTIONAL_MUTUAL")
    if mutual:
        _client_validation(common, settings, name)
    context = DownstreamTlsContext(
        common_tls_context=common, require_client_certificate=BoolValue(value=settings.mode == "MUTUAL")
    )
    return transport_socket("tls", context)


def _client_validation(common: Any, settings: ServerTLSSettings, name: str) -> None:
    matchers = [
        SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=one))
        for one in settings.subject_alt_names
        for kind in (SubjectAltNameMatcher.DNS, SubjectAltNameMatcher.URI)
    ]
    if settings.credential_name:
        common.combined_validation_context.CopyFrom(_combined(matchers, name + CA_SUFFIX))
    else:
        common.validation_context.CopyFrom(
            CertificateValidationContext(
                trusted_ca=DataSource(filename=settings.ca_certificates), match_typed_subject_alt_names=matchers
            )
        )
