"""The order in which admission plugins see a request, and what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.requests import Options
from meshdojo.kubernetes.resources import Resource

Operation = Literal["CREATE", "UPDATE", "DELETE"]


@dataclass(frozen=True)
class Attributes:
    """A request as admission sees it. `obj` is None for DELETE, `old` for CREATE; `name` may be '' (generateName)."""

    operation: Operation
    resource: Resource
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    options: Options
    subresource: str = ""


class Plugin(Protocol):
    """One admission plugin."""

    async def mutate(self, attributes: Attributes) -> Object | None:
        """The object to go on with (the same one if there is nothing to change). Raises StatusError to refuse."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError to refuse."""
        ...


class Chain:
    """Built-in plugins first, then webhooks, then those that must have the last word before the object is stored.

    When webhooks changed the object the built-in plugins see it once more, so that what a webhook added (a container,
    say) gets what they add. Source: "reinvocation" in the documentation of admission webhooks.
    """

    def __init__(
        self, plugins: Sequence[Plugin] = (), webhooks: Sequence[Plugin] = (), last: Sequence[Plugin] = ()
    ) -> None:
        self._plugins = plugins
        self._webhooks = webhooks
        self._last = last

    async def mutate(self, attributes: Attributes) -> Object | None:
        """What the plugins make of the object. Raises StatusError when one refuses."""
        prepared = await _mutate(self._plugins, attributes)
        changed = await _mutate(self._webhooks, prepared)
        if changed.obj is not prepared.obj:
            changed = await _mutate(self._plugins, changed)
        return changed.obj

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError when a plugin refuses."""
        for plugin in (*self._plugins, *self._webhooks, *self._last):
            await plugin.validate(attributes)


async def _mutate(plugins: Sequence[Plugin], attributes: Attributes) -> Attributes:
    for plugin in plugins:
        attributes = replace(attributes, obj=await plugin.mutate(attributes))
    return attributes
