"""Worker processes that grade side by side: tasks in, one outcome for each, whatever becomes of a worker."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hello_k8s import paths
from hello_k8s.catalog import Lab
from hello_k8s.classroom.places import Places
from hello_k8s.grading.verdict import Kind, Result

#: Seconds after which a grading is no longer slow but stuck: builds, start-ups and checks have limits of their own.
STUCK_SECONDS = 900.0
#: Seconds that a worker is given to remove what it made.
_END_SECONDS = 15.0


@dataclass(frozen=True)
class Task:
    """One submission to grade; `id` is the caller's."""

    id: int
    lab: Lab
    folder: Path
    seed: int = 0
    kind: Kind = "submission"


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its result, or why its worker is lost (an exit code, "stuck")."""

    task: Task
    result: Result | None
    lost: str = ""


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    busy: bool = False
    #: For a place: others are at work meanwhile.
    waiting: bool = False
    since: float = 0.0
    #: What it was given and hasn't answered yet: the one at work, and those whose results it keeps back.
    tasks: dict[int, Task] = field(default_factory=dict)
    rest: bytes = b""

    @property
    def is_stuck(self) -> bool:
        return self.busy and not self.waiting and time.monotonic() - self.since > STUCK_SECONDS


class Pool:
    """`workers` processes of which `places` work at the same time. `environment` is added to theirs."""

    def __init__(self, workers: int, places: int, environment: Mapping[str, str]) -> None:
        self._count = workers
        self._environment = {**os.environ, **environment}
        self._workers: list[_Worker] = []
        self._places = Places(places, self._grant)  # type: ignore[arg-type]
        self._selector = selectors.DefaultSelector()
        self._waiting: deque[Task] = deque()

    def add(self, task: Task) -> None:
        """Grade `task`, after those that were added before."""
        self._waiting.append(task)

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome for each task, as they come; more may be added meanwhile."""
        while self._waiting or any(worker.tasks for worker in self._workers):
            self._hand_out()
            for key, _ in self._selector.select(1.0):
                yield from self._hear(key.data)
            for worker in [w for w in self._workers if w.is_stuck]:
                worker.process.kill()
                yield from self._lose(worker, "stuck")

    def _hand_out(self) -> None:
        idle = [worker for worker in self._workers if not worker.busy]
        while self._waiting and (idle or len(self._workers) < self._count):
            task = self._waiting.popleft()
            worker = idle.pop() if idle else self._start()
            worker.tasks[task.id] = task
            self._put_to_work(worker, _written(task))
        for worker in idle:
            if worker.tasks:  # and nobody else comes
                self._put_to_work(worker, {"settle": True})

    def _put_to_work(self, worker: _Worker, message: dict[str, Any]) -> None:
        worker.busy, worker.since = True, time.monotonic()
        self._tell(worker, message)

    def _start(self) -> _Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "hello_k8s.classroom.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=paths.ROOT, env=self._environment, start_new_session=True,
        )  # fmt: skip
        worker = _Worker(process)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        return worker

    def _grant(self, worker: _Worker) -> None:
        worker.waiting, worker.since = False, time.monotonic()
        self._tell(worker, {"granted": True})

    @staticmethod
    def _tell(worker: _Worker, message: dict[str, Any]) -> None:
        """A worker that has died is noticed where its answers end, not here."""
        with contextlib.suppress(BrokenPipeError):
            assert worker.process.stdin is not None
            worker.process.stdin.write(json.dumps(message).encode() + b"\n")
            worker.process.stdin.flush()

    def _hear(self, worker: _Worker) -> Iterator[Outcome]:
        assert worker.process.stdout is not None
        data = worker.process.stdout.read()
        if data is None:
            return
        *lines, worker.rest = (worker.rest + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "want" in message:
                worker.waiting = True
                self._places.want(worker)
            elif "free" in message:
                self._places.free(worker)
            elif "idle" in message:
                worker.busy = False
            elif message.get("done") in worker.tasks:
                yield Outcome(worker.tasks.pop(message["done"]), Result.from_dict(message["result"]))
        if not data:
            yield from self._lose(worker, f"exit code {worker.process.wait()}")

    def _lose(self, worker: _Worker, why: str) -> Iterator[Outcome]:
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        self._workers.remove(worker)
        self._places.free(worker)
        worker.process.wait()
        for task in worker.tasks.values():
            yield Outcome(task, None, why)

    def close(self) -> None:
        """End the workers: those at work remove what they made, as far as they can in a few seconds."""
        for worker in self._workers:
            with contextlib.suppress(BrokenPipeError, ProcessLookupError):
                assert worker.process.stdin is not None
                if worker.busy:
                    worker.process.send_signal(signal.SIGINT)
                worker.process.stdin.close()
        until = time.monotonic() + _END_SECONDS
        for worker in self._workers:
            try:
                worker.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers.clear()
        self._selector.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _written(task: Task) -> dict[str, Any]:
    return {
        "task": task.id, "lab": str(task.lab.folder), "root": str(task.lab.folder.parent.parent),
        "folder": str(task.folder), "seed": task.seed, "kind": task.kind,
    }  # fmt: skip
