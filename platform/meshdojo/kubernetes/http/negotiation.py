"""Content types: which form a client wants its answer in, and what it sends.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from meshdojo.kubernetes import errors

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
WRITABLE = (JSON, YAML)
READABLE = (JSON, YAML, PROTOBUF)
MAX_BODY_BYTES = 3 * 1024 * 1024
MAX_DEPTH = 200
_NO_YAML = "error decoding YAML: error converting YAML to JSON"

Form = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]


@dataclass(frozen=True)
class MediaType:
    """One entry of an Accept header: ``application/json;as=Table;v=v1;g=meta.k8s.io``."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def quality(self) -> float:
        """The weight "q"; 1 when it is left out or is no number."""
        try:
            return float(self.parameters.get("q", "1"))
        except ValueError:
            return 1.0


@dataclass(frozen=True)
class Accepted:
    """The form to answer in."""

    media_type: str = JSON
    form: Form = ""


def parse_accept(header: str) -> list[MediaType]:
    """The entries of an Accept header, the most wanted first."""
    entries = [_media_type(entry) for entry in header.split(",") if entry.strip()]
    return sorted(entries, key=lambda entry: -entry.quality)


def _media_type(text: str) -> MediaType:
    name, *parameters = (part.strip() for part in text.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters)
    return MediaType(name.lower(), {key.strip().lower(): value.strip() for key, _, value in pairs})


def negotiate(header: str, forms: tuple[Form, ...] = ()) -> Accepted:
    """The first entry of the Accept header that we can write. Raises StatusError 406 when there is none."""
    if not header:
        return Accepted()
    for entry in parse_accept(header):
        media_type = JSON if entry.name in ("*/*", "application/*") else entry.name
        form = entry.parameters.get("as", "")
        if media_type in WRITABLE and form == "":
            return Accepted(media_type)
        for known in forms:
            if media_type in WRITABLE and form == known and entry.parameters.get("v") in (None, "v1"):
                return Accepted(media_type, known)
    raise errors.not_acceptable(READABLE)


def write(value: Any, media_type: str = JSON, *, pretty: bool = False) -> bytes:
    """A JSON value in this media type."""
    if media_type == YAML:
        import yaml

        return yaml.safe_dump(value, sort_keys=True, allow_unicode=True).encode()
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if pretty else None) + b"\n"


def read_json(body: bytes, prefix: str) -> Any:
    """A JSON body. Raises StatusError 400, with `prefix` before the reason, for no JSON or too many levels."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(prefix + _reason(error, body)) from None
    _check_depth(body)
    return value


def read_yaml(body: bytes) -> Any:
    """A YAML body (JSON is YAML too). Raises StatusError 400. Anchors are refused: they could grow without bound."""
    import yaml

    try:
        return orjson.loads(body) if body.lstrip()[:1] == b"{" else _load_yaml(body.decode())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        raise errors.bad_request(f"{_NO_YAML}: yaml: line {max(line, 1)}: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        raise errors.bad_request(f"{_NO_YAML}: {' '.join(str(error).split())}") from None


def _load_yaml(text: str) -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """JSON's types only: a date stays the text it is."""

    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in entries if tag != "tag:yaml.org,2002:timestamp"]
        for first, entries in resolvers.items()
    }
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"aliases (*{event.anchor}) are not supported: write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            # The loader calls itself for each level, in C: it would take the whole process with it.
            raise ValueError("exceeded max depth")
    value = yaml.load(text, Loader=Loader)  # noqa: S506 - a SafeLoader
    encoded = orjson.dumps(value)
    _check_depth(encoded)
    return orjson.loads(encoded)


def _check_depth(body: bytes) -> None:
    """Braces in strings count too, so this errs on the strict side only for bodies that are deep anyway."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    depth = deepest = 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', body):
        match body[token.start() : token.start() + 1]:
            case b"{" | b"[":
                depth += 1
                deepest = max(deepest, depth)
            case b"}" | b"]":
                depth -= 1
    if deepest > MAX_DEPTH:
        raise errors.bad_request(f"json: exceeded max depth: {deepest} levels, {MAX_DEPTH} are allowed")


def _reason(error: orjson.JSONDecodeError, body: bytes) -> str:
    if not body:
        return "unexpected end of JSON input (<empty>)"
    if "unexpected end" in error.msg.lower():
        return "unexpected end of JSON input"
    return f"{error.msg} at line {error.lineno} column {error.colno}"
