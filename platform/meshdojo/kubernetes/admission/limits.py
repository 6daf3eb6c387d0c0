"""LimitRanger: the sizes that a namespace gives to containers without any, and those that it refuses.

Source: plugin/pkg/admission/limitranger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors, usage
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.store import Store
from meshdojo.kubernetes.usage import Amounts

ANNOTATION = "kubernetes.io/limit-ranger"
_FIELDS = {"initContainers": "init container", "containers": "container"}


class LimitRanger:
    """Fills in defaults, and refuses pods and claims outside the limits."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> Object | None:
        """A new pod with the defaults of its namespace's limit ranges."""
        obj = attributes.obj
        if obj is None or not self._concerns(attributes) or attributes.resource.storage != "pods":
            return obj
        for limits in self._store.list("limitranges", attributes.namespace):
            obj = with_defaults(obj, limits)
        return obj

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError 403, with all that is wrong by the first limit range that is broken."""
        if attributes.obj is None or not self._concerns(attributes):
            return
        judge = pod_problems if attributes.resource.storage == "pods" else claim_problems
        for limits in self._store.list("limitranges", attributes.namespace):
            problems = [problem for item in _items(limits) for problem in judge(item, attributes.obj)]
            if problems:
                words = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                raise errors.forbidden(attributes.resource, attributes.name, words)

    def _concerns(self, attributes: Attributes) -> bool:
        if attributes.subresource or attributes.resource.storage not in ("pods", "persistentvolumeclaims"):
            return False
        return attributes.operation == "CREATE"


def _items(limits: Object) -> list[Object]:
    """What a limit range says; one that says nothing is allowed, too."""
    return (limits.get("spec") or {}).get("limits") or []


def with_defaults(pod: Object, limits: Object) -> Object:
    """`pod` with what the limit range sets for containers, and an annotation that says so."""
    items = [item for item in _items(limits) if item.get("type") == "Container"]
    defaults = {
        "requests": {key: value for item in items for key, value in (item.get("defaultRequest") or {}).items()},
        "limits": {key: value for item in items for key, value in (item.get("default") or {}).items()},
    }
    notes: list[str] = []
    spec = dict(pod["spec"])
    for field, noun in _FIELDS.items():
        if spec.get(field):
            spec[field] = [_sized(container, defaults, noun, notes) for container in spec[field]]
    if not notes:
        return pod
    metadata = pod["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes)}
    return {**pod, "metadata": {**metadata, "annotations": annotations}, "spec": spec}


def _sized(container: Object, defaults: Mapping[str, Mapping[str, str]], noun: str, notes: list[str]) -> Object:
    resources = dict(container.get("resources") or {})
    for kind, values in defaults.items():
        added = {name: value for name, value in values.items() if name not in (resources.get(kind) or {})}
        if added:
            resources[kind] = {**(resources.get(kind) or {}), **added}
            notes.append(f"{', '.join(sorted(added))} {kind.removesuffix('s')} for {noun} {container['name']}")
    return {**container, "resources": resources}


def pod_problems(item: Object, pod: Object) -> Iterator[str]:
    """What one item of a limit range refuses about a pod."""
    match item.get("type"):
        case "Container":
            for field in ("containers", "initContainers"):
                for container in pod["spec"].get(field) or ():
                    requests, limits = usage.amounts(container, "requests"), usage.amounts(container, "limits")
                    yield from _problems(item, "Container", requests, limits)
        case "Pod":
            yield from _problems(item, "Pod", usage.pod_amounts(pod, "requests"), usage.pod_amounts(pod, "limits"))


def claim_problems(item: Object, claim: Object) -> Iterator[str]:
    """What one item of a limit range refuses about a claim."""
    if item.get("type") != "PersistentVolumeClaim":
        return
    requests = usage.amounts(claim.get("spec") or {}, "requests")
    yield from _minima(item, "PersistentVolumeClaim", requests, {})
    for name, bound in sorted((item.get("max") or {}).items()):
        if requests.get(name, 0) > quantity.parse(str(bound)):
            asked = usage.text(requests[name], str(bound))
            yield f"maximum {name} usage per PersistentVolumeClaim is {bound}, but request is {asked}"


def _problems(item: Object, kind: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    yield from _minima(item, kind, requests, limits)
    for name, bound in sorted((item.get("max") or {}).items()):
        most = quantity.parse(str(bound))
        if name not in limits:
            yield f"maximum {name} usage per {kind} is {bound}.  No limit is specified"
        elif limits[name] > most:
            yield f"maximum {name} usage per {kind} is {bound}, but limit is {usage.text(limits[name], str(bound))}"
        elif requests.get(name, 0) > most:
            yield f"maximum {name} usage per {kind} is {bound}, but request is {usage.text(requests[name], str(bound))}"
    for name, bound in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        yield from _ratio(name, kind, str(bound), requests.get(name, 0), limits.get(name, 0))


def _minima(item: Object, kind: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, bound in sorted((item.get("min") or {}).items()):
        least = quantity.parse(str(bound))
        if name not in requests:
            yield f"minimum {name} usage per {kind} is {bound}.  No request is specified"
        elif requests[name] < least:
            yield f"minimum {name} usage per {kind} is {bound}, but request is {usage.text(requests[name], str(bound))}"
        elif name in limits and limits[name] < least:
            yield f"minimum {name} usage per {kind} is {bound}, but limit is {usage.text(limits[name], str(bound))}"


def _ratio(name: str, kind: str, bound: str, request: int, limit: int) -> Iterator[str]:
    words = f"{name} max limit to request ratio per {kind} is {bound}, but"
    if not request:
        yield f"{words} no request is specified or request is 0"
    elif not limit:
        yield f"{words} no limit is specified or limit is 0"
    elif limit / request > quantity.number(bound):
        yield f"{words} provided ratio is {limit / request:f}"
