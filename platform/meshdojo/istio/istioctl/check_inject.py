"""``istioctl experimental check-inject``: what each injection webhook says to a pod's labels and its namespace's.

It is the webhooks' selectors that are looked at, and nothing else: the annotation of a pod, which the injector itself
honours, is not seen, as with the real one. Source: istioctl/pkg/checkinject of Istio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.injection.decision import selects
from meshdojo.istio.istioctl import cluster, table
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.istioctl.proxyconfig.dump import resolve

JSON = dict[str, Any]
Labels = Mapping[str, str]
HEADER = ("WEBHOOK", "REVISION", "INJECTED", "REASON")
CONFIGURATIONS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
INJECTION, REVISION = "istio-injection", "istio.io/rev"
YES, NO = "✔", "✘"
# The marks are coloured wherever the output goes, as those of the real one; its columns are as wide as if the colours
# took room.
COLOURS = {YES: "\x1b[32m✔\x1b[0m", NO: "\x1b[31m✘\x1b[0m"}
_MARK_WIDTH = 12
_USAGE = "check-inject requires only [<resource-type>/]<resource-name>[.<namespace>], or specify labels flag"
_DEACTIVATED = "The injection webhook is deactivated, and will never match labels."
_GAP = 2


@dataclass(frozen=True)
class Answer:
    """What one webhook configuration would do, and why."""

    name: str
    revision: str
    injected: bool
    reason: str


def run(invocation: Invocation) -> int:
    """``istioctl experimental check-inject``: which webhook would inject. Raises `CommandError`."""
    if len(invocation.arguments) > 1 or (not invocation.arguments and not invocation["labels"]):
        raise CommandError(_USAGE)
    found = cluster.run(invocation, lambda client: _answers(client, invocation))
    if not found:
        print("ERROR: no Istio injection hooks present.")
        return 0
    for line in lines(found):
        print(line)
    return 0


async def _answers(client: HTTPClient, invocation: Invocation) -> list[Answer]:
    namespace, labels = await _pod(client, invocation)
    owner, configurations = await asyncio.gather(
        client.get("namespaces", namespace), client.list(CONFIGURATIONS, labels="app=sidecar-injector")
    )
    return answers(configurations.items, labels, owner["metadata"].get("labels") or {})


async def _pod(client: HTTPClient, invocation: Invocation) -> tuple[str, Labels]:
    """Namespace and labels of the pod that is asked about; ``--labels`` makes one up."""
    if not invocation.arguments:
        pairs = (pair.partition("=") for pair in str(invocation["labels"]).split(","))
        return cluster.namespace(invocation, client), {key: value for key, _, value in pairs}
    target = await resolve(client, invocation)
    pod = await client.get("pods", target.name, target.namespace)
    return target.namespace, pod["metadata"].get("labels") or {}


def lines(found: list[Answer]) -> list[str]:
    """The table."""
    rows = [(one.name, one.revision, (YES if one.injected else NO).ljust(_MARK_WIDTH), one.reason) for one in found]
    made = table.lines([HEADER, *rows], _GAP)
    return [line.replace(YES, COLOURS[YES]).replace(NO, COLOURS[NO]) for line in made]


def answers(configurations: list[JSON], pod: Labels, namespace: Labels) -> list[Answer]:
    """One for each configuration, by name."""
    found = []
    for one in sorted(configurations, key=lambda one: str(one["metadata"]["name"])):
        injected, reason = verdict(one.get("webhooks") or [], pod, namespace)
        revision = (one["metadata"].get("labels") or {}).get(REVISION, "")
        found.append(Answer(one["metadata"]["name"], revision, injected, reason))
    return found


def verdict(webhooks: list[JSON], pod: Labels, namespace: Labels) -> tuple[bool, str]:
    """Whether one of the webhooks is called for the pod, and the reason: the first that there is."""
    for webhook in webhooks:
        if decided := _verdict(webhook, pod, namespace):
            return decided
    if any(_is_deactivated(webhook) for webhook in webhooks):
        return False, _DEACTIVATED
    wanted = [", ".join(_wanted(webhooks, which)) for which in ("namespaceSelector", "objectSelector")]
    return False, f"No matching namespace labels ({wanted[0]}) or pod labels ({wanted[1]})"


def _verdict(webhook: JSON, pod: Labels, namespace: Labels) -> tuple[bool, str] | None:
    by_namespace = selects(webhook["namespaceSelector"], namespace)
    by_pod = selects(webhook["objectSelector"], pod)
    if by_namespace and by_pod:
        where, what = _label(webhook["namespaceSelector"], namespace), _label(webhook["objectSelector"], pod)
        if where and what:
            return True, f"Namespace label {where} matches, and pod label {what} matches"
        return (True, f"Namespace label {where} matches") if where else (True, f"Pod label {what} matches")
    if by_namespace and (against := _against(webhook["objectSelector"], pod)):
        return False, f"Pod has {against} label, preventing injection"
    if by_pod and namespace.get(INJECTION, "enabled") != "enabled":
        return False, f"Namespace has {INJECTION}={namespace[INJECTION]} label, preventing injection"
    return None


def _expressions(selector: JSON) -> list[JSON]:
    return list(selector.get("matchExpressions") or ())


def _label(selector: JSON, labels: Labels) -> str:
    """The label that a selector looks at, as ``key=value``; '' when it looks at none that is there."""
    return next((f"{one['key']}={labels[one['key']]}" for one in _expressions(selector) if one["key"] in labels), "")


def _against(selector: JSON, labels: Labels) -> str:
    """The label because of which a selector does not match."""
    for one in _expressions(selector):
        key, operator = one["key"], one["operator"]
        absent = operator == "DoesNotExist" and key in labels
        if absent or (operator == "NotIn" and labels.get(key) in (one.get("values") or ())):
            return f"{key}={labels[key]}"
    return ""


def _is_deactivated(webhook: JSON) -> bool:
    never = {"matchLabels": {"istio.io/deactivated": "never-match"}}
    return bool(webhook["namespaceSelector"] == never and webhook["objectSelector"] == never)


def _wanted(webhooks: list[JSON], which: str) -> Iterator[str]:
    for webhook in webhooks:
        for one in _expressions(webhook[which]):
            if one["operator"] == "In":
                yield from (f"{one['key']}={value}" for value in one.get("values") or ())
