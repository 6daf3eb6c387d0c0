"""``kubectl --as``: a request in somebody else's name, where that is allowed.

Source: k8s.io/apiserver/pkg/endpoints/filters/impersonation.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from meshdojo.kubernetes import errors
from meshdojo.kubernetes.auth.authorization import Access
from meshdojo.kubernetes.requests import User

USER, GROUP, UID, EXTRA = b"impersonate-user", b"impersonate-group", b"impersonate-uid", b"impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_ANONYMOUS = "system:anonymous"
_AUTHENTICATION = "authentication.k8s.io"


def impersonated(headers: Iterable[tuple[bytes, bytes]]) -> User | None:
    """Who the request claims to be; None when it claims nothing. Raises StatusError 400."""
    names, groups, uids = [], [], []
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        text = value.decode("latin-1")
        if name == USER:
            names.append(text)
        elif name == GROUP:
            groups.append(text)
        elif name == UID:
            uids.append(text)
        elif name.startswith(EXTRA):
            key = unquote(name.removeprefix(EXTRA).decode("latin-1"))
            extra[key] = (*extra.get(key, ()), text)
    if not names or not names[0]:
        if groups or uids or extra:
            raise errors.bad_request("requested impersonation of groups, UID or extra without impersonating a user")
        return None
    return User(names[0], _groups(names[0], groups), uids[0] if uids else "", tuple(sorted(extra.items())))


def _groups(name: str, given: list[str]) -> tuple[str, ...]:
    groups = list(given)
    if name.startswith(_ACCOUNT) and not groups and name.count(":") == 3:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"]
    everybody = "system:unauthenticated" if name == _ANONYMOUS else "system:authenticated"
    return tuple(groups if everybody in groups else [*groups, everybody])


def needed(user: User, wanted: User, given_groups: Iterable[str]) -> Iterator[Access]:
    """What `user` must be allowed to do before it may ask as `wanted`."""
    if wanted.name.startswith(_ACCOUNT) and wanted.name.count(":") == 3:
        _, _, namespace, name = wanted.name.split(":")
        yield Access(user, "impersonate", "", "serviceaccounts", "", namespace, name)
    else:
        yield Access(user, "impersonate", "", "users", "", "", wanted.name)
    for group in given_groups:
        yield Access(user, "impersonate", "", "groups", "", "", group)
    if wanted.uid:
        yield Access(user, "impersonate", _AUTHENTICATION, "uids", "", "", wanted.uid)
    for key, values in wanted.extra:
        for value in values:
            yield Access(user, "impersonate", _AUTHENTICATION, "userextras", key, "", value)


def given_groups(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The groups that the request names itself."""
    return [value.decode("latin-1") for name, value in headers if name == GROUP]
