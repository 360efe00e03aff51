"""The one archive that an instructor grades: learner.toml and every deliverable, equal bytes for equal files."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import catalog, files, paths, workspace
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError, UsageError
from hello_k8s.grading.manifests import LIMIT_BYTES
from hello_k8s.language import t
from hello_k8s.workspace.identity import learner, learner_file


@dataclass(frozen=True)
class Packed:
    """The archive, and for each lab the deliverables that are in it and those that are missing."""

    file: Path
    contents: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]


def pack(labs: Sequence[Lab] = (), output: Path | None = None) -> Packed:
    """Pack `labs` (default: every lab that was started) into `output`, a .tar.gz or .zip.

    Inside is one folder named after the learner. The default is `<workspace>/<learner>.tar.gz`. Raises UsageError
    where there is no deliverable or `output` is something else than this learner's archive, HelloError for a file that
    is too large or a link.
    """
    who = learner()
    chosen = labs or [lab for lab in catalog.labs() if workspace.folder_of(lab).is_dir()]
    if not chosen:
        raise UsageError(t("lab.nothing_to_pack"), next=t("catalog.list_labs"))
    file = output or paths.workspace() / f"{who.id}.tar.gz"
    if not file.name.endswith((".tar.gz", ".tgz", ".zip")):
        raise UsageError(t("lab.pack_name", file=file), next=t("lab.pack_name_next"))
    _refuse_to_overwrite(file, who.id)
    entries = {f"{who.id}/learner.toml": learner_file().read_bytes()}
    contents = []
    for lab in chosen:
        absent = workspace.missing(lab)
        present = [name for name in lab.deliverables if name not in absent]
        for name in present:
            entries[f"{who.id}/{lab.id}/{name}"] = _content(workspace.folder_of(lab) / name)
        contents.append((lab.id, tuple(present), tuple(absent)))
    if not any(present for _, present, _ in contents):  # nor is an earlier archive given up for it
        raise UsageError(t("lab.nothing_to_pack"), next=t("catalog.list_labs"))
    files.write(file, archived(entries, file.name))
    return Packed(file, tuple(contents))


def archived(entries: Mapping[str, bytes], name: str) -> bytes:
    """`entries` (name → content) as the bytes of an archive called `name`: a zip or, for another name, a .tar.gz."""
    return _zip(entries) if name.endswith(".zip") else _tar(entries)


def _content(file: Path) -> bytes:
    if file.stat().st_size > LIMIT_BYTES:
        raise HelloError(
            t("lab.pack_large", file=workspace.shown(file), limit=LIMIT_BYTES // 1024), next=t("lab.pack_large_next")
        )
    return file.read_bytes()


def _refuse_to_overwrite(file: Path, learner_id: str) -> None:
    """What may be replaced holds nothing but what `pack` itself puts there, for the same learner."""
    if not file.exists():
        return
    who = f"{learner_id}/learner.toml"
    ours = {f"{learner_id}/{lab.id}/{name}" for lab in catalog.labs() for name in lab.deliverables}
    names = _names(file) if file.is_file() else set()
    if who not in names or not names <= {who, *ours}:
        raise UsageError(t("lab.pack_exists", file=file), next=t("lab.pack_exists_next"))


def _names(file: Path) -> set[str]:
    """The names in an archive; none where it is no archive, or a broken one."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as zipped:
                return set(zipped.namelist())
        with tarfile.open(file) as archive:
            return set(archive.getnames())
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, ValueError):
        return set()


def _tar(entries: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(entries.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _zip(entries: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(entries.items()):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()
