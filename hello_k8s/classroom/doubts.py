"""Whom a used namespace fails is believed once somebody else passes in it.

A lab's throw-away namespace is handed from one submission to the next (grading/slots.py). What can't be seen in it, a
program talked into a bad state, shows in this: whoever comes next fails as well. So a failure in a used namespace is
kept back until the next submission passes there; where none comes, or several fail in a row, the lab's own solution
is graded there. If that fails, the namespace was bad, and all who were kept back are graded again, in fresh ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hello_k8s.classroom.pool import Task
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.run import grade
from hello_k8s.grading.slots import Slot
from hello_k8s.grading.verdict import Result

#: So many failures in a row are kept back: the next one's witness must not come long after the first.
MOST = 3

Answer = tuple[Task, Result]
Grade = Callable[[Task, Ground], Result]


def _grade(task: Task, ground: Ground) -> Result:
    return grade(task.lab, task.folder, mode="replay", kind=task.kind, seed=task.seed, ground=ground)


class Grader:
    """Grades one task after the other; every answer is returned once, when it is believed."""

    def __init__(self, new_ground: Callable[[], Ground] = lambda: Ground(slots=True), how: Grade = _grade) -> None:
        self._new_ground = new_ground
        self._how = how
        self._ground = new_ground()
        self._doubts: dict[str, list[Answer]] = {}

    def grade(self, task: Task) -> list[Answer]:
        """Grade `task`; returns the answers that are believed now, of this task or of earlier ones."""
        used = self._ground.slot(task.lab)
        result = self._how(task, self._ground)
        answer = (task, result)
        if not result.graded:
            # What was true of the machine isn't any more, and with the ground its namespaces go.
            return [answer, *self._again_elsewhere()]
        if used is None:
            return [answer]
        if result.passed:
            return [answer, *self._doubts.pop(task.lab.id, [])]
        doubts = self._doubts.setdefault(task.lab.id, [])
        doubts.append(answer)
        return [] if self._is_kept(used) and len(doubts) < MOST else self._settled(used)

    def settle(self) -> list[Answer]:
        """The answers that were kept back: nobody comes who could pass."""
        answers = []
        for doubts in list(self._doubts.values()):
            slot = self._ground.slot(doubts[0][0].lab)
            assert slot is not None, "one that is gone keeps nobody back"
            answers += self._settled(slot)
        return answers

    def close(self) -> None:
        """Delete the namespaces that are kept."""
        self._ground.close()

    def _is_kept(self, slot: Slot) -> bool:
        return self._ground.slot(slot.lab) is slot

    def _settled(self, slot: Slot) -> list[Answer]:
        doubts = self._doubts.pop(slot.lab.id)
        if self._is_kept(slot):
            if self._how(Task(0, slot.lab, slot.lab.solution, kind="solution"), self._ground).passed:
                return doubts
            self._ground.discard(slot)
        return self._again(doubts)

    def _again_elsewhere(self) -> list[Answer]:
        doubts = [answer for each in self._doubts.values() for answer in each]
        self._doubts.clear()
        self._ground.close()
        self._ground = self._new_ground()
        return self._again(doubts)

    def _again(self, doubts: Sequence[Answer]) -> list[Answer]:
        answers = []
        for task, _ in doubts:
            if slot := self._ground.slot(task.lab):
                self._ground.discard(slot)
            answers.append((task, self._how(task, self._ground)))
        return answers
