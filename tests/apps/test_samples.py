"""The equivalents of Istio's samples: the endpoints that people use, in the originals' shapes."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from samples import helloworld, httpbin, tcp_echo

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(method: str, url: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(httpbin.build(), client=("10.0.0.1", 123))
    async with httpx.AsyncClient(transport=transport, base_url="http://httpbin:8000") as client:
        return await client.request(method, url, **options)


async def test_a_get_is_answered_with_what_it_was() -> None:
    answer = await ask("GET", "/get?a=1&a=2", headers={"x-b3-traceid": "7"})
    body = answer.json()
    assert list(body) == ["args", "headers", "method", "origin", "url"]
    assert body["args"] == {"a": ["1", "2"]}
    assert body["headers"]["X-B3-Traceid"] == ["7"]
    assert body["headers"]["Host"] == ["httpbin:8000"]
    assert (body["origin"], body["url"]) == ("10.0.0.1", "http://httpbin:8000/get?a=1&a=2")
    assert answer.text.startswith('{\n  "args": {')
    assert (await ask("GET", "/ip", headers={"x-forwarded-for": "1.2.3.4, 5.6.7.8"})).json() == {"origin": "1.2.3.4"}


async def test_bodies_are_shown_as_text_form_and_json() -> None:
    posted = (await ask("POST", "/post", data={"a": "b"})).json()
    assert (posted["form"], posted["data"], posted["json"]) == ({"a": ["b"]}, "a=b", None)
    posted = (await ask("PUT", "/anything/at/all", json={"a": [1]})).json()
    assert (posted["method"], posted["json"]) == ("PUT", {"a": [1]})
    assert (await ask("POST", "/post", content=b"\xff")).json()["data"].endswith(base64.b64encode(b"\xff").decode())
    broken = await ask("POST", "/post", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["error"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/status/200", 200),
        ("/status/503", 503),
        ("/status/418", 418),
        ("/status/500:1,200:0", 500),
        ("/status/999", 400),
        ("/status/x", 400),
        ("/delay/0", 200),
        ("/delay/10ms", 200),
        ("/delay/11", 400),
        ("/delay/soon", 400),
        ("/basic-auth/u/p", 401),
        ("/hidden-basic-auth/u/p", 404),
        ("/bearer", 401),
        ("/redirect/2", 302),
        ("/redirect-to?url=/get&status_code=307", 307),
        ("/redirect-to", 400),
        ("/bytes/many", 400),
        ("/base64/!", 400),
        ("/unstable?failure_rate=1", 500),
        ("/unstable?failure_rate=0", 200),
        ("/nosuch", 404),
    ],
)
async def test_answers_have_the_status_that_was_asked_for(path: str, status: int) -> None:
    assert (await ask("GET", path)).status_code == status


async def test_headers_cookies_and_redirects() -> None:
    answer = await ask("GET", "/response-headers?x-a=1&x-a=2")
    assert answer.headers.get_list("x-a") == ["1", "2"]
    assert (await ask("GET", "/cookies", headers={"cookie": "a=b"})).json() == {"cookies": {"a": "b"}}
    assert "a=b" in (await ask("GET", "/cookies/set?a=b")).headers["set-cookie"]
    assert (await ask("GET", "/redirect/3")).headers["location"] == "/redirect/2"
    assert (await ask("GET", "/absolute-redirect/1")).headers["location"] == "http://httpbin:8000/get"
    assert (await ask("GET", "/basic-auth/u/p", auth=("u", "p"))).json()["authenticated"] is True
    assert (await ask("GET", "/bearer", headers={"authorization": "Bearer t"})).json()["token"] == "t"
    assert (await ask("GET", "/etag/x", headers={"if-none-match": '"x"'})).status_code == 304
    assert (await ask("GET", "/cache", headers={"if-none-match": "x"})).status_code == 304
    assert (await ask("GET", "/cache/60")).headers["cache-control"] == "public, max-age=60"


async def test_streams_and_encodings() -> None:
    lines = (await ask("GET", "/stream/3")).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [0, 1, 2]
    assert (await ask("GET", "/drip?numbytes=3&duration=0s")).content == b"***"
    assert (await ask("GET", "/sse?count=2&duration=0s")).text.count("event: ping") == 2
    assert len((await ask("GET", "/bytes/100?seed=1")).content) == 100
    assert (await ask("GET", "/gzip")).json()["gzipped"] is True
    assert (await ask("GET", "/deflate")).json()["deflated"] is True
    assert (await ask("GET", f"/base64/{base64.b64encode(b'hello').decode()}")).text == "hello"
    assert len((await ask("GET", "/uuid")).json()["uuid"]) == 36


async def test_any_page_may_read_the_answers() -> None:
    for path in ("/status/200", "/get", "/nosuch", "/image/png"):
        answer = await ask("GET", path)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-credentials"] == "true"
    page = {"origin": "http://page", "access-control-request-headers": "x-a"}
    asked = await ask("OPTIONS", "/get", headers=page)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["access-control-allow-origin"] == "http://page"
    assert asked.headers["access-control-allow-headers"] == "x-a"
    assert "DELETE" in asked.headers["access-control-allow-methods"]


async def test_what_a_status_and_named_headers_are_sent_as() -> None:
    assert (await ask("GET", "/status/200")).headers["content-type"] == "text/plain; charset=utf-8"
    answer = await ask("GET", "/response-headers?foo=bar")
    assert answer.json() == {"Content-Type": ["application/json; charset=utf-8"], "foo": ["bar"]}
    assert (await ask("GET", "/response-headers?Content-Type=text/x")).headers.get_list("content-type") == ["text/x"]
    assert (await ask("GET", "/cookies/set?a=b")).headers["set-cookie"] == "a=b; HttpOnly"


@pytest.mark.parametrize(
    ("path", "accept", "kind", "begins"),
    [
        ("/image/png", "*/*", "image/png", b"\x89PNG\r\n"),
        ("/image/jpeg", "*/*", "image/jpeg", b"\xff\xd8\xff"),
        ("/image/webp", "*/*", "image/webp", b"RIFF"),
        ("/image/svg", "*/*", "image/svg+xml", b"<svg"),
        ("/image", "*/*", "image/png", b"\x89PNG"),
        ("/image", "text/html, image/webp", "image/webp", b"RIFF"),
    ],
)
async def test_pictures(path: str, accept: str, kind: str, begins: bytes) -> None:
    answer = await ask("GET", path, headers={"accept": accept})
    assert answer.headers["content-type"] == kind
    assert answer.content.startswith(begins)


async def test_pictures_that_nobody_has() -> None:
    assert (await ask("GET", "/image", headers={"accept": "text/html"})).status_code == 406
    assert (await ask("GET", "/image/gif")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "text", "shown"),
    [
        ("", 200, "abcdefghijklmnopqrstuvwxyzab", None),
        ("bytes=1-3", 206, "bcd", "bytes 1-3/28"),
        ("bytes=26-", 206, "ab", "bytes 26-27/28"),
        ("bytes=-2", 206, "ab", "bytes 26-27/28"),
        ("bytes=30-40", 416, "", "bytes */28"),
    ],
)
async def test_a_part_of_the_alphabet(asked: str, status: int, text: str, shown: str | None) -> None:
    answer = await ask("GET", "/range/28", headers={"range": asked} if asked else {})
    assert (answer.status_code, answer.text, answer.headers.get("content-range")) == (status, text, shown)


async def test_the_request_itself_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    dumped = (await ask("GET", "/dump/request?a=1", headers={"x-a": "1"})).text.split("\r\n")
    assert dumped[:2] == ["GET /dump/request?a=1 HTTP/1.1", "Host: httpbin:8000"]
    assert "X-A: 1" in dumped
    monkeypatch.setenv("HTTPBIN_ENV_COLOUR", "red")
    assert (await ask("GET", "/env")).json() == {"env": {"HTTPBIN_ENV_COLOUR": "red"}}


async def test_helloworld_says_its_version_and_its_pod() -> None:
    transport = httpx.ASGITransport(helloworld.build("v2", "helloworld-v2-abc"))
    async with httpx.AsyncClient(transport=transport, base_url="http://helloworld:5000") as client:
        assert (await client.get("/hello")).text == "Hello version: v2, instance: helloworld-v2-abc\n"
        assert (await client.get("/health")).text == "Helloworld is healthy"


async def test_tcp_echo_puts_its_prefix_before_each_line() -> None:
    server = await asyncio.start_server(lambda r, w: tcp_echo.echo("hello", r, w), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"world\nagain\n")
        writer.write_eof()
        assert await reader.read() == b"hello world\nhello again\n"
        writer.close()
        await writer.wait_closed()


def test_tcp_echo_explains_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert tcp_echo.main(["x", "hello"]) == 1
    assert tcp_echo.main([]) == 1
    assert "usage: tcp-echo" in capsys.readouterr().err
