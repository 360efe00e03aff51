"""Every image present on an engine, by the first way that works.

Already there → air-gap bundle → pull by digest → build from package registries. What was built is kept as a tar
in the cache, so that a fresh engine or a second checkout only loads it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hello_k8s import catalog, files, paths
from hello_k8s.catalog import Image
from hello_k8s.errors import MachineError
from hello_k8s.language import pick, t
from hello_k8s.machine import bundle as bundles
from hello_k8s.machine import recipe, registry
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.recipe import LABEL, STAND_IN, recipe_hash
from hello_k8s.progress import SILENT, Progress

Way = Literal["here", "bundle", "kept", "pull", "build", "impossible"]

__all__ = ["Plan", "bundle", "ensure", "load_bundle", "plan", "recipe_hash", "recipe_of"]


@dataclass(frozen=True)
class Plan:
    """How `image` would become present, and why in the reader's language."""

    image: Image
    way: Way
    reason: str


def recipe_of(name: str) -> str:
    """The recipe's hash of the image in images/<name>."""
    return recipe_hash(catalog.image(name))


def ensure(names: Iterable[str], engine: Engine, progress: Progress, *, upstream_names: bool) -> dict[str, str]:
    """Make the images `names` (folder names of images/) present on `engine`: name → reference to use there.

    Every image carries its own name (`hello-k8s/…`); with `upstream_names` also its aliases (`golang:1.26`), which
    is only right for an engine that we installed or nested. Says which way was taken. Raises MachineError where
    none works, CommandFailed where a build does.
    """
    wanted = [catalog.image(name) for name in dict.fromkeys(names)]
    for image in wanted:
        _present(image, engine, progress)
        if upstream_names:
            for alias in image.aliases:
                engine.run("tag", image.name, alias)
    return {image.id: image.name for image in wanted}


def plan(names: Iterable[str], engine: Engine) -> list[Plan]:
    """Which way each of `names` would take on `engine`; changes nothing."""
    return [Plan(image, *_way(image, engine)) for image in map(catalog.image, names)]


def _way(image: Image, engine: Engine) -> tuple[Way, str]:
    if _is_here(image, engine):
        return "here", t("images.reason_here", name=image.name)
    file = bundles.bundle_file()
    if bundles.holds(file, image.name, recipe_hash(image)):
        return "bundle", t("images.reason_bundle", file=file)
    if _kept(image).exists():
        return "kept", t("images.reason_kept", file=_kept(image))
    if image.upstream and registry.reachable(image.upstream, engine):
        return "pull", t("images.reason_pull", ref=registry.source(image.upstream))
    refused = next(filter(None, (recipe.why_not(other) for other in _with_bases(image))), None)
    if refused:
        return "impossible", refused[0]
    said = "images.reason_build" if image.upstream else "images.reason_build_ours"
    return "build", t(said, minutes=_minutes(image))


def _with_bases(image: Image) -> Iterator[Image]:
    for base in image.bases:
        yield from _with_bases(catalog.image(base))
    yield image


def _minutes(image: Image) -> str:
    return f"{max(image.usual_seconds / 60, 0.5):.0f}" if image.usual_seconds >= 60 else "1"


def _is_here(image: Image, engine: Engine) -> bool:
    """Whether the engine has it: the official one, or ours of today's recipe."""
    found = engine.image(image.name)
    if found is None:
        return False
    made_from = (found["Config"].get("Labels") or {}).get(LABEL)
    return made_from is None or made_from == recipe_hash(image)


def _present(image: Image, engine: Engine, progress: Progress) -> None:
    if _is_here(image, engine):
        return
    if engine.name == "nested":
        _copy(image, engine, progress)
        return
    if _from_bundle(image, engine, progress) or _from_cache(image, engine, progress):
        return
    if _official_here(image, engine) or _pull(image, engine, progress):
        return
    _build(image, engine, progress)


def _from_bundle(image: Image, engine: Engine, progress: Progress) -> bool:
    file = bundles.bundle_file()
    if not file.exists():
        return False
    if not bundles.holds(file, image.name, recipe_hash(image)):
        if image.name in bundles.stale(file):
            progress.note(t("images.stale_bundle", image=pick(image.title), file=file))
        return False
    with progress.step(t("images.from_bundle", image=pick(image.title), file=file), file.stat().st_size / 100e6):
        bundles.load(file, engine, progress)
    return _is_here(image, engine)


def _kept(image: Image) -> Path:
    """Where the finished image is kept as a tar, so that no engine ever has to build it again."""
    folder = paths.cache() / "images"
    folder.mkdir(exist_ok=True)
    return folder / f"{image.id}-{recipe_hash(image)}.tar"


def _from_cache(image: Image, engine: Engine, progress: Progress) -> bool:
    kept = _kept(image)
    if not kept.exists():
        return False
    try:
        with progress.step(t("images.from_cache", image=pick(image.title)), kept.stat().st_size / 100e6):
            bundles.load(kept, engine, progress)
    except MachineError:
        # a damaged file must not be in the way of making it anew
        kept.unlink(missing_ok=True)
        if not engine.answers():
            raise
        return False
    return _is_here(image, engine)


def _official_here(image: Image, engine: Engine) -> bool:
    """Give the official image our name where somebody pulled it before."""
    if not image.upstream:
        return False
    found = engine.image(image.upstream)
    if found is None or (found["Config"].get("Labels") or {}).get(STAND_IN):
        return False
    engine.run("tag", found["Id"], image.name)
    return True


def _pull(image: Image, engine: Engine, progress: Progress) -> bool:
    if not image.upstream or not registry.reachable(image.upstream, engine):
        return False
    with progress.step(t("images.pulling", image=pick(image.title), ref=registry.source(image.upstream)), 60):
        pulled = registry.pull(image.upstream, engine, progress)
    if pulled is None:
        progress.note(t("images.pull_failed", ref=image.upstream))
        return False
    engine.run("tag", pulled, image.name)
    return True


def _build(image: Image, engine: Engine, progress: Progress) -> None:
    for base in image.bases:
        _present(catalog.image(base), engine, progress)
    with _locked(image, progress):
        # another process may have made it while we waited
        if _is_here(image, engine) or _from_cache(image, engine, progress):
            return
        said = "images.building" if image.upstream else "images.building_ours"
        progress.note(t(said, image=pick(image.title), minutes=_minutes(image)))
        recipe.build(image, engine, progress)
        with progress.step(t("images.keeping", image=pick(image.title))):
            _keep(image, engine)
            recipe.tidy(image)


def _keep(image: Image, engine: Engine) -> None:
    kept = _kept(image)
    bundles.save(kept, [image.name], engine, SILENT)
    older = [*kept.parent.glob(f"{image.id}-{'?' * 16}.tar*"), *kept.parent.glob(f".tmp-{image.id}-*")]
    for other in older:
        if other != kept:
            other.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(image: Image, progress: Progress) -> Iterator[None]:
    folder = paths.cache() / "build"
    folder.mkdir(exist_ok=True)
    with (folder / f"{image.id}.lock").open("w") as lock:
        if not files.lock_if_free(lock):
            progress.note(t("images.waiting", image=pick(image.title)))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy(image: Image, engine: Engine, progress: Progress) -> None:
    """Into a nested engine, which has no network, from the user's own."""
    outer = user_engine()
    _present(image, outer, progress)
    with progress.step(t("images.copying", image=pick(image.title)), 10):
        if _from_cache(image, engine, progress):
            return
        passing = paths.cache() / f"passing-{image.id}-{os.getpid()}.tar"
        try:
            bundles.save(passing, [image.name], outer, progress)
            bundles.load(passing, engine, progress)
        finally:
            passing.unlink(missing_ok=True)


def bundle(file: Path, names: Iterable[str], engine: Engine, progress: Progress) -> None:
    """Write an air-gap bundle of the images `names` to `file`; makes them present on `engine` first."""
    refs = ensure(names, engine, progress, upstream_names=False)
    with progress.step(t("images.bundling", file=file), 10 + 20 * len(refs)):
        bundles.save(file, refs.values(), engine, progress)


def load_bundle(file: Path, engine: Engine, progress: Progress) -> list[str]:
    """Load a bundle into `engine`; returns the images' names. Raises MachineError for a file that is none.

    Says which of them are of another version of this book; those are made or pulled anew when needed.
    """
    outdated = bundles.stale(file)
    with progress.step(t("images.loading", file=file), file.stat().st_size / 100e6):
        names = bundles.load(file, engine, progress)
    if outdated:
        progress.note(t("images.outdated", names=", ".join(outdated)))
    return names
