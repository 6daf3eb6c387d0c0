"""Steady requests from the probe, so that there is something to see: the traffic switch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from meshdojo.checks.measurement import Place
from meshdojo.checks.mesh import GATEWAY_URL
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.probe import CONTAINER, NAMESPACES, Probe
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.errors import UserError

# One run of the probe; then comes the next, with what is wished by then.
SPELL_SECONDS = 5.0
RETRY_SECONDS = 2.0
MOST_PER_SECOND = 50.0
PATH = "/api/vehicles"

log = logging.getLogger(__name__)


class LoadError(UserError):
    """What was asked for cannot be sent; the text says why."""


@dataclass(frozen=True)
class Wish:
    """What to send: requests a second to a path, at the gateway or at a service, with at most a few headers."""

    rate: float = 5.0
    path: str = PATH
    to: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.rate <= MOST_PER_SECOND:
            raise LoadError(f"{self.rate:g} requests a second: allowed are up to {MOST_PER_SECOND:g}")
        check_request(self.path, self.to, self.headers)

    @property
    def place(self) -> Place:
        """Where the probe sends it from: a service is asked from inside the mesh, the gateway from outside."""
        return "inside" if self.to else "outside"

    @property
    def url(self) -> str:
        """The address as the probe's pod reaches it. `to` is 'NAMESPACE/NAME[:PORT]'; '' means the ingress gateway."""
        return address_of(self.to) + self.path


def address_of(to: str) -> str:
    """``http://…`` of the ingress gateway ('') or of a service 'NAMESPACE/NAME[:PORT]'."""
    if not to:
        return GATEWAY_URL
    namespace, _, rest = to.partition("/")
    name, _, port = rest.partition(":")
    return f"http://{name}.{namespace}" + (f":{port}" if port and port != "80" else "")


def check_request(path: str, to: str, headers: tuple[tuple[str, str], ...]) -> None:
    """Raises LoadError for what cannot be part of a request."""
    if not path.startswith("/") or len(path) > 500 or any(letter <= " " for letter in path):
        raise LoadError(f"path {path[:80]!r}: it must begin with '/' and have no spaces")
    if to and not all(part.replace("-", "").replace(":", "").isalnum() for part in to.split("/", 1)):
        raise LoadError(f"service {to[:80]!r}: expected NAMESPACE/NAME or NAMESPACE/NAME:PORT")
    for name, value in headers:
        if not name.replace("-", "").replace("_", "").isalnum() or any(letter < " " for letter in value):
            raise LoadError(f"header {name[:80]!r}: letters, digits and dashes, and a value in one line")


class Load:
    """The switch: on with a wish, off again. `problem` says why nothing is sent although it is on."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client
        self._probe = Probe(client)
        self._task: asyncio.Task[None] | None = None
        self.wish: Wish | None = None
        self.problem = ""

    def on(self, wish: Wish) -> None:
        """Send this from now on (within `SPELL_SECONDS` when something else is being sent)."""
        self.wish = wish
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(), name="traffic switch")

    async def off(self) -> None:
        """Send no more."""
        self.wish, self.problem = None, ""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _send(self) -> None:
        while self.wish:
            try:
                await self._spell(self.wish)
                self.problem = ""
            except (CannotJudge, UserError) as error:
                self.problem = str(error)
                log.info("the traffic switch: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _spell(self, wish: Wish) -> None:
        await self._probe.ensure()
        command = ["python", "-m", "probe", "steady", "--url", wish.url]
        command += ["--rate", f"{wish.rate:g}", "--seconds", f"{SPELL_SECONDS:g}"]
        for name, value in wish.headers:
            command += ["--header", f"{name}={value}"]
        pod = await pod_of(self._client, wish.place)
        result = await self._client.exec(NAMESPACES[wish.place], pod, command, CONTAINER, seconds=SPELL_SECONDS + 30)
        if result.exit_code:
            said = result.stderr.decode(errors="replace").strip().splitlines()
            raise LoadError(f"the probe failed: {said[-1] if said else result.exit_code}")

    async def close(self) -> None:
        """The same as off."""
        with contextlib.suppress(ClusterError):
            await self.off()


async def pod_of(client: HTTPClient, place: Place) -> str:
    """The probe's pod at this place, which must be there. Raises LoadError."""
    found = await client.list("pods", NAMESPACES[place], labels="app=probe")
    for pod in found.items:
        if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") == "Running":
            return str(pod["metadata"]["name"])
    raise LoadError(f"there is no probe in namespace {NAMESPACES[place]}")
