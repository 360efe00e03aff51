"""An image as `docker save` gives it: its layers, their sizes and the files in them.

`docker image inspect` says another "size" under each image store (overlay2: uncompressed layers; containerd:
compressed blobs), so that a check of size would depend on the engine. A nested engine that keeps its layers unpacked
reads them there, in a fraction of a second; else the saved archive is read as a stream and never written to disk.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import IO, Any

from hello_k8s.errors import EngineError
from hello_k8s.grading import searching
from hello_k8s.grading.containers import described
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both
from hello_k8s.machine.engine import Engine
from hello_k8s.process import reading

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
#: A larger member of the archive is neither manifest.json nor an image's configuration.
_JSON_LIMIT = 16 << 20


@dataclass(frozen=True)
class Layer:
    """One layer: `size` is the sum of its files in bytes, uncompressed; `entries` are the names in it (`/` between
    folders, no leading `/`, deletions as `.wh.` names)."""

    size: int
    entries: tuple[str, ...]


@dataclass(frozen=True)
class BuiltImage:
    """An image in an engine. Everything is read when it is first asked for."""

    engine: Engine
    tag: str

    @cached_property
    def inspected(self) -> dict[str, Any]:
        """What `docker image inspect` says."""
        return described(self.engine.image, "image", self.tag)

    @property
    def id(self) -> str:
        return str(self.inspected["Id"])

    @property
    def config(self) -> dict[str, Any]:
        """Entrypoint, Cmd, Env, User, ExposedPorts, … as the Dockerfile set them."""
        return dict(self._saved[1].get("config") or {})

    @property
    def user(self) -> str:
        """What USER says: a name, a number, both with a group; empty for root."""
        return str(self.config.get("User") or "")

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The image's history, oldest first: `created_by`, and `empty_layer` where a step made none."""
        return list(self._saved[1].get("history") or ())

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, the lowest first. Unmet for an image without any: it is small and clean, and does nothing."""
        if not self._saved[0]:
            raise Unmet(both("grading.empty_image"))
        return self._saved[0]

    @property
    def size(self) -> int:
        """Bytes of all layers, uncompressed: what `docker images` says where layers are stored unpacked."""
        return sum(layer.size for layer in self.layers)

    def files(self) -> list[str]:
        """Every path that a container of this image sees, sorted, without a leading `/`."""
        return sorted(merged(self.layers))

    def find(self, pattern: str) -> list[str]:
        """Paths that a container sees and that match: a whole path where `pattern` has a `/`, else a base name."""
        pattern = pattern.strip("/") if "/" in pattern.strip("/") else pattern.lstrip("/")
        if "/" in pattern:
            return [name for name in self.files() if fnmatch.fnmatchcase(name, pattern)]
        return [name for name in self.files() if fnmatch.fnmatchcase(PurePosixPath(name).name, pattern)]

    def holding(self, pattern: str) -> list[str]:
        """Where an extended regular expression matches: `ENV …`, `history …` (the step, not what matched), `label …`,
        and `layer N: /path` for each file of any layer, one that a later layer deletes or replaces too.
        """
        return searching.holding(self, pattern)

    @cached_property
    def _saved(self) -> tuple[tuple[Layer, ...], dict[str, Any]]:
        if self.engine.name == "nested" and (unpacked := self._unpacked()):
            return unpacked
        with reading([*self.engine.prefix, "save", self.tag], timeout=300, error=EngineError) as stream:
            return read_archive(stream)

    def _unpacked(self) -> tuple[tuple[Layer, ...], dict[str, Any]] | None:
        """What `docker save` would say, from the layers' folders; None where the engine keeps no such folders."""
        command = [*self.engine.prefix[:-1], "confine", "layers", self.tag]
        try:
            with reading(command, timeout=300, error=EngineError) as stream:
                found = json.loads(stream.read())
        except (EngineError, ValueError):
            return None
        layers = tuple(Layer(each["size"], tuple(each["entries"])) for each in found["layers"])
        return layers, found["config"]


def merged(layers: tuple[Layer, ...]) -> set[str]:
    """The paths that are left when each layer, with its deletions, is laid over the ones below."""
    found: set[str] = set()
    for layer in layers:
        for entry in layer.entries:
            path = PurePosixPath(entry)
            if path.name == _OPAQUE:
                found -= _below(found, path.parent)
            elif path.name.startswith(_WHITEOUT):
                gone = path.with_name(path.name.removeprefix(_WHITEOUT))
                found -= {gone.as_posix()} | _below(found, gone)
        found |= {entry for entry in layer.entries if not PurePosixPath(entry).name.startswith(_WHITEOUT)}
    return found


def _below(found: set[str], folder: PurePosixPath) -> set[str]:
    start = "" if folder.as_posix() == "." else folder.as_posix() + "/"
    return {name for name in found if name.startswith(start)}


def read_archive(stream: IO[bytes]) -> tuple[tuple[Layer, ...], dict[str, Any]]:
    """The layers and the configuration in a `docker save` archive, read once from beginning to end.

    Raises ValueError for an archive that is none, tarfile.ReadError for one that is damaged.
    """
    layers: dict[str, Layer] = {}
    documents: dict[str, Any] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.issym() or member.islnk():
                links[member.name] = _target(member)
                continue
            content = archive.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            head = content.read(2)
            whole: Any = _Rest(head, content)
            if head[:1] in (b"{", b"[") and member.size <= _JSON_LIMIT:
                data = head + content.read()
                try:
                    documents[member.name] = json.loads(data)
                except ValueError:  # a layer whose first file has such a name
                    layers[member.name] = _layer(io.BytesIO(data))
            elif head == b"\x1f\x8b":
                layers[member.name] = _layer(gzip.GzipFile(fileobj=whole, mode="rb"))
            elif member.size >= 512:
                layers[member.name] = _layer(whole)
        while stream.read(1 << 20):
            pass
    if "manifest.json" not in documents:
        raise ValueError("manifest.json")
    manifest = documents["manifest.json"][0]
    names = [links.get(name, name) for name in manifest["Layers"]]
    return tuple(layers[name] for name in names), documents[manifest["Config"]]


def _target(member: tarfile.TarInfo) -> str:
    """Where a link of the archive leads: older engines save a layer that two images share only once."""
    if member.islnk():
        return member.linkname
    parts: list[str] = []
    for part in (PurePosixPath(member.name).parent / member.linkname).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


class _Rest:
    """A stream from whose beginning two bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        if size < 0:
            return head + self._rest.read()
        if len(head) > size:
            self._head = head[size:]
            return head[:size]
        return head + self._rest.read(size - len(head))


def _layer(stream: Any) -> Layer:
    size = 0
    entries: list[str] = []
    for member in _members(stream):
        name = PurePosixPath(member.name).as_posix().lstrip("/")
        if name not in ("", "."):
            entries.append(name)
        if member.isreg():
            size += member.size
    return Layer(size, tuple(entries))


class _Member(tarfile.TarInfo):
    """A damaged header is an error: tarfile takes one in the middle for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(str(error)) from error
            raise


def _members(stream: Any) -> Iterator[tarfile.TarInfo]:
    begun = False
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                begun = True
                yield member
    except tarfile.ReadError:
        if begun:  # half a layer is smaller than the whole, and lacks what is in the other half
            raise
        # A blob that is neither JSON nor a layer: an attestation, or a layer without a single file.
