"""The learner's own copy of a lab: laid out, checked, hinted at, reset. Nothing of theirs is ever overwritten."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hello_k8s import catalog, paths
from hello_k8s.catalog import Check, Lab
from hello_k8s.errors import HelloError, UsageError
from hello_k8s.files import whole
from hello_k8s.language import current, pick, t
from hello_k8s.progress import SILENT, Progress
from hello_k8s.sources import written
from hello_k8s.workspace.identity import Memory, learner, learner_file

if TYPE_CHECKING:
    from hello_k8s.grading.verdict import Result


@dataclass(frozen=True)
class Laid:
    """What `start` or `reset` did: names of files written and left alone; where replaced ones were copied to; the id
    that the learner was given, where nobody was asked for one.
    """

    folder: Path
    written: tuple[str, ...]
    left: tuple[str, ...] = ()
    kept_in: Path | None = None
    broken: bool = False
    given_id: str = ""

    def lines(self) -> list[str]:
        """The same, as sentences."""
        said = []
        if self.kept_in:
            said.append(t("lab.kept_in", folder=shown(self.kept_in)))
        if self.written:
            said.append(t("lab.wrote", folder=shown(self.folder), files=", ".join(self.written)))
        if self.left:
            said.append(t("lab.left", folder=shown(self.folder), files=", ".join(self.left)))
        if self.broken:
            said.append(t("lab.is_broken"))
        if self.given_id:
            said.append(t("lab.given_id", id=self.given_id, file=shown(learner_file())))
        return said


@dataclass(frozen=True)
class Hint:
    """One level of one check's hints, `level` of `of`."""

    check: Check
    level: int
    of: int
    text: str


def shown(path: Path) -> str:
    """`path` as a person types it: relative to where they are, if it is below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def folder_of(lab: Lab) -> Path:
    """The learner's folder for `lab`: `<workspace>/<chapter>/<section>`, started or not."""
    return paths.workspace() / lab.chapter / lab.section


def which(name: str | None) -> Lab:
    """The lab called `name`; without a name, the one whose workspace the shell is in, else the last one used.

    Raises UsageError, with the nearest names, where there is no such lab.
    """
    if name:
        return catalog.lab(name)
    try:
        parts = Path.cwd().resolve().relative_to(paths.workspace().resolve()).parts
    except ValueError:
        parts = ()
    if len(parts) >= 2 and (paths.LABS / parts[0] / parts[1] / "lab.toml").exists():
        return catalog.lab("/".join(parts[:2]))
    last = Memory.last_lab()
    if last is None or not (paths.LABS / last / "lab.toml").exists():
        raise UsageError(t("lab.which"), next=t("catalog.list_labs"))
    return catalog.lab(last)


def start(lab: Lab, *, broken: bool = False, empty: bool = False) -> Laid:
    """Lay the lab's files into the workspace; a file that is there already is left as it is.

    `broken` lays a wrong answer to repair, `empty` leaves the deliverables empty. Raises UsageError where one of
    these would need to replace the learner's file.
    """
    _one_of(broken, empty)
    given_id = _given_id()
    folder = folder_of(lab)
    if (broken or empty) and any(_exists(folder / name) for name in lab.deliverables):
        flag = "--broken" if broken else "--empty"
        raise UsageError(t("lab.already_started", lab=lab.id), next=t("lab.reset_next", lab=lab.id, flag=flag))
    files = _beginning(lab, broken=broken, empty=empty)
    there = [name for name in files if _exists(folder / name)]
    new = {name: source for name, source in files.items() if name not in there}
    _lay(new, folder)
    Memory.of(lab).touch()
    return Laid(folder, _names(new), _names(there), broken=broken, given_id=given_id)


def reset(lab: Lab, *, broken: bool = False, empty: bool = False) -> Laid:
    """Lay the lab's files anew. What is replaced is copied first, to `<workspace>/.kept/<time>/<lab>`.

    Files of the learner's that the lab doesn't have stay. Hints begin again, the last result is forgotten.
    """
    _one_of(broken, empty)
    given_id = _given_id()
    folder = folder_of(lab)
    files = _beginning(lab, broken=broken, empty=empty)
    # several files may want the same link out of their way
    replaced = dict.fromkeys(gives for name, source in files.items() if (gives := _gives_way(folder, name, source)))
    kept = _keep(folder, replaced, lab) if replaced else None
    for name in replaced:
        _remove(folder / name)
    _lay(files, folder)
    Memory.of(lab).forget()
    return Laid(folder, _names(files), kept_in=kept, broken=broken, given_id=given_id)


def _given_id() -> str:
    """The id of a learner who has just been given one; empty where there was one already."""
    known = learner_file().exists()
    return "" if known else learner().id


def _one_of(broken: bool, empty: bool) -> None:
    if broken and empty:
        raise UsageError(t("lab.broken_and_empty"), next=t("lab.choose_one"))


def _beginning(lab: Lab, *, broken: bool, empty: bool) -> dict[PurePosixPath, Path | bytes]:
    from hello_k8s.grading import own

    files: dict[PurePosixPath, Path | bytes] = {PurePosixPath("README.md"): lab.folder / f"README.{current()}.md"}
    files |= lab.files()
    files |= own.files(lab, learner().seed)
    if empty:
        files |= {PurePosixPath(name): b"" for name in lab.deliverables}
    if broken:
        if not lab.mutants:
            raise UsageError(t("lab.no_mutants", lab=lab.id), next=f"./hello-k8s lab start {lab.id}")
        turn = learner().seed + Memory.of(lab).next_turn()
        mutant = lab.mutants[turn % len(lab.mutants)]
        for folder in (lab.solution, lab.folder / "mutants" / mutant.name):
            files |= tree(folder)
        files |= own.broken(lab, mutant.name, learner().seed)
    return files


def tree(folder: Path) -> dict[PurePosixPath, Path]:
    """Every file below `folder` by its name there."""
    return {PurePosixPath(name): file for name, file in written(folder).items()}


def _names(files: Iterable[PurePosixPath]) -> tuple[str, ...]:
    return tuple(sorted(str(name) for name in files))


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _gives_way(folder: Path, name: PurePosixPath, source: Path | bytes) -> PurePosixPath | None:
    """What must be replaced for `source` to be at `name`: a link or a file where a folder belongs, since whatever a
    link leads to isn't the lab's; else the file itself, if it differs; else nothing.
    """
    for parent in list(name.parents)[-2::-1]:
        path = folder / parent
        if path.is_symlink() or path.is_file():
            return parent
    return name if _differs(folder / name, source) else None


def _differs(path: Path, source: Path | bytes) -> bool:
    if not _exists(path):
        return False
    if path.is_symlink() or not path.is_file():
        return True
    return path.read_bytes() != (source if isinstance(source, bytes) else source.read_bytes())


def _lay(files: Mapping[PurePosixPath, Path | bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole(target) as part:  # half a file would be taken for the learner's own
            if isinstance(source, bytes):
                part.write_bytes(source)
            else:
                shutil.copy(source, part)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _keep(folder: Path, names: Iterable[PurePosixPath], lab: Lab) -> Path:
    now = time.strftime("%Y%m%d-%H%M%S")
    kept, again = paths.workspace() / ".kept" / now / lab.id, 1
    while kept.exists():
        again += 1
        kept = paths.workspace() / ".kept" / f"{now}-{again}" / lab.id
    for name in names:
        source, target = folder / name, kept / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target, follow_symlinks=False)
    return kept


def missing(lab: Lab) -> list[str]:
    """The deliverables that aren't in the workspace. Raises HelloError where one is a link, or in a linked folder:
    grading takes files only, at home as in class.
    """
    from hello_k8s.grading.replay import deliverables

    folder = folder_of(lab)
    there = deliverables(lab, folder, "workspace")
    absent = [name for name in lab.deliverables if PurePosixPath(name) not in there]
    links = [name for name in absent if (folder / name).is_file() or (folder / name).is_symlink()]
    if links:
        names = ", ".join(f"{shown(folder)}/{name}" for name in links)  # `shown` would name what it leads to
        raise HelloError(t("lab.is_link", files=names), next=t("lab.is_link_next"))
    return absent


def check(lab: Lab, *, as_submitted: bool = False, progress: Progress = SILENT) -> Result:
    """Grade the workspace, remember the result, return it.

    `as_submitted` replays from the files, as a class is graded. A paused cluster is resumed first. Raises
    HelloError where a deliverable is missing, and what the machine raises.
    """
    absent = missing(lab)
    if absent:
        names = ", ".join(shown(folder_of(lab) / name) for name in absent)
        raise HelloError(t("lab.missing_file", files=names), next=t("lab.missing_file_next", lab=lab.id))
    from hello_k8s.workspace import readiness

    readiness.wake(lab, progress)
    from hello_k8s.grading import grade

    result = grade(lab, folder_of(lab), mode="replay" if as_submitted else "auto", kind="workspace", progress=progress)
    Memory.of(lab).remember(result.to_dict())
    return result


def standing(lab: Lab) -> str:
    """How far the learner is with `lab`, in a word or in points."""
    last = Memory.of(lab).last_result()
    if last and last["graded"]:
        return f"{'✓ ' if finished(lab) else ''}{last['earned']}/{last['possible']}"
    return t("lab.standing.started") if folder_of(lab).is_dir() else t("lab.standing.new")


def finished(lab: Lab) -> bool:
    """Whether the last check of `lab` gave every point."""
    last = Memory.of(lab).last_result()
    return bool(last and last["graded"] and last["earned"] == last["possible"])


def hint(lab: Lab, check: str | None = None) -> Hint:
    """The next level of a check's hints: of `check`, else of the first that failed last, else of the first one.

    Raises UsageError for a check that the lab doesn't have, or where no check has a hint.
    """
    memory = Memory.of(lab)
    chosen = _named_check(lab, check) if check else _failed_check(lab, memory.last_result())
    if not chosen.hints:
        raise UsageError(t("lab.no_hints", check=chosen.id), next=t("lab.hint_next", lab=lab.id))
    level = min(memory.hints_given(chosen.id) + 1, len(chosen.hints))
    memory.give_hint(chosen.id, level)
    return Hint(chosen, level, len(chosen.hints), pick(chosen.hints[level - 1]))


def _named_check(lab: Lab, name: str) -> Check:
    for check in lab.checks:
        if check.id == name:
            return check
    known = ", ".join(check.id for check in lab.checks)
    raise UsageError(
        t("lab.no_such_check", lab=lab.id, check=name),
        why=t("lab.its_checks", names=known),
        next=t("lab.hint_next", lab=lab.id),
    )


def _failed_check(lab: Lab, last: Mapping[str, Any] | None) -> Check:
    verdicts = {check["id"]: check["verdict"] for check in last["checks"]} if last else {}
    if finished(lab):
        raise UsageError(t("lab.nothing_to_hint", lab=lab.id), next=t("lab.nothing_to_hint_next", lab=lab.id))
    failed = [check for check in lab.checks if verdicts.get(check.id, "passed") != "passed"]
    for check in failed or lab.checks:
        if check.hints:
            return check
    raise UsageError(t("lab.no_hints_at_all", lab=lab.id), next=f"./hello-k8s lab solution {lab.id}")


def solution(lab: Lab) -> list[Path]:
    """The files of the lab's own answer, to be read where they are."""
    return list(tree(lab.solution).values())


def copy_solution(lab: Lab) -> Path:
    """Copy the answer beside the learner's folder, never over anything; returns the new folder."""
    beside, again = folder_of(lab).with_name(f"{lab.section}.solution"), 1
    while _exists(beside):
        again += 1
        beside = beside.with_name(f"{lab.section}.solution-{again}")
    _lay(dict(tree(lab.solution)), beside)
    return beside
