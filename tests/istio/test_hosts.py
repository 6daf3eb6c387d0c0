import pytest

from meshdojo.istio import hosts
from meshdojo.istio.hosts import ClusterName


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("web", "web.fleet.svc.cluster.local"),
        ("web.other", "web.other"),
        ("*", "*"),
        ("*.example", "*.example"),
        ("", ""),
    ],
)
def test_short_names_are_completed_with_the_namespace(host: str, found: str) -> None:
    assert hosts.resolve(host, "fleet") == found


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("*", "web.example", True),
        ("web.example", "web.example", True),
        ("web.example", "api.example", False),
        ("*.example", "web.example", True),
        ("*.example", "a.b.example", True),
        ("*.example", "example", False),
        ("*.example", ".example", False),
    ],
)
def test_wildcards_cover_several_labels_but_not_the_bare_domain(pattern: str, host: str, fits: bool) -> None:
    assert hosts.matches(pattern, host) is fits


def test_the_more_specific_of_two_hosts_is_what_they_have_in_common() -> None:
    assert hosts.overlap("*", "web.example") == "web.example"
    assert hosts.overlap("web.example", "*.example") == "web.example"
    assert hosts.overlap("*.a.example", "*.example") == "*.a.example"
    assert hosts.overlap("web.example", "api.example") is None


def test_exact_beats_long_wildcard_beats_short_wildcard() -> None:
    patterns = ["*", "*.example", "*.a.example", "web.a.example"]
    assert hosts.most_specific(patterns, "web.a.example") == "web.a.example"
    assert hosts.most_specific(patterns, "api.a.example") == "*.a.example"
    assert hosts.most_specific(patterns, "web.b.example") == "*.example"
    assert hosts.most_specific(["other"], "web") is None


def test_cluster_names_are_istios() -> None:
    name = ClusterName(8080, "web.fleet.svc.cluster.local", "v1")
    assert str(name) == "outbound|8080|v1|web.fleet.svc.cluster.local"
    assert name.sni == "outbound_.8080_.v1_.web.fleet.svc.cluster.local"
    assert ClusterName.parse(str(name)) == name
    assert str(ClusterName(8080, direction="inbound")) == "inbound|8080||"
    assert ClusterName.parse("PassthroughCluster") is None
