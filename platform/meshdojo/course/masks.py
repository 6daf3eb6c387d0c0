"""Comparing a command's output with the documented one.

What differs from run to run without saying anything is masked, by the rules listed here and no others: names that
Kubernetes makes up, ages, addresses, versions. Both sides are masked, then compared line by line:

* runs of blanks count as one (a masked column changes its width), blanks at the ends of lines as none;
* a documented line that is just ``...`` stands for any number of lines, also none.

A fence may ask for one rule more (```` ```output mask=counts ````) where chance decides a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ANYTHING = "..."


@dataclass(frozen=True)
class Mask:
    """One rule: what `pattern` finds becomes `<name>`. A group named `keep` stays. `why` is for the documentation."""

    name: str
    pattern: re.Pattern[str]
    why: str

    def apply(self, text: str) -> str:
        """`text` with every match replaced."""
        return self.pattern.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        return f"{match.groupdict().get('keep') or ''}<{self.name}>"


# The alphabet of k8s.io/apimachinery/pkg/util/rand: no vowels and nothing that looks like another letter.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"

ALWAYS = (
    Mask(
        "pod",
        re.compile(rf"(?P<keep>\b[a-z][a-z0-9-]*?-)(?:{_RANDOM}{{6,10}})-{_RANDOM}{{5}}\b"),
        "pods of a Deployment: NAME-<hash of the template>-<random>",
    ),
    Mask(
        "hash",
        re.compile(rf"(?P<keep>\b(?:replicaset\.apps/|replicaset/)?[a-z][a-z0-9-]*-){_RANDOM}{{6,10}}(?![\w-])"),
        "ReplicaSets: NAME-<hash of the template>",
    ),
    Mask(
        "uid",
        re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
        "UIDs and request ids",
    ),
    Mask(
        "address",
        re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"),
        "IPv4 addresses, with or without a port",
    ),
    Mask(
        "date",
        re.compile(
            r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d(?: GMT)?"
            r"|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
        ),
        "points in time",
    ),
    Mask(
        "age",
        # Alone in a column or in `(… ago)`; k8s.io/apimachinery/pkg/util/duration prints at most two units.
        re.compile(r"(?:(?<=[\s(])|^)\d{1,4}(?:ms|[smhdy])(?:\d{1,3}[smhd])?(?=[\s)]|$)", re.MULTILINE),
        "ages and durations: 5s, 2m30s, 4d2h",
    ),
    Mask(
        "version",
        re.compile(r"\bv?\d+\.\d+\.\d+(?:[-+][\w.+-]+)?\b|\b\d+\.\d+-(?:dev|alpha|beta|rc)[\w.-]*"),
        "versions of Kubernetes, Istio and Envoy",
    ),
    Mask(
        "where",
        re.compile(r'(?P<keep>" deleted)(?: from \S+ namespace)?$', re.MULTILINE),
        "what kubectl 1.34 and later add to the line of a deleted object (a version)",
    ),
    Mask(
        "ms",
        re.compile(r"(?P<keep>x-envoy-upstream-service-time: )\d+"),
        "the time that Envoy measured, in its response header (an age)",
    ),
)

IN_CHAPTERS = (
    Mask(
        "restarts",
        re.compile(r"(?P<keep>\b\d+/\d+\s+Running\s+)\d+(?: \(\w+ ago\))?"),
        "how often a pod was started again that runs: the stop of a cluster, or of a laptop, adds one",
    ),
    *ALWAYS,
)
"""What is masked in a chapter's output. Where two clusters are compared, the number of restarts says something."""

ON_REQUEST = {
    "counts": Mask(
        "count",
        re.compile(r"(?P<keep>^\s*)\d+(?= )", re.MULTILINE),
        "the number in front of each line, as `uniq -c` prints it, where chance decides it",
    ),
    "seconds": Mask(
        "seconds",
        re.compile(r"\b\d+\.\d+(?= s\b)"),
        "how long something took, as curl's %{time_total} says it: 2.013204 s",
    ),
}


def mask(text: str, extra: Iterable[str] = (), rules: Iterable[Mask] = IN_CHAPTERS) -> str:
    """`text` with every one of the `rules` and those of `ON_REQUEST` that `extra` names applied."""
    for rule in (*(ON_REQUEST[name] for name in extra), *rules):
        text = rule.apply(text)
    return text


def normalised(text: str, extra: Iterable[str] = (), rules: Iterable[Mask] = IN_CHAPTERS) -> list[str]:
    """The lines that are compared: masked, blanks squeezed, without blank lines at the end."""
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in mask(text, extra, rules).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def matches(expected: str, actual: str, extra: Iterable[str] = ()) -> bool:
    """Whether a command printed what the documentation says."""
    names = tuple(extra)
    return _match(normalised(expected, names), normalised(actual, names))


def _match(expected: Sequence[str], actual: Sequence[str]) -> bool:
    """Line by line, with `...` as a wildcard: the usual glob algorithm, which backs up to the last wildcard only."""
    e = a = 0
    wildcard, resume = -1, 0
    while a < len(actual):
        if e < len(expected) and expected[e] == ANYTHING:
            wildcard, resume = e, a
            e += 1
        elif e < len(expected) and expected[e] == actual[a]:
            e, a = e + 1, a + 1
        elif wildcard >= 0:
            resume += 1
            e, a = wildcard + 1, resume
        else:
            return False
    return all(line == ANYTHING for line in expected[e:])
