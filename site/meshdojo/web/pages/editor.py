"""The editor's requests: schemas, what is in the cluster, checking, comparing and applying. For the owner only."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, HTTPException, Query, Response
from pydantic import BaseModel, Field

from meshdojo.errors import UserError
from meshdojo.web.manifests import HIDDEN_NAMESPACES, KINDS, path_of, schema_of
from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.pages.terminal import CurrentLab
from meshdojo.web.security import OwnerSession, require_csrf

router = APIRouter(include_in_schema=False)

MOST_FILES = 50
FILE_BYTES = 200_000
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}\.(ya?ml|json)")

Document = Annotated[str, Field(max_length=200_000)]
Name = Annotated[str, Query(max_length=300)]


class Documents(BaseModel):
    """The YAML documents of the editor, in order."""

    documents: Annotated[list[Document], Field(max_length=50)]


class File(BaseModel):
    """A file of the lab's folder."""

    name: Annotated[str, Field(max_length=100)]
    text: Document


@router.get("/editor/schema")
async def schema(site: CurrentSite, session: OwnerSession, api_version: Name, kind: Name) -> Response:
    """What a kind may have in it; ``{problem}`` where the cluster has no such kind (before Istio is installed, say)."""
    if not re.fullmatch(r"([a-z0-9.-]+/)?v[a-z0-9]+", api_version):
        raise HTTPException(422, f"apiVersion {api_version[:80]!r}: expected VERSION or GROUP/VERSION")
    try:
        found = schema_of(orjson.loads(await site.manifests.document(path_of(api_version))), api_version, kind)
    except UserError as error:
        found = {"problem": str(error)}
    return Response(orjson.dumps(found), media_type="application/json")


@router.get("/labs/{lab}/editor")
async def choices(site: CurrentSite, session: OwnerSession, lab: CurrentLab) -> dict[str, Any]:
    """What can be opened: the files of the lab's folder, and the objects of the cluster."""
    try:
        names = await site.manifests.names(KINDS)
    except UserError:
        names = []
    folder = site.shells.folder(lab)
    files = sorted(path.name for path in folder.iterdir() if _FILE.fullmatch(path.name)) if folder else []
    objects = [
        {"kind": kind, "namespace": namespace, "name": name}
        for kind, namespace, name in names
        if namespace not in HIDDEN_NAMESPACES and (namespace != "istio-system" or kind not in ("Deployment", "Service"))
    ]
    return {"files": files[:MOST_FILES], "objects": objects}


@router.get("/editor/object")
async def read_object(
    site: CurrentSite, session: OwnerSession, kind: Name, name: Name, namespace: Name = ""
) -> dict[str, str]:
    """An object of the cluster."""
    if any(part.startswith("-") for part in (kind, name, namespace)):
        raise HTTPException(422, "a kind or name that begins with a dash")
    try:
        return {"text": await site.manifests.read(kind, namespace, name)}
    except UserError as error:
        raise HTTPException(404, str(error)) from error


@router.get("/labs/{lab}/files/{name}")
async def read_file(site: CurrentSite, session: OwnerSession, lab: CurrentLab, name: str) -> dict[str, str]:
    """A file of the lab's folder."""
    path = _path(site.shells.folder(lab), name)
    try:
        text = await asyncio.to_thread(path.read_text, errors="replace")
    except OSError as error:
        raise HTTPException(404, f"{name}: {error.strerror or error}") from error
    return {"text": text[:FILE_BYTES]}


@router.post("/labs/{lab}/files", dependencies=[Depends(require_csrf)])
async def write_file(site: CurrentSite, session: OwnerSession, lab: CurrentLab, file: File) -> dict[str, str]:
    """Write a file into the lab's folder, where the terminals start."""
    path = _path(site.shells.folder(lab), file.name)
    try:
        await asyncio.to_thread(path.write_text, file.text)
    except OSError as error:
        raise HTTPException(409, f"{file.name}: {error.strerror or error}") from error
    return {"name": file.name}


def _path(folder: Path | None, name: str) -> Path:
    if folder is None or not _FILE.fullmatch(name):
        raise HTTPException(422, f"file name {name[:80]!r}: letters, digits, dots and dashes, ending in .yaml")
    path = folder / name
    if path.is_symlink():
        raise HTTPException(422, f"{name} is a link to elsewhere")
    return path


@router.post("/editor/check", dependencies=[Depends(require_csrf)])
async def check(site: CurrentSite, session: OwnerSession, wanted: Documents) -> list[dict[str, Any]]:
    """What the cluster would say to each document."""
    try:
        found = await asyncio.gather(*(site.manifests.check(text) for text in wanted.documents))
    except UserError as error:
        raise HTTPException(409, str(error)) from error
    return [asdict(one) for one in found]


@router.post("/editor/diff", dependencies=[Depends(require_csrf)])
async def difference(site: CurrentSite, session: OwnerSession, wanted: Documents) -> list[dict[str, Any]]:
    """Each object as it is, and as it would be."""
    try:
        found = await asyncio.gather(*(site.manifests.difference(text) for text in wanted.documents))
    except UserError as error:
        raise HTTPException(409, str(error)) from error
    return [asdict(one) for one in found]


@router.post("/editor/apply", dependencies=[Depends(require_csrf)])
async def apply(site: CurrentSite, session: OwnerSession, wanted: Documents) -> list[dict[str, Any]]:
    """Apply the documents in their order, up to the first that is refused."""
    done: list[dict[str, Any]] = []
    try:
        for text in wanted.documents:
            applied = await site.manifests.apply(text)
            done.append(asdict(applied))
            if not applied.ok:
                break
    except UserError as error:
        raise HTTPException(409, str(error)) from error
    return done
