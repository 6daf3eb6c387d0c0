"""The arithmetic of a rollout: how many replicas each replica set of a deployment should have next. Pure functions.

Source: ``k8s.io/kubernetes/pkg/controller/deployment`` (rolling.go, sync.go, util/deployment_util.go).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.controllers.revisions import DESIRED, MAXIMUM, created, number

Sizes = dict[str, int]  # name of a replica set -> the size it should have


@dataclass(frozen=True)
class Limits:
    """maxSurge and maxUnavailable in pods."""

    surge: int
    unavailable: int


def limits(deployment: Object) -> Limits:
    """A deployment's limits; a surge rounds up, unavailability down, and not both are zero."""
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Limits(0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    replicas = wanted(deployment)
    surge = _pods(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _pods(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(surge, min(unavailable, replicas))


def wanted(obj: Object) -> int:
    """`spec.replicas`, of a deployment or replica set."""
    return int(obj["spec"].get("replicas", 1))


def available(replica_set: Object) -> int:
    """How many of its pods are available, by its status."""
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def active(sets: Sequence[Object]) -> list[Object]:
    """The sets that should have pods, the oldest first."""
    return sorted((one for one in sets if wanted(one) > 0), key=created)


def new_size(deployment: Object, sets: Sequence[Object], current: int) -> int:
    """The size that the newest replica set may have now, given all sets (itself among them) and its `current` size."""
    replicas = wanted(deployment)
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate" or current >= replicas:
        return replicas
    room = replicas + limits(deployment).surge - sum(map(wanted, sets))
    return current + max(0, min(room, replicas - current))


def old_sizes(deployment: Object, newest: Object, old: Sequence[Object]) -> Sizes:
    """The sets that can shrink now without going below the pods that must be available."""
    minimum = wanted(deployment) - limits(deployment).unavailable
    waiting = wanted(newest) - available(newest)
    removable = wanted(newest) + sum(map(wanted, old)) - minimum - waiting
    if removable <= 0:
        return {}
    sizes = _without_unhealthy(old, removable)
    spare = available(newest) + sum(min(available(one), sizes.get(_name(one), wanted(one))) for one in old) - minimum
    for one in active(old):
        size = sizes.get(_name(one), wanted(one))
        drop = min(size, max(spare, 0))
        if drop:
            sizes[_name(one)] = size - drop
            spare -= drop
    return sizes


def scaled(deployment: Object, newest: Object | None, old: Sequence[Object]) -> Sizes:
    """Sizes after `spec.replicas` changed in the middle of a rollout, or while it is paused: all in proportion."""
    replicas = wanted(deployment)
    if (only := _active_or_latest(newest, old)) is not None:
        return {_name(only): replicas}
    if newest is not None and _saturated(newest, replicas):
        return {_name(one): 0 for one in active(old)}
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return {}
    return _in_proportion(deployment, active([*old, *([newest] if newest else [])]))


def is_scaling(deployment: Object, sets: Sequence[Object]) -> bool:
    """Whether `spec.replicas` was changed since the sets were last sized."""
    return any(number(one, DESIRED) != wanted(deployment) for one in active(sets))


def _pods(value: int | str, replicas: int, rounding: Callable[[float], int]) -> int:
    """An IntOrString of a strategy in pods."""
    return value if isinstance(value, int) else rounding(int(value.rstrip("%")) * replicas / 100)


def _without_unhealthy(old: Sequence[Object], removable: int) -> Sizes:
    """Pods that are not available go first: nobody misses them."""
    sizes: Sizes = {}
    for one in active(old):
        drop = min(removable, wanted(one) - available(one))
        if drop > 0:
            sizes[_name(one)] = wanted(one) - drop
            removable -= drop
    return sizes


def _active_or_latest(newest: Object | None, old: Sequence[Object]) -> Object | None:
    """The only set with pods; the newest one if none has; None if several have."""
    having = active([*old, *([newest] if newest else [])])
    if len(having) == 1:
        return having[0]
    if having:
        return None
    return newest or max(old, key=created, default=None)


def _saturated(newest: Object, replicas: int) -> bool:
    return wanted(newest) == replicas == number(newest, DESIRED) == available(newest)


def _in_proportion(deployment: Object, sets: list[Object]) -> Sizes:
    replicas = wanted(deployment)
    maximum = replicas + limits(deployment).surge if replicas else 0
    missing = maximum - sum(map(wanted, sets))
    # Growing starts with the largest (newer first), shrinking with the largest (older first).
    sets = sorted(sets, key=created, reverse=missing > 0)
    sets = sorted(sets, key=wanted, reverse=True)
    sizes: Sizes = {}
    done = 0
    for one in sets:
        share = _share(one, deployment, maximum, missing - done, missing > 0) if missing else 0
        sizes[_name(one)] = wanted(one) + share
        done += share
    if sets:
        first = _name(sets[0])
        sizes[first] = max(0, sizes[first] + missing - done)
    return sizes


def _share(one: Object, deployment: Object, maximum: int, left: int, growing: bool) -> int:
    if wanted(deployment) == 0:
        return -wanted(one)
    before = number(one, MAXIMUM) or int((deployment.get("status") or {}).get("replicas", 0)) or maximum
    share = math.floor(wanted(one) * maximum / before + 0.5) - wanted(one)
    return min(share, left) if growing else max(share, left)


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])
