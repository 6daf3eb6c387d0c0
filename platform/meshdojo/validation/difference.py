"""What differs between a lab's start and now."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import yaml

from meshdojo.cluster.client import Object
from meshdojo.validation.state import DEFAULT_NAMESPACE, Key, Pod, State, is_automatic, is_of_default

What = Literal["added", "changed", "missing"]


@dataclass(frozen=True)
class Difference:
    """An object or pod that is not as it was. `before` is None for what was added, `now` for what is missing."""

    what: What
    key: Key
    before: Object | None = None
    now: Object | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.key}" + (f" ({self.note})" if self.note else "")

    def lines(self) -> list[str]:
        """Both forms, compared line by line as YAML; [] for what was only added or is missing."""
        if self.before is None or self.now is None:
            return []
        start, now = (yaml.safe_dump(obj, sort_keys=True).splitlines() for obj in (self.before, self.now))
        return list(difflib.unified_diff(start, now, "start", "now", lineterm="", n=2))[2:]


def differences(before: State, now: State) -> list[Difference]:
    """All that would have to be undone to come from `now` back to `before`.

    In the namespace `default` that is only what was added since: what was there is somebody's own.
    """
    return [*_objects(before, now), *_pods(before, now)]


def _objects(before: State, now: State) -> Iterator[Difference]:
    for key in sorted({*before.objects, *now.objects}):
        was, is_now = before.objects.get(key), now.objects.get(key)
        if is_of_default(key) and not (before.knows_default and was is None):
            continue
        if key == DEFAULT_NAMESPACE and not (was and is_now):  # looked at only once
            continue
        if was is not None and is_now is not None:
            if was != is_now:
                yield Difference("changed", key, was, is_now)
        elif not is_automatic(key):
            yield Difference("missing" if is_now is None else "added", key, was, is_now)


def _pods(before: State, now: State) -> Iterator[Difference]:
    """Pods are replaced, not mended: one that is missing shows as the new one in its place."""
    known = {pod.uid: pod for pod in before.pods}
    present = {pod.uid for pod in now.pods}
    for pod in now.pods:
        if why := changed(pod, known.get(pod.uid), before, now):
            yield Difference("added" if pod.uid not in known else "changed", _key(pod), note=why)
    for pod in before.pods:
        if pod.uid not in present:
            yield Difference("missing", _key(pod))


def changed(pod: Pod, was: Pod | None, before: State, now: State) -> str:
    """Why this pod is not the one that was there; '' when it is."""
    if was is None:
        return "a new pod"
    if pod.fingerprint != was.fingerprint:
        return "relabelled, changed or restarted since"
    if pod.sidecar and before.istiod != now.istiod:
        return "its sidecar belongs to an Istio that was removed"
    return ""


def _key(pod: Pod) -> Key:
    return Key("pods", pod.namespace, pod.name)
