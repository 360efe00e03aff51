"""What the folders say: labs, images and addons, read into frozen dataclasses. Executes nothing.

A folder is its own registration: `labs/<chapter>/<section>/lab.toml`, `images/<name>/image.toml`,
`addons/<name>/addon.toml`. There is no list anywhere.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from hello_k8s import paths
from hello_k8s.errors import UsageError
from hello_k8s.language import LANGUAGES, t
from hello_k8s.sources import written
from hello_k8s.tomlfile import Table, read_toml

#: Both languages of one text: {"ko": …, "en": …}.
Texts = Mapping[str, str]

_SECTION_ID = re.compile(r"ch\d+/[a-z0-9]+(-[a-z0-9]+)*")
_NEEDS = re.compile(r"docker|cluster|workers:\d+|(image|addon):[a-z0-9-]+")
_MEMORY = re.compile(r"\d+(?:[KMG]i)?")


@dataclass(frozen=True)
class Check:
    """One `test_<id>` of checks.py: what it is worth and what the learner reads about it."""

    id: str
    points: int
    question: Texts
    hints: tuple[Texts, ...]


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong answer: the folder `mutants/<name>/` laid over the solution fails exactly `fails`."""

    name: str
    fails: frozenset[str]
    misconception: Texts


@dataclass(frozen=True)
class Replay:
    """How deliverables come to life.

    `build`: image tag → Dockerfile, built in a fresh copy of start/. `stamp`: file → regular expression whose
    one group the grader replaces by a nonce before it builds. `secrets`: name → file of the workspace, given to
    each build as a secret of this name and as a build argument. `given`: manifests of the lab itself, applied
    before the learner's, in this order. `apply`: the deliverables that are manifests. `settle`: seconds
    to wait at most until the given objects are as the lab describes.
    """

    build: Mapping[str, str] = field(default_factory=dict)
    stamp: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    apply: tuple[str, ...] = ()
    settle: int = 60


@dataclass(frozen=True)
class Lab:
    """One lab: `folder` is labs/<chapter>/<section>, and everything else is what its lab.toml says."""

    id: str
    folder: Path
    order: int
    title: Texts
    needs: tuple[str, ...]
    minutes: int
    memory: str
    deliverables: tuple[str, ...]
    check: Literal["look", "replay"]
    include: Mapping[str, str]
    replay: Replay
    checks: tuple[Check, ...]
    mutants: tuple[Mutant, ...]

    @property
    def chapter(self) -> str:
        return self.id.split("/")[0]

    @property
    def section(self) -> str:
        return self.id.split("/")[1]

    @property
    def namespace(self) -> str:
        """The learner's live namespace for this lab."""
        return self.id.replace("/", "-")

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def on_cluster(self) -> bool:
        return any(need.startswith(("cluster", "workers:", "addon:")) for need in self.needs)

    @property
    def images(self) -> tuple[str, ...]:
        """Names under images/ that this lab's manifests or Dockerfiles start from."""
        return tuple(need.removeprefix("image:") for need in self.needs if need.startswith("image:"))

    @property
    def start(self) -> Path:
        return self.folder / "start"

    @property
    def solution(self) -> Path:
        return self.folder / "solution"

    def files(self) -> dict[PurePosixPath, Path]:
        """What a workspace begins with: name in the workspace → file in the checkout (start/ and `include`)."""
        found = {PurePosixPath(name): paths.ROOT / source for name, source in self.include.items()}
        return found | {PurePosixPath(name): file for name, file in written(self.start).items()}


@dataclass(frozen=True)
class Image:
    """One image: `upstream` is the official one (None where there is none), `name` our stand-in.

    `aliases` are upstream names that our build may carry inside an engine that we installed or nested.
    `kind`: `packages` (steps/*.sh on the host, Debian and root) or `dockerfile` (built by the engine itself).
    `bases` are images needed first; `sources` other paths of the checkout that the recipe reads, part of its
    hash. `usual_seconds` is how long building takes on two cores, `space_gb` the free space it needs meanwhile.
    """

    id: str
    folder: Path
    name: str
    upstream: str | None
    aliases: tuple[str, ...]
    kind: Literal["packages", "dockerfile"]
    bases: tuple[str, ...]
    sources: tuple[str, ...]
    usual_seconds: int
    space_gb: int
    build_args: Mapping[str, str]
    title: Texts


@dataclass(frozen=True)
class Addon:
    """Something a section installs on the cluster on demand: manifests applied in order, images needed."""

    id: str
    folder: Path
    images: tuple[str, ...]
    manifests: tuple[str, ...]
    title: Texts


def labs(root: Path | None = None) -> tuple[Lab, ...]:
    """Every lab, in teaching order. Raises CatalogError for the first lab.toml that is wrong."""
    return _labs(root or paths.LABS)


@functools.cache
def _labs(root: Path) -> tuple[Lab, ...]:
    found = [read_lab(file.parent, root) for file in root.glob("ch*/*/lab.toml")]
    return tuple(sorted(found, key=lambda lab: (_number(lab.chapter), lab.order, lab.id)))


def _number(chapter: str) -> int:
    return int(chapter.removeprefix("ch"))


def lab(section_id: str, root: Path | None = None) -> Lab:
    """The lab called `ch1/multi-stage`; raises UsageError with the nearest names for another."""
    everything = labs(root)
    for candidate in everything:
        if candidate.id == section_id.strip("/"):
            return candidate
    ids = [candidate.id for candidate in everything]
    near = difflib.get_close_matches(section_id, ids, n=3, cutoff=0.3)
    near += [i for i in ids if section_id and i.split("/")[1] in section_id and i not in near]
    raise UsageError(
        t("catalog.no_such_lab", lab=section_id),
        why=t("catalog.nearest", names=", ".join(near)) if near else "",
        next=t("catalog.list_labs"),
    )


def labs_of(names: Sequence[str]) -> tuple[Lab, ...]:
    """The labs called so, `ch1` being all of its chapter; every lab without names. Raises UsageError as `lab` does."""
    found: dict[str, Lab] = {}
    for name in names:
        chapter = [each for each in labs() if each.chapter == name.strip("/")]
        found |= {each.id: each for each in chapter or [lab(name)]}
    return tuple(found.values()) if names else labs()


def read_lab(folder: Path, root: Path | None = None) -> Lab:
    """Read one lab folder. Raises CatalogError with file, key and what was expected."""
    file = folder / "lab.toml"
    section_id = folder.relative_to(root or paths.LABS).as_posix()
    table = read_toml(file)
    if not _SECTION_ID.fullmatch(section_id):
        raise table.error("", t("catalog.expected_section_id", got=section_id))
    needs = table.strings("needs", default=())
    for need in needs:
        if not _NEEDS.fullmatch(need):
            raise table.error("needs", t("catalog.expected_need", got=need))
    memory = table.string("memory", default="0Mi")
    if not _MEMORY.fullmatch(memory):
        raise table.error("memory", t("catalog.expected_memory", got=memory))
    check = table.choice("check", ("look", "replay"))
    replay = table.table("replay", default={})
    checks = tuple(read_check(entry, key) for key, entry in table.tables("checks"))
    mutants = tuple(read_mutant(entry, key, checks) for key, entry in table.tables("mutants"))
    result = Lab(
        id=section_id,
        folder=folder,
        order=table.integer("order"),
        title=read_texts(table, "title"),
        needs=needs,
        minutes=table.integer("minutes"),
        memory=memory,
        deliverables=table.strings("deliverables"),
        check=check,  # type: ignore[arg-type]
        include=table.mapping("include", default={}),
        replay=Replay(
            build=replay.mapping("build", default={}),
            stamp=replay.mapping("stamp", default={}),
            secrets=replay.mapping("secrets", default={}),
            given=replay.strings("given", default=()),
            apply=replay.strings("apply", default=()),
            settle=replay.integer("settle", default=60),
        ),
        checks=checks,
        mutants=mutants,
    )
    replay.nothing_else()
    table.nothing_else()
    return result


def read_check(table: Table, key: str) -> Check:
    """The check `key` that a table `[checks.<key>]` describes. Raises CatalogError."""
    hints = table.table("hints", default={})
    levels = {language: hints.strings(language, default=()) for language in LANGUAGES}
    if len({len(texts) for texts in levels.values()}) > 1:
        raise table.error("hints", t("catalog.expected_same_hints"))
    check = Check(
        id=key,
        points=table.integer("points"),
        question=read_texts(table, "question"),
        hints=tuple(dict(zip(LANGUAGES, level, strict=True)) for level in zip(*(levels[x] for x in LANGUAGES))),
    )
    hints.nothing_else()
    table.nothing_else()
    return check


def read_mutant(table: Table, key: str, checks: Sequence[Check]) -> Mutant:
    """The mutant `key` that a table `[mutants.<key>]` describes; it fails some of `checks`. Raises CatalogError."""
    fails = table.strings("fails")
    known = {check.id for check in checks}
    for name in fails:
        if name not in known:
            raise table.error("fails", t("catalog.expected_check", got=name, known=", ".join(sorted(known))))
    mutant = Mutant(key, frozenset(fails), read_texts(table, "misconception"))
    table.nothing_else()
    return mutant


def read_texts(table: Table, key: str) -> Texts:
    """The text below `key` in every language. Raises CatalogError where one is missing."""
    inner = table.table(key)
    texts = {language: inner.string(language) for language in LANGUAGES}
    inner.nothing_else()
    return texts


def images(root: Path | None = None) -> Mapping[str, Image]:
    """Every image by its folder's name. Raises CatalogError for the first image.toml that is wrong."""
    return _images(root or paths.IMAGES)


@functools.cache
def _images(root: Path) -> Mapping[str, Image]:
    return {file.parent.name: read_image(file.parent) for file in sorted(root.glob("*/image.toml"))}


def image(name: str, root: Path | None = None) -> Image:
    """The image in images/<name>; raises UsageError with the nearest names for another."""
    everything = images(root)
    if name in everything:
        return everything[name]
    near = difflib.get_close_matches(name, everything, n=3, cutoff=0.3)
    raise UsageError(
        t("catalog.no_such_image", image=name),
        why=t("catalog.nearest", names=", ".join(near)) if near else "",
        next=t("catalog.list_images"),
    )


def read_image(folder: Path) -> Image:
    """Read one image folder. Raises CatalogError with file, key and what was expected."""
    table = read_toml(folder / "image.toml")
    result = Image(
        id=folder.name,
        folder=folder,
        name=table.string("name"),
        upstream=table.string("upstream", default="") or None,
        aliases=table.strings("aliases", default=()),
        kind=table.choice("kind", ("packages", "dockerfile")),  # type: ignore[arg-type]
        bases=table.strings("bases", default=()),
        sources=table.strings("sources", default=()),
        usual_seconds=table.integer("usual_seconds"),
        space_gb=table.integer("space_gb", default=1),
        build_args=table.mapping("build_args", default={}),
        title=read_texts(table, "title"),
    )
    table.nothing_else()
    return result


def addons(root: Path | None = None) -> Mapping[str, Addon]:
    """Every addon by its folder's name. Raises CatalogError for the first addon.toml that is wrong."""
    found = {}
    for file in sorted((root or paths.ADDONS).glob("*/addon.toml")):
        table = read_toml(file)
        found[file.parent.name] = Addon(
            id=file.parent.name,
            folder=file.parent,
            images=table.strings("images", default=()),
            manifests=table.strings("manifests"),
            title=read_texts(table, "title"),
        )
        table.nothing_else()
    return found
