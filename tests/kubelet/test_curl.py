"""The pods' curl: against servers that behave well and badly."""

from __future__ import annotations

import gzip
import io
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshdojo.kubelet.tools.curl import Curl, Transfer, main, write_out
from meshdojo.kubelet.tools.curl_globs import BadPattern, expand
from meshdojo.kubelet.tools.curl_options import UsageError, parse

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nhi\n"


class Server:
    """Answers each connection with the next of `answers`: bytes, 'reset' or 'silence'. Keeps the requests."""

    def __init__(self, *answers: bytes | str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._answers = answers
        self._kept: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._listener.accept()
            self.requests.append(connection.recv(65536))
            if answer == "silence":
                self._kept.append(connection)
                continue
            if answer == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                assert isinstance(answer, bytes)
                connection.sendall(answer)
            connection.close()

    def close(self) -> None:
        self._thread.join()
        for connection in (*self._kept, self._listener):
            connection.close()


Serve = Callable[..., Server]


@pytest.fixture(name="serve")
def serve_fixture() -> Iterator[Serve]:
    servers: list[Server] = []

    def serve(*answers: bytes | str) -> Server:
        servers.append(Server(*answers))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def curl(*arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    out, err = io.BytesIO(), io.StringIO()
    code = Curl(parse(list(arguments)), out, err).run()
    return code, out.getvalue().decode(), err.getvalue()


def test_a_body_is_printed(serve: Serve) -> None:
    server = serve(OK)
    assert curl("-s", server.url) == (0, "hi\n", "")
    assert server.requests[0].decode().splitlines() == [
        "GET / HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "User-Agent: curl/8.16.0", "Accept: */*", "",
    ]  # fmt: skip


def test_the_head_with_include_and_head(serve: Serve) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\n"
    assert curl("-si", serve(OK).url) == (0, head + "hi\n", "")
    server = serve(OK.removesuffix(b"hi\n"))
    assert curl("-sI", server.url) == (0, head, "")
    assert server.requests[0].startswith(b"HEAD / ")


def test_chunks_and_bodies_without_a_length(serve: Serve) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=y\r\n!!!\r\n0\r\n\r\n"
    assert curl("-s", serve(chunked).url) == (0, "hi!!!", "")
    assert curl("-s", serve(b"HTTP/1.0 200 OK\r\n\r\nuntil the end").url) == (0, "until the end", "")
    assert curl("-s", serve(b"HTTP/1.1 100 Continue\r\n\r\n" + OK).url) == (0, "hi\n", "")


@pytest.mark.parametrize(
    ("encoding", "packed"), [("gzip", gzip.compress(b"hi\n", mtime=0)), ("deflate", zlib.compress(b"hi\n"))]
)
def test_a_compressed_body_is_unpacked_for_who_asked_for_it(serve: Serve, encoding: str, packed: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    server = serve(head.encode() + packed)
    assert curl("-s", "--compressed", server.url) == (0, "hi\n", "")
    assert b"Accept-Encoding: deflate, gzip\r\n" in server.requests[0]
    assert curl("-s", "--compressed", serve(OK).url) == (0, "hi\n", "")
    code, _, said = curl("-sS", "--compressed", serve(head.encode() + b"x" * len(packed)).url)
    assert (code, said[:10]) == (61, "curl: (61)")


def test_methods_headers_and_data(serve: Serve) -> None:
    server = serve(OK)
    headers = ["-H", "X-One: 1", "-H", "Accept:", "-H", "Host: web"]
    curl("-s", "-X", "PUT", *headers, "-u", "me:pw", "-d", "a=1", "-d", "b", server.url)
    assert server.requests[0].decode().splitlines() == [
        "PUT / HTTP/1.1", "Host: web", "Authorization: Basic bWU6cHc=", "User-Agent: curl/8.16.0", "Content-Length: 5",
        "Content-Type: application/x-www-form-urlencoded", "X-One: 1", "", "a=1&b",
    ]  # fmt: skip
    server = serve(OK)
    curl("-s", "-G", "-d", "q=1", "--json", "{}", server.url.removesuffix("/") + "/find?x=0")
    assert server.requests[0].startswith(b"GET /find?x=0&q=1&{} HTTP/1.1\r\n")
    server = serve(OK)
    curl("-s", "--json", '{"a":1}', server.url)
    assert b"Content-Type: application/json\r\n" in server.requests[0]
    assert server.requests[0].startswith(b"POST / ")


def test_redirects(serve: Serve) -> None:
    last = serve(OK, OK)
    first = serve(f"HTTP/1.1 302 Found\r\nLocation: {last.url}there\r\nContent-Length: 4\r\n\r\ngone".encode())
    assert curl("-sL", "-w", "%{num_redirects} %{url_effective}", "-d", "x", first.url) == (
        0, f"hi\n1 {last.url}there", "",
    )  # fmt: skip
    assert last.requests[0].startswith(b"GET /there ")
    loop = serve(*[b"HTTP/1.1 301 M\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"] * 3)
    code, _, err = curl("-sSL", "--max-redirs", "2", loop.url)
    assert (code, err) == (47, "curl: (47) Maximum (2) redirects followed\n")
    curl("-s", last.url)


@pytest.mark.parametrize(
    ("answer", "arguments", "code", "words"),
    [
        (b"", [], 52, "Empty reply from server"),
        ("reset", [], 56, "Recv failure: Connection reset by peer"),
        (OK.replace(b" 3", b" 9"), [], 18, "end of response with 6 bytes missing"),
        (b"HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n", ["-f"], 22, "The requested URL returned error: 404"),
        (b"SSH-2.0\r\n", [], 1, "Received HTTP/0.9 when not allowed"),
    ],
)
def test_failures_have_curls_codes_and_words(
    serve: Serve, answer: bytes | str, arguments: list[str], code: int, words: str
) -> None:
    found, _, err = curl("-sS", *arguments, serve(answer).url)
    assert (found, err) == (code, f"curl: ({code}) {words}\n")


def test_silence_ends_with_the_time_limit(serve: Serve) -> None:
    code, _, err = curl("-sS", "-m", "0.1", serve("silence").url)
    assert code == 28
    assert err.startswith("curl: (28) Operation timed out after 1")
    assert err.endswith(" milliseconds with 0 bytes received\n")


def test_tls_to_a_plain_server_is_35(serve: Serve) -> None:
    server = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    code, _, err = curl("-sSk", server.url.replace("http:", "https:"))
    assert code == 35
    assert err.startswith("curl: (35) TLS connect error: error:0A00010B:SSL routines::")


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://", 3, "URL rejected: No host part in the URL"),
        ("http://a:b/", 3, "URL rejected: Port number was not a decimal number between 0 and 65535"),
        ("ftp2://x", 1, 'Protocol "ftp2" not supported'),
    ],
)
def test_urls_that_are_none(url: str, code: int, words: str) -> None:
    assert curl("-sS", url) == (code, "", f"curl: ({code}) {words}\n")


def test_silent_is_silent_and_write_out_still_speaks(serve: Serve) -> None:
    assert curl("-s", "-w", "%{http_code} %{exitcode}\\n", "ftp2://x") == (1, "000 1\n", "")
    template = "%{http_code}|%{content_type}|%{size_download}|%{remote_ip}|%header{content-length}|%%|%{nosuch}\\t"
    _, out, _ = curl("-s", "-w", template, serve(OK).url)
    assert out == "hi\n200|text/plain|3|127.0.0.1|3|%|%{nosuch}\t"


def test_output_and_verbose(serve: Serve, tmp_path: Path) -> None:
    code, out, err = curl("-v", "-o", str(tmp_path / "out"), serve(OK).url)
    assert (code, out) == (0, "")
    assert (tmp_path / "out").read_text() == "hi\n"
    assert "> GET / HTTP/1.1\n" in err
    assert "< HTTP/1.1 200 OK\n" in err
    code, _, err = curl("-sS", "-o", "/nosuch/x", "http://127.0.0.1:1/")
    assert (code, err) == (23, "curl: (23) client returned ERROR on write, No such file or directory\n")


def test_a_meter_where_curl_shows_one(serve: Serve) -> None:
    _, _, err = curl(serve(OK).url)
    assert err.startswith("  % Total    % Received % Xferd")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nosuch"], "option --nosuch: is unknown"),
        (["-sQ"], "option -sQ: is unknown"),
        (["-m"], "option -m: requires parameter"),
        (["--max-time", "soon"], "option --max-time: expected a proper numerical parameter"),
        (["-d", "@/nosuch"], "Failed to open /nosuch: No such file or directory"),
        (["--resolve", "x"], "option --resolve: is badly used here"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="^" + words):
        parse(arguments)
    assert main(["curl", *arguments]) == 2
    assert capsys.readouterr().err == f"curl: {words}\ncurl: try 'curl --help' for more information\n"


def test_resolve_and_attached_values() -> None:
    options = parse(
        ["-sSo/dev/null", "--resolve", "web.example:443:127.0.0.1", "-m5", "--no-silent", "http://a", "--", "-b"]
    )
    assert (options.output, options.max_time, options.silent, options.show_error) == ("/dev/null", 5.0, False, True)
    assert options.resolve == {("web.example", 443): "127.0.0.1"}
    assert options.urls == ["http://a", "-b"]


def test_no_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curl"]) == 2
    assert "curl: (2) no URL specified" in capsys.readouterr().err


def test_times_are_those_of_the_transfer() -> None:
    transfer = Transfer("http://a/", began=0.0, deadline=None, times={"total": 1.5, "connect": 0.25})
    assert write_out("%{time_connect} %{time_total} %{time_appconnect}", transfer) == "0.250000 1.500000 0.000000"


def test_a_pattern_in_the_url_stands_for_several(serve: Serve) -> None:
    server = serve(*[OK] * 6)
    code, out, _ = curl("-s", "-o", "/dev/null", "-w", "%{url} ", server.url + "{a,b}?[1-3]")
    assert code == 0
    paths = [line.split(b" ")[1].decode() for line in server.requests]
    assert paths == ["/a?1", "/a?2", "/a?3", "/b?1", "/b?2", "/b?3"]
    assert out.split() == [server.url + path[1:] for path in paths]


def test_globoff_leaves_patterns_alone(serve: Serve) -> None:
    server = serve(OK)
    assert curl("-sg", server.url + "?[1-3]")[0] == 0
    assert server.requests[0].startswith(b"GET /?[1-3] ")


def test_parallel_transfers_wait_side_by_side() -> None:
    """All three are connected before the first is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connections = [listener.accept()[0] for _ in range(3)]
            for connection in connections:
                connection.recv(65536)
                connection.sendall(OK)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/?[1-3]"
        code, out, _ = curl("-s", "-Z", "--parallel-immediate", "-w", "%{http_code}\n", url)
        thread.join()
    assert (code, out) == (0, "hi\n200\n" * 3)


def test_one_failure_among_parallel_transfers_is_the_exit_code(serve: Serve) -> None:
    server = serve(OK)
    assert curl("-s", "-Z", "--parallel-max", "1", server.url, "http://127.0.0.1:1/")[0] == 7


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("http://a/", ["http://a/"]),
        ("http://a/[08-10]", ["http://a/08", "http://a/09", "http://a/10"]),
        ("http://a/[0-10:5]", ["http://a/0", "http://a/5", "http://a/10"]),
        ("http://a/[a-c]", ["http://a/a", "http://a/b", "http://a/c"]),
        ("http://a/[A-C:2]", ["http://a/A", "http://a/C"]),
        ("http://{a,b}/", ["http://a/", "http://b/"]),
        ("http://[::1]:80/", ["http://[::1]:80/"]),
        ("http://a/\\[1-2\\]", ["http://a/[1-2]"]),
    ],
)
def test_patterns(url: str, urls: list[str]) -> None:
    assert expand(url) == urls


@pytest.mark.parametrize("url", ["http://a/[3-1]", "http://a/[x]", "http://a/[1-2:0]", "http://a/[0-999999]"])
def test_a_pattern_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadPattern, match="URL position"):
        expand(url)
    code, _, said = curl("-sS", url)
    assert code == 3
    assert said.startswith("curl: (3)")
    assert curl("-s", url) == (3, "", "")


def test_a_redirect_of_a_url_without_a_scheme_is_followed(serve: Serve) -> None:
    there = serve(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n", OK)
    assert curl("-sSL", f"127.0.0.1:{there.port}/first") == (0, "hi\n", "")
    assert there.requests[1].startswith(b"GET /next HTTP/1.1\r\n")


def test_a_form_is_sent_in_parts(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("content")
    there = serve(OK)
    assert curl("-s", "-F", "a=b;c", "-F", f"f=@{file}", "-F", f"t=<{file};type=text/x", there.url)[0] == 0
    head, _, body = there.requests[0].partition(b"\r\n\r\n")
    boundary = head.partition(b"boundary=")[2].split(b"\r\n")[0]
    assert head.startswith(b"POST / ")
    assert body.split(b"--" + boundary) == [
        b"",
        b'\r\nContent-Disposition: form-data; name="a"\r\n\r\nb;c\r\n',
        b'\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\ncontent\r\n",
        b'\r\nContent-Disposition: form-data; name="t"\r\nContent-Type: text/x\r\n\r\ncontent\r\n',
        b"--\r\n",
    ]
    with pytest.raises(UsageError, match="badly used"):
        parse(["-F", "x", "u"])


def test_a_file_is_put(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("content")
    there = serve(OK)
    assert curl("-s", "-T", str(file), there.url) == (0, "hi\n", "")
    assert there.requests[0].startswith(b"PUT /a.txt HTTP/1.1\r\n")
    assert there.requests[0].endswith(b"\r\n\r\ncontent")
    assert b"Content-Type" not in there.requests[0]


def test_cookies_are_kept_from_one_run_to_the_next(serve: Serve, tmp_path: Path) -> None:
    jar = str(tmp_path / "jar")
    set_twice = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: user=ann; Path=/; HttpOnly\r\nSet-Cookie: old=x; Max-Age=0\r\n"
        b"Set-Cookie: far=y; Path=/far; Max-Age=60\r\nContent-Length: 0\r\n\r\n"
    )
    there = serve(set_twice, OK, OK, OK)
    assert curl("-s", "-c", jar, there.url)[0] == 0
    assert "#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tuser\tann\n" in Path(jar).read_text()
    assert curl("-s", "-b", jar, there.url)[0] == 0
    assert curl("-s", "-b", jar, f"{there.url}far/away")[0] == 0
    assert curl("-s", "-b", "own=1", there.url)[0] == 0
    sent = [request.partition(b"Cookie: ")[2].split(b"\r\n")[0] for request in there.requests]
    assert sent == [b"", b"user=ann", b"user=ann; far=y", b"own=1"]


def test_a_jar_that_cannot_be_written_is_a_warning(serve: Serve) -> None:
    there = serve(OK, OK)
    assert curl("-s", "-c", "/nosuch/jar", there.url) == (0, "hi\n", "Warning: failed to save cookies in /nosuch/jar\n")
    code, out, _ = curl("-s", "-c", "-", "-b", "/nosuch/jar", there.url)
    assert (code, out.startswith("hi\n# Netscape HTTP Cookie File\n")) == (0, True)
