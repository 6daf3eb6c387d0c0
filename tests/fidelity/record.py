"""``python -m tests.fidelity.record --kubeconfig FILE [TOPIC…]``: what a real cluster answers, into ``recorded/``.

With ``--compare`` nothing is written; the differences from the recordings are printed.
"""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path

from tests.fidelity.cases import Outcome, recorded, topics, write
from tests.fidelity.cluster import Cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--compare", action="store_true", help="print differences, write nothing")
    parser.add_argument("--tools", default="", help="a directory with the cluster's istioctl, first on the PATH")
    parser.add_argument("topic", nargs="*", help="all, when none is named")
    arguments = parser.parse_args()
    chosen = [topic for topic in topics() if not arguments.topic or topic.name in arguments.topic]
    for name, outcomes in Cluster(arguments.kubeconfig, arguments.tools).run(chosen).items():
        if arguments.compare:
            print(differences(name, outcomes), end="")
        else:
            write(name, outcomes)


def differences(topic: str, outcomes: dict[str, Outcome]) -> str:
    """A readable account of every case of the topic that differs from its recording; empty when none does."""
    real = recorded(topic)
    return "".join(
        f"=== {topic}: {name}\n$ {outcome.run}\n{difference(real.get(name), outcome)}"
        for name, outcome in outcomes.items()
        if outcome != real.get(name)
    )


def difference(real: Outcome | None, ours: Outcome) -> str:
    """What the real cluster did and we did not (-), and the other way round (+)."""
    if real is None:
        return "never recorded\n"
    lines = difflib.unified_diff(_lines(real), _lines(ours), "real", "ours", lineterm="", n=2)
    return "".join(f"{line}\n" for line in lines)


def _lines(outcome: Outcome) -> list[str]:
    text = f"$ {outcome.run}\n{outcome.out}--- standard error\n{outcome.err}--- exit code {outcome.code}"
    return text.splitlines()


if __name__ == "__main__":
    main()
