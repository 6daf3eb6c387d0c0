"""Installs: applies the objects of an installation as concurrently as their order allows, and waits until it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.rollout import completed
from meshdojo.istio.install.manifests import Component, components, namespace
from meshdojo.istio.install.naming import MANAGER, revision
from meshdojo.istio.install.options import Options
from meshdojo.istio.install.uninstall import key, prune

JSON = dict[str, Any]
Progress = Callable[[Component, bool], None]
"""Called with each component (False) before it is applied, and (True) once all of its pods are ready."""

READY_SECONDS = 300.0
ROOT = "istio-ca-root-cert"
_CORE = ("Istio core", "Istiod")
_LAST = frozenset({"Deployment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})


class NotReady(Exception):
    """Something that was installed does not become ready; the message says what is wrong with its pods."""


def _silent(_component: Component, _done: bool) -> None:
    pass


async def install(
    client: HTTPClient,
    options: Options,
    progress: Progress = _silent,
    seconds: float = READY_SECONDS,
    pruned: Callable[[str], None] = lambda line: None,
) -> None:
    """Make the cluster's Istio as `options` say, wait until every component is ready, remove what is no longer wanted.

    `pruned` gets a line for each object of that. Raises StatusError (the API refuses an object), NotReady after
    `seconds`.
    """
    parts = components(options)
    await client.apply(namespace(), field_manager=MANAGER)
    objects = [one for part in parts for one in part.manifests]
    await _apply(client, (one for one in objects if one["kind"] not in _LAST))
    core = [part for part in parts if part.name in _CORE]
    await _apply(client, (one for part in core for one in part.manifests if one["kind"] in _LAST))
    for part in core:
        progress(part, False)
        await _ready(client, part, seconds)
        progress(part, True)
    await _install_gateways(client, [part for part in parts if part.name not in _CORE], bool(core), progress, seconds)
    await prune(client, revision(options), {key(one["kind"], one) for one in objects}, pruned)


async def _install_gateways(
    client: HTTPClient, parts: list[Component], wait: bool, progress: Progress, seconds: float
) -> None:
    """After istiod, whose root certificate their pods mount."""
    for in_namespace in {where for part in parts for where, _ in part.deployments} if wait else ():
        await _within(seconds, _seen(client, in_namespace), f"ConfigMap/{in_namespace}/{ROOT} is not there")
    await _apply(client, (one for part in parts for one in part.manifests if one["kind"] in _LAST))
    for part in parts:
        progress(part, False)
        await _ready(client, part, seconds)
        progress(part, True)


async def _seen(client: HTTPClient, in_namespace: str) -> None:
    """Wait for the ConfigMap with the root certificate."""
    while True:
        events = client.watch("configmaps", in_namespace, fields=f"metadata.name={ROOT}")
        async with aclosing(events) as stream:
            async for event in stream:
                if event.type in ("ADDED", "MODIFIED"):
                    return


async def _within(seconds: float, work: Awaitable[None], message: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        raise NotReady(f"{message} after {seconds:.0f}s; see: kubectl logs -n istio-system deploy/istiod") from None


async def _apply(client: HTTPClient, objects: Iterable[JSON]) -> None:
    await asyncio.gather(*(_apply_one(client, one) for one in objects))


async def _apply_one(client: HTTPClient, one: JSON) -> None:
    if one["kind"] == "ValidatingWebhookConfiguration":
        one = await _keeping_policy(client, one)
    await client.apply(one, field_manager=MANAGER)


async def _keeping_policy(client: HTTPClient, one: JSON) -> JSON:
    """istiod turns failurePolicy to Fail when it can answer; installing again must not open that gap anew."""
    resource = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    try:
        found = await client.get(resource, one["metadata"]["name"])
    except StatusError:
        return one
    policies = {webhook["name"]: webhook.get("failurePolicy") for webhook in found.get("webhooks") or ()}
    kept = [
        {**webhook, "failurePolicy": policies.get(webhook["name"]) or webhook["failurePolicy"]}
        for webhook in one["webhooks"]
    ]
    return {**one, "webhooks": kept}


async def _ready(client: HTTPClient, part: Component, seconds: float) -> None:
    for in_namespace, name in part.deployments:
        try:
            async with asyncio.timeout(seconds):
                await completed(client, in_namespace, name)
        except TimeoutError:
            reason = await _why_not(client, in_namespace, name)
            raise NotReady(f"Deployment/{in_namespace}/{name} is not ready after {seconds:.0f}s{reason}") from None


async def _why_not(client: HTTPClient, in_namespace: str, name: str) -> str:
    """What the pods and events say, in one clause each."""
    deployment = await client.get("deployments.apps", name, in_namespace)
    labels = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
    pods = (await client.list("pods", in_namespace, labels=labels)).items
    reasons = [f"pod {pod['metadata']['name']}: {_state(pod)}" for pod in pods]
    return "".join(f"; {reason}" for reason in reasons) or "; it has no pods"


def _state(pod: JSON) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    for status in statuses:
        waiting = (status.get("state") or {}).get("waiting")
        if waiting:
            return f"{waiting.get('reason')}: {waiting.get('message', '')}".rstrip(": ")
    return str((pod.get("status") or {}).get("phase", "Pending"))
