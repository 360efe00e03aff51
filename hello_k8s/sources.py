"""What people wrote in a folder, without what tools leave there; and one number that changes when any of it does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

#: Left beside a person's files by Python, Jupyter, pytest, git, linters and the Finder. Other hidden files are theirs:
#: a `.dockerignore` is an answer.
LEFT_BY_TOOLS = frozenset(
    {"__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".git", ".DS_Store"}
)


def written(path: Path) -> dict[str, Path]:
    """The files below the folder `path` that a person wrote: name there (`/` between folders) → file, names sorted.

    A file stands for itself, by its own name; what isn't there has none. Linked folders aren't entered.
    """
    if path.is_file():
        return {path.name: path}
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name not in LEFT_BY_TOOLS]
        found += [Path(folder, name) for name in names if name not in LEFT_BY_TOOLS]
    return {file.relative_to(path).as_posix(): file for file in sorted(found) if file.is_file()}


def digest(files: Mapping[str, Path]) -> str:
    """SHA-256 over the names and contents of `files`, in hexadecimal; another when any file is added, changed,
    renamed or gone. Raises OSError for a file that can't be read.
    """
    total = hashlib.sha256()
    for name, file in sorted(files.items()):
        data = file.read_bytes()
        total.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape") + data)
    return total.hexdigest()
