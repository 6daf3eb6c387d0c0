"""Customers with a memory: requests that belong together, and carry the cookies that the answers before them set."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie


@dataclass
class Session:
    """One customer: the cookies so far, and the labels of the answers.

    As a browser does, a cookie goes back to paths that begin with its Path (without one: to the folder of the path that
    set it), and one with Max-Age=0 is forgotten.
    """

    path: str
    answers: int = 0
    labels: set[str] = field(default_factory=set)
    _cookies: dict[str, str] = field(default_factory=dict)

    def header(self) -> str:
        """The value of the Cookie header, '' without cookies."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def answered(self, label: str, set_cookies: list[str]) -> None:
        self.answers += 1
        self.labels.add(label)
        for text in set_cookies:
            self._remember(text)

    def _remember(self, text: str) -> None:
        try:
            cookies = SimpleCookie(text)
        except CookieError:
            return
        for name, morsel in cookies.items():
            if morsel["max-age"] in ("0", 0):
                self._cookies.pop(name, None)
            elif _covers(morsel["path"] or self.path.rpartition("/")[0] or "/", self.path):
                self._cookies[name] = morsel.coded_value

    def summary(self) -> str:
        """All labels that answered this customer."""
        return "+".join(sorted(self.labels))


def _covers(cookie_path: str, path: str) -> bool:
    """RFC 6265 section 5.1.4."""
    return path == cookie_path or path.startswith(cookie_path.removesuffix("/") + "/")
