"""Lists page by page, and the forms they come in."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PARTIAL = {"accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}


def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def namespace(http: httpx.Client, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own with config maps c0 to c4."""
    name = f"n-{abs(hash(request.node.name))}"
    http.post("/api/v1/namespaces", json={"metadata": {"name": name}})
    for number in range(5):
        labels = {"odd": str(number % 2)}
        http.post(path(name), json={"metadata": {"name": f"c{number}", "labels": labels}, "data": {"k": "v"}})
    return name


def names(page: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in page["items"]]


def test_pages_show_the_list_as_it_was_at_the_first(http: httpx.Client, namespace: str) -> None:
    first = http.get(path(namespace), params={"limit": 2}).json()
    http.delete(f"{path(namespace)}/c3")
    http.post(path(namespace), json={"metadata": {"name": "c33"}})
    second = http.get(path(namespace), params={"limit": 2, "continue": first["metadata"]["continue"]}).json()
    third = http.get(path(namespace), params={"limit": 2, "continue": second["metadata"]["continue"]}).json()

    assert [names(first), names(second), names(third)] == [["c0", "c1"], ["c2", "c3"], ["c4"]]
    assert first["metadata"]["remainingItemCount"] == 3
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in third["metadata"]
    assert names(http.get(path(namespace)).json()) == ["c0", "c1", "c2", "c33", "c4"]


def test_with_a_selector_nobody_counts_the_rest(http: httpx.Client, namespace: str) -> None:
    page = http.get(path(namespace), params={"limit": 1, "labelSelector": "odd=0"}).json()

    assert names(page) == ["c0"]
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


def test_an_exact_version_shows_the_past(http: httpx.Client, namespace: str) -> None:
    then = http.get(path(namespace)).json()["metadata"]["resourceVersion"]
    http.delete(f"{path(namespace)}/c0")

    past = http.get(path(namespace), params={"resourceVersion": then, "resourceVersionMatch": "Exact"}).json()
    now = http.get(path(namespace), params={"resourceVersion": then, "resourceVersionMatch": "NotOlderThan"}).json()

    assert names(past)[0] == "c0"
    assert names(now)[0] == "c1"


def test_a_namespace_that_is_not_there_has_an_empty_list(http: httpx.Client) -> None:
    answer = http.get(path("nowhere"))

    assert answer.status_code == 200
    assert answer.json()["items"] == []


def test_a_table_with_paging(http: httpx.Client, namespace: str) -> None:
    answer = http.get(path(namespace), params={"limit": 2}, headers=TABLE).json()

    assert answer["kind"] == "Table"
    assert [column["name"] for column in answer["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"][:2] for row in answer["rows"]] == [["c0", 1], ["c1", 1]]
    assert answer["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert answer["metadata"]["continue"]


def test_what_a_table_includes(http: httpx.Client, namespace: str) -> None:
    whole = http.get(path(namespace), params={"includeObject": "Object"}, headers=TABLE).json()
    wrong = http.get(path(namespace), params={"includeObject": "Everything"}, headers=TABLE)

    assert whole["rows"][0]["object"]["data"] == {"k": "v"}
    assert wrong.status_code == 400
    assert 'unrecognized includeObject value: "Everything"' in wrong.json()["message"]


def test_metadata_only(http: httpx.Client, namespace: str) -> None:
    answer = http.get(path(namespace), headers=PARTIAL).json()

    assert answer["kind"] == "PartialObjectMetadataList"
    assert set(answer["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_yaml(http: httpx.Client, namespace: str) -> None:
    answer = http.get(f"{path(namespace)}/c0", headers={"accept": "application/yaml"})

    assert answer.headers["content-type"] == "application/yaml"
    assert "\n  name: c0\n" in answer.text


def test_deleting_a_collection(http: httpx.Client, namespace: str) -> None:
    answer = http.delete(path(namespace), params={"labelSelector": "odd=1"}).json()

    assert names(answer) == ["c1", "c3"]
    assert names(http.get(path(namespace)).json()) == ["c0", "c2", "c4"]
