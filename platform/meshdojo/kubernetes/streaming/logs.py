"""``GET .../pods/NAME/log``.

Source: PodLogOptions of core/v1 and its validation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.node import LogOptions, Node
from meshdojo.kubernetes.streaming.commands import truth
from meshdojo.kubernetes.streaming.pods import GetPod, container_of


def log_options(query: QueryParams) -> LogOptions:
    """The options in a query, without the container. Raises StatusError 400 for no number, 422 for a bad one."""
    options = LogOptions(
        follow=truth(query.get("follow", "")),
        previous=truth(query.get("previous", "")),
        timestamps=truth(query.get("timestamps", "")),
        tail_lines=_integer(query, "tailLines"),
        since_seconds=_integer(query, "sinceSeconds"),
        since_time=query.get("sinceTime") or None,
        limit_bytes=_integer(query, "limitBytes"),
    )
    causes = _violations(options)
    if causes:
        raise errors.invalid("", "PodLogOptions", "", causes)
    return options


def _integer(query: QueryParams, name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _violations(options: LogOptions) -> list[FieldError]:
    causes = []
    if options.tail_lines is not None and options.tail_lines < 0:
        causes.append(FieldError.invalid("tailLines", options.tail_lines, "must be greater than or equal to 0"))
    if options.limit_bytes is not None and options.limit_bytes < 1:
        causes.append(FieldError.invalid("limitBytes", options.limit_bytes, "must be greater than 0"))
    if options.since_seconds is not None and options.since_time:
        words = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(FieldError.forbidden("[]", words))
    elif options.since_seconds is not None and options.since_seconds < 1:
        causes.append(FieldError.invalid("sinceSeconds", options.since_seconds, "must be greater than 0"))
    return causes


async def logs(request: Request, node: Node, get_pod: GetPod) -> Response:
    """The lines as text/plain, as they come. Empty for a pod that is on no node yet."""
    namespace, name = request.path_params["namespace"], request.path_params["name"]
    options = log_options(request.query_params)
    pod = await get_pod(namespace, name)
    container = container_of(pod, request.query_params.get("container", ""))
    if not (pod.get("spec") or {}).get("nodeName"):
        return Response(status_code=204)
    chosen = LogOptions(**{**vars(options), "container": container})
    lines = await node.logs(namespace, name, chosen)
    return StreamingResponse(_closing(lines), media_type="text/plain")


async def _closing(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines; the node hears of it when the client goes."""
    try:
        async for line in lines:
            yield line
    finally:
        close = getattr(lines, "aclose", None)
        if close is not None:
            await close()
