"""A minikube cluster: a profile of meshdojo's own, or one of yours, which is never stopped nor deleted."""

from __future__ import annotations

import json
import os
from pathlib import Path

from meshdojo.backends.base import BackendError, Progress, Status
from meshdojo.backends.commands import run
from meshdojo.backends.reached import ReachedCluster
from meshdojo.course.content import content_root
from meshdojo.course.images import load_images
from meshdojo.embedded import directories
from meshdojo.embedded.environment import DEFAULT_NAME


class MinikubeBackend(ReachedCluster):
    """The profile ``meshdojo`` (``meshdojo-NAME`` for an instance of that name), or the one in MINIKUBE_PROFILE.

    A profile that `start` made is ours, and marked by a file; any other is the user's, and only joined.
    """

    name = "minikube"

    def __init__(self, instance: str = DEFAULT_NAME) -> None:
        own = "meshdojo" if instance == DEFAULT_NAME else f"meshdojo-{instance}"
        self.profile = os.environ.get("MINIKUBE_PROFILE") or own
        self._folder = directories.state_root() / f"minikube-{self.profile}"
        super().__init__(self._folder / "kubeconfig", f"the minikube profile {self.profile!r}", instance)

    @property
    def owned(self) -> bool:
        """Whether meshdojo made the profile."""
        return self._mark.exists()

    @property
    def confirmation(self) -> str:
        """What somebody types before anything is reset on a profile of their own."""
        return self.profile

    @property
    def _mark(self) -> Path:
        return self._folder / "made-by-meshdojo"

    async def start(self, progress: Progress, *, tied: bool = False) -> bool:
        directories.private(self._folder)
        state = await self._state()
        started = state != "Running"
        if not state:
            progress(f"creating {self.title}; the first time this takes minutes")
            # Before it is made: a start that dies half-way leaves a profile that is ours to delete.
            self._mark.touch()
            await run("minikube", "start", "--profile", self.profile, "--keep-context", "--wait=all")
        elif started:
            progress(f"starting {self.title}")
            await run("minikube", "start", "--profile", self.profile, "--keep-context")
        text = await run("kubectl", "config", "view", "--minify", "--flatten", "--raw", "--context", self.profile)
        self.kubeconfig.write_text(text)
        self.kubeconfig.chmod(0o600)
        return started

    async def stop(self) -> None:
        if self.owned and await self._state() == "Running":
            await run("minikube", "stop", "--profile", self.profile)

    async def delete(self) -> None:
        """Delete a profile of ours for good; any other is left alone."""
        if self.owned and await self._state():
            await run("minikube", "delete", "--profile", self.profile)
        self._mark.unlink(missing_ok=True)
        self.kubeconfig.unlink(missing_ok=True)

    async def status(self) -> Status:
        try:
            state = await self._state()
        except BackendError as error:
            return Status(running=False, ready=False, detail=str(error))
        if state != "Running":
            return Status(running=False, ready=False, detail=f"{self.title} is {state.lower() or 'not there'}")
        return await self.answered()

    async def ensure_images(self, progress: Progress) -> None:
        apps = content_root() / "apps"
        found = load_images(apps)
        present = await run("minikube", "image", "ls", "--profile", self.profile)
        for image in found.images:
            name = f"{image.name}:{found.tag}"
            if any(line.strip().removeprefix("docker.io/") == name for line in present.splitlines()):
                continue
            progress(f"building {name}")
            options = ("--profile", self.profile, "--tag", name, "--build-opt", f"target={image.target}")
            await run("minikube", "image", "build", *options, str(apps))

    async def _state(self) -> str:
        """What minikube calls the state of the profile's host (``Running``, ``Stopped``), '' without such a profile."""
        # Its exit code says the state in bits, so that a stopped cluster is a failure of the command.
        listed = json.loads(await run("minikube", "profile", "list", "--output", "json"))
        for profile in (*(listed.get("valid") or ()), *(listed.get("invalid") or ())):
            if profile.get("Name") == self.profile:
                return str(profile.get("Status") or "Unknown").replace("OK", "Running")
        return ""
