"""The air-gap bundle: one tar with every image of a class, made on one machine and loaded on the others.

It is what `docker save` writes, so that plain `docker load -i FILE` reads it too.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hello_k8s import catalog, files, paths
from hello_k8s.errors import MachineError
from hello_k8s.language import t
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.recipe import LABEL, recipe_hash
from hello_k8s.progress import Progress

_SAVE_SECONDS = 1800


def bundle_file() -> Path:
    """The bundle that `ensure` looks at: HELLO_K8S_BUNDLE, or bundle.tar in the state folder."""
    return Path(os.environ.get("HELLO_K8S_BUNDLE") or paths.state() / "bundle.tar")


def contents(file: Path) -> dict[str, str | None]:
    """Image name → its recipe's hash (None for an official image) of a bundle. Raises MachineError."""
    try:
        with tarfile.open(file, "r:*") as tar:
            manifest = _read(tar, "manifest.json")
            found: dict[str, str | None] = {}
            for entry in manifest:
                labels = _read(tar, entry["Config"]).get("config", {}).get("Labels") or {}
                found |= dict.fromkeys(entry.get("RepoTags") or (), labels.get(LABEL))
            return found
    except FileNotFoundError as missing:
        raise MachineError(t("images.no_bundle", file=file), next=t("images.bring_a_bundle")) from missing
    except (tarfile.TarError, KeyError, TypeError, ValueError, OSError) as error:
        raise MachineError(
            t("images.bad_bundle", file=file), why=str(error), next=t("images.bring_a_bundle")
        ) from error


def _read(tar: tarfile.TarFile, name: str) -> Any:
    stream = tar.extractfile(name)
    if stream is None:
        raise KeyError(name)
    return json.load(stream)


def holds(file: Path, name: str, recipe: str) -> bool:
    """Whether `file` has the image called `name`, official or made by this very recipe; no for a missing file."""
    if not file.exists():
        return False
    found = contents(file)
    return name in found and found[name] in (None, recipe)


def save(file: Path, refs: Iterable[str], engine: Engine, progress: Progress) -> None:
    """Write the images `refs` of `engine` into `file`, whole or not at all."""
    with files.whole(file) as part:
        engine.run("save", "--output", str(part), *refs, timeout=_SAVE_SECONDS, on_line=progress.line)


def load(file: Path, engine: Engine, progress: Progress) -> list[str]:
    """Load every image of `file` into `engine`; returns their names. Raises MachineError for a bad file."""
    names = list(contents(file))
    engine.run("load", input=file, timeout=_SAVE_SECONDS, on_line=progress.line)
    return names


def stale(file: Path) -> list[str]:
    """Names in the bundle that today's recipes would make differently: it is of another version."""
    found = contents(file)
    ours = {image.name: recipe_hash(image) for image in catalog.images().values()}
    return [name for name, recipe in found.items() if recipe is not None and ours.get(name, recipe) != recipe]
