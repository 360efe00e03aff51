"""Where deliverables lie that are graded: a folder for each answer, named by what is in it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

#: Seconds after which an unfinished place is that of a run that was killed: filling one takes milliseconds.
_ABANDONED = 600
_NEW = ".new"


def keep(store: Path, learner: str, lab: str, files: Mapping[str, bytes]) -> Path:
    """The folder in `store` that holds exactly `files`, as plain files (0644), and is there whole or not at all.

    The same answer has the same place, so that a second run finds what the first made, also while the first is at
    it. What a killed run left is done again, and a place that was changed since is mended.
    """
    place = store / _digest(learner, lab, files)
    if _holds(place, files):
        return place
    store.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{place.name}.", suffix=_NEW, dir=store))
    try:
        for name, content in files.items():
            file = new / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o644)
        new.chmod(0o755)
        _put(new, place, files)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return place


def _put(new: Path, place: Path, files: Mapping[str, bytes]) -> None:
    try:
        new.replace(place)
    except OSError:  # it is there: made by another process just now, or changed since it was made
        if _holds(place, files):
            return
        shutil.rmtree(place)
        new.replace(place)


def sweep(store: Path) -> None:
    """Remove what killed runs left unfinished in `store`."""
    for left in store.glob(f"*{_NEW}"):
        try:
            age = time.time() - left.stat().st_mtime
        except FileNotFoundError:  # finished meanwhile
            continue
        if age > _ABANDONED:
            shutil.rmtree(left, ignore_errors=True)


def _digest(learner: str, lab: str, files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for part in (learner, lab, *(part for name in sorted(files) for part in (name, files[name]))):
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:40]


def _holds(place: Path, files: Mapping[str, bytes]) -> bool:
    found = [file for file in place.rglob("*") if not file.is_dir() or file.is_symlink()]
    if place.is_symlink() or not place.is_dir() or {file.relative_to(place).as_posix() for file in found} != set(files):
        return False
    return all(
        not file.is_symlink()
        and file.is_file()
        and file.stat().st_mode & 0o7777 == 0o644
        and file.read_bytes() == files[file.relative_to(place).as_posix()]
        for file in found
    )
