"""A worker of a class ends with its grader, whatever it waits for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import catalog, paths


def tell(worker: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(message).encode() + b"\n")
    worker.stdin.flush()


def heard(worker: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert worker.stdout is not None
    return dict(json.loads(worker.stdout.readline()))


@pytest.mark.parametrize("waits_for", ["a task", "a place"])
def test_a_worker_without_a_grader_ends(tmp_path: Path, waits_for: str) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "hello_k8s.classroom.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=paths.ROOT,
        env={**os.environ, "HELLO_K8S_STATE": str(tmp_path)}, start_new_session=True,
    )  # fmt: skip
    assert worker.stdin is not None and worker.stdout is not None
    try:
        lab = catalog.lab("ch1/multi-stage")
        task = {"task": 1, "lab": str(lab.folder), "root": str(paths.LABS), "folder": str(tmp_path), "seed": 0}
        tell(worker, {**task, "kind": "submission"})
        assert heard(worker) == {"want": True}
        if waits_for == "a task":
            tell(worker, {"granted": True})
            assert heard(worker) == {"free": True}
            assert heard(worker)["done"] == 1  # nothing was handed in: no engine is needed to say so
        worker.stdin.close()
        assert worker.wait(30) is not None
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
