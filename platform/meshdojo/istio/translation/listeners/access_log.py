"""Access logs in Istio's text format, when the mesh config names a file."""

from __future__ import annotations

from typing import Any

from meshdojo.istio.mesh import MeshConfig
from meshdojo.istio.messages import (
    AccessLog,
    AccessLogFilter,
    DataSource,
    FileAccessLog,
    ResponseFlagFilter,
    Struct,
    SubstitutionFormatString,
)
from meshdojo.istio.translation import build

# Source: EnvoyTextLogFormat in istio/pilot/pkg/model/telemetry_logging.go.
TEXT_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" '
    '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
# Source: EnvoyJSONLogFormatIstio, likewise.
JSON_FORMAT = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}


def access_logs(mesh: MeshConfig) -> list[Any]:
    """For connection managers and TCP proxies."""
    return [_log(mesh)] if mesh.access_log_file else []


def listener_access_logs(mesh: MeshConfig) -> list[Any]:
    """For listeners: connections that no filter chain took."""
    if not mesh.access_log_file:
        return []
    found = _log(mesh)
    found.filter.CopyFrom(AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=["NR"])))
    return [found]


def _log(mesh: MeshConfig) -> Any:
    log = FileAccessLog(path=mesh.access_log_file, log_format=_format(mesh))
    return AccessLog(name="envoy.access_loggers.file", typed_config=build.packed(log))


def _format(mesh: MeshConfig) -> Any:
    if mesh.access_log_json:
        content = Struct()
        content.update(JSON_FORMAT)
        return SubstitutionFormatString(json_format=content)
    text = mesh.access_log_format or TEXT_FORMAT
    return SubstitutionFormatString(text_format_source=DataSource(inline_string=text))
