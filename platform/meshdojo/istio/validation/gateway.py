"""Gateway: what the webhook says. The words are those of a real cluster."""

from __future__ import annotations

from meshdojo.istio.models.common import ServerTLSSettings
from meshdojo.istio.models.gateway import Gateway, Port, Server
from meshdojo.istio.validation import names
from meshdojo.istio.validation.findings import Findings

PLAIN = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP")
ENCRYPTED = ("HTTPS", "TLS")
CIPHERS = frozenset(
    {
        *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        *("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
        *("ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA"),
        *("ECDHE-PSK-AES128-CBC-SHA", "ECDHE-PSK-AES256-CBC-SHA", "ECDHE-PSK-CHACHA20-POLY1305"),
        *("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA"),
        *("PSK-AES128-CBC-SHA", "PSK-AES256-CBC-SHA"),
    }
)


def check(obj: Gateway, found: Findings) -> None:
    """Source: ValidateGateway in istio.io/istio/pkg/config/validation."""
    if not obj.spec.servers:
        found.refuse("gateway must have at least one server")
        return
    seen: set[str] = set()
    for server in obj.spec.servers:
        _server(server, found)
        name = server.port.name
        found.refuse_if(bool(name) and name in seen, f"port names in servers must be unique: duplicate name {name}")
        seen.add(name)


def _server(server: Server, found: Findings) -> None:
    found.refuse_if(not server.hosts, "server config must contain at least one host")
    for host in server.hosts:
        _host(host, found)
    _port(server.port, found)
    if server.bind:
        found.refuse_if(not names.is_address(server.bind), f"{server.bind} is not a valid IP")
    _tls(server, found)


def _host(text: str, found: Findings) -> None:
    namespace, slash, host = text.partition("/")
    if not slash:
        namespace, host = "*", text
    if namespace not in ("*", ".") and not names.is_label(namespace):
        found.refuse(f'namespace value "{namespace}" invalid in gateway host')
    if host != "*" and "." not in host:
        found.refuse("short names (non FQDN) are not allowed")
    if not names.is_address(host):
        found.refuse_all(names.wildcard_domain(host))


def _port(port: Port, found: Findings) -> None:
    supported = (*PLAIN, *ENCRYPTED)
    if port.protocol.upper() not in supported:
        found.refuse(f'invalid protocol "{port.protocol}", supported protocols are {", ".join(PLAIN)}')
    found.refuse_all(names.port(port.number))
    if not port.name:
        found.refuse(f'port name must be set: number:{port.number}  protocol:"{port.protocol}"')
    found.refuse_if(bool(port.target_port), "targetPort has no impact on Gateways")


def _tls(server: Server, found: Findings) -> None:
    protocol, tls = server.port.protocol.upper(), server.tls
    if protocol in ENCRYPTED:
        if tls is None:
            found.refuse("server must have TLS settings for HTTPS/TLS protocols")
            return
        found.refuse_all(certificates(tls))
        for warning in _tls_warnings(tls, protocol):
            found.warn(warning)
    elif tls is not None:
        if protocol.startswith(("HTTP", "GRPC")):
            only_redirect = tls.https_redirect and not tls.model_fields_set - {"https_redirect"}
            found.refuse_if(not only_redirect, "server cannot have TLS settings for plain text HTTP ports")
        else:
            found.refuse("server cannot have TLS settings for non HTTPS/TLS ports")


def certificates(tls: ServerTLSSettings) -> list[str]:
    """What a mode needs and what it excludes."""
    if tls.mode == "ISTIO_MUTUAL":
        given = {
            "server certificate": tls.server_certificate,
            "private key": tls.private_key,
            "CA bundle": tls.ca_certificates,
            "credentialName": tls.credential_name or tls.credential_names,
        }
        return [f"ISTIO_MUTUAL TLS cannot have associated {name}" for name, value in given.items() if value]
    named = tls.credential_name or tls.credential_names
    if tls.mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL") or named or tls.tls_certificates:
        return []
    problems = []
    if tls.mode != "SIMPLE" and not (tls.ca_certificates or tls.ca_cert_credential_name):
        problems.append(f"{tls.mode} TLS requires a client CA bundle")
    if not tls.server_certificate:
        problems.append(f"{tls.mode} TLS requires a server certificate")
    if not tls.private_key:
        problems.append(f"{tls.mode} TLS requires a private key")
    return problems


def _tls_warnings(tls: ServerTLSSettings, protocol: str) -> list[str]:
    warnings = []
    unknown = [suite for suite in dict.fromkeys(tls.cipher_suites) if suite not in CIPHERS]
    doubled = [suite for suite in dict.fromkeys(tls.cipher_suites) if tls.cipher_suites.count(suite) > 1]
    if unknown:
        warnings.append(f"ignoring invalid cipher suites: [{' '.join(unknown)}]")
    if doubled:
        warnings.append(f"ignoring duplicate cipher suites: [{' '.join(doubled)}]")
    if tls.https_redirect and protocol in ENCRYPTED:
        warnings.append("tls.httpsRedirect should only be used with http servers")
    named = tls.credential_name or tls.server_certificate or tls.private_key or tls.ca_certificates
    if tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH") and named:
        warnings.append(f"{tls.mode} mode does not use certificates, they will be ignored")
    return warnings
