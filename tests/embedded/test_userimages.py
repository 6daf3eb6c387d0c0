"""Images that the user registered."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from meshdojo.embedded.errors import EmbeddedError
from meshdojo.embedded.userimages import UserImage, UserImages, local_program


def test_what_was_added_is_there_for_another_reader_and_replaced_by_name(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    ours, others = UserImages(path), UserImages(path)
    assert others.all() == ()
    ours.add(UserImage("shop/cart", ("/bin/sleep", "1")))
    ours.add(UserImage("shop/bill", ("/bin/sleep", "2"), {"A": "b"}, ("/srv",)))
    assert [one.name for one in others.all()] == ["shop/bill", "shop/cart"]
    ours.add(UserImage("shop/cart", ("/bin/sleep", "3")))
    assert {one.name: one.image().entrypoint for one in others.all()} == {
        "shop/bill": ("/bin/sleep", "2"),
        "shop/cart": ("/bin/sleep", "3"),
    }
    ours.remove("shop/cart:1.0")
    assert [one.image().environment for one in others.all()] == [{"A": "b"}]
    with pytest.raises(EmbeddedError, match=r"no image 'shop/cart' of yours; there are: shop/bill"):
        ours.remove("shop/cart")


def test_a_broken_file_is_named_and_does_not_stop_the_kubelet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "images.json"
    path.write_text('{"format": 99, "images": []}')
    with pytest.raises(EmbeddedError, match=r"images\.json cannot be read \(format 99"):
        UserImages(path).all()
    with caplog.at_level(logging.ERROR):
        assert UserImages(path).usable() == []
    assert "format 99" in caplog.text


def test_programs_are_found_where_the_command_was_typed(tmp_path: Path) -> None:
    (tmp_path / "cart.py").write_text("print()")
    python = local_program("shop/cart:2", ["python", "cart.py", "--port", "1"], {}, tmp_path)
    assert python == UserImage(
        "shop/cart", (sys.executable, str(tmp_path / "cart.py"), "--port", "1"), {}, (str(tmp_path),)
    )
    assert local_program("x", ["python3", "-m", "http.server"], {}, tmp_path).command[1:] == ("-m", "http.server")
    program = tmp_path / "run"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert local_program("x", ["./run", "a"], {}, tmp_path).command == (str(program), "a")
    assert local_program("x", ["sh"], {}, tmp_path).command[0].endswith("/sh")


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("x", ["nosuch-program"], "'nosuch-program' is not a program"),
        ("x", ["./nosuch"], r"'\./nosuch' is not a program"),
        ("x", ["python", "nosuch.py"], "there is no file"),
        ("x", ["python"], "say what Python is to run"),
        ("X:", ["sh"], "cannot be the name of an image"),
    ],
)
def test_what_cannot_be_an_image_is_refused(tmp_path: Path, name: str, words: list[str], message: str) -> None:
    with pytest.raises(EmbeddedError, match=message):
        local_program(name, words, {}, tmp_path)
