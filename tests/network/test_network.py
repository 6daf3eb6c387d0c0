import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdojo.network import BLOCKS, Block, mapped_port, original_port, twin


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
