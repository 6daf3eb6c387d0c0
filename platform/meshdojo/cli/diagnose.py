"""``meshdojo diagnose``: one archive for a bug report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshdojo.cli.console import err, out, run, steps
from meshdojo.cli.options import DEFAULT_BACKEND, DEFAULT_INSTANCE, BackendName, Instance, opened


def diagnose(
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to write.")] = Path("diagnosis.tar.gz"),
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Write one archive that explains the state of the cluster, for a bug report. It holds no secrets.

    In it: what 'doctor' and 'status' say, the objects (no Secrets, no ConfigMaps), events, logs, and what the proxies
    run by. Tokens, keys, and values of variables that look like passwords are taken out.

    Example: meshdojo diagnose --output /tmp/mesh.tar.gz
    """
    from meshdojo.cli.archive import write_archive

    with steps() as progress:
        size = run(write_archive(opened(backend, name), output, progress))
    err.print(f"Wrote {max(size // 1024, 1)} KiB. Look into it before you send it on: tar tzf {output}", markup=False)
    out.print(str(output), markup=False)
