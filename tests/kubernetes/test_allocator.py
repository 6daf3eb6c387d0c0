"""Cluster IPs and node ports: free ones only, also while several services are on their way."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from meshdojo.kubernetes import allocator as allocator_module
from meshdojo.kubernetes.allocator import Allocator, Exhausted
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def test_addresses_are_in_the_block_and_above_the_reserved_ones() -> None:
    block = Block(3)

    addresses = [IPv4Address(Allocator(Store(), block).cluster_ip()) for _ in range(50)]

    assert all(address in block.services and address >= block.services[256] for address in addresses)


def test_nothing_is_handed_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator_module, "NODE_PORTS", range(30000, 30003))
    store = Store()
    allocator = Allocator(store, Block(0))
    store.put("services", service("a", ports=[{"nodePort": 30001}]), None)

    assert {allocator.node_port(), allocator.node_port()} == {30000, 30002}
    with pytest.raises(Exhausted):
        allocator.node_port()


def test_what_a_deleted_service_had_can_be_asked_for_again() -> None:
    store = Store()
    allocator = Allocator(store, Block(0))
    address = allocator.cluster_ip()
    stored = store.put("services", service("a", clusterIP=address), None)
    taken = allocator.problem_with_address(address)
    store.remove("services", stored)

    assert "already allocated" in taken
    assert allocator.problem_with_address(address) == ""


def test_what_a_service_gives_up_is_free_and_what_two_ports_share_is_taken_until_both_are_gone() -> None:
    store = Store()
    store.put("services", service("stored", clusterIP="127.200.1.1", ports=[{"nodePort": 30001}]), None)
    allocator = Allocator(store, Block(0))
    both = [{"nodePort": 30002, "protocol": "TCP"}, {"nodePort": 30002, "protocol": "UDP"}]
    shared = store.put("services", service("shared", ports=both), None)

    def taken() -> list[int]:
        return [port for port in (30001, 30002, 30003) if allocator.problem_with_port(port)]

    assert taken() == [30001, 30002]
    shared = store.put("services", service("shared", ports=both[:1]), shared)
    assert taken() == [30001, 30002]
    shared = store.put("services", service("shared", ports=[{"nodePort": 30003}]), shared)
    assert taken() == [30001, 30003]
    store.remove("services", shared)
    assert taken() == [30001]
