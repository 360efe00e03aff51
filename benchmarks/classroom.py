"""What the two measurements of a class share: the command as an instructor types it, and what it takes meanwhile."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hello_k8s.classroom.run import grade_class  # noqa: E402
from tests.classroom.agree import differences  # noqa: E402
from tests.classroom.case import Case  # noqa: E402
from tests.classroom.generate import Classroom  # noqa: E402

MIB = 1 << 20


@dataclass
class Taken:
    """What a piece of work took: wall clock, processor time of the whole machine, memory of the processes."""

    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    notes: list[str] = field(default_factory=list)


def machine_cpu() -> float:
    """Seconds that the machine's processors have been busy since it started, whoever kept them so."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    idle = int(words[3]) + int(words[4])
    return (sum(map(int, words[:8])) - idle) / os.sysconf("SC_CLK_TCK")


def family_memory(pid: int) -> int:
    """Bytes that `pid` and all its descendants hold, shared pages by their share (PSS)."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family, grown = {pid}, True
    while grown:
        found = {child for child, parent in parents.items() if parent in family} - family
        family |= found
        grown = bool(found)
    return sum(map(_pss, family))


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def measured(taken: Taken) -> Iterator[None]:
    cpu, begun = machine_cpu(), time.monotonic()
    try:
        yield
    finally:
        taken.seconds, taken.cpu = time.monotonic() - begun, machine_cpu() - cpu


def grade(room: Classroom, output: Path, overlay: Path | None = None) -> Taken:
    """`./hello-k8s grade` on the class in `room`, and whether every row is what it has to be."""
    command = [sys.executable, "-m", "hello_k8s", "grade", str(room.folder), "--output", str(output)]
    command += [f"--lab={lab.id}" for lab in room.labs] + ([f"--overlay={overlay}"] if overlay else [])
    taken = Taken()
    with measured(taken), tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT)
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, taken, stop))
        watcher.start()
        code = process.wait()
        stop.set()
        watcher.join()
        printed.seek(0)
        if code not in (0, 3):
            sys.exit(f"{' '.join(command)} ended with {code}:\n{printed.read()[-3000:]}")
    # Everything is in the journal: this only reads the table.
    taken.notes = differences(grade_class(room.folder, labs=room.labs, output=output, overlay=overlay), room)
    return taken


def _watch(pid: int, taken: Taken, stop: threading.Event) -> None:
    while not stop.wait(1):
        taken.peak = max(taken.peak, family_memory(pid))


def with_one(room: Classroom, case: Case, folder: Path) -> Classroom:
    """The same class in `folder`, `case` in place of one of the right answers."""
    shutil.copytree(room.folder, folder)
    (chosen,) = [
        pupil
        for pupil in room.pupils
        if pupil.cases[case.lab].sort == "right" and (room.folder / pupil.source).is_dir()
    ][-1:]
    target = folder / chosen.source / case.lab
    shutil.rmtree(target)
    for name, data in case.files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    pupils = [pupil if pupil is not chosen else _with(pupil, case) for pupil in room.pupils]
    return Classroom(folder, room.labs, tuple(pupils))


def _with(pupil, case: Case):  # type: ignore[no-untyped-def]
    return type(pupil)(pupil.id, pupil.seed, pupil.source, {**pupil.cases, case.lab: case})


def show(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """A table as benchmarks/README.md has it."""
    print(f"\n{title}\n\n| | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    sys.stdout.flush()


def agreement(taken: Taken, room: Classroom) -> str:
    for note in taken.notes:
        print(note, file=sys.stderr)
    return f"{len(room.pupils) - len(taken.notes)} of {len(room.pupils)}"
