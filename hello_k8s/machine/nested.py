"""A Docker engine of our own inside a container: no network, limits, a disk of limited size.

Where answers are built and run: what a Dockerfile does there reaches neither the host's engine, nor its network,
nor more memory, processors, processes or space than it was given. Upstream names (`golang:1.26`) mean the same
in every one of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hello_k8s import files, paths
from hello_k8s.errors import CommandFailed, EngineError, MachineError
from hello_k8s.language import t
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.process import Completed, reading
from hello_k8s.progress import SILENT, Progress

#: On every container, volume and network of ours: what `uninstall` looks for.
LABEL = "org.hello-k8s.part"
_FOLDER = "/var/lib/hello-k8s"
_BRIDGE = "/proc/sys/net/bridge/bridge-nf-call-iptables"
_READY_SECONDS = 60
#: Bytes of answers that are read at most. The probe cuts bodies, but many large ones, or headers, remain.
_ANSWERS = 32 << 20
_TOO_LARGE = {"status": 0, "body": "", "error": "the answers are too large", "seconds": 0.0, "headers": {}}


class _TooLarge(Exception):
    """More was answered than anybody reads."""


class Nested:
    """One such engine, called `name` like its container and its volume.

    `memory` and `disk` as docker writes them ("2g"), `cpus` in processors, `pids` processes and threads.
    `experimental` starts its dockerd with --experimental. `engine` is the engine that it runs on.
    """

    def __init__(
        self,
        name: str = "hello-k8s-engine",
        *,
        memory: str = "2g",
        cpus: float = 2.0,
        pids: int = 2000,
        disk: str = "12g",
        experimental: bool = False,
        engine: Engine | None = None,
        image: str | None = None,
    ) -> None:
        self.name = name
        self.outer = engine or user_engine()
        self.engine = Engine((*self.outer.prefix, "exec", "-i", name, "docker"), name="nested")
        self._settings = {
            "memory": memory, "cpus": f"{cpus:g}", "pids": str(pids), "disk": disk, "experimental": str(experimental),
        }  # fmt: skip
        self._image = image

    @property
    def _marker(self) -> Path:
        folder = paths.state() / "nested"
        folder.mkdir(exist_ok=True)
        return folder / f"{self.name}.json"

    def up(self, images: Iterable[str] = (), progress: Progress = SILENT) -> Engine:
        """This engine running, with `images` (folder names of images/) in it under their upstream names too.

        Made, started or resumed as needed; 0.1 s when that was all true already. Raises MachineError where it
        doesn't start, EngineError where the engine below doesn't answer.
        """
        wanted = set(images)
        if self._has(wanted):
            return self.engine
        with files.locked(self._marker.with_suffix(".lock")):
            if not self._has(wanted):  # another process may have seen to it while we waited
                self._bring_up(wanted, progress)
        return self.engine

    def _has(self, wanted: set[str]) -> bool:
        """Whether it runs as it should, with these images."""
        state = self._container()
        if not state or state["settings"] != self._label() or not state["running"] or state["paused"]:
            return False
        known = self._known(state)
        return known is not None and wanted <= known

    def _bring_up(self, wanted: set[str], progress: Progress) -> None:
        state = self._container()
        if state and state["settings"] != self._label():
            self.down()
            state = None
        if state is None:
            self._create(progress)
        elif state["paused"]:
            self.outer.run("unpause", self.name)
        elif not state["running"]:
            self.outer.run("start", self.name)
        self._wait(progress)
        self._load(wanted, progress)

    def _load(self, wanted: set[str], progress: Progress) -> None:
        from hello_k8s.machine.images import ensure, recipe_of

        state = self._container()
        if state is None:
            raise self._failed("")
        known = self._known(state) or set()
        if wanted - known:
            ensure(sorted(wanted - known), self.engine, progress, upstream_names=True)
        hashes = {name: recipe_of(name) for name in known | wanted}
        files.write(self._marker, json.dumps({"started": state["started"], "images": hashes}))

    def _known(self, state: dict[str, Any]) -> set[str] | None:
        """Images known to be inside since this very start, of today's recipe; None where nothing is known."""
        try:
            marker = json.loads(self._marker.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if marker["started"] != state["started"]:
            return None
        from hello_k8s.machine.images import recipe_of

        return {name for name, recipe in marker["images"].items() if recipe_of(name) == recipe}

    def _label(self) -> str:
        """What a running one has to be: its settings, and today's engine image."""
        from hello_k8s.machine.images import recipe_of

        return json.dumps({**self._settings, "image": self._image or recipe_of("engine")}, sort_keys=True)

    def status(self) -> str:
        """absent · stopped · paused · running, as of a cluster."""
        state = self._container()
        if state is None:
            return "absent"
        if state["paused"]:
            return "paused"
        return "running" if state["running"] else "stopped"

    def _container(self) -> dict[str, Any] | None:
        found = self.outer.container(self.name)
        if found is None:
            return None
        return {
            "running": found["State"]["Running"],
            "paused": found["State"]["Paused"],
            "started": f"{found['Id'][:12]} {found['State']['StartedAt']}",
            "settings": (found["Config"]["Labels"] or {}).get("org.hello-k8s.settings", ""),
        }

    def _create(self, progress: Progress) -> None:
        image = self._image or self._engine_image(progress)
        have = self._settings
        self.outer.run("volume", "create", "--label", f"{LABEL}=nested", self.name)
        options = ["--experimental"] if have["experimental"] == "True" else []
        with progress.step(t("engine.nested_starting"), 5):
            self.outer.run(
                "run", "--detach", "--privileged", "--network=none", f"--name={self.name}", f"--hostname={self.name}",
                f"--memory={have['memory']}", f"--memory-swap={have['memory']}", f"--cpus={have['cpus']}",
                f"--pids-limit={have['pids']}", "--restart=no", f"--label={LABEL}=nested",
                f"--label=org.hello-k8s.settings={self._label()}", f"--env=DISK={have['disk']}",
                f"--volume={self.name}:{_FOLDER}", image, *options,
            )  # fmt: skip

    def _engine_image(self, progress: Progress) -> str:
        from hello_k8s.machine import install
        from hello_k8s.machine.images import ensure

        names = ensure(["engine"], self.outer, progress, upstream_names=install.installed_by_us())
        return names["engine"]

    def _wait(self, progress: Progress) -> None:
        """Until dockerd inside answers; it says so itself by a healthy end of `docker version`."""
        deadline = time.monotonic() + _READY_SECONDS
        with progress.step(t("engine.nested_starting"), 5):
            while time.monotonic() < deadline:
                if self.engine.answers():
                    return
                found = self.outer.container(self.name)
                if found is None or not found["State"]["Running"]:
                    break
                time.sleep(0.1)
        raise self._failed(self.outer.run("logs", "--tail=20", self.name, check=False).stderr)

    def _failed(self, log: str) -> MachineError:
        return MachineError(
            t("engine.nested_failed"), why=log.strip(), next=t("engine.nested_failed_next", name=self.name)
        )

    def fetch(self, url: str, n: int = 1, timeout: float = 5) -> list[dict[str, Any]]:
        """Ask `url` `n` times over HTTP from inside, each on a new connection, `timeout` seconds at most.

        The published ports of containers in it are on its 127.0.0.1. Each answer: status, body, error, seconds,
        headers. Raises EngineError where the engine is gone.
        """
        command = ("exec", self.name, "probe", "fetch", "-n", str(n), "-timeout", f"{timeout:g}", url)
        try:
            with reading([*self.outer.prefix, *command], timeout=n * timeout + 10) as stream:
                said = stream.read(_ANSWERS)
                if stream.read(1):
                    raise _TooLarge  # out of the block: the probe would wait for ever for somebody to read on
            return list(json.loads(said))
        except _TooLarge:
            return [dict(_TOO_LARGE) for _ in range(n)]
        except CommandFailed as failed:
            raise EngineError(
                failed.command,
                failed.output,
                failed.exit_code_of_command,
                what=t("engine.nested_gone", name=self.name),
                next=t("engine.nested_failed_next", name=self.name),
            ) from failed
        except json.JSONDecodeError as wrong:
            raise EngineError(
                (*self.outer.prefix, *command), "", 0, what=t("engine.probe_failed", name=self.name)
            ) from wrong

    @property
    def cleared(self) -> str:
        """What tells one clearing of its build cache from the next; empty where there was none. Steps that were run
        before it are run again."""
        try:
            return self._cleared.read_text()
        except FileNotFoundError:
            return ""

    @contextlib.contextmanager
    def clearing(self) -> Iterator[None]:
        """Around a clearing of its build cache: whoever is between two builds of his has to know. Told before, as
        between that and the clearing a build may end, and after, as one may have ended meanwhile.
        """
        files.write(self._cleared, secrets.token_hex(8))
        try:
            yield
        finally:
            files.write(self._cleared, secrets.token_hex(8))

    @property
    def _cleared(self) -> Path:
        return self._marker.with_suffix(".cleared")

    def exists(self) -> bool:
        """Whether its container is there, running or not."""
        return self.outer.container(self.name) is not None

    def inside(self, *command: str, input: bytes | None = None, timeout: float = 120) -> Completed:
        """Run a program of the engine's image in it. Raises EngineError where it fails: no such program is a
        submission's."""
        try:
            return self.outer.run("exec", "-i", self.name, *command, input=input, timeout=timeout)
        except CommandFailed as failed:
            raise EngineError(
                failed.command,
                failed.output,
                failed.exit_code_of_command,
                what=t("engine.nested_gone", name=self.name),
                next=t("engine.nested_failed_next", name=self.name),
            ) from failed

    def keeps_apart(self) -> bool:
        """Whether containers in it can't reach each other: images/engine/start-engine says on what that depends."""
        return self.outer.run("exec", self.name, "test", "-e", _BRIDGE, check=False).code == 0

    def end_inside(self, build: str) -> None:
        """End the build that `confine build` calls so; nothing where it has ended, or the engine has."""
        with contextlib.suppress(CommandFailed):
            self.outer.run("exec", self.name, "confine", "end", build, check=False, timeout=30)

    def pause(self) -> None:
        """Freeze it at once; keeps its memory. Nothing where it isn't running."""
        if self.status() == "running":
            self.outer.pause(self.name)

    def resume(self) -> None:
        """Thaw it; nothing where it isn't paused."""
        if self.status() == "paused":
            self.outer.run("unpause", self.name)

    def stop(self) -> None:
        """Stop it, keeping what is in it. Nothing where it isn't running."""
        status = self.status()
        if status == "paused":
            self.outer.run("unpause", self.name)
        if status in ("running", "paused"):
            self.outer.run("stop", "--time=10", self.name)

    def down(self) -> None:
        """Remove it with everything in it; one that isn't there is fine."""
        self.outer.remove(self.name)
        self.outer.run("volume", "rm", "--force", self.name, check=False)
        self._marker.unlink(missing_ok=True)
        self._cleared.unlink(missing_ok=True)


def learner_engine() -> Nested:
    """The long-lived one that `lab check` builds in; HELLO_K8S_ENGINE names another."""
    return Nested(os.environ.get("HELLO_K8S_ENGINE") or "hello-k8s-engine")


def class_engine() -> Nested:
    """The one that a class is graded in, for as long as that takes: the learner's is full of the learner's images."""
    return Nested(f"{learner_engine().name}-class")
