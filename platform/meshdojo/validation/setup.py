"""Bringing a lab to its start state from whatever there is, seeing what differs from it, and taking the lab away again.

The start state is declared: what the front matter needs, and manifests. Setting up and resetting are one thing, done by
what differs (`restoring`): a lab that was set up before, or another lab with the same application, is back in a moment,
as pods that are right go on running. Where nothing is known of what is there, its namespaces are deleted first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from meshdojo.backends.base import Backend, BackendError, Progress
from meshdojo.checks.convergence import PATIENT_SECONDS, Convergence
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.pods import has_sidecar
from meshdojo.checks.probe import NAMESPACES, Probe
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE
from meshdojo.course.content import content_root
from meshdojo.course.errors import CourseError
from meshdojo.course.lab import BASE, Lab, Need, read_manifests
from meshdojo.errors import UserError
from meshdojo.validation import record as records
from meshdojo.validation.difference import Difference, differences
from meshdojo.validation.record import Record
from meshdojo.validation.restoring import Refused, Wanted, restore
from meshdojo.validation.state import (
    DEFAULT_NAMESPACE,
    PODS,
    Key,
    Pod,
    State,
    digest,
    is_automatic,
    is_going,
    is_of_default,
    keys_of,
    look,
)


def silent(_text: str) -> None:
    """A `Progress` that says nothing."""


@dataclass(frozen=True)
class _Start:
    """What a lab declares of its start."""

    lab: str
    manifests: tuple[Object, ...]
    needs: tuple[Need, ...]
    fresh: frozenset[tuple[str, str]]

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(obj["metadata"]["name"] for obj in self.manifests if obj["kind"] == "Namespace")


def _start_of(lab: Lab | None) -> _Start:
    if lab is None:
        files = sorted((content_root() / "labs" / BASE).glob("*.yaml"))
        return _Start("", tuple(obj for file in files for obj in read_manifests(file)), ("istio", "fleet"), frozenset())
    return _Start(lab.id, lab.manifests(), lab.front.needs, lab.front.fresh_deployments)


@asynccontextmanager
async def connected(backend: Backend, client: HTTPClient | None) -> AsyncIterator[HTTPClient]:
    """`client`, or (None) a new one for the moment. One that has been used knows what the cluster serves."""
    if client is not None:
        yield client
        return
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as made:
        yield made


async def start_state(
    backend: Backend, lab: Lab | None = None, progress: Progress = silent, *, client: HTTPClient | None = None
) -> State:
    """Bring the cluster to the start of a lab (None: only the fleet), whatever is there, and return what it then is.

    Everything in the lab's namespaces becomes what its manifests say: what a learner added is gone, and so are the
    namespaces of other labs. Returns once every pod is ready and the mesh has settled. `client`: as for `connected`.
    Raises BackendError.
    """
    start = _start_of(lab)
    await _needs(backend, start, progress)
    async with connected(backend, client) as client:
        before = await records.read(client)
        if before is None:
            progress("applying the lab's manifests, and waiting until every pod is ready")
            await backend.reset(*start.namespaces)
        # Neither waits for the other: half of the time on a new cluster.
        _, state = await asyncio.gather(_probe(client), _restored(client, backend, start, before, progress, lab))
        if "istio" in start.needs:
            await _settle(client)
    return state


async def _restored(
    client: HTTPClient, backend: Backend, start: _Start, before: Record | None, progress: Progress, lab: Lab | None
) -> State:
    manifests: dict[Key, Object] = {}
    for manifest in start.manifests:
        try:
            manifests |= await keys_of(client, [manifest])
        except StatusError as error:
            raise _at_its_place(lab, manifest, error) from error
    prints = {key: digest(manifest) for key, manifest in manifests.items()}
    exact = {}
    if before is not None:
        for key, obj in before.state.objects.items():
            same = key in prints and before.manifests.get(key) == prints[key]
            if key == DEFAULT_NAMESPACE or same or (before.lab == start.lab and is_automatic(key)):
                exact[key] = obj
    known = known_before(before, start.lab) if before else None
    wanted = Wanted(exact, manifests, known, start.fresh, backend.owned)
    try:
        state = await restore(client, wanted, progress)
    except Refused as error:
        raise _at_its_place(lab, manifests[error.key], error) from error
    await _probe(client)  # the record lies beside it
    await records.write(client, Record(start.lab, state, prints))
    return state


def known_before(before: Record, lab: str) -> State:
    """The recorded state, as far as it counts for `lab`.

    The pods of another lab do not: their logs and counters tell of what was done there. As none is what it was, all are
    replaced.
    """
    if before.lab == lab:
        return before.state
    return replace(before.state, pods=tuple(replace(pod, fingerprint="") for pod in before.state.pods))


def _at_its_place(lab: Lab | None, manifest: Object, error: Exception) -> UserError:
    """The error, with the file and line of the manifest that is to blame."""
    for obj, file, line in lab.placed_manifests() if lab else ():
        if obj == manifest:
            return CourseError(file, line, str(error))
    return BackendError(str(error))


async def present_state(backend: Backend, client: HTTPClient | None = None) -> State:
    """What is there now. Raises ClusterError."""
    async with connected(backend, client) as client:
        return (await look(client, everywhere=backend.owned)).state


async def return_to(
    backend: Backend,
    lab: Lab,
    state: State,
    clean: Iterable[Pod] = (),
    progress: Progress = silent,
    client: HTTPClient | None = None,
) -> State:
    """Bring the lab back to `state`, where it has been before, and return what it then is (pods may be new).

    `clean`: more pods that nobody touched since they were made. Raises CannotRestore when it cannot be told how,
    BackendError, ClusterError.
    """
    async with connected(backend, client) as client:
        manifests = await keys_of(client, (obj for obj in lab.manifests() if obj["kind"] == "Pod"))
        before = replace(state, pods=(*state.pods, *clean))
        fresh = lab.front.fresh_deployments
        exact = {key: obj for key, obj in state.objects.items() if not is_of_default(key)}
        reached = await restore(client, Wanted(exact, manifests, before, fresh, backend.owned, whole=True), progress)
        if "istio" in lab.front.needs:
            await _settle(client)
        return reached


async def pods_gone(client: HTTPClient, namespaces: Iterable[str], seconds: float = PATIENT_SECONDS) -> None:
    """Return once no pod of these namespaces is on its way out. Raises BackendError after `seconds`, ClusterError."""
    going: list[str] = []
    try:
        async with asyncio.timeout(seconds):
            while going := await _going(client, namespaces):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # of several namespaces, of which most have none
    except TimeoutError:
        raise BackendError(f"still on their way out after {seconds:g} s: {', '.join(going)}") from None


async def _going(client: HTTPClient, namespaces: Iterable[str]) -> list[str]:
    lists = [await client.list(PODS, namespace) for namespace in namespaces]
    pods = [pod["metadata"] for found in lists for pod in found.items if is_going(pod)]
    return [str(Key(PODS, metadata["namespace"], metadata["name"])) for metadata in pods]


async def prepare(backend: Backend, lab: Lab | None = None, progress: Progress = silent) -> None:
    """What a lab needs before its own objects come: Istio, the images, the probe. Raises BackendError."""
    await _needs(backend, _start_of(lab), progress)
    progress("making the probe")
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        await _probe(client)


async def _needs(backend: Backend, start: _Start, progress: Progress) -> None:
    if "istio" in start.needs:
        await backend.ensure_istio(progress)
    elif "no-istio" in start.needs:
        await _leave_the_mesh(backend, start, progress)
        await backend.remove_istio(progress)
    await backend.ensure_images(progress)


async def _leave_the_mesh(backend: Backend, start: _Start, progress: Progress) -> None:
    """Take the other labs' namespaces away whose pods have sidecars: nobody will tell those sidecars anything."""
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        namespaces, pods = await asyncio.gather(client.list("namespaces"), client.list("pods"))
    meshed = {pod["metadata"]["namespace"] for pod in pods.items if has_sidecar(pod)}
    kept = {*start.namespaces, *NAMESPACES.values()}
    names = sorted(
        name
        for namespace in namespaces.items
        if namespace["metadata"].get("labels", {}).get(MANAGED_LABEL) == MANAGED_VALUE
        and (name := namespace["metadata"]["name"]) in meshed - kept
    )
    if names:
        progress(f"deleting {', '.join(names)}, which {'is' if len(names) == 1 else 'are'} in the mesh")
        await backend.reset(*names)


async def _probe(client: HTTPClient) -> None:
    with _blaming_the_backend():
        await Probe(client).ensure()


async def _settle(client: HTTPClient) -> None:
    with _blaming_the_backend():
        await Convergence(client).wait(PATIENT_SECONDS)


async def reset_lab(
    backend: Backend, lab: Lab, progress: Progress = silent, *, hard: bool = False, client: HTTPClient | None = None
) -> State:
    """Bring the lab back to its start. `hard`: everything is made anew, whether or not it differs.

    Raises BackendError.
    """
    if hard:
        await remove(backend, lab, progress)
    return await start_state(backend, lab, progress, client=client)


async def lab_differences(backend: Backend, lab: Lab) -> list[Difference]:
    """What differs from the lab's start. Raises BackendError when this lab is not the one that is set up."""
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        start = await records.read(client)
        if start is None or start.lab != lab.id:
            found = f"lab {start.lab!r} is set up" if start and start.lab else "no lab is set up"
            raise BackendError(f"{found}; 'meshdojo reset {lab.id}' sets {lab.id!r} up")
        now = await look(client, start.state.namespaces, everywhere=backend.owned)
        return differences(start.state, now.state)


async def remove(backend: Backend, lab: Lab, progress: Progress = silent) -> None:
    """Take a lab away, and all others with it: namespaces with all that is in them, and Istio if it starts without.

    Raises BackendError.
    """
    await remove_all(backend, [lab], progress)
    if "no-istio" in lab.front.needs:
        await backend.remove_istio(progress)


async def remove_all(backend: Backend, labs: Iterable[Lab], progress: Progress = silent) -> None:
    """Take labs away, these and any other that was set up. Raises BackendError."""
    if namespaces := {name for lab in labs for name in lab.namespaces()}:
        progress(f"deleting {', '.join(sorted(namespaces))}")
        await backend.reset(*sorted(namespaces))
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        record = await records.read(client)
        before = record.state if record else None
        exact = {key: obj for key, obj in before.objects.items() if key == DEFAULT_NAMESPACE} if before else {}
        await restore(client, Wanted(exact, {}, before, owned=backend.owned), progress)
        await records.forget(client)


@contextmanager
def _blaming_the_backend() -> Iterator[None]:
    """During set-up nobody is judged: what keeps a check from judging is a failure of the backend."""
    try:
        yield
    except CannotJudge as error:
        raise BackendError(f"{error.error.reason}. {error.error.remedy}") from error
