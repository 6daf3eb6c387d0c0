"""The embedded cluster in one event loop: API server, controllers, kubelet. Reads as a list of actions."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

from meshdojo.cluster.informer import Informers
from meshdojo.course.content import content_root
from meshdojo.embedded.environment import API_PORT, Environment
from meshdojo.embedded.images import known_images, later_modules, preloaded_modules
from meshdojo.embedded.userimages import UserImages
from meshdojo.kubelet.images import ImageTable
from meshdojo.kubelet.kubelet import NODE_NAME, Kubelet
from meshdojo.kubelet.lifeline import Lifeline
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.auth.tokens import TokenSigner
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.controllers.manager import Controllers
from meshdojo.kubernetes.controllers.nodes import NodeFacts
from meshdojo.kubernetes.journal import Journal
from meshdojo.kubernetes.requests import ADMIN
from meshdojo.kubernetes.server import Server
from meshdojo.kubernetes.store import Store
from meshdojo.kubernetes.version import VERSION


class Cluster:
    """A running embedded cluster. Use it as an async context manager, with what `Environment.prepare` returned.

    Its pods live by `lifeline`: see `meshdojo.kubelet.lifeline`.
    """

    def __init__(self, environment: Environment, listener: socket.socket, lifeline: Lifeline) -> None:
        self._environment = environment
        self._listener = listener
        self._lifeline = lifeline
        self._stack = AsyncExitStack()
        block = environment.block
        apps = content_root() / "apps"
        self.api = Api(
            Store(Journal(environment.journal)),
            block,
            signer=TokenSigner(environment.state / "tokens.key"),
            tokens={environment.settings()["token"]: ADMIN},
        )
        self._informers = Informers(self.api)
        self._controllers = Controllers(
            self.api,
            node=NodeFacts(NODE_NAME, str(block.node), VERSION["gitVersion"], str(block.pods)),
            ca=(environment.state / "ca.crt").read_text(),
            volumes=environment.state / "volumes",
            informers=self._informers,
        )
        self._kubelet = Kubelet(
            self.api,
            block,
            environment.run,
            ImageTable(known_images(apps), more=UserImages(environment.images).usable),
            preload=preloaded_modules(apps),
            later=later_modules(),
            informers=self._informers,
            events=self._controllers.events,
            lifeline=lifeline,
        )
        self._server = Server(
            self.api,
            self._kubelet,
            host=str(block.node),
            port=API_PORT,
            certificate=environment.state / "server.crt",
            key=environment.state / "server.key",
        )

    async def __aenter__(self) -> Cluster:
        async with AsyncExitStack() as stack:
            # The zygote imports what the apps need, in its own process, while the API comes up here.
            processes = asyncio.create_task(self._kubelet.start_processes())
            stack.push_async_callback(self._kubelet.stop)
            await bootstrap(self.api, host=str(self._environment.block.node), port=API_PORT)
            if not self._lifeline.inherited:
                await self._server.start(self._listener)
                stack.push_async_callback(self._server.stop)
            await stack.enter_async_context(self._controllers)
            await processes
            await self._kubelet.start()
            if self._lifeline.inherited:
                # Whoever waits to be answered knows pods that run, and shall not hear that they do not.
                await self._server.start(self._listener)
                stack.push_async_callback(self._server.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self.api.close()
