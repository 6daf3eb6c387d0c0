"""The commands on every pod's PATH: what the host has, what it lacks, and what has to be of the pod.

A pod sees the host's programs, since there is only one file system. Three things are put before them:

* ours: programs that the mesh has to capture, or that must show the pod and not the machine (`OURS`);
* fallbacks: ours where the host has none (`FALLBACKS`), so that ``kubectl cp`` works on any host;
* the host's, with paths below a mountPath translated (`MOUNTED`): a shell starts them, and knows nothing of mounts.
"""

from __future__ import annotations

import shlex
import shutil
import stat
import sys
from pathlib import Path

_TOOLS = "meshdojo.kubelet.tools"
OURS = {name: ("python", "-m", f"{_TOOLS}.{name}") for name in ("curl", "hostname", "nc", "nslookup", "ps", "wget")}
FALLBACKS = {"tar": ("python", "-m", f"{_TOOLS}.tar")}
MOUNTED = (
    *("awk", "base64", "cat", "chmod", "cp", "cut", "diff", "du", "file", "find", "grep", "head", "jq", "less", "ln"),
    *("ls", "md5sum", "mkdir", "more", "mv", "od", "openssl", "readlink", "rm", "rmdir", "sed", "sha256sum", "sort"),
    *("stat", "tail", "tar", "tee", "test", "touch", "uniq", "vi", "wc", "xargs"),
)

# An argument below a mountPath becomes the path where the mount really is. A mounted directory is a link there: what
# comes behind it (a "/", for tar a "/.") makes programs see the directory. In the shell's own language, because it runs
# at each call: it costs a millisecond, where Python would cost fifty.
_MOUNTED_SCRIPT = """\
#!/bin/sh
for word do
  shift
  IFS=:
  for mount in $MESHDOJO_MOUNTS; do
    case $word in
      "$mount"|"$MESHDOJO_ROOT$mount") word=$MESHDOJO_ROOT$mount; [ ! -d "$word" ] || word=$word{directory} ;;
      "$MESHDOJO_ROOT"/*) ;;
      "$mount"/*) word=$MESHDOJO_ROOT$word ;;
    esac
  done
  unset IFS
  set -- "$@" "$word"
done
{variables}exec {program} "$@"
"""
# What tar calls its members is without the place of the mounts, as `kubectl cp` looks for them. GNU tar reads this
# variable, which may stand before "cf", as an option may not; others leave it alone.
_TAR_OPTIONS = r"""TAR_OPTIONS="--transform=s,^/*${MESHDOJO_ROOT#/}/,,;s,/\./,/," """


def fallbacks(path: str) -> dict[str, tuple[str, ...]]:
    """Those of our commands that stand in for what the host lacks on `path`."""
    return {name: command for name, command in FALLBACKS.items() if shutil.which(name, path=path) is None}


def write(folder: Path, path: str) -> None:
    """Write all of them as small scripts into `folder`, which comes before the host's `path`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in MOUNTED:
        found = shutil.which(name, path=path)
        if found is not None:
            directory, variables = ("/.", _TAR_OPTIONS) if name == "tar" else ("/", "")
            text = _MOUNTED_SCRIPT.format(program=shlex.quote(found), directory=directory, variables=variables)
            _script(folder / name, text)
    for name, command in {"python": ("python",), "python3": ("python",), **OURS, **fallbacks(path)}.items():
        words = " ".join((shlex.quote(sys.executable), "-m", "meshdojo.kubelet.runner", *command[1:]))
        _script(folder / name, f'#!/bin/sh\nexec {words} "$@"\n')


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(stat.S_IRWXU)
