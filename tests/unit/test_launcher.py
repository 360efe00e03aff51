"""The launcher: what lies in the current folder is never run, and the environment is whole or made again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hello_k8s import paths

#: Makes an "environment" whose python is this one, and notes each time that it does.
UV = """#!/bin/sh
[ "$1" = venv ] || exit 0
echo made >>"{folder}/made"
sleep 0.3
for last; do :; done
mkdir -p "$last/bin"
ln -sf "{folder}/interpreter" "$last/bin/python"
"""


class Place:
    """A launcher in a checkout of its own, an environment that `uv` makes, and a folder to run it in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.venv, self.here = folder, folder / "venv", folder / "submissions"
        for made in (folder / "bin", self.here, folder / "checkout"):
            made.mkdir()
        self.launcher = folder / "checkout" / "hello-k8s"
        shutil.copy(paths.ROOT / "hello-k8s", self.launcher)
        (folder / "checkout" / "requirements.txt").write_text("some==1\n")
        (folder / "checkout" / "hello_k8s").symlink_to(paths.ROOT / "hello_k8s")
        self.interpreter(f'exec {sys.executable} "$@"')
        program(folder / "bin" / "uv", UV.format(folder=folder))

    def interpreter(self, command: str) -> None:
        program(self.folder / "interpreter", f"#!/bin/sh\n{command}\n")

    def begin(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "HELLO_K8S_VENV": str(self.venv),
            "HELLO_K8S_PYTHON": sys.executable,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "LAUNCHER_FOLDER": str(self.folder),
        }
        environment.pop("PYTHONPATH", None)
        environment.pop("PYTHONSAFEPATH", None)
        return subprocess.Popen(
            [str(self.launcher), *argv],
            cwd=self.here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *argv: str) -> str:
        running = self.begin(argv)
        out, err = running.communicate(timeout=60)
        assert running.returncode == 0, err
        return out

    @property
    def made(self) -> int:
        return (self.folder / "made").read_text().count("made")


def program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


@pytest.fixture
def place(home: Path) -> Place:
    return Place(home)


def test_what_lies_in_the_current_folder_is_not_run(place: Place) -> None:
    for name in ("typer", "yaml", "tomllib", "rich", "hello_k8s"):
        (place.here / f"{name}.py").write_text("raise SystemExit('a submission was run')\n")
    assert place.run("--version").startswith("hello-k8s ")
    assert "./hello-k8s lab start" in place.run("lab", "start", "--help")


def test_it_is_made_once(place: Place) -> None:
    place.run("--version")
    place.run("--version")
    assert place.made == 1


def test_other_pins_make_it_again(place: Place) -> None:
    place.run("--version")
    (place.folder / "checkout" / "requirements.txt").write_text("some==2\n")
    place.run("--version")
    assert place.made == 2


@pytest.mark.parametrize("how", ["another", "dangling", "missing"])
def test_another_interpreter_makes_it_again(place: Place, how: str) -> None:
    place.run("--version")
    link = place.venv / "bin" / "python"
    link.unlink()
    if how == "another":
        program(place.folder / "another", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        link.symlink_to(place.folder / "another")
    elif how == "dangling":
        link.symlink_to(place.folder / "gone")
    assert place.run("--version").startswith("hello-k8s ")
    assert place.made == 2


@pytest.mark.skipif(shutil.which("flock") is None, reason="no flock(1) on this system")
def test_two_terminals_make_it_once(place: Place) -> None:
    both = [place.begin(["--version"]) for _ in range(2)]
    for running in both:
        out, err = running.communicate(timeout=60)
        assert running.returncode == 0 and out.startswith("hello-k8s "), err
    assert place.made == 1


@pytest.mark.skipif(shutil.which("flock") is None, reason="no flock(1) on this system")
def test_what_it_runs_does_not_hold_the_lock(place: Place) -> None:
    place.interpreter('flock --nonblock "$LAUNCHER_FOLDER/checkout/requirements.txt" echo free')
    assert place.run("start") == "free\n"
