"""``istioctl analyze``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import yaml

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.analysis import source
from meshdojo.istio.analysis.analyzers import ANALYZERS, analyze
from meshdojo.istio.analysis.message import DOCUMENTATION, LEVELS, Message
from meshdojo.istio.analysis.source import Place
from meshdojo.istio.analysis.world import World
from meshdojo.istio.istioctl import cluster, files
from meshdojo.istio.istioctl.command import CommandError, Invocation, UsageError
from meshdojo.istio.models.kinds import KINDS

JSON = dict[str, Any]
Manifests = list[tuple[Place, JSON]]
FOUND_CODE, USAGE_CODE, UNREAD_CODE = 79, 64, 65
_INJECTORS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
_KUBERNETES = ("namespaces", "pods", "services", "secrets", _INJECTORS)


def run(invocation: Invocation) -> int:
    """``istioctl analyze``: the exit code.

    As the real one, it fails (79, when something is as bad as --failure-threshold) only in the form for people: who
    reads JSON or YAML finds out by reading. Raises `CommandError`.
    """
    if invocation["list-analyzers"]:
        for name, (_, description) in sorted(ANALYZERS.items()):
            print(f"* {name}:\n    {description}")
        return 0
    if invocation["recursive"]:
        print("The recursive flag has been removed and is hardcoded to true without explicitly specifying it.")
        return 0
    if invocation["output"] not in ("log", "json", "yaml"):
        words = f"{invocation['output']} not a valid option for format. See istioctl analyze --help"
        raise CommandError(words, USAGE_CODE)
    failing, shown = (_at_least(invocation, flag) for flag in ("failure-threshold", "output-threshold"))
    names = files.paths(invocation.arguments)
    given, unread = _read(names)
    world, namespace = _world(invocation, given)
    found = [
        one for one in analyze(world) if _in_scope(one, namespace) and not _suppressed(one, invocation["suppress"])
    ]
    _print([one for one in found if one.level in shown], invocation["output"])
    target = f"namespace: {namespace}" if namespace else "all namespaces"
    if invocation["output"] == "log" and any(one.level in failing for one in found):
        raise CommandError(
            f"Analyzers found issues when analyzing {target}.\n"
            f"See {DOCUMENTATION} for more information about causes and resolutions.",
            FOUND_CODE,
        )
    if unread and not found:
        print(end="\n" if invocation["output"] == "log" else "", flush=True)
        words = f"No validation issues found when analyzing {target} (but 1 file could not be parsed)."
        print(words, file=sys.stderr)
        if invocation["output"] == "log":
            raise CommandError("Some files couldn't be parsed.", UNREAD_CODE)
    elif not found:
        print(end="\n" if invocation["output"] == "log" else "", flush=True)
        print(f"✔ No validation issues found when analyzing{_subject(names, target)}", file=sys.stderr)
    return 0


def _at_least(invocation: Invocation, flag: str) -> tuple[str, ...]:
    """The levels at and above a threshold."""
    wanted = str(invocation[flag]).capitalize()
    if wanted not in LEVELS:
        raise UsageError(f'invalid argument "{invocation[flag]}" for "--{flag}" flag: invalid level option')
    return LEVELS[: [*LEVELS].index(wanted) + 1] if wanted in LEVELS else ()


def _read(names: list[str]) -> tuple[Manifests, bool]:
    """The manifests in the files, and whether parts of them cannot be read, which is said. Raises `CommandError`."""
    given: Manifests = []
    wrong: dict[str, list[str]] = {}
    for name in names:
        for index, (first, text) in enumerate(source.parts(files.text(name))):
            try:
                given += source.manifests(name, text, first)
            except source.Unreadable as error:
                wrong.setdefault(name, []).append(f"error processing {name}[{index}]: {error}")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for problem in (one for problems in wrong.values() for one in problems):
        print(f"{now}\twarn\tfile\t{problem} - skipping", flush=True)
    if wrong:
        each = [f'errors parsing content "{name}": {_listed(problems)}' for name, problems in wrong.items()]
        print(f"Error(s) adding files: {_listed(each)}", end="", file=sys.stderr)
    return given, bool(wrong)


def _listed(errors: list[str]) -> str:
    """Several errors in one, as Go's multierror writes them."""
    lines = "".join(f"\t* {error}\n" for error in errors)
    return f"{len(errors)} error{'' if len(errors) == 1 else 's'} occurred:\n{lines}\n"


def _world(invocation: Invocation, given: Manifests) -> tuple[World, str]:
    """The objects of the cluster and of files; the namespace that messages are wanted for ('' for all)."""
    everywhere = bool(invocation["all-namespaces"])
    if not invocation["use-kube"]:
        # As on a cluster, only one namespace is looked at unless all are asked for.
        where = str(invocation["namespace"] or "default")
        return World.of((), _placed(given, where), complete=False), "" if everywhere else where
    objects, namespace = cluster.run(invocation, lambda client: _objects(client, invocation))
    return World.of(objects, _placed(given, namespace)), "" if everywhere else namespace


def _placed(given: Manifests, namespace: str) -> Manifests:
    """Manifests without a namespace belong to the one that is analyzed."""
    placed = []
    for place, one in given:
        metadata = one.get("metadata") or {}
        where = {} if one.get("kind") == "Namespace" else {"namespace": metadata.get("namespace") or namespace}
        placed.append((place, {**one, "metadata": {**metadata, **where}}))
    return placed


async def _objects(client: HTTPClient, invocation: Invocation) -> tuple[list[JSON], str]:
    namespace = cluster.namespace(invocation, client)
    resources = [*_KUBERNETES, *(kind.TYPE.resource for kind in KINDS)]
    lists = await asyncio.gather(*(_list(client, resource) for resource in resources))
    objects = [one for found in lists for one in found]
    names = {one["metadata"]["name"] for one in lists[0]}
    if not invocation["all-namespaces"] and namespace not in names:
        raise CommandError(f'namespace "{namespace}" not found')
    return objects, namespace


async def _list(client: HTTPClient, resource: str) -> list[JSON]:
    """All objects of a kind; none of a kind that is not served."""
    try:
        return (await client.list(resource)).items
    except StatusError as error:
        if cluster.is_missing(error):
            return []
        raise


def _in_scope(message: Message, namespace: str) -> bool:
    origin = message.origin
    if origin.kind == "Namespace":
        return namespace in ("", origin.name)
    return not namespace or origin.namespace in ("", namespace)


def _suppressed(message: Message, patterns: Iterable[str]) -> bool:
    """``IST0101=VirtualService name.namespace``; ``*`` stands for any."""
    origin = message.origin
    name = f"{origin.kind} {origin.name}.{origin.namespace}" if origin.namespace else f"{origin.kind} {origin.name}"
    return any(pattern in (f"{message.code}={name}", f"{message.code}=*") for pattern in patterns)


def _print(found: list[Message], output: str) -> None:
    if output == "json":
        print(json.dumps([one.document() for one in found], indent="\t"))
    elif output == "yaml":
        print(yaml.safe_dump([one.document() for one in found], sort_keys=False))
    else:
        for one in found:
            print(one)


def _subject(files: list[str], target: str) -> str:
    """The files, where some were given; several in a list of their own."""
    if len(files) > 1:
        return "".join([":", *(f"\n  - {name}" for name in files)])
    return f" {files[0] if files else target}."
