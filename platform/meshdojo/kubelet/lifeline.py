"""What the zygote lives by: two ends of a socket, of which one is held by all who want it to live.

The cluster process and its keeper hold it. When both are gone, however they went, the kernel closes it, and the zygote
ends with all its processes. As long as one of them lives, so do the pods: a new cluster process calls through it, and
hands the zygote the socket that they speak over from then on. (The one that the dead process had used would not do:
half a message may have been on its way.)
"""

from __future__ import annotations

import os
import socket

from meshdojo.kubelet import frames


class Lifeline:
    """Both ends: `near` is held, `far` is for zygotes, which come and go.

    `inherited`: it was an earlier process' before. `used`: a zygote, or its standby, may be there.
    """

    def __init__(self, near: socket.socket, far: socket.socket, *, inherited: bool) -> None:
        self.near = near
        self.far = far
        self.inherited = inherited
        self.used = inherited

    @classmethod
    def make(cls) -> Lifeline:
        """A new one."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(near, far, inherited=False)

    @classmethod
    def take(cls, near: int, far: int) -> Lifeline:
        """That of a process that is no more, by its descriptors."""
        for descriptor in (near, far):
            os.set_inheritable(descriptor, False)
        return cls(socket.socket(fileno=near), socket.socket(fileno=far), inherited=True)

    @property
    def descriptors(self) -> tuple[int, int]:
        """For `take`, in another process."""
        return self.near.fileno(), self.far.fileno()

    def call(self, control: socket.socket) -> None:
        """Hand the zygote its end of a control socket."""
        # In one piece: a caller that is killed has called, or not.
        self.near.sendmsg(frames.encode({"call": True}), frames.rights([control.fileno()]))

    def clear(self) -> None:
        """Forget calls that no zygote has answered."""
        while frames.ready(self.far, 0):
            called = answer(self.far)
            if called is None:
                return
            called.close()

    def close(self) -> None:
        """Let go of it."""
        self.near.close()
        self.far.close()


def answer(far: socket.socket) -> socket.socket | None:
    """In the zygote: the control socket of a kubelet that calls; None when nobody holds the other end any more.

    Blocks until either comes.
    """
    received = frames.receive(far)
    if received is None:
        return None
    control, *_ = received[1]
    return socket.socket(fileno=control)
