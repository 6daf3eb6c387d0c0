"""``istioctl version``."""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

import yaml

from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.version import VERSION

JSON = dict[str, Any]


def run(invocation: Invocation) -> int:
    """``istioctl version``: of this client, of istiod and of the proxies. Raises `CommandError`."""
    report: JSON = {"clientVersion": _build(VERSION)}
    missing = ""
    if invocation["remote"]:
        try:
            found = cluster.run(invocation, lambda client: _remote(client, invocation))
        except CommandError as error:
            found, missing = {}, str(error)
        if not found and not missing:
            system = invocation["istioNamespace"]
            missing = f'Istio is not present in the cluster: no running Istio pods in namespace "{system}"'
        report |= found
    _print(report, invocation, missing)
    return 0


def _build(version: str) -> JSON:
    language = f"python{platform.python_version()}"
    return {"version": version, "revision": "meshdojo", "golang_version": language, "status": "Clean", "tag": version}


async def _remote(client: HTTPClient, invocation: Invocation) -> JSON:
    """Versions of istiod (from its image's tag) and of the proxies (from what they say to istiod)."""
    system = invocation["istioNamespace"]
    pods = await cluster.istiods(client, system, invocation["revision"])
    if not pods:
        return {}
    mesh = [
        {
            "Component": "pilot",
            "Revision": pod["metadata"]["labels"].get("istio.io/rev", "default"),
            "Info": {**_build(_tag(pod)), "golang_version": ""},
        }
        for pod in pods
    ]
    answers = await cluster.all_istiods(client, system, "syncz", invocation["revision"])
    proxies = sorted(_proxies(answers), key=lambda entry: entry["ID"])
    return {"meshVersion": mesh, "dataPlaneVersion": proxies}


def _tag(pod: JSON) -> str:
    return str(pod["spec"]["containers"][0]["image"].rpartition(":")[2])


def _proxies(answers: list[tuple[str, Any]]) -> list[JSON]:
    return [
        {
            "ID": entry["proxy"],
            "IstioVersion": entry.get("istio_version", ""),
            "Type": "gateway" if entry.get("proxy_type") == "router" else "sidecar",
        }
        for _, answer in answers
        for entry in answer
    ]


def _print(report: JSON, invocation: Invocation, missing: str) -> None:
    match invocation["output"]:
        case "json":
            print(json.dumps(report, indent=2))
        case "yaml":
            sys.stdout.write(yaml.safe_dump(report, sort_keys=False))
        case "":
            if missing:
                print(missing)
            _lines(report, bool(invocation["short"]))
        case _:
            raise CommandError("--output must be 'yaml' or 'json'")


def _lines(report: JSON, short: bool) -> None:
    if not short:
        for field, value in report["clientVersion"].items():
            print(f"client {field}: {value}")
    else:
        print(f"client version: {report['clientVersion']['version']}")
    mesh = report.get("meshVersion", [])
    for version in sorted({entry["Info"]["version"] for entry in mesh}):
        print(f"control plane version: {version}")
    if "dataPlaneVersion" in report:
        print(f"data plane version: {_counted(report['dataPlaneVersion'])}")


def _counted(proxies: list[JSON]) -> str:
    if not proxies:
        return "none"
    versions: dict[str, int] = {}
    for proxy in proxies:
        versions[proxy["IstioVersion"]] = versions.get(proxy["IstioVersion"], 0) + 1
    shown = [f"{version} ({count} prox{'y' if count == 1 else 'ies'})" for version, count in sorted(versions.items())]
    return ", ".join(shown)
