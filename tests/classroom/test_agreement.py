"""A class whose scores are known beforehand: every row agrees, however many gradings work side by side."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.classroom.run import PLACES, WORKERS, grade_class
from hello_k8s.machine.cluster import Cluster
from tests.classroom.agree import differences, lines
from tests.classroom.case import Sort
from tests.classroom.generate import MIX, write_class

FULL = bool(os.environ.get("HELLO_K8S_FULL"))
#: A hundred with --full; else a few of each sort, others every day.
SAMPLE: Mapping[Sort, int] = {"right": 4, "wrong": 3, "partial": 1, "broken": 1, "empty": 1, "hostile": 2}
SEED = 5 if FULL else datetime.date.today().toordinal()


@pytest.mark.parametrize("lab", ["ch2/service", "ch1/multi-stage"])
def test_every_row_agrees_one_by_one_side_by_side_and_warm(
    tmp_path: Path, machine: Cluster, monkeypatch: pytest.MonkeyPatch, lab: str
) -> None:
    # The engine of the first class, with its build cache, is there for the next two.
    monkeypatch.setenv("HELLO_K8S_KEEP_CLASS_ENGINE", "1")
    mix = MIX if FULL else SAMPLE
    room = write_class(tmp_path / "class", [catalog.lab(lab)], sum(mix.values()), SEED, mix)
    ways = {"side by side": (PLACES, WORKERS), "warm": (PLACES, WORKERS), "one by one": (1, 1)}
    reports = {
        name: grade_class(room.folder, labs=room.labs, output=tmp_path / name, places=places, workers=workers)
        for name, (places, workers) in ways.items()
    }
    found = {name: differences(report, room) for name, report in reports.items()}
    assert not any(found.values()), f"seed {SEED}\n" + "\n".join(
        f"{name}: {difference}" for name, told in found.items() for difference in told
    )
    assert lines(reports["one by one"]) == lines(reports["side by side"]) == lines(reports["warm"])
    assert not any(report.unmapped for report in reports.values())
