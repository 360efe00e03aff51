"""One of the processes in which a class is graded: a submission after the other, told and answered in JSON lines.

    {"task": 7, "lab": …, "root": …, "folder": …, "seed": 0}  →  {"done": 7, "result": {…}}
    {"want": true}  →  {"granted": true}       {"free": true}

It ends when its input does: no grader, nobody who wants the result.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from hello_k8s import catalog
from hello_k8s.classroom.places import WorkersPlace
from hello_k8s.grading import waiting
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.run import grade
from hello_k8s.grading.slots import Slot


class Worker:
    """The worker of this process. `answers` is where the grader reads."""

    def __init__(self, questions: TextIO, answers: TextIO) -> None:
        self._answers = answers
        self._tasks: queue.Queue[dict[str, Any]] = queue.Queue()
        self._granted = threading.Semaphore(0)
        self._sending = threading.Lock()
        self._ground: Ground | None = None
        self._place = WorkersPlace(self._want, lambda: self._send({"free": True}))
        waiting.PLACE = self._place
        threading.Thread(target=self._listen, args=(questions,), daemon=True).start()

    def run(self) -> None:
        """Grade what comes until the grader is gone."""
        while True:
            task = self._tasks.get()
            self._place.take()
            try:
                answer = self._grade(task)
            finally:
                self._place.leave()
            self._send({"done": task["task"], "result": answer})

    def _grade(self, task: dict[str, Any]) -> dict[str, Any]:
        self._ground = self._ground or Ground(slots=True)
        lab = catalog.read_lab(Path(task["lab"]), Path(task["root"]))
        submitted = functools.partial(
            grade, lab, Path(task["folder"]), mode="replay", kind=task["kind"], seed=task["seed"], ground=self._ground
        )
        slot = self._ground.slot(lab)
        result = submitted()
        if slot and result.graded and not result.passed and not self._is_sound(slot):
            result = submitted()
        if not result.graded:
            self._ground.close()
            self._ground = None
        return result.to_dict()

    def _is_sound(self, slot: Slot) -> bool:
        """Whether a namespace that others used before is believed when it fails somebody: the solution passes there."""
        assert self._ground is not None
        if self._ground.slot(slot.lab) is not slot:
            return False
        if grade(slot.lab, slot.lab.solution, mode="replay", kind="solution", ground=self._ground).passed:
            return True
        self._ground.discard(slot)
        return False

    def _want(self) -> None:
        self._send({"want": True})
        self._granted.acquire()

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            self._answers.write(json.dumps(message) + "\n")
            self._answers.flush()

    def _listen(self, questions: TextIO) -> None:
        for line in questions:
            message = json.loads(line)
            if "granted" in message:
                self._granted.release()
            else:
                self._tasks.put(message)
        self._granted.release()
        # A signal to that very thread: nothing less wakes it where it waits for the next task or an answer.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def main() -> None:
    """Work on standard input and output; whatever else prints there goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        Worker(sys.stdin, answers).run()
    # Nothing waits for a thread that may still be watching.
    os._exit(0)


if __name__ == "__main__":
    main()
