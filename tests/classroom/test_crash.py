"""Whatever dies while a class is graded: nothing is lost, nothing is graded twice, the table is the same."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.classroom.model import Row
from hello_k8s.classroom.run import grade_class
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.nested import class_engine
from hello_k8s.progress import SILENT
from tests.classroom.agree import differences, lines
from tests.classroom.generate import Classroom, write_class
from tests.classroom.grader import Breaks, graded_to_the_end, journal, keys, kill_after

full = pytest.mark.skipif(
    not os.environ.get("HELLO_K8S_FULL"), reason="test --full: minutes, and a cluster that breaks"
)
SERVICE, MULTI_STAGE = catalog.lab("ch2/service"), catalog.lab("ch1/multi-stage")

#: Python reads this module when it starts, if it finds it.
JUMPING = """
import itertools, pathlib, time
real, jumps = time.time, itertools.cycle((86_400, 0, -86_400))
def jumping():
    pathlib.Path(__file__).with_name("looked").touch()
    return real() + next(jumps)
time.time = jumping
"""


def room_of(folder: Path, lab: catalog.Lab, count: int) -> Classroom:
    return write_class(folder, [lab], count, mix={"right": 2, "wrong": 1})


def replays(cluster: Cluster) -> set[str]:
    """The namespaces of gradings that nobody removes."""
    found = cluster.api().list("Namespace", labels={"hello-k8s.org/replay": "true"})
    return {each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]}


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, timeout=120, text=True).stdout


class Later:
    """`work` done `seconds` after `start`; at the latest when the block ends."""

    def __init__(self, seconds: float, work: Callable[[], object]) -> None:
        self._timer = threading.Timer(seconds, work)
        self._started = False

    def start(self) -> None:
        self._started = True
        self._timer.start()

    def __enter__(self) -> Later:
        return self

    def __exit__(self, *_: object) -> None:
        if self._started:
            self._timer.join()


@pytest.fixture
def cluster(machine: Cluster) -> Iterator[Cluster]:
    yield machine
    machine.up(SILENT)


@pytest.fixture
def engine() -> str:
    """The name of the nested engine that a class makes for itself."""
    return class_engine().name


def test_the_grader_is_killed_twice(tmp_path: Path, cluster: Cluster) -> None:
    before = replays(cluster)
    # Rows are told in bursts: of fewer, all might be told before the second kill.
    room = room_of(tmp_path / "class", SERVICE, 15)
    output = tmp_path / "results"
    first = kill_after(2, room, output)
    # Power that fails in the middle of a line leaves half of one.
    with (output / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"key": "half')
    second = kill_after(len(first) + 2, room, output)
    report = grade_class(room.folder, labs=room.labs, output=output)
    last = journal(output)
    assert 2 <= len(first) < len(second) < len(last) == 15
    assert last[: len(second)] == second and second[: len(first)] == first
    assert len(set(keys(last))) == len(last)
    assert not differences(report, room), "\n".join(differences(report, room))
    again = grade_class(room.folder, labs=room.labs, output=output)
    assert lines(again) == lines(report) and journal(output) == last
    assert replays(cluster) <= before


def test_the_nested_engine_is_killed(tmp_path: Path, machine: Cluster, engine: str) -> None:
    starts: list[str] = []

    class Kills(Breaks):
        def row(self, row: Row, done: int, total: int, left: float) -> None:
            if done in (1, total):
                starts.append(docker("inspect", "--format={{.State.StartedAt}}", engine))
            super().row(row, done, total, left)

    room = room_of(tmp_path / "class", MULTI_STAGE, 8)
    graded_to_the_end(room, tmp_path / "results", Kills(1, lambda: docker("kill", engine)))
    first, last = starts[:2]
    assert first != last, "nobody needed the engine any more when it was killed"


def test_the_clock_jumps(tmp_path: Path, machine: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day ahead or back, another one at every look, in every process that grades: none waits by the clock."""
    fake = tmp_path / "clock"
    fake.mkdir()
    (fake / "sitecustomize.py").write_text(JUMPING)
    monkeypatch.setenv("PYTHONPATH", str(fake))
    room = room_of(tmp_path / "class", SERVICE, 6)
    report = grade_class(room.folder, labs=room.labs, output=tmp_path / "results")
    assert not differences(report, room), "\n".join(differences(report, room))
    assert (fake / "looked").exists(), "nobody looked at the clock: it was not the fake one"


@full
def test_a_node_is_stopped_and_comes_back(tmp_path: Path, cluster: Cluster) -> None:
    worker = cluster.nodes()[-1]
    with Later(20, lambda: docker("start", worker)) as back:

        def stop() -> None:
            docker("stop", "-t=1", worker)
            back.start()

        room = room_of(tmp_path / "class", SERVICE, 9)
        graded_to_the_end(room, tmp_path / "results", Breaks(2, stop))


@full
def test_the_api_server_is_stopped(tmp_path: Path, cluster: Cluster) -> None:
    control_plane = cluster.nodes()[0]
    manifest, aside = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.yaml"
    with Later(20, lambda: docker("exec", control_plane, "mv", aside, manifest)) as back:

        def stop() -> None:
            docker("exec", control_plane, "mv", manifest, aside)
            back.start()

        room = room_of(tmp_path / "class", SERVICE, 9)
        graded_to_the_end(room, tmp_path / "results", Breaks(2, stop))


@full
def test_the_control_plane_is_frozen(tmp_path: Path, cluster: Cluster) -> None:
    room = room_of(tmp_path / "class", SERVICE, 9)
    graded_to_the_end(room, tmp_path / "results", Breaks(2, lambda: cluster.engine.pause(cluster.nodes()[0])))


@full
def test_the_nested_engines_disk_is_full(tmp_path: Path, machine: Cluster, engine: str) -> None:
    """Full of something that no clearing of ours removes, for as long as the first run lasts."""
    room = room_of(tmp_path / "class", MULTI_STAGE, 6)
    fill = ["exec", engine, "sh", "-c", "dd if=/dev/zero of=/var/lib/docker/full bs=1M 2>/dev/null; true"]
    watcher = Breaks(1, lambda: docker(*fill))
    try:
        graded_to_the_end(room, tmp_path / "results", watcher)
    finally:
        subprocess.run(["docker", "exec", engine, "rm", "-f", "/var/lib/docker/full"], check=False, capture_output=True)
