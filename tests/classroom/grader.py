"""The grader as a process that can be killed, and a watcher that breaks something while a class is graded."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hello_k8s import paths
from hello_k8s.classroom.journal import NAME
from hello_k8s.classroom.model import ClassReport, Row
from hello_k8s.classroom.run import Watcher, grade_class
from tests.classroom.agree import differences
from tests.classroom.generate import Classroom

#: Seconds that a class of a few may take; a test that waits for longer waits for nothing.
PATIENCE = 600.0


def journal(output: Path) -> list[bytes]:
    """The whole lines of the journal, as they are on the disk."""
    file = output / NAME
    data = file.read_bytes() if file.exists() else b""
    return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def keys(lines: list[bytes]) -> list[str]:
    return [json.loads(line)["key"] for line in lines]


def kill_after(rows: int, room: Classroom, output: Path) -> list[bytes]:
    """`hello-k8s grade`, killed (SIGKILL) when the journal has `rows`; its workers must end by themselves.

    Returns what the journal held then. The command says a line a row, so there is something to wait for.
    """
    command = [sys.executable, "-m", "hello_k8s", "grade", str(room.folder), f"--output={output}"]
    process = subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line)
            if len(journal(output)) >= rows:
                break
        assert process.poll() is None, "".join(said)
        family = _family(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    _wait_for_the_end(family)
    return journal(output)


def _family(pid: int) -> list[int]:
    """A descriptor of each of its children that hasn't ended meanwhile."""
    found = []
    for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            found.append(os.pidfd_open(int(word)))
    return found


def _wait_for_the_end(family: list[int]) -> None:
    """Until every process behind these descriptors has ended. A worker may finish what it has in its hands."""
    deadline = time.monotonic() + 120
    try:
        for descriptor in family:
            ended, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ended, "a worker lives on without its grader"
    finally:
        for descriptor in family:
            with contextlib.suppress(OSError):
                os.close(descriptor)


class Breaks(Watcher):
    """Calls `breaking` once, after `rows` rows."""

    def __init__(self, rows: int, breaking: Callable[[], object]) -> None:
        self.rows = rows
        self.breaking = breaking

    def row(self, row: Row, done: int, total: int, left: float) -> None:
        if done == self.rows:
            self.breaking()


def graded_to_the_end(room: Classroom, output: Path, watcher: Watcher | None = None) -> ClassReport:
    """The class graded; where a row is ungraded, graded once more, as the message says. No row is ever wrong."""
    report = grade_class(room.folder, labs=room.labs, output=output, watcher=watcher)
    ungraded = {row.learner for row in report.rows if row.state == "ungraded"}
    wrong = [told for told in differences(report, room) if "ungraded None" not in told]
    assert not wrong, "\n".join(wrong)
    before = journal(output)
    if ungraded:
        report = grade_class(room.folder, labs=room.labs, output=output)
    assert journal(output)[: len(before)] == before
    assert not differences(report, room), "\n".join(differences(report, room))
    return report
