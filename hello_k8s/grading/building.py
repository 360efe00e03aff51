"""An untrusted Dockerfile built in a nested engine that other builds share.

Inside the engine `confine` (images/engine/confine) runs the client: it gives the build's steps a cgroup and a share of
the disk of their own, and ends this build alone where it has to be ended. BuildKit's source policy leaves nothing to
fetch but the lab's images.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hello_k8s.errors import EngineError
from hello_k8s.grading.buildlog import base_names, build_failure, evidence_of
from hello_k8s.grading.verdict import TimedOut, Unmet
from hello_k8s.language import both
from hello_k8s.machine.engine import tar_of
from hello_k8s.machine.nested import Nested

#: What one build may take: memory and disk in bytes, processes and threads at once.
MEMORY = 1 << 30
PROCESSES = 512
DISK = 2 << 30
#: As in images/engine/confine/disk.go.
FILES = 150_000
_ROOM = 1 << 30
#: Seconds that a step may do nothing at all: neither compute nor end.
IDLE_SECONDS = 30.0
#: A name in the hosts file of every step. Its address says whose step it is: addresses aren't part of what
#: BuildKit looks up its cache by, so that equal steps are still run once.
_HOST = "build.hello-k8s"
#: BuildKit heeds .dockerignore in a folder, not in an archive on standard input. The folder goes with the build.
_IN_FOLDER = 'f=$(mktemp -d) && trap "rm -rf $f" EXIT && cd "$f" && tar -x && "$@" .'
_KILLED = re.compile(r"exit code: 137|\bKilled\b|signal: killed|cannot allocate memory|out of memory", re.IGNORECASE)
#: What programs say who didn't get what they asked for, whoever has it.
_STARVED = re.compile(
    rf"{_KILLED.pattern}|resource temporarily unavailable|failed to create new OS thread|can(no|')t fork", re.IGNORECASE
)
_STRANDED = re.compile(
    r"confine: the build that began this step has ended|confine: the build writes too much|exit code: 137"
)
#: What BuildKit says of itself, not of a Dockerfile: equal steps of several builds have got in each other's way
#: (moby/buildkit#2303, #3635, #1460, #4887). Steps can't print such a line: theirs begin with a number.
_BROKEN = re.compile(
    r"^ERROR: (?:failed to \w+: )*(?:failed to get edge|inconsistent graph state|no active sessions?\b"
    r"|failed to compute cache key: failed to get state for index|mount already exists"
    r"|rpc error: code = (?:Canceled|Unavailable))"
)
_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)


@dataclass(frozen=True)
class _Ended:
    """How a build ended: what the builder printed, and the report of images/engine/confine/main.go."""

    output: str
    code: int
    ended: str
    alone: bool
    memory: bool
    processes: bool
    full: bool
    stranded: bool
    free: int

    @property
    def good(self) -> bool:
        return self.code == 0

    @property
    def failed(self) -> bool:
        """Whether it failed and nobody had ended it."""
        return not self.good and not self.ended

    @property
    def short_of(self) -> str:
        """Of what the build didn't get enough: memory, processes, disk; empty where that isn't why it ended."""
        if self.ended in ("processes", "disk"):
            return self.ended
        if self.ended:
            return ""
        if self.full and _NO_SPACE.search(self.output):  # anybody can print that
            return "disk"
        if self.memory and _KILLED.search(self.output):
            return "memory"
        return "processes" if self.processes else ""

    @property
    def in_doubt(self) -> bool:
        """Whether only alone it shows whose doing it is: others had what it didn't get, or the disk holds what earlier
        builds left (a compiler that can't write its index doesn't say so, but that a package isn't there). What it was
        ended for was counted of its own.
        """
        if not self.failed:
            return False
        starved = self.short_of or _STARVED.search(self.output)
        return self.lost_a_step or self.broke or self.full or bool(starved and not self.alone)

    @property
    def broke(self) -> bool:
        """Whether the builder failed, whatever it was building."""
        errors = [line for line in self.output.splitlines() if line.startswith("ERROR: ")]
        return self.failed and bool(errors and _BROKEN.match(errors[-1]))

    @property
    def had_no_room(self) -> bool:
        """Whether the disk was too full already for what a build may write."""
        return self.failed and self.full and self.free < DISK + _ROOM

    @property
    def lost_a_step(self) -> bool:
        """Whether a step of it was another build's, too, and ended with that (images/engine/confine/group.go), or for
        what that had written (runc.go).
        """
        return self.failed and self.stranded and bool(_STRANDED.search(self.output))


def build(
    nested: Nested,
    folder: Path,
    tag: str,
    dockerfile: str,
    *,
    images: Iterable[str] = (),
    seconds: float,
    owner: str,
    secrets: Mapping[str, str] | None = None,
) -> None:
    """Build `dockerfile` with the context `folder` as `tag`, within `seconds`.

    `images` are the lab's images (folder names), all that a FROM may name; `owner` says whose cache mounts it sees.
    `secrets` are given both as secrets (`--secret id=NAME`) and as build arguments of the same name in capitals: which
    of the two leaves no trace is the learner's to know.
    Raises Unmet for what the Dockerfile does wrong, TimedOut past `seconds`, EngineError for what is ours: also where
    even alone it had not the room or the steps that it may have.
    """
    names = base_names(images)
    context = tar_of(folder)
    given = dict(secrets or {})
    command = _command(tag, dockerfile, owner, b"--mount" in (folder / dockerfile).read_bytes(), given)
    around = [f"{_variable(name)}={value}" for name, value in given.items()]
    around = ["env", *around] if around else []
    if any(folder.glob("*.dockerignore")):
        around += ["sh", "-c", _IN_FOLDER, "sh"]
    else:
        command = (*command, "-")
    done = _run(nested, command, context, names, seconds, around=around)
    if done.in_doubt:
        clear = ("-clear",) if done.full else ()
        with nested.clearing() if clear else contextlib.nullcontext():
            done = _run(nested, command, context, names, seconds, "-alone", *clear, around=around)
        if done.lost_a_step:  # which was left of one that had just been ended: once BuildKit has forgotten it
            done = _run(nested, command, context, names, seconds, "-alone", "-calm", around=around)
        if done.lost_a_step or done.broke or done.had_no_room:
            raise EngineError(("docker", *command), done.output, done.code)
    if not done.good:
        raise _why(done, dockerfile, images, seconds)


def _variable(name: str) -> str:
    return f"HELLO_K8S_BUILD_{name.upper()}"


def _command(tag: str, dockerfile: str, owner: str, mounts: bool, secrets: Mapping[str, str]) -> tuple[str, ...]:
    # BuildKit takes the results of steps with equal cache mounts for each other's, whoever's the caches are.
    apart = (f"--add-host={owner}.owner.hello-k8s:127.0.0.1",) if mounts else ()
    return (
        "buildx", "build", "--progress=plain", "--provenance=false", "--load", "--network=none", "--tag", tag,
        f"--file={dockerfile}", f"--build-arg=BUILDKIT_CACHE_MOUNT_NS={owner}", *apart,
        *(f"--secret=id={name},env={_variable(name)}" for name in secrets),
        *(f"--build-arg={name.upper()}={value}" for name, value in secrets.items()),
    )  # fmt: skip


def _policy(names: Iterable[str]) -> str:
    """BuildKit's source policy: the context as the client hands it over, and the images `names` as Docker spells them
    out. The last rule that fits decides."""
    allowed = ["local://*", "http://buildkit-session/*", *(f"docker-image://{_full(name)}" for name in names)]
    rules = [("DENY", "*"), *(("ALLOW", each) for each in allowed)]
    return json.dumps({"rules": [{"action": action, "selector": {"identifier": each}} for action, each in rules]})


def _full(name: str) -> str:
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"docker.io/{name}"


def _run(
    nested: Nested,
    command: tuple[str, ...],
    context: bytes,
    names: Iterable[str],
    seconds: float,
    *options: str,
    around: Iterable[str] = (),
) -> _Ended:
    number = secrets.randbits(63) | 1
    address = ":".join(f"{number >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0))
    words = (
        *around, "confine", "build", f"-id={number:x}", f"-seconds={seconds:g}", f"-idle={IDLE_SECONDS:g}",
        f"-memory={MEMORY}", f"-processes={PROCESSES}", f"-disk={DISK}", f"-policy={_policy(names)}", *options, "--",
        *command[:2], f"--add-host={_HOST}:100:0:0:0:{address}", *command[2:],
    )  # fmt: skip
    try:
        # it may have to wait for builds that may take as long, twice
        done = nested.inside(*words, input=context, timeout=4 * seconds + 120)
        report = json.loads(done.stdout)
    except json.JSONDecodeError as wrong:
        raise EngineError(words, done.stdout + done.stderr, 0) from wrong
    except BaseException:
        # Whoever doesn't wait for it any longer doesn't want it to go on.
        nested.end_inside(f"{number:x}")
        raise
    ended = _Ended(
        done.stderr, report["code"], report["ended"], report["alone"],
        report["memory"], report["processes"] and report["limited"], report["full"], report["stranded"],
        report["free"],
    )  # fmt: skip
    if ended.ended == "asked" or not (ended.good or ended.ended or nested.engine.answers()):
        raise EngineError(words, ended.output, ended.code)
    return ended


def _why(done: _Ended, dockerfile: str, images: Iterable[str], seconds: float) -> Exception:
    if done.ended == "deadline":
        return TimedOut(seconds, both("building.deadline", file=dockerfile, seconds=f"{seconds:g}"))
    if done.ended == "idle":
        return TimedOut(IDLE_SECONDS, both("building.idle", file=dockerfile, seconds=f"{IDLE_SECONDS:g}"))
    if not done.short_of:
        return build_failure(done.output, dockerfile, images)
    what = {
        "memory": both("building.memory", file=dockerfile, most=f"{MEMORY >> 30} GiB"),
        "processes": both("building.processes", file=dockerfile, most=PROCESSES),
        "disk": both("building.disk", file=dockerfile, most=f"{DISK >> 30} GiB", files=FILES),
    }[done.short_of]
    return Unmet(what, evidence=evidence_of(done.output))
