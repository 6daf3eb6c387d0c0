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
    """Plugins one after the other."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self.plugins = list(plugins)

    async def mutate(self, attributes: Attributes) -> Object | None:
        """What the plugins make of the object. Raises StatusError when one refuses."""
        for plugin in self.plugins:
            attributes = replace(attributes, obj=await plugin.mutate(attributes))
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError when a plugin refuses."""
        for plugin in self.plugins:
            await plugin.validate(attributes)
