"""Watches as a stream of lines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx

from meshdojo.kubernetes import store as store_module

if TYPE_CHECKING:
    import pytest
    from tests.kubernetes.conftest import Cluster

PATH = "/api/v1/namespaces/default/configmaps"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
INITIAL = {"watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}


def create(http: httpx.Client, name: str) -> dict[str, Any]:
    made: dict[str, Any] = http.post(PATH, json={"metadata": {"name": name, "labels": {"set": name}}}).json()
    return made


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line:
            yield json.loads(line)


def one(http: httpx.Client, name: str, **params: str) -> dict[str, str]:
    return {"fieldSelector": f"metadata.name={name}", "timeoutSeconds": "1", **params}


def test_events_come_as_they_happen(http: httpx.Client) -> None:
    since = http.get(PATH).json()["metadata"]["resourceVersion"]
    params = {"watch": "true", "resourceVersion": since, "labelSelector": "set=live"}

    with http.stream("GET", PATH, params=params) as answer:
        stream = events(answer)
        create(http, "live")
        added = next(stream)
        http.delete(f"{PATH}/live")
        deleted = next(stream)

    assert answer.headers["content-type"] == "application/json"
    assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "live")
    assert deleted["type"] == "DELETED"
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in (added, deleted)]
    assert versions == sorted(versions)


def test_initial_events_end_with_a_bookmark(http: httpx.Client) -> None:
    create(http, "initial")

    answer = http.get(PATH, params=one(http, "initial", allowWatchBookmarks="true", **INITIAL))
    without = http.get(PATH, params=one(http, "initial", **INITIAL))

    added, bookmark = events(answer)
    assert added["type"] == "ADDED"
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["kind"] == "ConfigMap"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert [event["type"] for event in events(without)] == ["ADDED"]


def test_the_time_is_up_without_an_error(http: httpx.Client) -> None:
    answer = http.get(PATH, params=one(http, "nothing", watch="1"))

    assert (answer.status_code, answer.text) == (200, "")


def test_a_named_object_can_be_watched(http: httpx.Client) -> None:
    create(http, "named")

    answer = http.get(f"{PATH}/named", params={"watch": "1", "timeoutSeconds": "1"})

    assert [event["object"]["metadata"]["name"] for event in events(answer)] == ["named"]


def test_tables_carry_their_columns_once(http: httpx.Client) -> None:
    create(http, "table-1")
    create(http, "table-2")
    params = {"watch": "1", "labelSelector": "set in (table-1,table-2)", "timeoutSeconds": "1"}

    first, second = events(http.get(PATH, params=params, headers=TABLE))

    assert first["object"]["kind"] == second["object"]["kind"] == "Table"
    assert first["object"]["columnDefinitions"]
    assert not second["object"].get("columnDefinitions")
    assert [event["object"]["rows"][0]["cells"][0] for event in (first, second)] == ["table-1", "table-2"]


def test_a_version_that_is_too_old_is_one_error_event(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HISTORY", 1)
    create(http, "old-1")
    create(http, "old-2")

    answer = http.get(PATH, params={"watch": "1", "resourceVersion": "1"})

    (error,) = events(answer)
    assert answer.status_code == 200
    assert error["type"] == "ERROR"
    assert (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")
    assert error["object"]["message"].startswith("too old resource version: 1 (")


def test_a_watch_ends_when_the_client_leaves(http: httpx.Client, cluster: Cluster) -> None:
    streams = cluster.server._app._resources.streams
    with http.stream("GET", PATH, params={"watch": "1"}):
        assert len(streams) == 1

    deadline = time.monotonic() + 20
    while streams and time.monotonic() < deadline:
        http.get("/readyz")
    assert not streams
