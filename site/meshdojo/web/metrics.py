"""What Prometheus asks for: the same events that the roster shows, counted from the database.

So every process that serves the site says the same, and a restart does not set a counter back. Only the streams that
are open are a process's own.
"""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from meshdojo.web.database import Database
from meshdojo.web.models import Delivery, Learner, Member, Message, Request, TaskProgress, Workshop
from meshdojo.web.roster import ONLINE


class _Ready(Collector):
    """Hands out what was gathered: reading the database is asynchronous, and a collector is not."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


async def exposition(database: Database, streams: int) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Ready(await _gather(database, streams)))
    return generate_latest(registry)


async def _gather(database: Database, streams: int) -> list[Metric]:
    attempts = CounterMetricFamily(
        "meshdojo_attempts", "Runs of a task's checks, by what they found", labels=["lab", "task", "outcome"]
    )
    passed = GaugeMetricFamily("meshdojo_tasks_passed", "Learners who passed a task", labels=["lab", "task"])
    members = GaugeMetricFamily("meshdojo_members", "Learners in a workshop", labels=["workshop"])
    online = GaugeMetricFamily("meshdojo_members_online", "Those of them that are connected", labels=["workshop"])
    messages = CounterMetricFamily("meshdojo_messages", "What was said to everybody", labels=["workshop"])
    requests = CounterMetricFamily("meshdojo_requests", "What members were asked", labels=["kind", "state"])
    open_streams = GaugeMetricFamily("meshdojo_streams", "Live streams open in this process", value=streams)
    async with database.reading() as connection:
        key = (TaskProgress.lab, TaskProgress.task)
        query = select(
            *key,
            func.sum(TaskProgress.tries),
            func.sum(TaskProgress.passes),
            func.sum(TaskProgress.errors),
            func.count(TaskProgress.passed_at),
        ).group_by(*key)
        for lab, task, tries, passes, errors, learners in await connection.execute(query):
            for outcome, count in (("pass", passes), ("error", errors), ("fail", tries - passes - errors)):
                attempts.add_metric([lab, task, outcome], count)
            passed.add_metric([lab, task], learners)
        there = func.count().filter(Member.seen_at >= datetime.now(UTC) - ONLINE)
        rooms = select(Member.workshop_id, func.count(), there).group_by(Member.workshop_id)
        for workshop, count, connected in await connection.execute(rooms):
            members.add_metric([str(workshop)], count)
            online.add_metric([str(workshop)], connected)
        for workshop, count in await connection.execute(
            select(Message.workshop_id, func.count()).group_by(Message.workshop_id)
        ):
            messages.add_metric([str(workshop)], count)
        states = select(Request.kind, Request.state, func.count()).group_by(Request.kind, Request.state)
        for kind, state, count in await connection.execute(states):
            requests.add_metric([kind, state], count)
        totals = [
            ("meshdojo_workshops_open", "Workshops that are not closed", Workshop, Workshop.closed_at.is_(None)),
            ("meshdojo_people", "Everybody with a row of their own", Learner, Learner.id > 0),
            ("meshdojo_webhook_waiting", "Events that the webhook has not acknowledged", Delivery, Delivery.id > 0),
        ]
        gauges: list[Metric] = []
        for name, text, model, where in totals:
            number = await connection.scalar(select(func.count()).select_from(model).where(where))
            gauges.append(GaugeMetricFamily(name, text, value=number or 0))
    return [attempts, passed, members, online, messages, requests, open_streams, *gauges]
