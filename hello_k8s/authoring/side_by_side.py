"""Submissions of one lab graded side by side, by the same processes that grade a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hello_k8s.catalog import Lab
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.grading.verdict import Kind, Result


def graded(lab: Lab, submissions: Sequence[tuple[Path, Kind]], progress: Progress = SILENT) -> list[Result | str]:
    """The result of each of `submissions` (folder, kind), replayed from scratch; a text where its process was lost.

    Raises what bringing the lab's images to engine and nodes raises.
    """
    from hello_k8s.classroom.pool import Pool, Task
    from hello_k8s.classroom.run import PLACES, WORKERS
    from hello_k8s.grading.ground import Ground

    ground = Ground(progress=progress)
    # once, before several would do it at the same time
    if "docker" in lab.needs:
        ground.nested.up(lab.images, progress)
    if lab.on_cluster and not lab.replay.build:
        ground.load_images(lab)
    found: dict[int, Result | str] = {}
    with Pool(min(WORKERS, len(submissions)), PLACES, {}) as pool:
        for number, (folder, kind) in enumerate(submissions):
            pool.add(Task(number, lab, folder, kind=kind))
        for outcome in pool.outcomes():
            found[outcome.task.id] = outcome.lost if outcome.result is None else outcome.result
    return [found[number] for number in range(len(submissions))]
