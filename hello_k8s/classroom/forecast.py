"""`doctor --class N`: the night before. What N submissions will take on this machine, measured by grading a few now."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hello_k8s import paths
from hello_k8s.catalog import Lab
from hello_k8s.classroom.machine import ClassMachine
from hello_k8s.classroom.pool import Outcome, Pool, Task
from hello_k8s.classroom.run import PLACES, WORKERS
from hello_k8s.errors import HelloError
from hello_k8s.grading.verdict import CheckResult
from hello_k8s.language import pick, t
from hello_k8s.machine import images, install
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.quantity import amount
from hello_k8s.progress import SILENT, Progress

#: Of ten answers that are graded for the trial, how many are wrong ones: waiting for what doesn't come takes time.
ROUND, WRONG = 10, 3
#: Bytes that one result takes in the journal and the exports, and that are left free for everything else.
RESULT_BYTES, RESERVE_BYTES = 100_000, 3 * 10**9
#: Seconds of a whole class that still fit into a night.
NIGHT = 8 * 3600

Level = Literal["ok", "warning", "problem"]
Note = Callable[[str], None]


@dataclass(frozen=True)
class Line:
    """One line of the forecast: `what` about which lab, what was `found`, what to do `next` where it doesn't fit."""

    level: Level
    what: str
    found: str
    next: str = ""


@dataclass(frozen=True)
class Trial:
    """What grading a few answers took: the first one, and each of the others side by side; bytes that one left behind.

    `failed` says why the lab's own solution didn't get every point; then the other figures mean nothing.
    """

    lab: Lab
    first: float = 0.0
    each: float = 0.0
    left_bytes: float = 0.0
    failed: str = ""


@dataclass(frozen=True)
class Machine:
    """What there is: bytes of memory and of disk, nodes that run Pods (None: no cluster), memory of one process."""

    memory: int
    disk: int
    folder: Path
    workers: int | None
    process: int


def forecast(count: int, labs: Sequence[Lab], progress: Progress = SILENT) -> list[Line]:
    """What grading `count` submissions for each of `labs` will take, and what doesn't fit.

    Brings up what a class needs, grades solutions and wrong answers as a class is graded, and removes it again.
    """
    seen = [(lab, images_of(lab, user_engine())) for lab in labs]
    lines = [line for _, line in seen]
    ready = [lab for lab, line in seen if line.level != "problem"]
    if not ready:
        return lines
    with tempfile.TemporaryDirectory(prefix="hello-k8s-forecast-") as output:
        machine = ClassMachine(Path(output), tuple(ready), progress.note)
        try:
            with progress.step(t("forecast.step_up"), 30):
                machine.up()
            trials = [trial(lab, machine, progress) for lab in ready]
            found = _found(machine)
        except HelloError as error:
            return [*lines, Line("problem", t("forecast.machine"), error.what, error.next)]
        finally:
            machine.down()
    return [*lines, *judge(count, trials, found)]


def images_of(lab: Lab, engine: Engine) -> Line:
    """Whether the images of `lab` are here, and how they would come."""
    names = [*(("node", "probe") if lab.on_cluster else ()), *(("engine",) if "docker" in lab.needs else ())]
    plans = images.plan([*names, *lab.images], engine)
    bad = [plan for plan in plans if plan.way == "impossible"]
    late = [plan for plan in plans if plan.way not in ("here", "impossible")]
    what = t("forecast.images", lab=lab.id)
    if bad:
        said = "; ".join(f"{plan.image.id}: {plan.reason}" for plan in bad)
        return Line("problem", what, said, t("doctor.image_next"))
    if late:
        said = ", ".join(f"{plan.image.id} ({t(f'doctor.way.{plan.way}')})" for plan in late)
        return Line("warning", what, said, t("forecast.images_next"))
    return Line("ok", what, t("forecast.images_here", names=", ".join(plan.image.id for plan in plans)))


# -- the trial


def trial(lab: Lab, machine: ClassMachine, progress: Progress = SILENT) -> Trial:
    """Grade the lab's solution alone, then ten answers side by side as a class has them: most right, some wrong."""
    with Pool(min(WORKERS, ROUND), PLACES, machine.environment) as pool:
        with progress.step(t("forecast.step_first", lab=lab.id), 15):
            began = time.monotonic()
            pool.add(Task(0, lab, lab.solution, kind="solution"))
            (outcome,) = pool.outcomes()
            first = time.monotonic() - began
        if outcome.result is None or not outcome.result.passed:
            return Trial(lab, failed=_why(outcome))
        with progress.step(t("forecast.step_round", lab=lab.id, count=ROUND), 20):
            free, began = _free(), time.monotonic()
            for task in _round(lab):
                pool.add(task)
            ungraded = [each for each in pool.outcomes() if each.result is None or not each.result.graded]
            seconds = time.monotonic() - began
    if ungraded:
        return Trial(lab, failed=_why(ungraded[0]))
    return Trial(lab, first, seconds / ROUND, max(0, free - _free()) / ROUND)


def _round(lab: Lab) -> Iterator[Task]:
    wrong = [lab.folder / "mutants" / mutant.name for mutant in lab.mutants]
    for number in range(ROUND):
        if wrong and number < WRONG:
            yield Task(number, lab, wrong[number % len(wrong)], kind="mutant")
        else:
            yield Task(number, lab, lab.solution, kind="solution")


def _why(outcome: Outcome) -> str:
    if outcome.result is None:
        return outcome.lost
    bad: CheckResult = next(check for check in outcome.result.checks if not check.passed)
    return f"{bad.id}: {pick(bad.message)}"


def _free() -> int:
    return install.free_bytes(_disk())


def _disk() -> Path:
    return install.engine_folder(user_engine()) or paths.state()


def _found(machine: ClassMachine) -> Machine:
    nodes = machine.cluster.api().list("Node") if machine.cluster else None
    workers = [n for n in nodes or () if "node-role.kubernetes.io/control-plane" not in n["metadata"].get("labels", {})]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Machine(_free_memory(), _free(), _disk(), len(workers) if nodes is not None else None, peak)


def _free_memory(file: Path = Path("/proc/meminfo")) -> int:
    """Bytes that programs may still take; where this machine doesn't say, what the engine has altogether."""
    if file.exists():
        table = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        return int(table["MemAvailable"].split()[0]) * 1024
    return int(user_engine().json("info", "--format", "{{json .}}")["MemTotal"])


# -- what it comes to


def judge(count: int, trials: Sequence[Trial], machine: Machine) -> Iterator[Line]:
    """A line a lab, then time, memory and disk of the whole class."""
    good = [each for each in trials if not each.failed]
    for each in trials:
        yield _of_lab(count, each, machine)
    if not good:
        return
    seconds = sum(each.first + each.each * count for each in good)
    shown = t("forecast.time_found", minutes=_minutes(seconds), rate=f"{60 * count * len(good) / seconds:.0f}")
    late = seconds > NIGHT
    yield Line("warning" if late else "ok", t("forecast.time"), shown, t("forecast.time_next") if late else "")
    needed = _memory(good, PLACES, machine)
    fits = needed <= machine.memory
    shown = t("forecast.memory_found", needed=_gb(needed), free=_gb(machine.memory), places=PLACES)
    yield Line("ok" if fits else "problem", t("forecast.memory"), shown, "" if fits else _less(good, machine))
    grows = sum((each.left_bytes + RESULT_BYTES) * count for each in good)
    fits = grows + RESERVE_BYTES <= machine.disk
    shown = t("forecast.disk_found", needed=_gb(grows), free=_gb(machine.disk), folder=machine.folder)
    yield Line("ok" if fits else "problem", t("forecast.disk"), shown, "" if fits else t("engine.no_space_next"))


def _of_lab(count: int, each: Trial, machine: Machine) -> Line:
    lab = each.lab
    if each.failed:
        said = t("forecast.failed", why=each.failed)
        return Line("problem", lab.id, said, t("forecast.failed_next", lab=lab.id))
    wanted = max((int(need.split(":")[1]) for need in lab.needs if need.startswith("workers:")), default=0)
    if wanted > (machine.workers or 0):
        said = t("forecast.few_workers", wanted=wanted, have=machine.workers or 0)
        return Line("problem", lab.id, said, t("forecast.few_workers_next", nodes=wanted + 1))
    minutes = _minutes(each.first + each.each * count)
    return Line("ok", lab.id, t("forecast.lab_found", each=f"{each.each:.1f}", count=count, minutes=minutes))


def _memory(trials: Sequence[Trial], places: int, machine: Machine) -> int:
    """The grader's processes, and as many answers of the hungriest lab as are at work at the same time."""
    return WORKERS * machine.process + places * max(int(amount(each.lab.memory)) for each in trials)


def _less(trials: Sequence[Trial], machine: Machine) -> str:
    """What to do about memory: fewer at the same time where that is enough, and which lab it is."""
    hungry = max(trials, key=lambda each: amount(each.lab.memory)).lab.id
    for places in range(PLACES - 1, 0, -1):
        if _memory(trials, places, machine) <= machine.memory:
            return t("forecast.memory_places", lab=hungry, places=places)
    return t("forecast.memory_next", lab=hungry)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds < 600 else f"{seconds / 60:.0f}"


def _gb(number: float) -> str:
    return f"{number / 1e9:.1f}"
