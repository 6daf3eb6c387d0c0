"""Running topics on a cluster, whichever it is: all that it takes is a kubeconfig."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.fidelity.cases import Case, Outcome, Topic
from tests.fidelity.masks import masked

from meshdojo.course.content import content_root

TIMEOUT = 120.0
FLEET = content_root() / "labs" / "base"


class Cluster:
    """A cluster with Istio and the fleet, and what its names and addresses are."""

    def __init__(self, kubeconfig: Path, path: str = "") -> None:
        self._variables = {**os.environ, "KUBECONFIG": str(kubeconfig), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        if path:
            self._variables["PATH"] = f"{path}{os.pathsep}{os.environ['PATH']}"
        self._kubeconfig = kubeconfig
        node = self._json("get", "nodes")["items"][0]
        self._node: str = node["metadata"]["name"]
        self._address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        self._server = self._json("config", "view", "--minify")["clusters"][0]["cluster"]["server"]
        self.names = {self._node: "<node>", self._server: "<server>"}

    def run(self, topics: Iterable[Topic], jobs: int = 4) -> dict[str, dict[str, Outcome]]:
        """The outcomes of every case of every topic; topics run side by side, the cases of one in order."""
        chosen = list(topics)
        fleet = self._fleet() if any(topic.fleet for topic in chosen) else nullcontext()
        with fleet, ThreadPoolExecutor(jobs) as pool:
            return dict(zip((topic.name for topic in chosen), pool.map(self._topic, chosen), strict=True))

    @contextmanager
    def _fleet(self) -> Iterator[None]:
        self._kubectl("apply", "-f", str(FLEET))
        try:
            self._kubectl(
                *("wait", "-n", "fleet", "--for=condition=Available", "deployment", "--all", "--timeout=100s")
            )
            yield
        finally:
            self._kubectl("delete", "namespace", "fleet")

    def _topic(self, topic: Topic) -> dict[str, Outcome]:
        with self._namespace(topic), tempfile.TemporaryDirectory() as folder:
            for name, content in topic.files.items():
                (Path(folder) / name).write_text(content)
            variables = self._for(topic, Path(folder))
            if topic.setup:
                self._script(topic.setup, folder, variables, check=True)
            return {case.name: self._case(case, folder, variables) for case in topic.cases}

    @contextmanager
    def _namespace(self, topic: Topic) -> Iterator[None]:
        if not topic.own:
            yield
            return
        self._kubectl("create", "namespace", topic.namespace)
        try:
            if topic.inject:
                self._kubectl("label", "namespace", topic.namespace, "istio-injection=enabled")
            yield
        finally:
            self._kubectl("delete", "namespace", topic.namespace, "--wait=false")

    def _for(self, topic: Topic, folder: Path) -> dict[str, str]:
        """The environment of a topic's commands: its own kubeconfig, with its namespace as the current one."""
        kubeconfig = folder / ".kubeconfig"
        shutil.copy(self._kubeconfig, kubeconfig)
        variables = {**self._variables, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}
        variables["GATEWAY_URL"] = f"{self._address}:{self._gateway_port()}"
        self._script(
            f"kubectl config set-context --current --namespace={topic.namespace}", str(folder), variables, True
        )
        return variables

    def _gateway_port(self) -> int:
        service = self._json("get", "service", "-n", "istio-system", "istio-ingressgateway")
        return int(next(port["nodePort"] for port in service["spec"]["ports"] if port["name"] == "http2"))

    def _case(self, case: Case, folder: str, variables: Mapping[str, str]) -> Outcome:
        deadline = time.monotonic() + TIMEOUT / 2
        while case.until and self._script(case.until, folder, variables).returncode and time.monotonic() < deadline:
            time.sleep(0.2)
        ran = self._script(case.run, folder, variables)
        return Outcome(case.run, ran.returncode, self._masked(ran.stdout, folder), self._masked(ran.stderr, folder))

    def _masked(self, text: str, folder: str) -> str:
        return masked(text, {**self.names, folder: "<folder>"})

    def _script(
        self, script: str, folder: str, variables: Mapping[str, str], check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            errors="replace",
        )
        if check and ran.returncode:
            raise RuntimeError(f"{script}: exit code {ran.returncode}: {ran.stdout}{ran.stderr}")
        return ran

    def _kubectl(self, *arguments: str) -> str:
        ran = subprocess.run(["kubectl", *arguments], env=self._variables, capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {ran.stderr}")
        return ran.stdout

    def _json(self, *arguments: str) -> Any:
        return json.loads(self._kubectl(*arguments, "-o", "json"))
