"""A container of the submission, running in the nested engine."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from typing import Any

from hello_k8s.errors import CommandFailed, EngineError
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both
from hello_k8s.machine.engine import Engine
from hello_k8s.process import run

#: A label of every container: the process that started it.
WORKER = "hello-k8s.worker"
#: Enough for every program of this book, too little to disturb the machine.
LIMITS = (
    "--memory=256m", "--memory-swap=256m", "--cpus=1", "--pids-limit=100", "--security-opt=no-new-privileges",
    "--oom-score-adj=500", "--shm-size=16m", "--log-opt=max-size=1m", "--log-opt=max-file=2",
    # it could say on the bridge that it is another one; and health checks are run outside its limits
    "--cap-drop=NET_RAW", "--no-healthcheck", f"--label={WORKER}={os.getpid()}",
)  # fmt: skip
#: Bytes that its files may take; images/engine/confine/disk.go sees to it.
DISK = 1 << 30

#: Seconds within which dockerd has been told that a container ended, and then that its memory ran out: two events.
ENDED_SECONDS, _OOM_SECONDS = 5.0, 2.0
#: 128 + 9: ended by SIGKILL.
_KILLED = 137

#: Characters of its log that are shown: a line may be as long as the log.
_WORDS = 1000

#: What an engine in need says when it can't start a container, whatever the image. (Or it quotes the submission.)
_OURS = re.compile(
    r"no space left on device|cannot allocate memory|resource temporarily unavailable|container networking"
)


def described(inspect: Callable[[str], dict[str, Any] | None], kind: str, name: str) -> dict[str, Any]:
    """What `inspect` says of the `kind` called `name`; of a container that is also what its image says of itself.

    Raises Unmet where that is too long to be read, EngineError where it is gone.
    """
    try:
        found = inspect(name)
    except json.JSONDecodeError:  # cut off in the middle
        raise Unmet(both("building.image_description")) from None
    if found is None:
        raise EngineError(("docker", kind, "inspect", name), "", 1)
    return found


class Container:
    """One running container. `name` is its name in the engine."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    @classmethod
    def start(
        cls,
        engine: Engine,
        image: str,
        name: str,
        *arguments: str,
        options: tuple[str, ...] = (),
        control: str = "",
    ) -> Container:
        """`docker run` with our limits; Unmet where the engine can't start it (no such program, no such user).

        `control` is an image that can be started: where the engine seems to be in need, it is in need if it can't
        start that one either. Raises EngineError then; where it can, the need may be over, and what the engine says
        of a second try is believed.
        """
        command = ("run", "--detach", f"--name={name}", *LIMITS, *options, image, *arguments)
        for last in (False, True):
            try:
                engine.run(*command, timeout=60)
                break
            except EngineError:
                raise
            except CommandFailed as failed:
                if failed.exit_code_of_command is None:
                    raise
                line = last_line(failed.output)
                if last or not _OURS.search(line):
                    raise Unmet(both("grading.not_started", error=line), evidence=[line]) from None
                if not (control and _can_start(engine, control, f"{name}-control")):
                    raise EngineError(failed.command, failed.output, failed.exit_code_of_command) from None
                engine.remove(name)
        return cls(engine, name)

    def inspect(self) -> dict[str, Any]:
        """What `docker container inspect` says now. Raises EngineError if it is gone."""
        return described(self.engine.container, "container", self.name)

    def logs(self, tail: int = 200) -> str:
        """The last `tail` lines of both its streams."""
        done = self.engine.run("logs", f"--tail={tail}", self.name, check=False)
        return done.stdout + done.stderr

    @property
    def address(self) -> str:
        """Its IP address on the nested engine's bridge; empty once it has ended."""
        networks = self.inspect()["NetworkSettings"]["Networks"] or {}
        return next((network["IPAddress"] for network in networks.values() if network["IPAddress"]), "")

    @property
    def running(self) -> bool:
        return bool(self.inspect()["State"]["Running"])

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        state = self.inspect()["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def stop(self, timeout: int = 10) -> float:
        """SIGTERM, and SIGKILL after `timeout` seconds; returns how many seconds it took to end."""
        begun = time.monotonic()
        self.engine.run("stop", "-t", str(timeout), self.name, timeout=timeout + 30)
        return time.monotonic() - begun

    def ended(self) -> Unmet:
        """The Unmet that says that it has ended, with its exit code and last words."""
        code = self.inspect()["State"]["ExitCode"]
        words = self.logs(5).strip()[-_WORDS:]
        if self._filled_the_disk():
            return Unmet(both("building.container_disk", most=f"{DISK >> 30} GiB"), evidence=words.splitlines())
        key = "grading.ended_by_memory" if self._ran_out_of_memory() else "grading.ended"
        return Unmet(both(key, code=code, log=words or "—"), evidence=words.splitlines())

    def _ran_out_of_memory(self) -> bool:
        found = self.inspect()
        if found["State"]["ExitCode"] != _KILLED or not found["HostConfig"]["Memory"]:
            return bool(found["State"].get("OOMKilled"))
        return comes_true(lambda: bool(self.inspect()["State"].get("OOMKilled")), _OOM_SECONDS)

    def _filled_the_disk(self) -> bool:
        """Whether the nested engine ended it for that; another engine doesn't watch."""
        if self.engine.name != "nested":
            return False
        note = f"/run/confine/killed/{self.inspect()['Id']}"
        return run([*self.engine.prefix[:-1], "test", "-e", note], timeout=30, check=False).code == 0

    def remove(self) -> None:
        self.engine.remove(self.name)


def comes_true(condition: Callable[[], bool], within: float) -> bool:
    """Whether `condition` holds now or `within` seconds: what the kernel knows, dockerd is told later."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _can_start(engine: Engine, image: str, name: str) -> bool:
    try:
        return engine.run("run", "--detach", f"--name={name}", *LIMITS, image, timeout=60, check=False).code == 0
    finally:
        engine.remove(name)


def last_line(output: str) -> str:
    """The line of a program's output that says what went wrong: the last that isn't an advice on how to get help."""
    lines = [line.strip() for line in output.strip().splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("See 'docker", "Run 'docker", "View build details"))]
    return (useful or lines or [""])[-1].removeprefix("docker: ").removeprefix("Error response from daemon: ")
