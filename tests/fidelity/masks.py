"""What may differ between two clusters without a learner being told anything: the rules, and no others.

The rules of the course's chapters apply first, then these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from meshdojo.course.masks import ALWAYS, Mask, normalised

RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"  # the alphabet of names that Kubernetes makes up
RULES = (
    Mask(
        "version",
        re.compile(r'(?P<keep>resourceVersion\\?"?[:=] ?\\?"?|Resource Version: +)\d+'),
        "versions of objects",
    ),
    Mask(
        "port", re.compile(r"(?P<keep>(?:\b|:)|nodePort: )3[0-2]\d{3}\b"), "node ports, which are allocated at random"
    ),
    Mask("manager", re.compile(r"(?P<keep>managed-by\W{1,3})meshdojo\b"), "ours, on both: no node of that name"),
    Mask("container", re.compile(r"\b(?:containerd|meshdojo)://[0-9a-f]{32,}"), "containers, and what runs them"),
    Mask("id", re.compile(r"(?P<keep>sha256:)[0-9a-f]{32,}"), "images"),
    Mask(
        "hub",
        re.compile(r"\b(?:registry\.istio\.io/release|docker\.io/istio)(?=/(?:proxyv2|pilot)\b)"),
        "Istio's registry",
    ),
    Mask("hash", re.compile(rf"(?P<keep>generateName: \S+-){RANDOM}{{8,10}}(?=-$)", re.MULTILINE), "hashes"),
    Mask("hash", re.compile(r"(?P<keep>(?:pod-template-hash|[Hh]ash)[\"']?[=:] ?[\"']?)[0-9a-z]{6,64}"), "hashes"),
    Mask("exec", re.compile(r'(?P<keep>failed to start exec )"[0-9a-f]{64}"'), "the attempt to start a command"),
    Mask("volume", re.compile(r"(?P<keep>kube-api-access-)[a-z0-9]{5}"), "the volume of a pod's token"),
    Mask("image", re.compile(r"\S+@sha256:<?\w+>?"), "the digest of an image"),
    Mask("ms", re.compile(r"\b\d+(?:\.\d+)?(?:µs|ms)\b"), "durations"),
)

_LIMIT = re.compile(r"(?P<type>Container|Pod|PersistentVolumeClaim) [a-z][\w./-]*(?: (?:-|<?\w+>?)){5}$")


def masked(text: str, names: dict[str, str]) -> str:
    """`text` as it is compared and recorded; `names` are this cluster's own: text found -> placeholder."""
    for rule in RULES:
        text = rule.apply(text)
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![\w/=.+-]){re.escape(name)}(?![\w:-]|/[^\d<])", names[name], text)
    return "".join(f"{line}\n" for line in _ordered(normalised(text, rules=ALWAYS)))


def _ordered(lines: Iterable[str]) -> list[str]:
    """The lines; those of a described limit range in order, as kubectl takes the resources as its map has them."""
    groups = groupby(lines, lambda line: (found := _LIMIT.match(line)) and found["type"])
    return [line for kind, group in groups for line in (sorted(group) if kind else group)]
