"""Pod IPs."""

from __future__ import annotations

from meshdojo.kubelet.addresses import Addresses
from meshdojo.network import Block


def test_addresses_are_of_the_block_and_not_given_twice() -> None:
    addresses = Addresses(Block(3))
    given = [addresses.allocate() for _ in range(300)]
    assert given[:2] == ["127.67.1.0", "127.67.1.1"]
    assert len(set(given)) == 300
    assert str(Block(3).node) not in given


def test_an_address_that_was_given_back_comes_last() -> None:
    addresses = Addresses(Block(0))
    first = addresses.allocate()
    addresses.release(first)
    assert addresses.allocate() != first


def test_addresses_of_an_earlier_run_are_kept() -> None:
    addresses = Addresses(Block(0))
    assert addresses.reserve("127.64.1.7")
    assert not addresses.reserve("127.64.1.7")
    assert not addresses.reserve("127.65.1.8")
    assert not addresses.reserve("127.64.0.1")
    assert addresses.allocate() == "127.64.1.8"


def test_all_addresses_can_be_used() -> None:
    addresses = Addresses(Block(0))
    addresses.reserve("127.64.255.254")
    assert addresses.allocate() == "127.64.1.0"
