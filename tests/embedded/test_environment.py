from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest
import yaml

from meshdojo.embedded import environment as module
from meshdojo.embedded.environment import Environment
from meshdojo.embedded.errors import EmbeddedError
from meshdojo.network import Block


def test_a_name_that_is_no_label_is_refused() -> None:
    with pytest.raises(EmbeddedError, match="allowed are small letters"):
        Environment.named("My Lab")


def test_prepare_claims_an_address_and_keeps_it(environment: Environment) -> None:
    with environment.prepare() as first:
        address = first.getsockname()
    with environment.prepare() as second:
        assert second.getsockname() == address == (str(environment.block.node), module.API_PORT)


def test_two_environments_get_different_blocks(environment: Environment) -> None:
    other = Environment.named("other")
    with environment.prepare(), other.prepare():
        assert environment.block != other.block


def test_a_block_in_use_at_creation_is_passed_over(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another environment may run on this machine: the first that is free is found as the environment itself does.
    environment.prepare().close()
    taken = environment.block.index
    monkeypatch.setattr(Environment, "_preferred", lambda self: taken)
    other = Environment.named("other")
    with socket.create_server((str(Block(taken).node), module.API_PORT)), other.prepare():
        assert other.block.index != taken


def test_an_address_in_use_later_is_named_with_the_remedy(environment: Environment) -> None:
    environment.prepare().close()
    with (
        socket.create_server((str(environment.block.node), module.API_PORT)),
        pytest.raises(EmbeddedError, match=r":6443 cannot be used: Address already in use.*meshdojo down --delete"),
    ):
        environment.prepare()


def test_the_kubeconfig_reaches_the_server_with_the_token(environment: Environment) -> None:
    environment.prepare().close()
    config = yaml.safe_load(environment.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == environment.server
    assert config["users"][0]["user"]["token"] == environment.settings()["token"]
    assert stat.S_IMODE(environment.kubeconfig.stat().st_mode) == 0o600


@pytest.mark.parametrize("found", [0, 99])
def test_an_older_and_a_newer_format_are_refused_with_words(environment: Environment, found: int) -> None:
    environment.prepare().close()
    path = environment.state / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": found}))
    with pytest.raises(EmbeddedError, match=f"has format {found}; this meshdojo reads format 1.*down --delete"):
        environment.settings()


def test_damaged_settings_are_named(environment: Environment) -> None:
    environment.prepare().close()
    (environment.state / "environment.json").write_text("{")
    with pytest.raises(EmbeddedError, match=r"environment\.json cannot be read"):
        environment.settings()


def test_a_new_environment_is_not_taken_for_the_one_before(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "cache"))
    monkeypatch.setattr(Environment, "_preferred", lambda self: 41)
    remembered = tmp_path / "cache" / "discovery" / f"{Block(41).node}_{module.API_PORT}" / "servergroups.json"
    remembered.parent.mkdir(parents=True)
    remembered.touch()
    environment.prepare().close()
    assert environment.block == Block(41)
    assert not remembered.exists()
    remembered.parent.mkdir(parents=True)
    remembered.touch()
    environment.prepare().close()
    assert remembered.exists()
