"""The tables of API services and component statuses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.tables.ages import age
from meshdojo.kubernetes.tables.columns import Printer, columns, created, name_of


def _api_service(service: Object, now: datetime) -> list[Any]:
    conditions = (service.get("status") or {}).get("conditions") or ()
    available = next((one["status"] for one in conditions if one["type"] == "Available"), "Unknown")
    return [name_of(service), "Local", available, age(created(service), now)]


def _component(component: Object, _now: datetime) -> list[Any]:
    healthy: Object = next((one for one in component.get("conditions") or () if one["type"] == "Healthy"), {})
    status = {"True": "Healthy", "False": "Unhealthy"}.get(healthy.get("status", ""), "Unknown")
    return [name_of(component), status, healthy.get("message", ""), healthy.get("error", "")]


API_SERVICES = Printer(columns("Name, Service, Available, Age"), _api_service)
COMPONENTS = Printer(columns("Name, Status, Message, Error"), _component)
