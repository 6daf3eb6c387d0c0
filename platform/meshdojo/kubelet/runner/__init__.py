"""The runner: what makes an ordinary Python program a program of a pod.

It wraps Python's sockets (`sockets`, `names`) and its access to mounted files (`files`), so that an app runs here
unchanged: it binds 0.0.0.0:8080, connects to ``http://web.default``, reads ``/var/run/secrets/...``.

`install` must run before other modules take references to what it wraps; the wrappers pass everything through
until `activate` tells them which pod they serve. Both use nothing but the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from meshdojo.kubelet.runner import files, names, sockets
from meshdojo.kubelet.runner.pod import Pod


def install() -> None:
    """Put the wrappers in place. A second call does nothing."""
    sockets.install()
    names.install()
    files.install()


def activate(environ: Mapping[str, str] | None = None) -> None:
    """Serve the pod that the ``MESHDOJO_*`` variables describe; without them everything stays as it was."""
    environ = os.environ if environ is None else environ
    pod = Pod.from_environment(environ)
    if pod is None:
        return
    sockets.activate(pod)
    names.activate(pod)
    files.activate(environ.get("MESHDOJO_ROOT", ""), environ.get("MESHDOJO_MOUNTS", ""))
