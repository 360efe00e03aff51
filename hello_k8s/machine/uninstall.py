"""Everything that this book put on the machine: listed, then removed. The checkout and the workspace stay."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import catalog, paths
from hello_k8s.errors import HelloError, MachineError
from hello_k8s.language import t
from hello_k8s.machine import daemon, install, registry
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
    things += _packages()
    # The environment that this very process runs in goes last.
    return [*things, *_folders()]


def _packages() -> Iterator[Thing]:
    if others := install.other_packages():
        yield Thing(t("doctor.thing.packages"), ", ".join(others), lambda progress: _remove_others(others, progress))
    if packages := install.installed_packages():
        yield Thing(t("doctor.thing.engine"), ", ".join(packages), lambda progress: _remove_engine(packages, progress))


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
    """Ours by their own names, what our recipes made, and what we pulled; an official image that was here stays."""
    table = "{{.Repository}}:{{.Tag}}"
    own = _lines(engine, "image", "ls", "--format", table, "--filter", "reference=hello-k8s/*")
    made = _lines(engine, "image", "ls", "--format", table, "--filter", f"label={RECIPE_LABEL}")
    aliases = {alias for image in catalog.images().values() for alias in image.aliases}
    pulled = [ref for ref in registry.pulled_by_us() if engine.image(ref) is not None]
    for ref in sorted({*own, *pulled, *(ref for ref in made if ref in aliases or ref.startswith("hello-k8s/"))}):
        if "<none>" not in ref:
            yield Thing(t("doctor.thing.image"), ref, _run(engine, "image", "rm", "--force", ref))


def _run(engine: Engine, *args: str) -> Callable[[Progress], None]:
    def action(progress: Progress) -> None:
        engine.run(*args, timeout=300)

    return action


def _folders() -> Iterator[Thing]:
    venv = Path(os.environ.get("HELLO_K8S_VENV") or paths.ROOT / ".venv")
    for what, folder, names in (
        ("cache", paths.cache(), paths.IN_CACHE),
        ("state", paths.state(), paths.IN_STATE),
        ("venv", venv, ("*",) if (venv / "pyvenv.cfg").is_file() else ()),
    ):
        if ours := [path for name in names for path in sorted(folder.glob(name))]:
            yield Thing(t(f"doctor.thing.{what}"), str(folder), _removing(folder, ours))


def _removing(folder: Path, ours: list[Path]) -> Callable[[Progress], None]:
    """Remove what is ours in `folder`, and the folder if nothing else is in it: HELLO_K8S_CACHE may name any."""

    def action(progress: Progress) -> None:
        for path in ours:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        left = [path for path in ours if os.path.lexists(path)]
        if left:
            raise MachineError(
                t("doctor.not_removed", what=", ".join(map(str, left))), next=t("doctor.not_removed_next")
            )
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    return action


def _remove_engine(packages: list[str], progress: Progress) -> None:
    daemon.stop_ours()
    _purge(packages, progress)
    for file in (daemon.LOG, daemon.PID, install.RECORD):
        file.unlink(missing_ok=True)
    _forget_folder()


def _remove_others(packages: list[str], progress: Progress) -> None:
    _purge(packages, progress)
    for file in (install.others_record(), install.launchers_record()):
        file.unlink(missing_ok=True)
    _forget_folder()


def _purge(packages: list[str], progress: Progress) -> None:
    """Purge `packages`; one that something else has come to need since stays, and is said."""
    going = packages
    if _also_removed(packages):
        going = [name for name in packages if not _also_removed([name]) - set(packages)]
        progress.note(t("doctor.needed_by_others", packages=", ".join(sorted(set(packages) - set(going)))))
    if going:
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "purge", "--yes", *going], env=env, timeout=600, on_line=progress.line)


def _also_removed(packages: list[str]) -> set[str]:
    """What apt would remove besides `packages`, because it needs one of them."""
    plan = run(["apt-get", "purge", "--simulate", *packages], timeout=120, env={"LC_ALL": "C.UTF-8"}).stdout
    return set(re.findall(r"^(?:Purg|Remv) (\S+)", plan, re.MULTILINE)) - set(packages)


def _forget_folder() -> None:
    if install.RECORD.parent.is_dir() and not any(install.RECORD.parent.iterdir()):
        install.RECORD.parent.rmdir()
