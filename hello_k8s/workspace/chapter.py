"""All labs of a chapter checked at once: those that were started, and one report about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hello_k8s import catalog, workspace
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError, UsageError
from hello_k8s.language import t
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.grading.verdict import Result

_CHAPTER = re.compile(r"ch\d+")


@dataclass(frozen=True)
class Checked:
    """A lab and its result; without one it wasn't started, or `error` says why it couldn't be checked."""

    lab: Lab
    result: Result | None = None
    error: HelloError | None = None

    @property
    def started(self) -> bool:
        return self.result is not None or self.error is not None


@dataclass(frozen=True)
class Total:
    """The points of what was graded, of how many labs; the labs that still want something, and those that couldn't be
    graded.
    """

    earned: int
    possible: int
    graded: int
    open: tuple[Lab, ...]
    ungraded: tuple[Lab, ...]


def labs_of(name: str | None) -> tuple[Lab, ...]:
    """The labs of the chapter called `name`; none where it names no chapter. Raises UsageError for an empty one."""
    if name is None or not _CHAPTER.fullmatch(name.strip("/")):
        return ()
    found = tuple(lab for lab in catalog.labs() if lab.chapter == name.strip("/"))
    if not found:
        raise UsageError(t("lab.no_such_chapter", chapter=name.strip("/")), next=t("catalog.list_labs"))
    return found


def check(lab: Lab, *, as_submitted: bool = False, progress: Progress = SILENT) -> Checked:
    """Check `lab` if it was started. That one can't be checked doesn't hold up the others of its chapter."""
    if not workspace.folder_of(lab).is_dir():
        return Checked(lab)
    try:
        return Checked(lab, workspace.check(lab, as_submitted=as_submitted, progress=progress))
    except HelloError as error:
        return Checked(lab, error=error)


def check_all(
    labs: Iterable[Lab], announce: Callable[[str], object], *, as_submitted: bool = False, progress: Progress = SILENT
) -> Iterator[Checked]:
    """Check one after the other; `announce` is told of each that was started, before it is checked."""
    for lab in labs:
        if workspace.folder_of(lab).is_dir():
            announce(t("lab.checking", lab=lab.id))
        yield check(lab, as_submitted=as_submitted, progress=progress)


def total(checked: Iterable[Checked]) -> Total:
    """What the chapter comes to. What couldn't be graded adds nothing, neither to the points nor to the possible."""
    everything = [each for each in checked if each.started]
    results = [each.result for each in everything if each.result is not None and each.result.graded]
    return Total(
        earned=sum(result.earned for result in results),
        possible=sum(result.possible for result in results),
        graded=len(results),
        open=tuple(each.lab for each in everything if each.result is None or not each.result.passed),
        ungraded=tuple(each.lab for each in everything if each.result is not None and not each.result.graded),
    )
