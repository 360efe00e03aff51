"""What the kernel says of a running container: its cgroup's limits, its user, how its root is mounted.

Read from the files that the container itself sees, below /proc/PID/root: no shell in the image is needed, and what
counts is what holds, not what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from hello_k8s.errors import EngineError
from hello_k8s.grading.containers import ENDED_SECONDS, Container, comes_true
from hello_k8s.process import run

#: Controller → its files below /sys/fs/cgroup, of version 1 and of version 2 (Documentation/admin-guide/cgroup-v1/
#: and cgroup-v2.rst of the kernel).
FILES: Mapping[str, tuple[str, ...]] = {
    "memory": ("memory/memory.limit_in_bytes", "memory.max"),
    "swap": ("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
    "cpus": ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpu.max"),
    "pids": ("pids/pids.max", "pids.max"),
}
_ROOT = "sys/fs/cgroup"
#: Version 1 writes "no limit" as the largest whole number of pages.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class Limits:
    """Hard limits; None where there is none. `swap` is what may be swapped beyond `memory`, in bytes.

    `files` are the files that said so: name → content.
    """

    memory: int | None = None
    swap: int | None = None
    cpus: float | None = None
    pids: int | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def said(self, *names: str) -> str:
        """What the files say about `names`, for a check's message: "memory.max = 67108864"."""
        wanted = [file for name in names for file in FILES[name]]
        return ", ".join(f"{PurePosixPath(file).name} = {self.files[file]}" for file in wanted if file in self.files)


def limits_of(files: Mapping[str, str]) -> Limits:
    """The limits in `files`: name below /sys/fs/cgroup → content, of either version."""
    found = {name: text.strip() for name, text in files.items()}
    memory = _number(found.get("memory.max") or found.get("memory/memory.limit_in_bytes"))
    swap = _number(found.get("memory.swap.max"))
    both = _number(found.get("memory/memory.memsw.limit_in_bytes"))
    if both is not None and memory is not None:  # version 1 limits memory and swap together
        swap = both - memory
    return Limits(memory, swap, _cpus(found), _number(found.get("pids.max") or found.get("pids/pids.max")), found)


def _number(text: str | None) -> int | None:
    value = int(text) if text and text.isdecimal() else None
    return None if value is None or value > _NO_LIMIT else value


def _cpus(found: Mapping[str, str]) -> float | None:
    quota, _, period = found.get("cpu.max", "").partition(" ")
    quota = quota or found.get("cpu/cpu.cfs_quota_us", "")
    period = period or found.get("cpu/cpu.cfs_period_us", "")
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:  # "max", and -1 in version 1
        return None
    return int(quota) / int(period)


@dataclass(frozen=True)
class Inside:
    """A running container as the kernel has it. `user` is the number that its first process runs as; `root_options`
    how its root file system is mounted ("ro", "relatime", …).
    """

    limits: Limits
    user: int
    root_options: tuple[str, ...]

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written to its root file system."""
        return "ro" in self.root_options

    def without(self, names: Iterable[str]) -> Inside:
        """The same, with no limit on `names`: those are ours, not the submission's."""
        gone = set(names)
        files = {file for name in gone for file in FILES[name]}
        kept = {file: text for file, text in self.limits.files.items() if file not in files}
        return replace(self, limits=replace(self.limits, files=kept, **dict.fromkeys(gone)))


def look_inside(container: Container) -> Inside:
    """What the kernel says of `container`, which has to be running: Unmet with its last words where it has ended."""
    process = container.inspect()["State"]["Pid"]
    root = f"/proc/{process}/root/{_ROOT}"
    names = [f"{root}/{file}" for files in FILES.values() for file in files]
    # `docker exec CONTAINER cat` would need a cat in the image
    command = ["grep", "-sH", "", *names, f"/proc/{process}/status", f"/proc/{process}/mountinfo"]
    done = run([*container.engine.prefix[:-1], *command], timeout=60, check=False)
    lines = [line.partition(":")[::2] for line in done.stdout.splitlines()]
    files = {name.removeprefix(f"{root}/"): text for name, text in lines if name.startswith(root)}
    user = next((text.split()[1] for _, text in lines if text.startswith("Uid:")), "")
    mounts = [text.split() for name, text in lines if name.endswith("/mountinfo")]
    options = next((mount[5].split(",") for mount in reversed(mounts) if mount[4] == "/"), [])
    if not process or not user or not options:
        if comes_true(lambda: not container.running, ENDED_SECONDS):
            raise container.ended()
        raise EngineError(command, done.stderr, done.code)
    return Inside(limits_of(files), int(user), tuple(options))
