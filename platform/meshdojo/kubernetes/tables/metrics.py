"""The tables of the metrics API, as metrics-server prints them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.tables.columns import Printer, columns, name_of


def _node(node: Object, _now: datetime) -> list[Any]:
    return [name_of(node), node["usage"]["cpu"], node["usage"]["memory"], node["window"]]


def _pod(pod: Object, _now: datetime) -> list[Any]:
    used = [container["usage"] for container in pod["containers"]]
    cpu = sum(int(one["cpu"].removesuffix("n")) for one in used)
    memory = sum(int(one["memory"].removesuffix("Ki")) for one in used)
    return [name_of(pod), f"{cpu}n", f"{memory}Ki", pod["window"]]


_COLUMNS = columns("Name, Cpu, Memory, Window")
NODES, PODS = Printer(_COLUMNS, _node), Printer(_COLUMNS, _pod)
