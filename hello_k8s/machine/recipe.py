"""How an image of ours is made: the steps of its folder on the host, then its Dockerfile on the engine.

`images/<name>/steps/NN-<what>.sh` run in order, each into a folder of its own in the cache, named by a hash of
everything that the step reads. So a build that was killed goes on at the step where it was, a changed manifest
compiles nothing anew, and a second checkout finds all of it done. The last step's folder is the context of the
folder's Dockerfile. A step says in comment lines what it reads besides itself (`# reads:`), which steps' results
it takes (`# after:`) and how many seconds it usually takes (`# usual:`).
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import catalog, paths
from hello_k8s.catalog import Image
from hello_k8s.errors import CatalogError, MachineError
from hello_k8s.language import pick, t
from hello_k8s.machine import debian
from hello_k8s.machine.engine import Engine, tar_of
from hello_k8s.process import run
from hello_k8s.progress import Progress
from hello_k8s.sources import written

#: The label that says from which recipe an image of ours was made.
LABEL = "org.hello-k8s.recipe"
STAND_IN = "org.hello-k8s.stand-in"
_COMMON = Path(__file__).with_name("recipe.sh")
_STEP = re.compile(r"\d\d-([a-z0-9-]+)\.sh")
_GB = 10**9
#: What is left to do after the last step (the context, the engine's layers, the kept tar), in GB.
_PACKING_GB = 4

# Waits for a step of a killed build that still runs, since that one finishes and stamps its work by itself.
_RUN_STEP = """
[ -e "$STAMP" ] && exit 0
rm -rf "$OUT" && mkdir -p "$OUT" && bash "$STEP" && touch "$STAMP"
"""


@dataclass(frozen=True)
class Step:
    """One script of a recipe: `key` is the hash of all it reads, `folder` where its result is or will be."""

    name: str
    file: Path
    key: str
    folder: Path
    usual_seconds: int

    @property
    def stamp(self) -> Path:
        return self.folder.with_suffix(".done")

    @property
    def done(self) -> bool:
        return self.stamp.exists()

    @property
    def variable(self) -> str:
        """The name under which later steps get this one's folder: `OUT_SYSTEM` for 10-system.sh."""
        return "OUT_" + self.name.split("-", 1)[1].upper().replace("-", "_")


def recipe_hash(image: Image, known: Mapping[str, Image] | None = None) -> str:
    """Sixteen hexadecimal digits over all that decides what is built: the folder, its sources, its bases.

    `known` are the images that bases are looked up in (the catalog's by default). Titles and durations don't count.
    """
    others = catalog.images() if known is None else known
    digest = hashlib.sha256()
    for part in (image.name, image.kind, platform.machine(), *_pairs(image.build_args)):
        digest.update(part.encode() + b"\0")
    for base in image.bases:
        digest.update(recipe_hash(others[base], others).encode())
    if image.kind == "packages":
        digest.update(_COMMON.read_bytes())
    for name, file in _files(image).items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(_content(file)).digest())
    return digest.hexdigest()[:16]


def _content(file: Path) -> bytes:
    """What counts of a file: how long a step usually takes doesn't."""
    return re.sub(rb"(?m)^# usual:.*\n", b"", file.read_bytes())


def _pairs(values: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(values.items())]


def _files(image: Image) -> dict[str, Path]:
    """Every file that the recipe may read, by its name in the build's context."""
    found = {name: file for name, file in written(image.folder).items() if name != "image.toml"}
    for path in (paths.ROOT / source for source in image.sources):
        found |= {f"{path.name}/{name}" if path.is_dir() else path.name: file for name, file in written(path).items()}
    # no editor's hidden copy costs a quarter of an hour of building
    return {name: found[name] for name in sorted(found) if not any(part.startswith(".") for part in name.split("/"))}


@functools.cache
def _header(file: Path, word: str) -> tuple[str, ...]:
    lines = re.findall(rf"^# {word}:(.*)$", file.read_text("utf-8"), re.MULTILINE)
    return tuple(item for line in lines for item in line.split())


def steps(image: Image) -> tuple[Step, ...]:
    """The steps of a recipe in order; none for an image that is only a Dockerfile. Raises CatalogError."""
    found: list[Step] = []
    for file in sorted((image.folder / "steps").glob("*.sh")):
        if not _STEP.fullmatch(file.name):
            raise CatalogError(t("images.step_name", file=file))
        keys = {step.name: step.key for step in found}
        script = _content(file)
        digest = hashlib.sha256(_COMMON.read_bytes() + script)
        used = {name: value for name, value in image.build_args.items() if name.encode() in script}
        for part in (image.id, platform.machine(), *_pairs(used)):
            digest.update(part.encode() + b"\0")
        for name in _header(file, "reads"):
            if not (image.folder / name).is_file():
                raise CatalogError(t("images.step_reads", file=file, missing=name))
            digest.update((image.folder / name).read_bytes())
        for name in _header(file, "after"):
            if name not in keys:
                raise CatalogError(t("images.step_after", file=file, missing=name))
            digest.update(keys[name].encode())
        key = digest.hexdigest()[:16]
        usual = int((_header(file, "usual") or ("0",))[0])
        found.append(Step(file.stem, file, key, work_folder(image) / f"{file.stem}-{key}", usual))
    return tuple(found)


def work_folder(image: Image) -> Path:
    """Where the steps of this image work, in the cache that all checkouts of this user share."""
    return paths.cache() / "build" / image.id


def why_not(image: Image) -> tuple[str, str] | None:
    """Why this machine can't build `image` (reason, next command), or None where it can try."""
    if image.kind == "dockerfile":
        return None
    if debian.system() != "debian":
        return t("images.not_debian"), t("images.bring_a_bundle")
    if os.geteuid() != 0:
        return t("images.not_root"), t("images.as_root")
    return None


def build(image: Image, engine: Engine, progress: Progress) -> None:
    """Make `image` on `engine` under its own name, going on where an earlier attempt ended.

    Its bases must be there. Raises MachineError where this machine can't, CommandFailed when a step fails.
    """
    refused = why_not(image)
    if refused:
        raise MachineError(t("images.cannot_build", image=pick(image.title)), why=refused[0], next=refused[1])
    todo = steps(image)
    _check_space(image, engine, todo)
    for number, step in enumerate(todo, 1):
        if not step.done:
            title = t("images.step", image=pick(image.title), step=step.name, number=number, count=len(todo))
            with progress.step(title, step.usual_seconds or None):
                _run_step(image, step, todo, progress)
    with progress.step(t("images.packing", image=pick(image.title)), 60 if image.space_gb > 4 else 10):
        _pack(image, engine, todo[-1].folder if todo else None, progress)


def _check_space(image: Image, engine: Engine, todo: tuple[Step, ...]) -> None:
    needed = image.space_gb if any(not step.done for step in todo[:-1]) else min(image.space_gb, _PACKING_GB)
    root = Path(engine.run("info", "--format", "{{.DockerRootDir}}").stdout.strip() or "/")
    for folder in (paths.cache(), root):
        # an engine in a virtual machine or on another host names a folder that isn't here
        if folder.exists() and (free := shutil.disk_usage(folder).free) < needed * _GB:
            raise MachineError(
                t("images.no_space", image=pick(image.title), free=f"{free / _GB:.1f}", needed=needed, folder=folder),
                why=t("images.no_space_why"),
                next=t("images.no_space_next"),
            )


def _run_step(image: Image, step: Step, todo: tuple[Step, ...], progress: Progress) -> None:
    scratch = work_folder(image) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    env = {
        **image.build_args,
        "RECIPE": str(_COMMON),
        "IMAGE_DIR": str(image.folder),
        "SCRATCH": str(scratch),
        "OUT": str(step.folder),
        "STEP": str(step.file),
        "STAMP": str(step.stamp),
        "PYTHON": sys.executable,
        "MIRROR": debian.own_source().uris.split()[0],
        "TESTING": debian.SUITE,
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }
    env |= {other.variable: str(other.folder) for other in todo if other.done}
    run(["flock", str(step.folder.with_suffix(".lock")), "bash", "-c", _RUN_STEP], env=env, on_line=progress.line)


def _pack(image: Image, engine: Engine, context: Path | None, progress: Progress) -> None:
    labels = {LABEL: recipe_hash(image), STAND_IN: "true", "org.opencontainers.image.title": image.title["en"]}
    options = tuple(f"--label={name}={value}" for name, value in labels.items())
    if context is None:
        files = {name: file.read_bytes() for name, file in _files(image).items()}
        engine.build(
            tar_of(image.folder, files), image.name, build_args=image.build_args, options=options,
            timeout=1800, on_line=progress.line,
        )  # fmt: skip
        return
    arguments = [word for pair in _pairs(image.build_args) for word in ("--build-arg", pair)]
    # the folder itself, not a tar on standard input: a node's context is a gigabyte
    engine.run(
        "buildx", "build", "--progress=plain", "--provenance=false", "--load", "--tag", image.name, *options,
        *arguments, "--file", str(image.folder / "Dockerfile"), str(context), timeout=1800, on_line=progress.line,
    )  # fmt: skip


def tidy(image: Image) -> None:
    """After a finished build: drop compilers' caches, other recipes' steps, and the context put together from steps."""
    todo = steps(image)
    current = {step.folder.name for step in (todo[:-1] or todo)}
    for path in work_folder(image).glob("*"):
        if path.stem in current or path.name in current:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
