"""One nested engine for everything hostile, and an honest grading beside it in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hello_k8s import paths
from hello_k8s.catalog import Lab, lab
from hello_k8s.grading import Result, attempt, building, grade
from hello_k8s.language import LANGUAGES
from hello_k8s.machine.engine import user_engine
from hello_k8s.machine.nested import Nested

NAME = "hello-k8s-test-hostile"
HONEST = """
from hello_k8s.catalog import lab
from hello_k8s.grading import grade
found = lab("ch1/multi-stage")
print(grade(found, found.solution, kind="submission", confirm=False).to_json())
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a hostile submission, how long it took, and of the honest one beside it."""

    result: Result
    seconds: float
    honest: dict[str, str]

    def verdict(self, check: str) -> str:
        return next(each.verdict for each in self.result.checks if each.id == check)

    def message(self, check: str) -> str:
        found = next(each for each in self.result.checks if each.id == check)
        assert all(found.message[language] for language in LANGUAGES), found
        return found.message["en"]


@pytest.fixture(scope="session")
def _hostile_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nested, Path]]:
    if not user_engine().answers():
        from tests.conftest import cannot_run

        cannot_run("no Docker engine answers")
    with pytest.MonkeyPatch.context() as patch:
        state = tmp_path_factory.mktemp("state")
        patch.setenv("HELLO_K8S_STATE", str(state))
        made = Nested(NAME)
        made.down()
        made.up(multi_stage().images)
        patch.undo()
        yield made, state
        patch.setenv("HELLO_K8S_STATE", str(state))
        made.down()


@pytest.fixture
def nested(_hostile_engine: tuple[Nested, Path], monkeypatch: pytest.MonkeyPatch) -> Nested:
    made, state = _hostile_engine
    monkeypatch.setenv("HELLO_K8S_STATE", str(state))
    monkeypatch.setenv("HELLO_K8S_ENGINE", NAME)
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    # what has to fail for another reason has time for it; the tests of these limits set their own
    monkeypatch.setattr(attempt, "BUILD_SECONDS", 180.0)
    monkeypatch.setattr(building, "IDLE_SECONDS", 30.0)
    return made


def multi_stage() -> Lab:
    return lab("ch1/multi-stage")


@pytest.fixture
def hostile(nested: Nested, tmp_path: Path) -> Callable[..., Outcome]:
    """`hostile(dockerfile, beside=False)`: grade it, with `beside` while the solution is graded in another process."""

    def graded(dockerfile: str, *, beside: bool = False) -> Outcome:
        (tmp_path / "Dockerfile").write_text(dockerfile)
        environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
        other = (
            subprocess.Popen([sys.executable, "-c", HONEST], stdout=subprocess.PIPE, env=environment)
            if beside
            else None
        )
        begun = time.monotonic()
        result = grade(multi_stage(), tmp_path, kind="submission")
        seconds = time.monotonic() - begun
        honest: dict[str, str] = {}
        if other is not None:
            said, _ = other.communicate(timeout=120)
            honest = {check["id"]: check["verdict"] for check in json.loads(said)["checks"]}
            assert set(honest.values()) == {"passed"}, said.decode()
        assert result.graded, result.to_json()
        assert nested.engine.run("ps", "--all", "--quiet").stdout == ""
        return Outcome(result, seconds, honest)

    return graded
