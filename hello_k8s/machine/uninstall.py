"""Everything that this book put on the machine: listed, then removed. The checkout and the workspace stay."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import catalog, paths
from hello_k8s.errors import HelloError
from hello_k8s.language import t
from hello_k8s.machine import daemon, install
from hello_k8s.machine.cluster import NETWORK
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.nested import LABEL
from hello_k8s.machine.nodes import CLUSTER_LABEL
from hello_k8s.machine.recipe import LABEL as RECIPE_LABEL
from hello_k8s.process import run
from hello_k8s.progress import Progress


@dataclass(frozen=True)
class Thing:
    """One thing of ours: `what` it is and `where`; `remove` removes it and is fine with one that is gone."""

    what: str
    where: str
    remove: Callable[[Progress], None]


def inventory() -> list[Thing]:
    """All of it, in the order in which it can be removed. Things on an engine that doesn't answer aren't seen."""
    engine = user_engine()
    things: list[Thing] = []
    if engine.answers():
        things += [*_containers(engine), *_networks(engine), *_volumes(engine), *_images(engine)]
    things += _folders()
    if packages := install.installed_packages():
        where = ", ".join(packages)
        things.append(Thing(t("doctor.thing.engine"), where, lambda progress: _remove_engine(packages, progress)))
    return things


def remove(things: list[Thing], progress: Progress) -> None:
    """Remove each; one that can't be removed is said and doesn't stop the others. Raises the last such error."""
    last: HelloError | None = None
    for thing in things:
        with progress.step(t("doctor.removing", what=thing.what, where=thing.where)):
            try:
                thing.remove(progress)
            except HelloError as error:
                progress.note(str(error))
                last = error
    if last is not None:
        raise last


def _lines(engine: Engine, *args: str) -> list[str]:
    return sorted(set(engine.run(*args).stdout.split()))


def _containers(engine: Engine) -> Iterator[Thing]:
    listed = ("ps", "--all", "--format", "{{.Names}}", "--filter")
    on_network = set(_lines(engine, *listed, f"network={NETWORK}"))
    nodes = on_network & set(_lines(engine, *listed, f"label={CLUSTER_LABEL}"))
    for name in sorted(nodes | set(_lines(engine, *listed, f"label={LABEL}"))):
        what = t("doctor.thing.node" if name in nodes else "doctor.thing.container")
        yield Thing(what, name, lambda progress, name=name: engine.remove(name))  # type: ignore[misc]


def _networks(engine: Engine) -> Iterator[Thing]:
    for name in _lines(engine, "network", "ls", "--format", "{{.Name}}", "--filter", f"label={LABEL}"):
        yield Thing(t("doctor.thing.network"), name, _run(engine, "network", "rm", name))


def _volumes(engine: Engine) -> Iterator[Thing]:
    for name in _lines(engine, "volume", "ls", "--format", "{{.Name}}", "--filter", f"label={LABEL}"):
        yield Thing(t("doctor.thing.volume"), name, _run(engine, "volume", "rm", "--force", name))


def _images(engine: Engine) -> Iterator[Thing]:
    """Ours by their own names, and what a recipe of ours made. A pulled official image stays: it may be the user's."""
    table = "{{.Repository}}:{{.Tag}}"
    own = _lines(engine, "image", "ls", "--format", table, "--filter", "reference=hello-k8s/*")
    made = _lines(engine, "image", "ls", "--format", table, "--filter", f"label={RECIPE_LABEL}")
    aliases = {alias for image in catalog.images().values() for alias in image.aliases}
    for ref in sorted({*own, *(ref for ref in made if ref in aliases or ref.startswith("hello-k8s/"))}):
        if "<none>" not in ref:
            yield Thing(t("doctor.thing.image"), ref, _run(engine, "image", "rm", "--force", ref))


def _run(engine: Engine, *args: str) -> Callable[[Progress], None]:
    def action(progress: Progress) -> None:
        engine.run(*args, timeout=300)

    return action


def _folders() -> Iterator[Thing]:
    state, cache, venv = paths.state(), paths.cache(), paths.ROOT / ".venv"
    for what, folder in (("cache", cache), ("state", state), ("venv", venv)):
        if folder.is_dir() and any(folder.iterdir()):
            yield Thing(t(f"doctor.thing.{what}"), str(folder), lambda progress, folder=folder: _remove_folder(folder))  # type: ignore[misc]


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_engine(packages: list[str], progress: Progress) -> None:
    daemon.stop_ours()
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "purge", "--yes", *packages], env=env, timeout=600, on_line=progress.line)
    for file in (daemon.LOG, daemon.PID, install.RECORD):
        file.unlink(missing_ok=True)
    if install.RECORD.parent.is_dir() and not any(install.RECORD.parent.iterdir()):
        install.RECORD.parent.rmdir()
