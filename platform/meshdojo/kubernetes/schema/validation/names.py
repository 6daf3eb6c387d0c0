"""The formats of names, labels and qualified keys, with the real validator's words.

Source: k8s.io/apimachinery/pkg/util/validation. Each function returns the messages of what is wrong, [] when right.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_LABEL_FORMAT = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_FORMAT = rf"{_LABEL_FORMAT}(\.{_LABEL_FORMAT})*"
_LABEL_1035_FORMAT = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_FORMAT = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE_FORMAT = f"({_QUALIFIED_FORMAT})?"
_LABEL_LENGTH, _SUBDOMAIN_LENGTH, _PORT_NAME_LENGTH = 63, 253, 15

_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character"
)
_LABEL_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character"
)
_CONFIG_KEY_MESSAGE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_ENV_NAME_MESSAGE = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def _regex_error(message: str, pattern: str, *examples: str) -> str:
    shown = ",  or ".join(f"'{example}'" for example in examples)
    return f"{message} (e.g. {shown}, regex used for validation is '{pattern}')"


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def namespace_name(name: str) -> list[str]:
    """The name of a namespace: an RFC 1123 label, with a message of its own for dots."""
    if re.fullmatch(_SUBDOMAIN_FORMAT, name) and "." in name:
        return ["must not contain dots"]
    return dns_label(name)


def dns_label(name: str) -> list[str]:
    """RFC 1123 label: container names, volumes."""
    wrong = [_too_long(_LABEL_LENGTH)] if len(name) > _LABEL_LENGTH else []
    if not re.fullmatch(_LABEL_FORMAT, name):
        wrong.append(_regex_error(_LABEL_MESSAGE, _LABEL_FORMAT, "my-name", "123-abc"))
    return wrong


def dns_1035_label(name: str) -> list[str]:
    """RFC 1035 label: services."""
    wrong = [_too_long(_LABEL_LENGTH)] if len(name) > _LABEL_LENGTH else []
    if not re.fullmatch(_LABEL_1035_FORMAT, name):
        wrong.append(_regex_error(_LABEL_1035_MESSAGE, _LABEL_1035_FORMAT, "my-name", "abc-123"))
    return wrong


def dns_subdomain(name: str) -> list[str]:
    """RFC 1123 subdomain: most objects."""
    wrong = [_too_long(_SUBDOMAIN_LENGTH)] if len(name) > _SUBDOMAIN_LENGTH else []
    if not re.fullmatch(_SUBDOMAIN_FORMAT, name):
        wrong.append(_regex_error(_SUBDOMAIN_MESSAGE, _SUBDOMAIN_FORMAT, "example.com"))
    return wrong


def path_segment(name: str) -> list[str]:
    """A name that only has to fit into a URL: RBAC objects."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in name]


def qualified_name(key: str) -> list[str]:
    """The key of a label or annotation: an optional DNS prefix and a name."""
    prefix, slash, name = key.rpartition("/")
    wrong: list[str] = []
    if slash and "/" in prefix:
        message = f"a qualified name {_QUALIFIED_MESSAGE}"
        example = _regex_error(message, _QUALIFIED_FORMAT, "MyName", "my.name", "123-abc")
        return [f"{example} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    if slash:
        wrong += (
            ["prefix part must be non-empty"] if not prefix else [f"prefix part {m}" for m in dns_subdomain(prefix)]
        )
    if not name:
        wrong.append("name part must be non-empty")
    elif len(name) > _LABEL_LENGTH:
        wrong.append(f"name part {_too_long(_LABEL_LENGTH)}")
    if not re.fullmatch(_QUALIFIED_FORMAT, name):
        example = _regex_error(_QUALIFIED_MESSAGE, _QUALIFIED_FORMAT, "MyName", "my.name", "123-abc")
        wrong.append(f"name part {example}")
    return wrong


def label_value(value: str) -> list[str]:
    """The value of a label."""
    wrong = [_too_long(_LABEL_LENGTH)] if len(value) > _LABEL_LENGTH else []
    if not re.fullmatch(_VALUE_FORMAT, value):
        wrong.append(_regex_error(_VALUE_MESSAGE, _VALUE_FORMAT, "MyValue", "my_value", "12345"))
    return wrong


def config_key(key: str) -> list[str]:
    """A key of a config map or secret."""
    wrong = [_too_long(_SUBDOMAIN_LENGTH)] if len(key) > _SUBDOMAIN_LENGTH else []
    if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
        wrong.append(_regex_error(_CONFIG_KEY_MESSAGE, r"[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name"))
    elif key in (".", ".."):
        wrong.append(f"must not be '{key}'")
    elif key.startswith(".."):
        wrong.append("must not start with '..'")
    return wrong


def environment_name(name: str) -> list[str]:
    """The name of an environment variable."""
    if re.fullmatch(r"[ -<>-~]+", name):
        return []
    return [_ENV_NAME_MESSAGE]


def port_number(port: int) -> list[str]:
    """A TCP or UDP port."""
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def port_name(name: str) -> list[str]:
    """An IANA service name: ports of containers and probes."""
    wrong = []
    if len(name) > _PORT_NAME_LENGTH:
        wrong.append(f"must be no more than {_PORT_NAME_LENGTH} characters")
    if not re.fullmatch(r"[-a-z0-9]+", name):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in name:
        wrong.append("must not contain consecutive hyphens")
    if name and (name[0] == "-" or name[-1] == "-"):
        wrong.append("must not begin or end with a hyphen")
    return wrong


def percent_or_count(value: int | str) -> list[str]:
    """``25%`` or a number from 0."""
    if isinstance(value, int):
        return [] if value >= 0 else ["must be greater than or equal to 0"]
    if re.fullmatch(r"[0-9]+%", value):
        return []
    message = "a valid percent string must be a numeric string followed by an ending '%'"
    return [_regex_error(message, "[0-9]+%", "1%", "93%")]


def ip_address(text: str) -> list[str]:
    """An IPv4 or IPv6 address."""
    for parse in (IPv4Address, IPv6Address):
        try:
            parse(text)
        except (AddressValueError, ValueError):
            continue
        return []
    return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
