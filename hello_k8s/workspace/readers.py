"""The reader's own copies of the notebooks: what they run, change and keep isn't the book's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hello_k8s import files, paths


def lay(language: str) -> Path:
    """Copy the notebooks of `language` to `<workspace>/notebooks/<language>`, and return that folder.

    A copy that was changed (run, too: its outputs are) stays as it is; one that wasn't follows the book's. A section
    is read again from the book by deleting its copy. Raises OSError.
    """
    source, folder = paths.NOTEBOOKS / language, paths.workspace() / "notebooks" / language
    memory = paths.state() / "jupyter" / f"notebooks-{language}.json"
    laid = _laid(memory)
    before = dict(laid)
    for file in sorted(source.rglob("*.ipynb")):
        name = file.relative_to(source).as_posix()
        if ".ipynb_checkpoints" in file.parts:
            continue
        data, copy = file.read_bytes(), folder / name
        if copy.exists() and laid.get(name) != _digest(copy.read_bytes()):
            continue
        if laid.get(name) != _digest(data) or not copy.exists():
            files.write(copy, data)
            laid[name] = _digest(data)
    if laid != before:
        files.write(memory, json.dumps(laid, indent=1))
    return folder


def _laid(memory: Path) -> dict[str, str]:
    """Name → digest of what was laid there last."""
    try:
        found = json.loads(memory.read_text())
    except (OSError, ValueError):  # none yet, or cut off: every copy then counts as the reader's
        return {}
    return found if isinstance(found, dict) else {}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
