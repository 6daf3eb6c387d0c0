import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdojo.network import BLOCKS, Block, Redirection, mapped_port, original_port, twin


@given(st.integers(1, 65535))
def test_mapped_ports_can_be_bound_without_root(port: int) -> None:
    assert mapped_port(port) >= 1024


@given(st.one_of(st.integers(1, 60999), st.integers(62024, 65535)))
def test_a_mapped_port_leads_back(port: int) -> None:
    assert original_port(mapped_port(port)) == port


def test_mapped_ports_are_outside_the_ephemeral_range() -> None:
    assert mapped_port(1) > 60999


def test_the_blocks_do_not_overlap() -> None:
    networks = [n for i in range(BLOCKS) for n in (Block(i).pods, Block(i).twins, Block(i).services)]
    assert len(set(networks)) == 3 * BLOCKS


def test_a_twin_is_in_the_twins_of_its_block() -> None:
    block = Block(7)
    assert twin(str(block.pods[300])) == str(block.twins[300])


@pytest.mark.parametrize("index", [-1, BLOCKS])
def test_a_block_outside_the_range_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="allowed are 0 to 49"):
        Block(index)


def redirection(text: str) -> Redirection:
    return Redirection.parse(["istio-iptables", "-p", "15001", *text.split(" ")] if text else [])


@pytest.mark.parametrize(
    ("arguments", "taken", "left"),
    [
        ("", [80, 15020], []),
        ("-b * -d 15090,15021,9090,15020", [80], [9090, 15020]),
        ("-b 80,8080 -d 80", [80, 8080], [9090]),  # a list of ports has no exceptions
        ("-d 9090,,x", [80], [9090]),
    ],
)
def test_which_ports_a_sidecar_serves(arguments: str, taken: list[int], left: list[int]) -> None:
    found = redirection(arguments)
    assert all(found.takes(port) for port in taken)
    assert not any(found.takes(port) for port in left)


def test_a_sidecar_may_serve_no_port_at_all() -> None:
    assert not Redirection.parse(["-b", "", "-d", "15020"]).takes(80)


@pytest.mark.parametrize(
    ("arguments", "taken", "left"),
    [
        ("", [("10.0.0.1", 80)], []),
        ("-i * -x 10.0.0.0/8 -o 5432", [("11.0.0.1", 80)], [("10.1.1.1", 80), ("11.0.0.1", 5432)]),
        ("-i 10.0.0.0/8", [("10.0.0.1", 80)], [("11.0.0.1", 80), ("fd00::1", 80)]),
        ("-i 10.0.0.0/8 -q 443 -x 9.9.9.9/32", [("11.0.0.1", 443)], [("11.0.0.1", 80), ("9.9.9.9", 443)]),
        ("-x nonsense,10.0.0.1", [("10.0.0.2", 80)], [("10.0.0.1", 80)]),
    ],
)
def test_which_connections_leave_through_a_sidecar(
    arguments: str, taken: list[tuple[str, int]], left: list[tuple[str, int]]
) -> None:
    found = redirection(arguments)
    assert all(found.catches(*address) for address in taken)
    assert not any(found.catches(*address) for address in left)
