"""The call of a kubelet that takes over, and the end of all who could."""

from __future__ import annotations

import os
import socket

from meshdojo.kubelet import frames
from meshdojo.kubelet.lifeline import Lifeline, answer


def test_a_call_brings_a_socket_and_the_last_holder_brings_the_end() -> None:
    first = Lifeline.make()
    far = first.far.dup()  # the zygote's
    second = Lifeline.take(*map(os.dup, first.descriptors))
    assert (first.inherited, second.inherited) == (False, True)
    first.close()
    assert not frames.ready(far, 0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        second.call(theirs)
        called = answer(far)
        assert called is not None
        with called:
            assert not called.get_inheritable()
            called.sendall(b"here")
            assert ours.recv(10) == b"here"
    second.close()
    assert frames.ready(far, 0)
    assert answer(far) is None
    far.close()


def test_a_call_that_nobody_answered_is_forgotten() -> None:
    line = Lifeline.make()
    ours, theirs = socket.socketpair()
    with ours:
        line.call(theirs)
        theirs.close()
        line.clear()
        assert ours.recv(10) == b""  # nobody has the other end any more
    assert not frames.ready(line.far, 0)
    line.close()


def test_half_a_message_is_no_message_and_leaves_nothing_open() -> None:
    near, far = socket.socketpair()
    reading, writing = os.pipe()
    with far:
        length, body = frames.encode({"start": 1})
        near.sendmsg([length], frames.rights([writing]))
        near.send(body[:5])
        near.close()
        os.close(writing)
        assert frames.receive(far) is None
    assert os.read(reading, 1) == b""  # the only other copy came with the message
    os.close(reading)


def test_an_end_with_unread_answers_is_an_end_like_any_other() -> None:
    near, far = socket.socketpair()
    with far:
        far.sendall(b"never read")
        near.close()  # the kernel tells by a reset
        assert frames.receive(far) is None
