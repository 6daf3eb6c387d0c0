"""``curl`` for pods: HTTP and HTTPS through the pod's own network, with curl's words and exit codes.

There is no curl that the mesh could capture on the host, since only Python programs run under the runner. This one
covers what is typed at a mesh: methods, headers, bodies, redirects, time limits, TLS, ``-v``, ``-w``, patterns in URLs,
``-Z`` for many at once; and ``telnet://HOST:PORT`` for plain TCP. Exit codes and texts are those of curl 8.16.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import SplitResult, urljoin, urlsplit

from meshdojo.kubelet.tools.curl_cookies import Jar
from meshdojo.kubelet.tools.curl_globs import BadPattern, expand
from meshdojo.kubelet.tools.curl_options import TRY_HELP, VERSION, Options, UsageError, parse

CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443, "telnet": 23}
_REDIRECTS = (301, 302, 303, 307, 308)
_RETRIED = (408, 429, 500, 502, 503, 504)
_UNVERIFIED = """\
More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the webpage mentioned above."""


class CurlError(Exception):
    """A transfer failed with this exit code of curl."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Transfer:
    """One request and what came of it; the names of the fields are those of ``--write-out``."""

    url: str
    began: float
    deadline: float | None
    method: str = "GET"
    http_code: int = 0
    http_version: str = "0"
    headers: list[tuple[str, str]] = field(default_factory=list)
    status_line: str = ""
    size_download: int = 0
    size_header: int = 0
    size_request: int = 0
    size_upload: int = 0
    num_redirects: int = 0
    num_connects: int = 0
    redirect_url: str = ""
    local: tuple[str, int] = ("", 0)
    remote: tuple[str, int] = ("", 0)
    times: dict[str, float] = field(default_factory=dict)
    exitcode: int = 0
    errormsg: str = ""

    def header(self, name: str) -> str:
        """The value of a response header, '' without it."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def mark(self, name: str) -> None:
        """Note when something of this name happened, in seconds since the beginning."""
        self.times[name] = time.monotonic() - self.began

    def left(self, otherwise: float | None = None) -> float | None:
        """Seconds until the time is over. Raises `CurlError` 28 when it is."""
        if self.deadline is None:
            return otherwise
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.timed_out()
        return left if otherwise is None else min(left, otherwise)

    def timed_out(self) -> CurlError:
        """Error 28 in curl's words: while connecting, or with so many bytes received."""
        passed = int((time.monotonic() - self.began) * 1000)
        if "connect" not in self.times:
            return CurlError(28, f"Connection timed out after {passed} milliseconds")
        total = self.header("content-length")
        received = f"{self.size_download} out of {total} bytes" if total else f"{self.size_download} bytes"
        return CurlError(28, f"Operation timed out after {passed} milliseconds with {received} received")


class Curl:
    """One run of the program."""

    def __init__(self, options: Options, stdout: IO[bytes], stderr: IO[str]) -> None:
        self._options = options
        self._stdout = stdout
        self._stderr = stderr
        self.last: Transfer | None = None
        # -b with a name in place of name=value reads that file; either of the two makes curl heed Set-Cookie.
        file = options.cookie if options.cookie and "=" not in options.cookie else ""
        self._jar = Jar.read(file) if file or options.cookie_jar else None

    def run(self) -> int:
        """All transfers, one after the other: the exit code of the last. With ``-Z`` side by side, each in a thread."""
        try:
            urls = self._urls()
        except BadPattern as error:
            if not self._options.silent or self._options.show_error:
                self._say(f"curl: (3) {error}")
            return 3
        if self._options.parallel:
            return self._side_by_side(urls)
        code = 0
        for url in urls:
            code = self._with_retries(url)
        self._keep_cookies()
        return code

    def _keep_cookies(self) -> None:
        """Into the file of ``-c``; where it cannot be written curl only warns."""
        if self._jar is None or not self._options.cookie_jar:
            return
        if self._options.cookie_jar == "-":
            self._stdout.write(self._jar.text().encode())
            self._stdout.flush()
            return
        try:
            with open(self._options.cookie_jar, "w") as file:
                file.write(self._jar.text())
        except OSError:
            self._say(f"Warning: failed to save cookies in {self._options.cookie_jar}")

    def _urls(self) -> list[str]:
        given = self._options.urls
        return given if self._options.globoff else [one for url in given for one in expand(url)]

    def _side_by_side(self, urls: list[str]) -> int:
        """The output of each transfer appears as a whole, when it is done."""
        lock = threading.Lock()

        def transfer(url: str) -> int:
            buffer = io.BytesIO()
            code = Curl(self._options, buffer, self._stderr)._with_retries(url)
            with lock, contextlib.suppress(BrokenPipeError):
                self._stdout.write(buffer.getvalue())
                self._stdout.flush()
            return code

        with ThreadPoolExecutor(max(1, min(self._options.parallel_max, len(urls)))) as pool:
            failed = [code for code in pool.map(transfer, urls) if code]
        return failed[-1] if failed else 0

    def _with_retries(self, url: str) -> int:
        for attempt in range(self._options.retries + 1):
            transfer = self._one(url)
            last = attempt == self._options.retries
            refused = transfer.exitcode == 7 and self._options.retry_connection_refused
            if last or not (refused or transfer.exitcode == 28 or transfer.http_code in _RETRIED):
                return transfer.exitcode
            time.sleep(self._options.retry_delay or min(2**attempt, 600))
        return 0

    def _one(self, url: str) -> Transfer:
        options = self._options
        began = time.monotonic()
        transfer = Transfer(url, began, began + options.max_time if options.max_time else None)
        self.last = transfer
        output: IO[bytes] = self._stdout
        opened = contextlib.ExitStack()
        try:
            with opened:
                if options.output and options.output != "-":
                    output = opened.enter_context(_open_output(options.output))
                elif options.remote_name:
                    output = opened.enter_context(_open_output(os.path.basename(urlsplit(url).path)))
                self._follow(transfer, output)
        except CurlError as error:
            transfer.exitcode, transfer.errormsg = error.code, str(error)
        except BrokenPipeError:
            transfer.exitcode, transfer.errormsg = 23, "Failure writing output to destination"
        transfer.mark("total")
        self._finish(transfer)
        return transfer

    def _finish(self, transfer: Transfer) -> None:
        options = self._options
        with contextlib.suppress(BrokenPipeError):
            self._stdout.flush()
        if not options.silent and not self._stdout_is_shown() and not options.verbose:
            self._meter(transfer)
        if transfer.exitcode and (not options.silent or options.show_error):
            self._say(f"curl: ({transfer.exitcode}) {transfer.errormsg}")
        if options.write_out:
            with contextlib.suppress(BrokenPipeError):
                self._stdout.write(write_out(options.write_out, transfer).encode())
                self._stdout.flush()

    def _stdout_is_shown(self) -> bool:
        return not self._options.output and self._stdout.isatty()

    def _meter(self, transfer: Transfer) -> None:
        speed = int(transfer.size_download / max(transfer.times["total"], 1e-6))
        share = 100 if transfer.size_download else 0
        self._stderr.write(
            "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n"
            "                                 Dload  Upload   Total   Spent    Left  Speed\n"
            f"\r{share:3d} {transfer.size_download:5d}  {share:3d} {transfer.size_download:5d}    0     0 "
            f"{speed:6d}      0 --:--:-- --:--:-- --:--:-- {speed:5d}\n"
        )

    def _say(self, text: str) -> None:
        self._stderr.write(text + "\n")
        self._stderr.flush()

    def _note(self, text: str) -> None:
        if self._options.verbose:
            self._say(f"* {text}")

    # Redirects

    def _follow(self, transfer: Transfer, output: IO[bytes]) -> None:
        options = self._options
        transfer.method = options.method or _usual_method(options)
        body = options.body
        while True:
            parts = _split(transfer.url, options)
            if parts.scheme == "telnet":
                self._telnet(transfer, parts, output)
                return
            self._exchange(transfer, parts, body, output)
            if not transfer.redirect_url or not options.location:
                return
            if transfer.num_redirects >= options.max_redirects >= 0:
                raise CurlError(47, f"Maximum ({options.max_redirects}) redirects followed")
            transfer.num_redirects += 1
            if transfer.http_code in (301, 302, 303) and transfer.method == "POST" and not options.method:
                transfer.method, body = "GET", None
            self._note(f"Issue another request to this URL: '{transfer.redirect_url}'")
            transfer.url = transfer.redirect_url

    # One request

    def _exchange(self, transfer: Transfer, parts: SplitResult, body: bytes | None, output: IO[bytes]) -> None:
        transfer.size_download = 0
        with self._connect(transfer, parts) as connection:
            self._send(transfer, connection, parts, body)
            reader = _Reader(connection, transfer)
            self._read_head(transfer, reader)
            if self._jar is not None:
                for name, value in transfer.headers:
                    if name.lower() == "set-cookie":
                        self._jar.take(value, parts.hostname or "", parts.path or "/")
            shown = self._show_head(transfer, output)
            location = transfer.header("location")
            transfer.redirect_url = (
                urljoin(parts.geturl(), location) if location and transfer.http_code in _REDIRECTS else ""
            )
            self._read_body(transfer, reader, output, shown)
        host = parts.hostname
        self._note(f"Connection #{transfer.num_redirects} to host {host}:{_port(parts)} left intact")

    def _connect(self, transfer: Transfer, parts: SplitResult) -> socket.socket:
        host, port = parts.hostname or "", _port(parts)
        address = self._look_up(transfer, host, port)
        self._note(f"  Trying {address}:{port}...")
        transfer.num_connects += 1
        connection = self._open(transfer, host, address, port)
        transfer.mark("connect")
        transfer.local, transfer.remote = connection.getsockname()[:2], (address, port)
        self._note(
            f"Established connection to {host} ({address} port {port}) "
            f"from {transfer.local[0]} port {transfer.local[1]} "
        )
        if parts.scheme == "https":
            connection = self._encrypt(transfer, connection, host)
        self._note("using HTTP/1.x")
        return connection

    def _look_up(self, transfer: Transfer, host: str, port: int) -> str:
        given = self._options.resolve.get((host.lower(), port))
        if given is not None:
            self._note(f"Added {host}:{port}:{given} to DNS cache")
            return given
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            self._note(f"Could not resolve host: {host}")
            raise CurlError(6, f"Could not resolve host: {host}") from None
        transfer.mark("namelookup")
        addresses = [str(entry[4][0]) for entry in found]
        if host not in addresses:
            self._note(f"Host {host}:{port} was resolved.")
            self._note("IPv6: (none)")
            self._note(f"IPv4: {', '.join(addresses)}")
        return addresses[0]

    def _open(self, transfer: Transfer, host: str, address: str, port: int) -> socket.socket:
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(transfer.left(self._options.connect_timeout))
        try:
            connection.connect((address, port))
        except TimeoutError:
            connection.close()
            raise transfer.timed_out() from None
        except OSError as error:
            connection.close()
            passed = int((time.monotonic() - transfer.began) * 1000)
            self._note(f"connect to {address} port {port} from 0.0.0.0 port 0 failed: {error.strerror}")
            text = f"Failed to connect to {host} port {port} after {passed} ms: Could not connect to server"
            self._note(text)
            raise CurlError(7, text) from None
        return connection

    def _encrypt(self, transfer: Transfer, connection: socket.socket, host: str) -> socket.socket:
        options = self._options
        try:
            context = ssl.create_default_context(cafile=options.ca_certificate or None)
        except OSError:
            raise CurlError(
                77, f"error setting certificate verify locations:  CAfile: {options.ca_certificate}"
            ) from None
        if options.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if options.certificate:
            try:
                context.load_cert_chain(options.certificate, options.key or None)
            except OSError as error:
                raise CurlError(58, f"could not load client certificate from {options.certificate}: {error}") from None
        context.set_alpn_protocols(["http/1.1"])
        connection.settimeout(transfer.left(options.connect_timeout))
        try:
            encrypted = context.wrap_socket(connection, server_hostname=host)
        except TimeoutError:
            raise CurlError(28, "SSL connection timeout") from None
        except ssl.SSLCertVerificationError as error:
            raise CurlError(60, _certificate_words(error, host)) from None
        except OSError as error:
            raise CurlError(35, _handshake_words(error)) from None
        transfer.mark("appconnect")
        self._note(f"SSL connection using {encrypted.version()} / {(encrypted.cipher() or ('?',))[0]}")
        return encrypted

    def _send(self, transfer: Transfer, connection: socket.socket, parts: SplitResult, body: bytes | None) -> None:
        lines = self._request(transfer, parts, body)
        head = "".join(line + "\r\n" for line in [*lines, ""]).encode()
        if self._options.verbose:
            for line in [*lines, ""]:
                self._say(f"> {line}")
        transfer.mark("pretransfer")
        transfer.size_request += len(head)
        transfer.size_upload = len(body or b"")
        connection.settimeout(transfer.left())
        try:
            connection.sendall(head + (body or b""))
        except TimeoutError:
            raise transfer.timed_out() from None
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise CurlError(55, f"Send failure: {error.strerror}") from None
        self._note("Request completely sent off" if body is None else f"upload completely sent off: {len(body)} bytes")

    def _request(self, transfer: Transfer, parts: SplitResult, body: bytes | None) -> list[str]:
        """The request line and the headers."""
        options = self._options
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Host": parts.netloc.rpartition("@")[2].removesuffix(f":{_PORTS[parts.scheme]}"),
            "Authorization": options.authorization,
            "User-Agent": options.user_agent,
            "Referer": options.referer,
            "Cookie": "; ".join(filter(None, (self._cookies(parts), options.cookie if "=" in options.cookie else ""))),
            "Accept": "application/json" if options.json else "*/*",
            "Accept-Encoding": "deflate, gzip" if options.compressed else "",
        }
        if body is not None:
            headers["Content-Length"] = str(len(body))
            headers["Content-Type"] = options.content_type
        shown = {name.lower(): (name, value) for name, value in headers.items() if value}
        for own in options.headers:
            name, colon, value = own.partition(":")
            if colon:
                shown.pop(name.strip().lower(), None)
            if value.strip():
                shown[name.strip().lower()] = (name.strip(), value.strip())
            elif own.endswith(";"):
                shown[own[:-1].lower()] = (own[:-1], "")
        first = [shown.pop("host")] if "host" in shown else []
        lines = [f"{name}: {value}" for name, value in [*first, *shown.values()]]
        return [f"{transfer.method} {path.replace(' ', '%20')} HTTP/1.1", *lines]

    def _cookies(self, parts: SplitResult) -> str:
        if self._jar is None:
            return ""
        return self._jar.header(parts.hostname or "", parts.path or "/", parts.scheme == "https")

    # The response

    def _read_head(self, transfer: Transfer, reader: _Reader) -> None:
        while True:
            line = reader.line()
            if not line.startswith(b"HTTP/"):
                raise CurlError(1, "Received HTTP/0.9 when not allowed")
            transfer.status_line = line.decode("latin-1").rstrip("\r\n")
            version, _, rest = transfer.status_line.partition(" ")
            transfer.http_version = version.removeprefix("HTTP/")
            transfer.http_code = int(rest.split(" ")[0] or 0)
            transfer.headers = []
            transfer.size_header += len(line)
            while (line := reader.line()) not in (b"\r\n", b"\n", b""):
                transfer.size_header += len(line)
                name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
                transfer.headers.append((name, value.strip()))
            if transfer.http_code >= 200 or transfer.http_code == 101:
                transfer.mark("starttransfer")
                return

    def _show_head(self, transfer: Transfer, output: IO[bytes]) -> bool:
        """Show the head as asked for; whether the body is to be shown, too."""
        options = self._options
        lines = [transfer.status_line, *(f"{name}: {value}" for name, value in transfer.headers), ""]
        if options.verbose:
            for line in lines:
                self._say(f"< {line}")
        head = "".join(line + "\r\n" for line in lines).encode("latin-1")
        if options.dump_header:
            if options.dump_header == "-":
                output.write(head)
            else:
                with _open_output(options.dump_header) as file:
                    file.write(head)
        if transfer.http_code >= 400 and options.fail:
            raise CurlError(22, f"The requested URL returned error: {transfer.http_code}")
        if options.include or options.head:
            output.write(head)
        return not (options.location and transfer.http_code in _REDIRECTS and transfer.header("location"))

    def _read_body(self, transfer: Transfer, reader: _Reader, output: IO[bytes], shown: bool) -> None:
        if transfer.method == "HEAD" or self._options.head or transfer.http_code in (204, 304):
            return
        first = True
        unpacked = _unpacker(transfer) if self._options.compressed else None
        for piece in reader.body():
            transfer.size_download += len(piece)
            if first and self._options.verbose and not output.isatty():
                self._say(f"{{ [{len(piece)} bytes data]")
            first = False
            if shown:
                output.write(unpacked(piece) if unpacked else piece)
                output.flush()
        if transfer.http_code >= 400 and self._options.fail_with_body:
            raise CurlError(22, f"The requested URL returned error: {transfer.http_code}")

    # Plain TCP

    def _telnet(self, transfer: Transfer, parts: SplitResult, output: IO[bytes]) -> None:
        """Standard input goes to the server, its answers to the output, until either ends."""
        connection = self._connect(transfer, parts)
        connection.settimeout(None)
        inputs = [connection.fileno(), 0]
        with connection:
            while True:
                ready = select.select(inputs, [], [], transfer.left())[0]
                if not ready:
                    raise transfer.timed_out()
                if connection.fileno() in ready:
                    try:
                        data = connection.recv(CHUNK)
                    except ConnectionResetError:
                        raise CurlError(56, "Recv failure: Connection reset by peer") from None
                    if not data:
                        return
                    transfer.size_download += len(data)
                    output.write(data)
                    output.flush()
                if 0 in ready:
                    typed = os.read(0, CHUNK)
                    if typed:
                        connection.sendall(typed)
                    else:
                        inputs.remove(0)


class _Reader:
    """Reads a response, with curl's errors."""

    def __init__(self, connection: socket.socket, transfer: Transfer) -> None:
        self._connection = connection
        self._transfer = transfer
        self._buffer = b""
        self._received = False

    def _more(self) -> bool:
        """Receive something; False at the end of the stream."""
        self._connection.settimeout(self._transfer.left())
        try:
            data = self._connection.recv(CHUNK)
        except TimeoutError:
            raise self._transfer.timed_out() from None
        except ssl.SSLError as error:
            raise CurlError(56, f"OpenSSL SSL_read: {error.reason or error}, errno 0") from None
        except OSError as error:
            raise CurlError(56, f"Recv failure: {error.strerror}") from None
        self._received = self._received or bool(data)
        self._buffer += data
        return bool(data)

    def line(self) -> bytes:
        """The next line with its end. Raises `CurlError` 52 when nothing came at all."""
        while b"\n" not in self._buffer:
            if not self._more():
                if not self._received:
                    raise CurlError(52, "Empty reply from server")
                raise CurlError(56, "Recv failure: Connection closed in the middle of the headers")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def body(self) -> Iterator[bytes]:
        """The pieces of the body."""
        if "chunked" in self._transfer.header("transfer-encoding").lower():
            yield from self._chunks()
        elif length := self._transfer.header("content-length"):
            yield from self._counted(int(length))
        else:
            yield from self._until_end()

    def _until_end(self) -> Iterator[bytes]:
        while self._buffer or self._more():
            piece, self._buffer = self._buffer, b""
            yield piece

    def _counted(self, left: int) -> Iterator[bytes]:
        while left:
            if not self._buffer and not self._more():
                raise CurlError(18, f"end of response with {left} bytes missing")
            piece, self._buffer = self._buffer[:left], self._buffer[left:]
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        try:
            while size := int(self.line().split(b";")[0], 16):
                yield from self._counted(size)
                self.line()
            while self.line() not in (b"\r\n", b"\n"):
                pass
        except ValueError:
            raise CurlError(56, "Illegal or missing hexadecimal sequence in chunked-encoding") from None
        except CurlError as error:
            if error.code in (18, 52, 56) and "reset" not in str(error):
                raise CurlError(18, "transfer closed with outstanding read data remaining") from None
            raise


def write_out(template: str, transfer: Transfer) -> str:
    """The text of ``--write-out``."""
    values = _variables(transfer)
    out, rest = [], template
    while rest:
        if rest.startswith("%%"):
            out.append("%")
            rest = rest[2:]
        elif rest.startswith("%{header_json}"):
            rest = rest[14:]
        elif rest.startswith("%header{") and "}" in rest:
            name, _, rest = rest[8:].partition("}")
            out.append(transfer.header(name))
        elif rest.startswith("%{") and "}" in rest:
            name, _, rest = rest[2:].partition("}")
            out.append(values.get(name, f"%{{{name}}}" if name not in ("stderr", "stdout") else ""))
        elif rest[0] == "\\" and rest[1:2] in ("n", "t", "r", "\\"):
            out.append({"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}[rest[1]])
            rest = rest[2:]
        else:
            out.append(rest[0])
            rest = rest[1:]
    return "".join(out)


def _variables(transfer: Transfer) -> dict[str, str]:
    total = transfer.times.get("total", 0.0)
    times = ("namelookup", "connect", "appconnect", "pretransfer", "starttransfer", "redirect", "total")
    return {
        "http_code": f"{transfer.http_code:03d}",
        "response_code": f"{transfer.http_code:03d}",
        "http_version": transfer.http_version,
        "method": transfer.method,
        "scheme": urlsplit(transfer.url).scheme,
        "url": transfer.url,
        "url_effective": transfer.url,
        "redirect_url": transfer.redirect_url,
        "content_type": transfer.header("content-type"),
        "num_redirects": str(transfer.num_redirects),
        "num_connects": str(transfer.num_connects),
        "num_headers": str(len(transfer.headers)),
        "size_download": str(transfer.size_download),
        "size_upload": str(transfer.size_upload),
        "size_header": str(transfer.size_header),
        "size_request": str(transfer.size_request),
        "speed_download": str(int(transfer.size_download / total) if total else 0),
        "speed_upload": "0",
        "local_ip": transfer.local[0],
        "local_port": str(transfer.local[1]),
        "remote_ip": transfer.remote[0],
        "remote_port": str(transfer.remote[1]),
        "ssl_verify_result": "0",
        "exitcode": str(transfer.exitcode),
        "errormsg": transfer.errormsg,
        **{f"time_{name}": f"{transfer.times.get(name, 0.0):.6f}" for name in times},
    }


def _usual_method(options: Options) -> str:
    if options.head:
        return "HEAD"
    if options.upload is not None:
        return "PUT"
    return "POST" if options.body is not None else "GET"


def _split(url: str, options: Options) -> SplitResult:
    """The parts of a URL. Without a scheme it is http. Raises `CurlError`."""
    full = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(full)
        parts.port  # noqa: B018 - parses it
    except ValueError:
        raise CurlError(3, "URL rejected: Port number was not a decimal number between 0 and 65535") from None
    if parts.scheme not in _PORTS:
        raise CurlError(1, f'Protocol "{parts.scheme}" not supported')
    if not parts.hostname:
        raise CurlError(3, "URL rejected: No host part in the URL")
    if options.upload_name and (parts.path or "/").endswith("/"):
        parts = parts._replace(path=(parts.path or "/") + options.upload_name)
    if any(character.isspace() for character in url):
        raise CurlError(3, "URL rejected: Malformed input to a URL function")
    if parts.username and not options.user:
        options.user = f"{parts.username}:{parts.password or ''}"
    if options.get and options.data:
        query = "&".join([*([parts.query] if parts.query else []), b"&".join(options.data).decode()])
        parts = parts._replace(query=query)
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port if parts.port is not None else _PORTS[parts.scheme]


def _unpacker(transfer: Transfer) -> Callable[[bytes], bytes] | None:
    """What makes plain bytes of a compressed body, piece by piece; None for one that is not. Raises `CurlError`."""
    encoding = transfer.header("content-encoding").strip().lower()
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    # 32: the header says whether it is gzip's or zlib's.
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def unpack(piece: bytes) -> bytes:
        try:
            return decompressor.decompress(piece)
        except zlib.error:
            raise CurlError(61, "Error while processing content unencoding: incorrect header check") from None

    return unpack


def _certificate_words(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code in (62, 64):  # host name or address mismatch
        text = f"SSL: no alternative certificate subject name matches target host name '{host}'"
    else:
        text = f"SSL certificate problem: {error.verify_message}"
    return f"{text}\n{_UNVERIFIED}"


def _handshake_words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason and "EOF" not in error.reason:
        return f"TLS connect error: error:0A00010B:SSL routines::{error.reason.replace('_', ' ').lower()}"
    if isinstance(error, ConnectionResetError):
        return "Recv failure: Connection reset by peer"
    return "TLS connect error: error:00000000:lib(0)::reason(0)"


def _open_output(path: str) -> IO[bytes]:
    try:
        return open(path, "wb")
    except OSError as error:
        raise CurlError(23, f"client returned ERROR on write, {error.strerror}") from None


def main(argv: list[str]) -> int:
    """Exit code of the program."""
    try:
        options = parse(argv[1:])
    except UsageError as error:
        sys.stderr.write(f"curl: {error}\n{TRY_HELP}\n")
        return 2
    if options.version:
        print(f"curl {VERSION} (meshdojo) http https telnet\nProtocols: http https telnet")
        return 0
    if options.help:
        print("Usage: curl [options...] <url>\nA small curl for pods: see 'meshdojo.kubelet.tools.curl_options'.")
        return 0
    if not options.urls:
        sys.stderr.write(f"curl: (2) no URL specified\n{TRY_HELP}\n")
        return 2
    return Curl(options, sys.stdout.buffer, sys.stderr).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
