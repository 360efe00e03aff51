"""What a class is made of: who handed in what, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hello_k8s.catalog import Lab
from hello_k8s.grading.verdict import Result, Texts

#: `ungraded` is never a number of points: our failure, or it isn't known which of several answers to grade. The other
#: two are.
State = Literal["graded", "not_submitted", "ungraded"]


@dataclass(frozen=True)
class Entry:
    """One learner's answer to one lab.

    `folder` holds the deliverables; `source` is where they came from, as the instructor knows it (relative to the
    class folder). `refused`: why nothing of it is run (an archive that would write outside); it then counts as an
    answer that fails every check with this message.
    """

    learner: str
    lab: str
    folder: Path
    source: str
    seed: int = 0
    refused: Texts | None = None


@dataclass(frozen=True)
class Unmapped:
    """Something in the class folder that can't be said to be an answer: shown, never graded, never guessed.

    Where it is known whose it is but not what to grade (two answers that differ), `learner` and `labs` name the rows
    that it leaves ungraded: these were handed in, and are no zero. With `rest` (an archive that ends in the middle) so
    may every lab have been of which nothing else of this learner is there.
    """

    source: str
    reason: Texts
    learner: str | None = None
    labs: tuple[str, ...] = ()
    rest: bool = False


@dataclass(frozen=True)
class Roster:
    """Who is who: every learner (sorted), what each handed in, and what could not be mapped."""

    learners: tuple[str, ...]
    entries: tuple[Entry, ...]
    unmapped: tuple[Unmapped, ...] = ()

    def unsure(self, labs: Iterable[str]) -> dict[tuple[str, str], Unmapped]:
        """Of these labs what was handed in, but it isn't known what: (learner, lab) → why. No zero, whatever else."""
        found: dict[tuple[str, str], Unmapped] = {}
        labs, known = set(labs), {(entry.learner, entry.lab) for entry in self.entries}
        for thing in self.unmapped:
            if thing.learner is not None:
                rest = [lab for lab in labs if thing.rest and (thing.learner, lab) not in known]
                found |= {(thing.learner, lab): thing for lab in labs.intersection(thing.labs).union(rest)}
        return found


@dataclass(frozen=True)
class Row:
    """One learner and one lab in the class table. `attempts` is how often it was graded (0: there was nothing that
    could be); `reason` says why not.
    """

    learner: str
    lab: str
    source: str
    state: State
    result: Result | None = None
    reason: Texts | None = None
    attempts: int = 1

    @property
    def undecided(self) -> bool:
        """Whether it isn't known what to grade: handed in, never attempted. No rerun helps before a person decides."""
        return self.state == "ungraded" and self.attempts == 0

    @property
    def earned(self) -> int | None:
        """Points; None for ungraded."""
        if self.state == "ungraded":
            return None
        return self.result.earned if self.result else 0


@dataclass(frozen=True)
class ClassReport:
    """The whole class: every learner in every lab of the run has exactly one row."""

    started: str
    finished: str
    labs: tuple[Lab, ...]
    rows: tuple[Row, ...]
    unmapped: tuple[Unmapped, ...] = ()
    seconds: float = 0.0
    version: str = ""
    possible: Mapping[str, int] = field(default_factory=dict)

    def ungraded(self, *, undecided: bool) -> tuple[Row, ...]:
        """The rows without a verdict: those that a person has to decide about, or those that we failed to grade."""
        return tuple(row for row in self.rows if row.state == "ungraded" and row.undecided == undecided)

    @property
    def learners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.learner for row in self.rows))

    def row(self, learner: str, lab: str) -> Row:
        """The row of this learner and lab. Raises KeyError where there is none."""
        for row in self.rows:
            if (row.learner, row.lab) == (learner, lab):
                return row
        raise KeyError((learner, lab))
