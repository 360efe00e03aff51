"""What every test may use: a home of its own, and the one honest way not to run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from hello_k8s import selftest

# The time that an example takes says nothing on a busy machine; the rest as Hypothesis itself has it, here or in CI.
settings.register_profile("ours", parent=settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("ours")

# As under `./hello-k8s test`: a test that passes by hand passes there, and none ever meets a learner's cluster.
for _name in ("HELLO_K8S_CLUSTER", "HELLO_K8S_ENGINE"):
    os.environ.setdefault(_name, selftest.environment()[_name])

# A background job of a script ignores it, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def cannot_run(reason: str) -> NoReturn:
    """Say why a test can't run here: a skip on somebody's machine, a failure in CI, where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"cannot run in CI: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(name="cannot_run")
def _cannot_run() -> Callable[[str], NoReturn]:
    return cannot_run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """State, workspace and cache below `tmp_path`, English, a current folder that is no workspace."""
    for name in ("state", "workspace", "cache"):
        monkeypatch.setenv(f"HELLO_K8S_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    monkeypatch.delenv("HELLO_K8S_DEBUG", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    from hello_k8s import language

    language.use(None)
    yield tmp_path
    language.use(None)
