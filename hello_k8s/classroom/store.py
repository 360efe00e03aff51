"""Where deliverables lie that are graded: a folder for each answer, named by what is in it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path


def keep(store: Path, learner: str, lab: str, files: Mapping[str, bytes]) -> Path:
    """The folder in `store` that holds exactly `files`, as plain files (0644), and is there whole or not at all.

    The same answer has the same place, so that a second run finds what the first made; what a killed run left is
    done again, and a place that was changed since is mended.
    """
    place = store / _digest(learner, lab, files)
    if _holds(place, files):
        return place
    new = place.with_name(f"{place.name}.new")
    for folder in (new, place):
        if folder.exists():
            shutil.rmtree(folder)
    new.mkdir(parents=True)
    for name, content in files.items():
        file = new / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o644)
    new.replace(place)
    return place


def _digest(learner: str, lab: str, files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for part in (learner, lab, *(part for name in sorted(files) for part in (name, files[name]))):
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:40]


def _holds(place: Path, files: Mapping[str, bytes]) -> bool:
    found = [file for file in place.rglob("*") if not file.is_dir() or file.is_symlink()]
    if not place.is_dir() or {file.relative_to(place).as_posix() for file in found} != set(files):
        return False
    return all(
        not file.is_symlink()
        and file.is_file()
        and file.stat().st_mode & 0o7777 == 0o644
        and file.read_bytes() == files[file.relative_to(place).as_posix()]
        for file in found
    )
