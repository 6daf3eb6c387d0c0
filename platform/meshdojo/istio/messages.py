"""The Envoy messages that we use, each imported here only: they are untyped, and each module costs start-up time."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter, ResponseFlagFilter
from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster, UpstreamConnectionOptions
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.address_pb2 import Address, BindConfig, CidrRange, SocketAddress, TcpKeepalive
from envoy.config.core.v3.base_pb2 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    Metadata,
    RuntimeFractionalPercent,
    RuntimeUInt32,
    TransportSocket,
)
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.protocol_pb2 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
)
from envoy.config.core.v3.protocol_pb2 import (
    HttpProtocolOptions as CommonHttpProtocolOptions,
)
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Principal
from envoy.config.rbac.v3.rbac_pb2 import Policy as RBACPolicy
from envoy.config.route.v3.route_components_pb2 import (
    CorsPolicy as RouteCorsPolicy,
)
from envoy.config.route.v3.route_components_pb2 import (
    Decorator,
    DirectResponseAction,
    HeaderMatcher,
    QueryParameterMatcher,
    RedirectAction,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.common.fault.v3.fault_pb2 import FaultDelay
from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors, CorsPolicy
from envoy.extensions.filters.http.fault.v3.fault_pb2 import FaultAbort, HTTPFault
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRBAC  # noqa: N811
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRBAC  # noqa: N811
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.path.match.uri_template.v3.uri_template_match_pb2 import UriTemplateMatchConfig
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from envoy.service.discovery.v3.discovery_pb2 import (
    Resource as DiscoveryResource,
)
from envoy.type.matcher.v3.path_pb2 import PathMatcher
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute, RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.v3.percent_pb2 import FractionalPercent, Percent
from envoy.type.v3.range_pb2 import Int32Range
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value, UInt64Value

__all__ = [
    "RBAC",
    "AccessLog",
    "AccessLogFilter",
    "Address",
    "AggregatedConfigSource",
    "AnyMessage",
    "BindConfig",
    "BoolValue",
    "CertificateValidationContext",
    "CidrRange",
    "CircuitBreakers",
    "Cluster",
    "ClusterLoadAssignment",
    "CommonHttpProtocolOptions",
    "CommonTlsContext",
    "ConfigSource",
    "Cors",
    "CorsPolicy",
    "DataSource",
    "Decorator",
    "DeltaDiscoveryRequest",
    "DeltaDiscoveryResponse",
    "DirectResponseAction",
    "DiscoveryResource",
    "DownstreamTlsContext",
    "Duration",
    "Endpoint",
    "FaultAbort",
    "FaultDelay",
    "FileAccessLog",
    "Filter",
    "FilterChain",
    "FilterChainMatch",
    "FractionalPercent",
    "HTTPFault",
    "HeaderMatcher",
    "HeaderValue",
    "HeaderValueOption",
    "Http1ProtocolOptions",
    "Http2ProtocolOptions",
    "HttpConnectionManager",
    "HttpFilter",
    "HttpInspector",
    "HttpProtocolOptions",
    "HttpRBAC",
    "Int32Range",
    "LbEndpoint",
    "Listener",
    "ListenerFilter",
    "ListenerFilterChainMatchPredicate",
    "LocalityLbEndpoints",
    "Metadata",
    "NetworkRBAC",
    "OutlierDetection",
    "PathMatcher",
    "Percent",
    "Permission",
    "PreviousHostsPredicate",
    "Principal",
    "ProxyProtocol",
    "QueryParameterMatcher",
    "RBACPolicy",
    "RawBuffer",
    "Rds",
    "RedirectAction",
    "RegexMatchAndSubstitute",
    "RegexMatcher",
    "ResponseFlagFilter",
    "RetryPolicy",
    "Route",
    "RouteAction",
    "RouteConfiguration",
    "RouteCorsPolicy",
    "RouteMatch",
    "Router",
    "RuntimeFractionalPercent",
    "RuntimeUInt32",
    "SdsSecretConfig",
    "Secret",
    "SocketAddress",
    "StringMatcher",
    "Struct",
    "SubjectAltNameMatcher",
    "SubstitutionFormatString",
    "TcpKeepalive",
    "TcpProxy",
    "TlsCertificate",
    "TlsInspector",
    "TlsParameters",
    "TransportSocket",
    "TypedExtensionConfig",
    "UInt32Value",
    "UInt64Value",
    "UpstreamConnectionOptions",
    "UpstreamTlsContext",
    "UriTemplateMatchConfig",
    "VirtualHost",
    "WeightedCluster",
]
