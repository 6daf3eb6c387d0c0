"""What happens in a workshop, told to everybody who wants to know.

One call within the transaction that makes it so. Over the bus hear of it

    room:ID       whoever looks at the roster: everything
    workshop:ID   every member: ``workshop`` (made, changed, closed), ``message``, ``unlock``
    member:ID     the member whom it is about: ``request``, ``left``

and not more: an attempt of one member must not wake five hundred others. The other kinds are ``joined``, ``status`` and
``attempt``. A webhook, if there is one, gets a row of `Delivery`, which is there if and only if the event is.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from meshdojo.web.database import Transaction
from meshdojo.web.models import Delivery

# A member's mesh comes and goes all the time: of interest to who looks now, not to who keeps a record.
UNRECORDED = frozenset({"status"})
FOR_ALL = frozenset({"workshop", "message", "unlock"})
FOR_ONE = frozenset({"request", "left"})


class Events:
    """Tells; `recorded` says whether a webhook waits for the events."""

    def __init__(self, *, recorded: bool) -> None:
        self._recorded = recorded

    async def tell(self, transaction: Transaction, workshop: int, kind: str, /, **data: Any) -> None:
        """Tell of an event. `data` are JSON values; `member`, if there, is whom it is about."""
        about = {"member": data["member"]} if "member" in data else {}
        transaction.emit(f"room:{workshop}", kind, **about)
        if kind in FOR_ALL:
            transaction.emit(f"workshop:{workshop}", kind)
        if kind in FOR_ONE:
            transaction.emit(f"member:{data['member']}", kind)
        if self._recorded and kind not in UNRECORDED:
            now = datetime.now(UTC)
            body = json.dumps({"event": kind, "at": now.isoformat(), "workshop": workshop, **data})
            await transaction.insert(Delivery, body=body, tries=0, due_at=now, created_at=now)
