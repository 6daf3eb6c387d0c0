"""Messages that several kinds use: selectors, ports, TLS settings, connection pools."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen, MinLen
from pydantic import Field

from meshdojo.istio.models.base import (
    AnyDuration,
    Duration,
    Int32,
    Model,
    NullableBool,
    Rule,
    UInt32,
    schema,
)

SelectedLabels = Annotated[
    dict[
        str,
        Annotated[str, MaxLen(63), schema(Rule('!self.contains("*")', "wildcard not allowed in label value match"))],
    ],
    schema(
        Rule('self.all(key, !key.contains("*"))', "wildcard not allowed in label key match"),
        Rule("self.all(key, key.size() != 0)", "key must not be empty"),
        maxProperties=4096,
    ),
]
NetworkingLabels = Annotated[
    dict[str, Annotated[str, MaxLen(63), schema(Rule('!self.contains("*")', "wildcard is not supported in selector"))]],
    schema(maxProperties=256),
]


class WorkloadSelector(Model):
    """Pods by labels, in the API groups security, telemetry and extensions, and in DestinationRule."""

    match_labels: SelectedLabels = Field(
        default_factory=dict, description="Labels that a pod must all have; without any, every pod is meant."
    )


class NetworkingWorkloadSelector(Model):
    """Pods by labels, in Sidecar, EnvoyFilter and ServiceEntry."""

    labels: NetworkingLabels = Field(
        default_factory=dict, description="Labels that a pod must all have; without any, every pod is meant."
    )


class PolicyTargetReference(Model):
    """An object, usually of the Gateway API, to which a policy is attached."""

    group: Annotated[
        str,
        MaxLen(253),
        schema(pattern=r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
    ] = Field(default="", description="API group of the object; empty for the core group.")
    kind: Annotated[str, MinLen(1), MaxLen(63), schema(pattern="^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")] = Field(
        description="Kind of the object, such as Gateway or Service."
    )
    name: Annotated[str, MinLen(1), MaxLen(253)] = Field(description="Name of the object.")
    namespace: Annotated[
        str, schema(Rule("self.size() == 0", "cross namespace referencing is not currently supported"))
    ] = Field(default="", description="Must stay empty: the object is looked for in the policy's own namespace.")


TargetReferences = Annotated[tuple[PolicyTargetReference, ...], schema(maxItems=16)]
ONE_TARGET = Rule(
    "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1",
    "only one of targetRefs or selector can be set",
)

VALID_PORT = Rule("0 < self && self <= 65535", "port must be between 1-65535")
PortNumber = Annotated[UInt32, schema(VALID_PORT)]


class PortSelector(Model):
    """A port of a service."""

    number: UInt32 = Field(default=0, description="The port's number, as the service declares it.")


class Destination(Model):
    """A service, or a subset of one, as the target of traffic."""

    host: str = Field(
        description="The service's name in the registry. A short name is completed with this object's namespace, so "
        "a full one (web.fleet.svc.cluster.local) is the safe way to write it."
    )
    subset: str = Field(
        default="", description="A subset that a DestinationRule of the host defines; empty means all pods."
    )
    port: PortSelector | None = Field(default=None, description="The service's port. Needed when it has more than one.")


TLSProtocol = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class TLSCertificate(Model):
    """A key pair on the proxy's file system."""

    server_certificate: str = Field(default="", description="Path of the certificate chain (PEM).")
    private_key: str = Field(default="", description="Path of the private key (PEM).")
    ca_certificates: str = Field(
        default="", description="Path of the CA certificates that clients are checked against."
    )


class ServerTLSSettings(Model):
    """How a gateway or a sidecar's ingress listener terminates (or passes on) TLS."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.tlsCertificates) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1",
            "only one of credentialNames or tlsCertificates can be set",
        ),
        Rule(
            "(has(self.credentialName) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1",
            "only one of credentialName or credentialNames can be set",
        ),
        Rule(
            "(has(self.credentialNames) ? 1 : 0) + (has(self.tlsCertificates) ? 1 : 0) <= 1",
            "only one of credentialName or tlsCertificates can be set",
        ),
    )

    https_redirect: bool = Field(
        default=False, description="Answer plain HTTP with a 301 to the https address. For servers of protocol HTTP."
    )
    mode: Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"] = Field(
        default="PASSTHROUGH",
        description="SIMPLE terminates TLS, MUTUAL also demands a client certificate, OPTIONAL_MUTUAL asks for one, "
        "ISTIO_MUTUAL uses the mesh's own certificates, PASSTHROUGH forwards the encrypted bytes by SNI, and "
        "AUTO_PASSTHROUGH does so for names of services without needing a route.",
    )
    server_certificate: str = Field(default="", description="Path of the certificate chain in the proxy (PEM).")
    private_key: str = Field(default="", description="Path of the private key in the proxy (PEM).")
    ca_certificates: str = Field(
        default="", description="Path of the CA certificates that clients are checked against."
    )
    ca_crl: str = Field(default="", description="Path of a list of revoked client certificates.")
    subject_alt_names: tuple[str, ...] = Field(
        default=(), description="Identities of which a client's certificate must carry one."
    )
    credential_name: str = Field(
        default="", description="Secret in the gateway's namespace with tls.crt and tls.key (and ca.crt for MUTUAL)."
    )
    credential_names: Annotated[tuple[str, ...], schema(minItems=1, maxItems=2)] = Field(
        default=(), description="Like credentialName, for two certificates of different key types."
    )
    ca_cert_credential_name: str = Field(default="", description="Secret that only holds the CA certificate (ca.crt).")
    tls_certificates: Annotated[tuple[TLSCertificate, ...], schema(minItems=1, maxItems=2)] = Field(
        default=(), description="Key pairs by path, for two certificates of different key types."
    )
    verify_certificate_spki: tuple[str, ...] = Field(
        default=(), description="Base64 SHA-256 hashes of public keys of which a client's certificate must match one."
    )
    verify_certificate_hash: tuple[str, ...] = Field(
        default=(), description="Hex SHA-256 hashes of certificates of which a client's must match one."
    )
    min_protocol_version: TLSProtocol = Field(default="TLS_AUTO", description="Oldest TLS version that is accepted.")
    max_protocol_version: TLSProtocol = Field(default="TLS_AUTO", description="Newest TLS version that is accepted.")
    cipher_suites: tuple[str, ...] = Field(
        default=(), description="Allowed cipher suites (up to TLS 1.2), in BoringSSL names."
    )
    insecure_skip_verify: NullableBool | None = Field(
        default=None, description="Accept any client certificate, unverified. Not to be used in production."
    )


class KeepAliveTCP(Model):
    """TCP keep-alive of upstream connections."""

    probes: UInt32 = Field(default=0, description="Unanswered probes after which the connection counts as dead.")
    time: Duration | None = Field(default=None, description="Idle time before the first probe.")
    interval: Duration | None = Field(default=None, description="Time between two probes.")


class TCPSettings(Model):
    """Limits of TCP connections, for HTTP as well."""

    max_connections: Int32 = Field(default=0, description="Most connections to a host; 0 means no limit.")
    connect_timeout: Duration | None = Field(default=None, description="Longest time to establish a connection.")
    tcp_keepalive: KeepAliveTCP | None = Field(default=None, description="Keep-alive probes of the operating system.")
    max_connection_duration: Duration | None = Field(
        default=None, description="Age at which a connection is closed, however busy."
    )
    idle_timeout: AnyDuration | None = Field(
        default=None, description="Silence after which a TCP connection is closed; 0s means never."
    )


class KeepAliveHTTP2(Model):
    """PING frames on HTTP/2 connections."""

    interval: Duration | None = Field(default=None, description="Time between two PING frames.")
    timeout: Duration | None = Field(default=None, description="Time to wait for the answer to a PING.")


class HTTPSettings(Model):
    """Limits of HTTP/1.1, HTTP/2 and gRPC connections."""

    http1_max_pending_requests: Int32 = Field(
        default=0, description="Most requests that may wait for a connection; more are answered 503 (overflow)."
    )
    http2_max_requests: Int32 = Field(default=0, description="Most requests to a host at one time.")
    max_requests_per_connection: Int32 = Field(
        default=0, description="Requests after which a connection is closed; 1 turns keep-alive off, 0 means no limit."
    )
    max_retries: Int32 = Field(default=0, description="Most retries to a host at one time.")
    idle_timeout: Duration | None = Field(
        default=None, description="Time without a request after which a connection is closed; 1h without this."
    )
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] = Field(
        default="DEFAULT",
        description="Whether HTTP/1.1 requests go to the host as HTTP/2; DEFAULT asks the mesh config.",
    )
    use_client_protocol: bool = Field(
        default=False,
        description="Speak to the host the protocol that the client spoke; h2UpgradePolicy then has no effect.",
    )
    max_concurrent_streams: Int32 = Field(default=0, description="Most parallel streams on one HTTP/2 connection.")
    http2_keep_alive: KeepAliveHTTP2 | None = Field(default=None, description="Keep-alive by HTTP/2 PING frames.")


class ConnectionPoolSettings(Model):
    """Limits of the connections to a service: the circuit breaker."""

    tcp: TCPSettings | None = Field(default=None, description="Limits that hold for TCP and HTTP.")
    http: HTTPSettings | None = Field(default=None, description="Limits that hold for HTTP only.")
