"""One generated submission: what is handed in, and what has to come out, known from how it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hello_k8s.catalog import Lab
from hello_k8s.grading.verdict import Verdict

Sort = Literal["right", "wrong", "partial", "broken", "empty", "hostile"]
#: Its name's ending, and what it is made from: the learner.toml that has to be in it, by path.
Archive = tuple[str, Callable[[Mapping[str, bytes]], bytes]]
SORTS: tuple[Sort, ...] = ("right", "wrong", "partial", "broken", "empty", "hostile")


@dataclass(frozen=True)
class Case:
    """`files`: path below the lab's folder → content. `verdicts`: check → the verdict that it must get.

    `planted` are more files, laid both into the lab's folder and into the learner's. `archive` makes the archive
    where it is itself what is wrong.
    """

    lab: str
    sort: Sort
    name: str
    files: Mapping[str, bytes]
    verdicts: Mapping[str, Verdict]
    planted: Mapping[str, bytes] = field(default_factory=dict)
    archive: Archive | None = None

    @property
    def submitted(self) -> bool:
        return "not_submitted" not in self.verdicts.values()


def verdicts(lab: Lab, fails: Iterable[str]) -> dict[str, Verdict]:
    """Failed for the checks in `fails`, passed for the lab's others. Raises ValueError for a check that is none."""
    wrong = set(fails)
    unknown = wrong - {check.id for check in lab.checks}
    if unknown:
        raise ValueError(f"{lab.id} has no check {', '.join(sorted(unknown))}")
    return {check.id: "failed" if check.id in wrong else "passed" for check in lab.checks}


def all_failed(lab: Lab) -> dict[str, Verdict]:
    return verdicts(lab, [check.id for check in lab.checks])


def nothing_submitted(lab: Lab) -> dict[str, Verdict]:
    return {check.id: "not_submitted" for check in lab.checks}


def points(lab: Lab, expected: Mapping[str, Verdict]) -> int:
    """The points that go with `expected`."""
    return sum(check.points for check in lab.checks if expected[check.id] == "passed")
