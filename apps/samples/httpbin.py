"""httpbin: answers with what it was asked, in the shapes of go-httpbin: JSON with two spaces, values of headers and of
query parameters as lists, and the headers that let any page read it. What is here is what people point at a mesh;
digest authentication, WebSockets, trailers and forms are not.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import gzip
import json
import os
import random
import re
import time
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samples.pictures import PICTURES
from samples.serving import serve

PORT = 8080
MAX_DELAY_SECONDS = 10.0
MAX_BYTES = 1 << 20
TEAPOT = 418
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}

Handler = Callable[[Request], Awaitable[Response]]


def as_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`body` as go-httpbin writes it."""
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    return Response(text, status, headers, media_type="application/json; charset=utf-8")


def problem(status: int, detail: str) -> HTTPException:
    """An error that the exception handler turns into JSON."""
    return HTTPException(status, detail)


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"status_code": error.status_code, "error": HTTPStatus(error.status_code).phrase, "detail": error.detail}
    return as_json(body, error.status_code)


# What a request was


def headers(request: Request) -> dict[str, list[str]]:
    """The request's headers by their usual spelling, sorted."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        found.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
    return dict(sorted(found.items()))


def _arguments(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.url.query, keep_blank_values=True)


def _url(request: Request) -> str:
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    return f"{scheme}://{request.headers.get('host', '')}{request.url.path}" + (
        f"?{request.url.query}" if request.url.query else ""
    )


def origin(request: Request) -> str:
    """Who asked, as far as anybody says."""
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
    return forwarded or (request.client.host if request.client else "")


def _facts(request: Request) -> dict[str, Any]:
    return {
        "args": _arguments(request),
        "headers": headers(request),
        "method": request.method,
        "origin": origin(request),
        "url": _url(request),
    }


async def without_body(request: Request) -> Response:
    """``/get`` and its kin."""
    return as_json(_facts(request))


async def with_body(request: Request) -> Response:
    """``/post`` and its kin: the body, too, and what can be read in it."""
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    form: dict[str, list[str]] = {}
    parsed: Any = None
    if kind == "application/x-www-form-urlencoded":
        form = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    elif kind == "application/json" and body:
        try:
            parsed = json.loads(body)
        except ValueError as error:
            raise problem(400, f"invalid JSON: {error}") from None
    try:
        data = body.decode()
    except UnicodeDecodeError:
        data = "data:application/octet-stream;base64," + base64.b64encode(body).decode()
    return as_json({**_facts(request), "data": data, "files": {}, "form": form, "json": parsed})


async def anything(request: Request) -> Response:
    """Whatever it was."""
    return await with_body(request)


async def show_headers(request: Request) -> Response:
    return as_json({"headers": headers(request)})


async def show_origin(request: Request) -> Response:
    return as_json({"origin": origin(request)})


async def user_agent(request: Request) -> Response:
    return as_json({"user-agent": request.headers.get("user-agent", "")})


async def hostname(_request: Request) -> Response:
    return as_json({"hostname": os.environ.get("HOSTNAME", "")})


# What an answer is to be


async def status(request: Request) -> Response:
    """``/status/404``, or one of ``/status/200:0.9,503:0.1``."""
    choices, weights = [], []
    for part in request.path_params["codes"].split(","):
        code, _, weight = part.partition(":")
        choices.append(code)
        weights.append(weight or "1")
    try:
        code = random.choices([int(one) for one in choices], [float(one) for one in weights])[0]
    except ValueError:
        raise problem(400, f"invalid status code: {request.path_params['codes']}") from None
    if not 100 <= code < 600:
        raise problem(400, f"invalid status code: {code} not in range [100, 599]")
    if code == TEAPOT:
        return PlainTextResponse("I'm a teapot!", code, {"x-more-info": "http://tools.ietf.org/html/rfc2324"})
    special = {
        301: {"location": "/redirect/1"},
        302: {"location": "/redirect/1"},
        303: {"location": "/redirect/1"},
        307: {"location": "/redirect/1"},
        401: {"www-authenticate": 'Basic realm="Fake Realm"'},
    }
    return PlainTextResponse(status_code=code, headers=special.get(code))


def seconds(text: str) -> float:
    """A number of seconds, or a duration such as ``1.5s`` and ``200ms``. Raises HTTPException 400."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|)", text)
    if match is None:
        raise problem(400, f"invalid duration: {text}")
    found = float(match[1]) * _UNITS[match[2]]
    if found > MAX_DELAY_SECONDS:
        raise problem(400, f"invalid duration: {text}: more than {MAX_DELAY_SECONDS:g}s")
    return found


async def delay(request: Request) -> Response:
    await asyncio.sleep(seconds(request.path_params["delay"]))
    return await with_body(request)


async def unstable(request: Request) -> Response:
    """Fails half of the time, or as often as ``failure_rate`` says."""
    rate = float(request.query_params.get("failure_rate", "0.5"))
    return Response(status_code=500 if random.random() < rate else 200)


async def response_headers(request: Request) -> Response:
    arguments = _arguments(request)
    arguments.setdefault("Content-Type", ["application/json; charset=utf-8"])
    answer = as_json(dict(sorted(arguments.items())))
    del answer.headers["content-type"]
    for name, values in arguments.items():
        for value in values:
            answer.headers.append(name, value)
    return answer


def _count(request: Request, name: str, most: int) -> int:
    text = request.path_params[name]
    if not text.isdecimal():
        raise problem(400, f"invalid number: {text}")
    return min(int(text), most)


async def redirect(request: Request) -> Response:
    """``/redirect/3`` (relative), ``/absolute-redirect/3``: that many times, then ``/get``."""
    kind = request.url.path.split("/")[1]
    left = _count(request, "count", 100) - 1
    target = "/get" if left < 1 else f"/{kind}/{left}"
    if kind == "absolute-redirect":
        target = f"{request.url.scheme}://{request.headers.get('host', '')}{target}"
    return Response(status_code=302, headers={"location": target})


async def redirect_to(request: Request) -> Response:
    if "url" not in request.query_params:
        raise problem(400, "missing required query parameter: url")
    code = request.query_params.get("status_code", "302")
    if not code.isdecimal() or not 300 <= int(code) < 400:
        raise problem(400, f"invalid status code: {code}")
    return Response(status_code=int(code), headers={"location": request.query_params["url"]})


async def show_cookies(request: Request) -> Response:
    return as_json({"cookies": request.cookies})


async def set_cookies(request: Request) -> Response:
    answer = Response(status_code=302, headers={"location": "/cookies"})
    for name, value in request.query_params.items():
        answer.set_cookie(name, value, path=None, httponly=True, samesite=None)
    return answer


async def delete_cookies(request: Request) -> Response:
    answer = Response(status_code=302, headers={"location": "/cookies"})
    for name in request.query_params:
        answer.delete_cookie(name, path="", httponly=True, samesite=None)
    return answer


async def basic_auth(request: Request) -> Response:
    wanted = f"{request.path_params['user']}:{request.path_params['password']}"
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        right = scheme.lower() == "basic" and base64.b64decode(given).decode() == wanted
    except (binascii.Error, UnicodeDecodeError):
        right = False
    body = {"authenticated": right, "authorized": right, "user": request.path_params["user"] if right else ""}
    if right:
        return as_json(body)
    hidden = request.url.path.startswith("/hidden")
    return as_json(body, 404 if hidden else 401, None if hidden else {"www-authenticate": 'Basic realm="Fake Realm"'})


async def bearer(request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return Response(status_code=401, headers={"www-authenticate": "Bearer"})
    return as_json({"authenticated": True, "token": token})


async def some_bytes(request: Request) -> Response:
    seeded = random.Random(request.query_params.get("seed"))
    count = _count(request, "count", MAX_BYTES)
    return Response(seeded.randbytes(count), media_type="application/octet-stream")


async def stream(request: Request) -> Response:
    """``/stream/3``: that many lines of JSON, one chunk each."""
    facts, count = _facts(request), _count(request, "count", 100)

    def lines() -> Iterable[str]:
        for number in range(count):
            yield json.dumps({"id": number, **facts}, separators=(",", ":")) + "\n"

    return StreamingResponse(lines(), media_type="application/json")


async def drip(request: Request) -> Response:
    """``numbytes`` over ``duration``, after ``delay``."""
    query = request.query_params
    count = min(int(query.get("numbytes", "10")), MAX_BYTES)
    pause = seconds(query.get("duration", "2s")) / max(count, 1)
    await asyncio.sleep(seconds(query.get("delay", "0s")))

    async def body() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"*"
            await asyncio.sleep(pause)

    return StreamingResponse(body(), int(query.get("code", "200")), media_type="application/octet-stream")


async def sse(request: Request) -> Response:
    """``count`` events over ``duration``."""
    count = int(request.query_params.get("count", "10"))
    pause = seconds(request.query_params.get("duration", "5s")) / max(count, 1)

    async def events() -> AsyncIterator[str]:
        for number in range(count):
            data = json.dumps({"id": number, "timestamp": int(time.time() * 1000)}, separators=(",", ":"))
            yield f"event: ping\ndata: {data}\n\n"
            await asyncio.sleep(pause)

    return StreamingResponse(events(), media_type="text/event-stream")


async def compressed(request: Request) -> Response:
    kind = request.url.path.strip("/")
    body = json.dumps({**_facts(request), f"{kind}ped" if kind == "gzip" else "deflated": True}, indent=2).encode()
    packed = gzip.compress(body) if kind == "gzip" else zlib.compress(body)
    return Response(packed, headers={"content-encoding": kind}, media_type="application/json")


async def picture(request: Request) -> Response:
    """``/image/png``, or ``/image``: the one that the client prefers."""
    kind = request.path_params.get("kind")
    if kind is None:
        accepted = request.headers.get("accept", "")
        kind = next((name for name, (media, _) in PICTURES.items() if media in accepted), None)
        if kind is None and accepted and not ("image/*" in accepted or "*/*" in accepted):
            raise problem(406, "Client did not request a supported media type")
    media, content = PICTURES.get(kind or "png", ("", b""))
    if not media:
        raise problem(404, "Not Found")
    return Response(content, headers={"content-type": media})


async def some_range(request: Request) -> Response:
    """``/range/26``: the alphabet again and again, whole or the part that ``Range: bytes=…`` asks for."""
    count = _count(request, "count", MAX_BYTES)
    whole = (b"abcdefghijklmnopqrstuvwxyz" * (count // 26 + 1))[:count]
    headers = {"etag": f"range{count}", "accept-ranges": "bytes", "content-type": "text/plain; charset=utf-8"}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if asked is None or not (asked[1] or asked[2]):
        return Response(whole, headers=headers)
    first = int(asked[1]) if asked[1] else max(count - int(asked[2]), 0)
    last = min(int(asked[2]), count - 1) if asked[1] and asked[2] else count - 1
    if first > last:
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{count}"})
    return Response(whole[first : last + 1], 206, {**headers, "content-range": f"bytes {first}-{last}/{count}"})


async def dump(request: Request) -> Response:
    """The request as it stood on the wire, as far as that is known."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {request.headers.get('host', '')}"]
    lines += [f"{name}: {value}" for name, values in headers(request).items() if name != "Host" for value in values]
    return PlainTextResponse("\r\n".join([*lines, "", ""]).encode() + await request.body())


async def environment(_request: Request) -> Response:
    return as_json({"env": {name: value for name, value in os.environ.items() if name.startswith("HTTPBIN_ENV_")}})


async def new_uuid(_request: Request) -> Response:
    return as_json({"uuid": str(uuid.uuid4())})


async def decode(request: Request) -> Response:
    text = request.path_params["text"]
    try:
        standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        return PlainTextResponse(base64.b64decode(standard, validate=True))
    except binascii.Error as error:
        raise problem(400, f"decode failed: {error}") from None


async def cache(request: Request) -> Response:
    """304 for who has it already."""
    if {"if-modified-since", "if-none-match"} & set(request.headers):
        return Response(status_code=304)
    answer = as_json(_facts(request))
    answer.headers["etag"] = f'"{uuid.uuid4().hex}"'
    return answer


async def cache_for(request: Request) -> Response:
    answer = as_json(_facts(request))
    answer.headers["cache-control"] = f"public, max-age={_count(request, 'seconds', 10**9)}"
    return answer


async def etag(request: Request) -> Response:
    value = request.path_params["etag"]
    wanted = [one.strip().removeprefix("W/").strip('"') for one in request.headers.get("if-none-match", "").split(",")]
    if value in wanted or "*" in wanted:
        return Response(status_code=304, headers={"etag": f'"{value}"'})
    answer = as_json(_facts(request))
    answer.headers["etag"] = f'"{value}"'
    return answer


_INDEX = (
    "<!DOCTYPE html>\n<html><head><title>httpbin</title></head><body><h1>httpbin</h1><p>Answers with what it was "
    "asked: /get, /post, /headers, /ip, /status/{code}, /delay/{seconds}, and others.</p></body></html>\n"
)
_PAGE = "<!DOCTYPE html>\n<html><body><h1>A page</h1><p>Some text, for who wants HTML.</p></body></html>\n"
_XML = (
    "<?xml version='1.0' encoding='us-ascii'?>\n<list><item number='1'>one</item><item number='2'>two</item></list>\n"
)
_UTF8 = "<h1>Text in UTF-8</h1>\n<p>ä ö ü ß · ∮ ∞ ≤ · こんにちは · Привет</p>\n"


def _routes() -> list[Route]:
    plain = ["GET"]
    everywhere: list[tuple[str, Handler, list[str]]] = [
        *((f"/{verb}", with_body, [verb.upper()]) for verb in ("post", "put", "patch", "delete")),
        ("/get", without_body, plain),
        ("/head", without_body, ["HEAD"]),
        ("/anything", anything, METHODS),
        ("/anything/{rest:path}", anything, METHODS),
        ("/headers", show_headers, plain),
        ("/ip", show_origin, plain),
        ("/user-agent", user_agent, plain),
        ("/hostname", hostname, plain),
        ("/status/{codes}", status, METHODS),
        ("/delay/{delay}", delay, METHODS),
        ("/unstable", unstable, plain),
        ("/response-headers", response_headers, ["GET", "POST"]),
        ("/redirect/{count}", redirect, plain),
        ("/relative-redirect/{count}", redirect, plain),
        ("/absolute-redirect/{count}", redirect, plain),
        ("/redirect-to", redirect_to, METHODS),
        ("/cookies", show_cookies, plain),
        ("/cookies/set", set_cookies, plain),
        ("/cookies/delete", delete_cookies, plain),
        ("/basic-auth/{user}/{password}", basic_auth, plain),
        ("/hidden-basic-auth/{user}/{password}", basic_auth, plain),
        ("/bearer", bearer, plain),
        ("/bytes/{count}", some_bytes, plain),
        ("/stream-bytes/{count}", some_bytes, plain),
        ("/stream/{count}", stream, plain),
        ("/drip", drip, plain),
        ("/sse", sse, plain),
        ("/gzip", compressed, plain),
        ("/deflate", compressed, plain),
        ("/uuid", new_uuid, plain),
        ("/image", picture, plain),
        ("/image/{kind}", picture, plain),
        ("/range/{count}", some_range, plain),
        ("/dump/request", dump, plain),
        ("/env", environment, plain),
        ("/base64/{text}", decode, plain),
        ("/base64/decode/{text}", decode, plain),
        ("/cache", cache, plain),
        ("/cache/{seconds}", cache_for, plain),
        ("/etag/{etag}", etag, plain),
    ]
    fixed = {
        "/": HTMLResponse(_INDEX),
        "/html": HTMLResponse(_PAGE),
        "/xml": Response(_XML, media_type="application/xml"),
        "/encoding/utf8": HTMLResponse(_UTF8),
        "/robots.txt": PlainTextResponse("User-agent: *\nDisallow: /deny\n"),
        "/deny": PlainTextResponse("Robots are asked to stay away from here.\n"),
        "/json": as_json({"slideshow": {"title": "A sample", "slides": [{"title": "One"}, {"title": "Two"}]}}),
    }
    return [
        *(Route(path, handler, methods=methods) for path, handler, methods in everywhere),
        *(Route(path, answer) for path, answer in fixed.items()),
    ]


class AnyOrigin:
    """Every answer says that any page may read it, and OPTIONS is answered with what a page may send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Request(scope).headers

        async def allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["access-control-allow-credentials"] = "true"
                answer["access-control-allow-origin"] = asked.get("origin") or "*"
            await send(message)

        if scope["method"] != "OPTIONS":
            await self._app(scope, receive, allowed)
            return
        may = {
            "access-control-allow-methods": "GET, POST, HEAD, PUT, DELETE, PATCH, OPTIONS",
            "access-control-max-age": "3600",
        }
        if wanted := asked.get("access-control-request-headers"):
            may["access-control-allow-headers"] = wanted
        await Response(headers=may)(scope, receive, allowed)


def build() -> ASGIApp:
    """The ASGI application."""
    return AnyOrigin(Starlette(routes=_routes(), exception_handlers={HTTPException: _on_error}))


def main() -> None:
    """The program. ``PORT`` as in the original."""
    serve(build(), int(os.environ.get("PORT") or PORT))


if __name__ == "__main__":
    main()
