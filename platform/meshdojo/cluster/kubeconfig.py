"""Where a cluster is and how to log in to it: kubeconfig files and the service account of a pod.

Source: ``k8s.io/client-go/tools/clientcmd/api/v1`` (Config) and ``client.authentication.k8s.io`` (exec plugins).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from meshdojo.cluster.errors import BadKubeconfig, Unreachable

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# The kubelet rewrites a projected token long before it expires; client-go re-reads it once a minute, too.
TOKEN_FILE_SECONDS = 60.0
EXEC_PLUGIN_SECONDS = 60.0


class Credential(Protocol):
    """What goes into the Authorization header."""

    async def header(self) -> str:
        """The header's value, '' for none. Raises Unreachable when a plugin or file does not deliver."""
        ...

    def expire(self) -> bool:
        """The server refused it (401). True if asking again may give another one."""
        ...


@dataclass(frozen=True)
class Fixed(Credential):
    """A token or password that stands in the kubeconfig, or nothing at all."""

    value: str = ""

    async def header(self) -> str:
        return self.value

    def expire(self) -> bool:
        return False


class TokenFile(Credential):
    """A bearer token in a file that somebody else keeps fresh."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = float("-inf")

    async def header(self) -> str:
        if time.monotonic() - self._read_at >= TOKEN_FILE_SECONDS:
            self._token = _read(self._path, "the token file").decode().strip()
            self._read_at = time.monotonic()
        return f"Bearer {self._token}"

    def expire(self) -> bool:
        self._read_at = float("-inf")
        return True


class ExecPlugin(Credential):
    """A credential plugin (``users[].user.exec``) that prints an ExecCredential with a token."""

    def __init__(self, command: list[str], environment: Mapping[str, str], api_version: str, hint: str) -> None:
        self._command = command
        self._environment = environment
        self._api_version = api_version
        self._hint = hint
        self._token = ""
        self._valid_until = 0.0

    async def header(self) -> str:
        if not self._token or time.time() > self._valid_until:
            self._accept(await self._run())
        return f"Bearer {self._token}"

    def expire(self) -> bool:
        self._token = ""
        return True

    async def _run(self) -> bytes:
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = {**os.environ, **self._environment, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise Unreachable(
                f"the credential plugin {self._command[0]} does not start: {error}. {self._hint}".strip()
            ) from error
        try:
            output, _ = await asyncio.wait_for(process.communicate(), EXEC_PLUGIN_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Unreachable(
                f"the credential plugin {self._command[0]} did not end within {EXEC_PLUGIN_SECONDS:.0f} s"
            ) from None
        if process.returncode:
            raise Unreachable(f"the credential plugin {self._command[0]} ended with exit code {process.returncode}")
        return output

    def _accept(self, output: bytes) -> None:
        try:
            status = json.loads(output)["status"]
            self._token = status["token"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable(
                f"the credential plugin {self._command[0]} printed no ExecCredential with status.token "
                "(plugins that give client certificates are not supported)"
            ) from error
        expires = status.get("expirationTimestamp")
        self._valid_until = datetime.fromisoformat(expires).timestamp() - 10 if expires else float("inf")


@dataclass(frozen=True)
class Access:
    """A cluster's address and everything needed to be let in.

    `ca` and `certificate` (certificate chain, private key) are PEM; `server` is a URL without a trailing slash.
    """

    server: str
    credential: Credential = Fixed()
    ca: bytes | None = None
    certificate: tuple[bytes, bytes] | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None
    namespace: str = "default"

    def tls(self) -> ssl.SSLContext:
        """The TLS side of a connection. Raises BadKubeconfig when certificates or keys are no PEM."""
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
            if self.certificate:
                _load_certificate(context, *self.certificate)
        except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
            raise BadKubeconfig(f"the certificates for {self.server} cannot be used: {error}") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def load(path: str | Path | None = None, context: str | None = None) -> Access:
    """The access that a kubeconfig's `context` (default: its current-context) describes.

    `path` None means what kubectl would use: the files of $KUBECONFIG, else ~/.kube/config. Raises BadKubeconfig.
    """
    files = [Path(path)] if path is not None else _default_files()
    config = _merge(files)
    where = ":".join(str(file) for file in files)
    name = context or config["current-context"]
    if not name:
        raise BadKubeconfig(f"{where}: no current-context is set; name a context (kubectl config get-contexts)")
    chosen = _named(config, "contexts", name, where)
    cluster = _named(config, "clusters", chosen.get("cluster", ""), where)
    user = _named(config, "users", chosen["user"], where) if chosen.get("user") else {}
    return _access(cluster, user, chosen.get("namespace") or "default", where)


def current_context(path: Path) -> str:
    """The name of the current context of a kubeconfig. Raises `BadKubeconfig`."""
    return str(_parse(path).get("current-context") or "")


def in_cluster(root: str = "", environment: Mapping[str, str] | None = None) -> Access:
    """The access of the pod we run in: its service account, below `root` where the pod has no root of its own.

    Raises BadKubeconfig outside a pod.
    """
    environment = os.environ if environment is None else environment
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise BadKubeconfig(
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this program does not run in a pod"
        )
    folder = Path(root + SERVICE_ACCOUNT)
    if not (folder / "token").exists():
        raise BadKubeconfig(f"{folder}/token does not exist: the pod has no service account token mounted")
    namespace = folder / "namespace"
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        credential=TokenFile(folder / "token"),
        ca=_read(folder / "ca.crt", "the service account's CA"),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def _default_files() -> list[Path]:
    listed = [Path(entry) for entry in os.environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    if not listed:
        return [Path.home() / ".kube" / "config"]
    # As kubectl: files of the list that do not exist are passed over, as long as one does.
    return [file for file in listed if file.exists()] or listed[:1]


def _merge(files: list[Path]) -> dict[str, Any]:
    """The first file that sets a value wins (the rule of ``kubectl config``). Relative paths become absolute."""
    merged: dict[str, Any] = {"current-context": "", "clusters": {}, "users": {}, "contexts": {}}
    for file in files:
        document = _parse(file)
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
        for section, inner in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for entry in document.get(section) or []:
                body = {**(entry.get(inner) or {}), "_folder": file.absolute().parent}
                merged[section].setdefault(entry.get("name", ""), body)
    return merged


def _parse(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(_read(file, "the kubeconfig"))
    except yaml.YAMLError as error:
        raise BadKubeconfig(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    document = {} if document is None else document
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise BadKubeconfig(f"{file} is no kubeconfig (expected a mapping with kind: Config)")
    return document


def _named(config: dict[str, Any], section: str, name: str, where: str) -> dict[str, Any]:
    if name not in config[section]:
        known = ", ".join(sorted(config[section])) or "none"
        raise BadKubeconfig(f"{where}: {section} has no entry {name!r}; there are: {known}")
    found: dict[str, Any] = config[section][name]
    return found


def _access(cluster: dict[str, Any], user: dict[str, Any], namespace: str, where: str) -> Access:
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise BadKubeconfig(f"{where}: cluster.server is {server!r}; it must be an https:// address")
    certificate = _material(user, "client-certificate", where)
    key = _material(user, "client-key", where)
    if (certificate is None) != (key is None):
        raise BadKubeconfig(f"{where}: client-certificate and client-key belong together, one is missing")
    return Access(
        server=server,
        credential=_credential(user, where),
        ca=_material(cluster, "certificate-authority", where),
        certificate=(certificate, key) if certificate is not None and key is not None else None,
        verify=not cluster.get("insecure-skip-tls-verify", False),
        server_name=cluster.get("tls-server-name") or None,
        proxy=cluster.get("proxy-url") or None,
        namespace=namespace,
    )


def _credential(user: dict[str, Any], where: str) -> Credential:
    if user.get("token"):
        return Fixed(f"Bearer {user['token']}")
    if user.get("tokenFile"):
        return TokenFile(user["_folder"] / user["tokenFile"])
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        return Fixed("Basic " + base64.b64encode(pair.encode()).decode())
    if user.get("exec"):
        return _plugin(user["exec"], user["_folder"], where)
    return Fixed()


def _plugin(spec: dict[str, Any], folder: Path, where: str) -> ExecPlugin:
    command = spec.get("command")
    if not command:
        raise BadKubeconfig(f"{where}: users[].user.exec has no command")
    if os.sep in command:  # as client-go: a bare name is looked up on PATH, a path is relative to the file
        command = str(folder / command)
    environment = {entry["name"]: entry["value"] for entry in spec.get("env") or []}
    api_version = spec.get("apiVersion") or "client.authentication.k8s.io/v1"
    return ExecPlugin([command, *(spec.get("args") or [])], environment, api_version, spec.get("installHint") or "")


def _material(entry: dict[str, Any], field: str, where: str) -> bytes | None:
    """PEM bytes from ``FIELD-data`` (base64) or from the file named by ``FIELD``."""
    if data := entry.get(f"{field}-data"):
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadKubeconfig(f"{where}: {field}-data is no base64: {error}") from error
    if file := entry.get(field):
        return _read(entry["_folder"] / file, field)
    return None


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadKubeconfig(f"{what} {file} cannot be read: {error.strerror}") from error


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module reads certificates from files only.
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(certificate + b"\n" + key)
        pem.flush()
        context.load_cert_chain(pem.name, password=_no_password)


_no_password: Callable[[], str] = lambda: ""  # noqa: E731  an encrypted key must fail, not ask on the terminal
