"""One of the processes in which a class is graded: a submission after the other, told and answered in JSON lines.

    {"task": 7, "lab": …, "root": …, "folder": …, "seed": 0}  →  {"done": 7, "result": {…}}, {"idle": true}
    {"settle": true}  →  {"done": …} for every task whose result is kept back until then, {"idle": true}
    {"want": true}  →  {"granted": true}       {"free": true}

It ends when its input does: no grader, nobody who wants the result.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from hello_k8s import catalog
from hello_k8s.classroom.doubts import Grader
from hello_k8s.classroom.places import WorkersPlace
from hello_k8s.classroom.pool import Task
from hello_k8s.errors import HelloError
from hello_k8s.grading import waiting


class Worker:
    """The worker of this process. `answers` is where the grader reads."""

    def __init__(self, questions: TextIO, answers: TextIO) -> None:
        self._answers = answers
        self._tasks: queue.Queue[dict[str, Any]] = queue.Queue()
        self._granted = threading.Semaphore(0)
        self._sending = threading.Lock()
        self._grader = Grader()
        self._place = WorkersPlace(self._want, lambda: self._send({"free": True}))
        waiting.PLACE = self._place
        threading.Thread(target=self._listen, args=(questions,), daemon=True).start()

    def run(self) -> None:
        """Grade what comes until the grader is gone."""
        while True:
            message = self._tasks.get()
            self._place.take()
            try:
                answers = self._grader.settle() if "settle" in message else self._grader.grade(_task(message))
            finally:
                self._place.leave()
            for task, result in answers:
                self._send({"done": task.id, "result": result.to_dict()})
            self._send({"idle": True})

    def close(self) -> None:
        """Remove the namespaces that are kept for the next submission: none comes."""
        with contextlib.suppress(HelloError, OSError):
            self._grader.close()

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


def _task(message: dict[str, Any]) -> Task:
    lab = catalog.read_lab(Path(message["lab"]), Path(message["root"]))
    return Task(message["task"], lab, Path(message["folder"]), message["seed"], message["kind"])


def main() -> None:
    """Work on standard input and output; whatever else prints there goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = Worker(sys.stdin, answers)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        worker.run()
    worker.close()
    # Nothing waits for a thread that may still be watching.
    os._exit(0)


if __name__ == "__main__":
    main()
