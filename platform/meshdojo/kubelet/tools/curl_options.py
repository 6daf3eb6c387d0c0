"""The command line of ``curl``: those of its options that make sense in a pod."""

from __future__ import annotations

import base64
import mimetypes
import os
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

VERSION = "8.16.0"
TRY_HELP = "curl: try 'curl --help' for more information"


class UsageError(Exception):
    """The command line is wrong: exit code 2. The text is curl's, without its name."""


@dataclass
class Options:
    """What the command line asks for."""

    urls: list[str] = field(default_factory=list)
    silent: bool = False
    show_error: bool = False
    include: bool = False
    head: bool = False
    verbose: bool = False
    insecure: bool = False
    location: bool = False
    fail: bool = False
    fail_with_body: bool = False
    get: bool = False
    remote_name: bool = False
    globoff: bool = False
    parallel: bool = False
    compressed: bool = False
    parallel_max: int = 50
    method: str = ""
    headers: list[str] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    json: bool = False
    output: str = ""
    dump_header: str = ""
    write_out: str = ""
    user_agent: str = f"curl/{VERSION}"
    referer: str = ""
    cookie: str = ""
    cookie_jar: str = ""
    form: list[bytes] = field(default_factory=list)
    boundary: str = field(default_factory=lambda: f"------------------------{secrets.token_hex(11)}")
    upload: bytes | None = None
    upload_name: str = ""
    user: str = ""
    ca_certificate: str = ""
    certificate: str = ""
    key: str = ""
    max_time: float = 0.0
    connect_timeout: float = 300.0
    max_redirects: int = 50
    retries: int = 0
    retry_delay: float = 0.0
    retry_connection_refused: bool = False
    resolve: dict[tuple[str, int], str] = field(default_factory=dict)
    version: bool = False
    help: bool = False

    @property
    def body(self) -> bytes | None:
        """The request's body, None without one."""
        if self.upload is not None:
            return self.upload
        if self.form:
            mark = f"--{self.boundary}".encode()
            return b"".join(mark + b"\r\n" + part + b"\r\n" for part in self.form) + mark + b"--\r\n"
        return b"&".join(self.data) if self.data and not self.get else None

    @property
    def content_type(self) -> str:
        """What the body is, '' where curl does not say it."""
        if self.upload is not None:
            return ""
        if self.form:
            return f"multipart/form-data; boundary={self.boundary}"
        return "application/json" if self.json else "application/x-www-form-urlencoded"

    @property
    def authorization(self) -> str:
        """The value for the Authorization header, '' for none."""
        return "Basic " + base64.b64encode(self.user.encode()).decode() if self.user else ""


_FLAGS = {
    "silent": "silent", "show-error": "show_error", "include": "include", "show-headers": "include",
    "head": "head", "verbose": "verbose", "insecure": "insecure", "location": "location", "fail": "fail",
    "fail-with-body": "fail_with_body", "get": "get", "version": "version", "help": "help",
    "remote-name": "remote_name", "retry-connrefused": "retry_connection_refused", "globoff": "globoff",
    "parallel": "parallel", "compressed": "compressed",
}  # fmt: skip
_TEXTS = {
    "request": "method", "output": "output", "dump-header": "dump_header", "write-out": "write_out",
    "user-agent": "user_agent", "referer": "referer", "cookie": "cookie", "cookie-jar": "cookie_jar", "user": "user",
    "cacert": "ca_certificate", "cert": "certificate", "key": "key",
}  # fmt: skip
_NUMBERS = {
    "max-time": "max_time", "connect-timeout": "connect_timeout", "max-redirs": "max_redirects",
    "retry": "retries", "retry-delay": "retry_delay", "parallel-max": "parallel_max",
}  # fmt: skip
# They change nothing here: there is only HTTP/1.1 over IPv4, and no progress meter to turn off but with -s.
_WITHOUT_EFFECT = (
    "http1.1", "http1.0", "http2", "ipv4", "no-buffer", "no-progress-meter", "progress-bar",
    "location-trusted", "path-as-is", "no-keepalive", "tcp-nodelay", "fail-early", "tlsv1.2",
    "parallel-immediate",
)  # fmt: skip
_DATA = ("data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json")
_SHORT = {
    "s": "silent", "S": "show-error", "i": "include", "I": "head", "v": "verbose", "k": "insecure", "L": "location",
    "f": "fail", "G": "get", "V": "version", "h": "help", "O": "remote-name", "X": "request", "o": "output",
    "D": "dump-header", "w": "write-out", "A": "user-agent", "e": "referer", "b": "cookie", "u": "user",
    "E": "cert", "m": "max-time", "H": "header", "d": "data", "4": "ipv4", "N": "no-buffer", "#": "progress-bar",
    "g": "globoff", "0": "http1.0", "Z": "parallel", "c": "cookie-jar", "F": "form", "T": "upload-file",
}  # fmt: skip


def parse(arguments: list[str]) -> Options:
    """The options of a command line (without the program's name). Raises `UsageError`."""
    options = Options()
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            options.urls += words
            break
        if word.startswith("--"):
            _long(options, word, word[2:], words)
        elif word.startswith("-") and word != "-":
            _short(options, word, words)
        else:
            options.urls.append(word)
    return options


def _short(options: Options, word: str, words: list[str]) -> None:
    """A word such as -sSo/dev/null: flags, and at most one value at its end."""
    rest = word[1:]
    while rest:
        letter, rest = rest[0], rest[1:]
        name = _SHORT.get(letter)
        if name is None:
            raise UsageError(f"option {word}: is unknown")
        if not _takes_value(name):
            _flag(options, name, True)
            continue
        if not rest and not words:
            raise UsageError(f"option {word}: requires parameter")
        _value(options, word, name, rest or words.pop(0))
        return


def _long(options: Options, word: str, name: str, words: list[str]) -> None:
    if name == "url":
        name = "url"
    negated = name.startswith("no-") and name not in _WITHOUT_EFFECT
    plain = name.removeprefix("no-") if negated else name
    if not _known(plain):
        raise UsageError(f"option {word}: is unknown")
    if not _takes_value(plain):
        _flag(options, plain, not negated)
    elif not words:
        raise UsageError(f"option {word}: requires parameter")
    else:
        _value(options, word, plain, words.pop(0))


def _known(name: str) -> bool:
    return name in _FLAGS or name in _WITHOUT_EFFECT or _takes_value(name)


def _takes_value(name: str) -> bool:
    return (
        name in _TEXTS
        or name in _NUMBERS
        or name in _DATA
        or name in ("header", "resolve", "url", "form", "upload-file")
    )


def _flag(options: Options, name: str, value: bool) -> None:
    if name in _FLAGS:
        setattr(options, _FLAGS[name], value)


def _value(options: Options, word: str, name: str, value: str) -> None:
    if name in _TEXTS:
        setattr(options, _TEXTS[name], _from_file(value) if name == "write-out" else value)
    elif name in _NUMBERS:
        _number(options, word, name, value)
    elif name == "header":
        options.headers += _from_file(value).splitlines() if value.startswith("@") else [value]
    elif name == "url":
        options.urls.append(value)
    elif name == "form":
        options.form.append(_part(word, value))
    elif name == "upload-file":
        options.upload, options.upload_name = _read(value), "" if value == "-" else Path(value).name
    elif name == "resolve":
        _resolve(options, word, value)
    else:
        options.json = options.json or name == "json"
        options.data.append(_data(name, value))


def _number(options: Options, word: str, name: str, value: str) -> None:
    try:
        number = float(value)
    except ValueError:
        raise UsageError(f"option {word}: expected a proper numerical parameter") from None
    whole = name in ("max-redirs", "retry", "parallel-max")
    setattr(options, _NUMBERS[name], int(number) if whole else number)


def _resolve(options: Options, word: str, value: str) -> None:
    host, _, rest = value.lstrip("+").partition(":")
    port, _, address = rest.partition(":")
    if not port.isdigit() or not address:
        raise UsageError(f"option {word}: is badly used here")
    options.resolve[host.lower(), int(port)] = address.split(",")[0]


def _from_file(value: str) -> str:
    if not value.startswith("@"):
        return value
    return _read(value[1:]).decode()


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"Failed to open {name}: {os.strerror(error.errno or 0)}") from None


def _data(name: str, value: str) -> bytes:
    if name == "data-raw":
        return value.encode()
    if name == "data-urlencode":
        key, equals, text = value.partition("=")
        encoded = quote(text if equals else value, safe="")
        return (f"{key}={encoded}" if equals and key else encoded).encode()
    if not value.startswith("@"):
        return value.encode()
    content = _read(value[1:])
    return content if name in ("data-binary", "json") else content.replace(b"\r", b"").replace(b"\n", b"")


def _part(word: str, value: str) -> bytes:
    """One field of a form: ``name=text``, ``name=@file`` (an upload), ``name=<file`` (its text); ``;type=`` and
    ``;filename=`` after it.
    """
    name, equals, text = value.partition("=")
    if not equals:
        raise UsageError(f"option {word}: is badly used here")
    text, *attributes = text.split(";") if text[:1] in ("@", "<") or ";type=" in text else [text]
    extras = dict(attribute.strip().partition("=")[::2] for attribute in attributes)
    shown, kind = "", extras.get("type", "")
    if text.startswith("@"):
        shown = f'; filename="{extras.get("filename", Path(text[1:]).name)}"'
        kind = kind or mimetypes.guess_type(text[1:])[0] or "application/octet-stream"
    content = _read(text[1:]) if text[:1] in ("@", "<") else text.encode()
    head = f'Content-Disposition: form-data; name="{name}"{shown}\r\n' + (f"Content-Type: {kind}\r\n" if kind else "")
    return head.encode() + b"\r\n" + content
