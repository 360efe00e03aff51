"""However `start` ends, JupyterLab ends with it, or at the next start; and nobody else's program does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hello_k8s import book, notebooks, paths, serve

#: Answers as JupyterLab does, unless it is told to be silent; takes a moment to end.
JUPYTER = """
import http.server, os, signal, sys, time
from pathlib import Path

folder = Path(os.environ["FAKE"])
(folder / "words").write_text("\\n".join(sys.argv[1:]))
(folder / "variables").write_text("\\n".join(f"{k}={v}" for k, v in os.environ.items()))
(folder / "pids").open("a").write(f"{os.getpid()}\\n")
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), os._exit(0)))
port = next(int(word.split("=")[1]) for word in sys.argv if word.startswith("--ServerApp.port="))

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

while (folder / "silent").exists():
    time.sleep(0.05)
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
START = """
import os, sys
from pathlib import Path
from hello_k8s import cli, progress, serve
from hello_k8s.cli import app

class Said(progress.Progress):
    def note(self, text):
        print(text, flush=True)

# tests run side by side, and between finding a free port and listening on it another may take it
serve.JUPYTER_PORT = serve.BOOK_PORT = 10_000 + 40 * (os.getpid() % 1000)
sys.executable = sys.argv[1]
app.run = lambda _: serve.serve(Said(), {}, Path(sys.argv[2]), None) or 0
cli.main(["start"])
"""


class Starter:
    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "jupyter.py").write_text(JUPYTER)
        self.python = home / "python"
        # exec: the process is then the interpreter, with JupyterLab's words
        self.python.write_text(f'#!/bin/sh\nexec {sys.executable} {home}/jupyter.py "$@"\n')
        self.python.chmod(0o755)
        self.begun: list[subprocess.Popen[str]] = []

    def begin(self, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(paths.ROOT), "FAKE": str(self.home), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-c", START, str(self.python), str(self.home)]
        begun = subprocess.Popen(
            command, env=environment, cwd=self.home, stdout=stdout, stderr=subprocess.PIPE, text=True,
            # in a background job of a shell SIGINT is ignored, and children inherit that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        self.begun.append(begun)
        return begun

    def serving(self) -> subprocess.Popen[str]:
        begun = self.begin()
        assert begun.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            said = begun.stdout.readline()
            assert said, begun.stderr.read() if begun.stderr else ""
        return begun

    def pids(self) -> list[int]:
        file = self.home / "pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def starter(home: Path) -> Starter:
    return Starter(home)


def soon(there: Callable[[], object], seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while not there() and time.monotonic() < until:
        time.sleep(0.02)
    return bool(there())


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc on this system")


@proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_while_serving(starter: Starter, number: int) -> None:
    begun = starter.serving()
    (jupyter,) = starter.pids()
    begun.send_signal(number)
    time.sleep(0.2)
    begun.send_signal(number)  # in the middle of the clean-up
    said, wrong = begun.communicate(timeout=30)
    assert begun.returncode == 0 and not wrong and "have ended" in said
    assert not lives(jupyter)
    assert (starter.home / "state" / "jupyter" / "pid").read_text() == ""


@proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_while_starting(starter: Starter, number: int) -> None:
    (starter.home / "silent").touch()
    begun = starter.begin()
    assert soon(starter.pids)
    begun.send_signal(number)
    _, wrong = begun.communicate(timeout=30)
    assert begun.returncode == 0 and not wrong
    assert not lives(starter.pids()[0])


@proc
def test_a_terminal_that_is_closed_is_no_error(starter: Starter) -> None:
    ours, theirs = os.openpty()
    begun = starter.begin(stdout=theirs)
    os.close(theirs)
    assert soon(starter.pids) and b"JupyterLab" in os.read(ours, 4096)
    os.close(ours)
    begun.send_signal(signal.SIGHUP)
    _, wrong = begun.communicate(timeout=30)
    assert begun.returncode == 0 and not wrong
    assert not lives(starter.pids()[0])


@proc
def test_a_terminal_that_is_closed_before_there_is_anything_to_say(starter: Starter) -> None:
    """No SIGHUP: whether it or the failed writing comes first is chance."""
    (starter.home / "silent").touch()
    ours, theirs = os.openpty()
    begun = starter.begin(stdout=theirs)
    os.close(theirs)
    assert soon(starter.pids)
    os.close(ours)
    (starter.home / "silent").unlink()
    _, wrong = begun.communicate(timeout=30)
    assert begun.returncode == 0 and not wrong
    assert not lives(starter.pids()[0])


@proc
def test_one_that_a_killed_start_left_is_ended_at_the_next(starter: Starter) -> None:
    killed = starter.serving()
    killed.kill()
    killed.communicate()
    (left,) = starter.pids()
    assert lives(left)
    again = starter.serving()
    assert not lives(left)
    again.terminate()
    again.communicate(timeout=30)
    assert not lives(starter.pids()[-1])


@proc
def test_one_that_serves_is_left_alone(starter: Starter) -> None:
    first, second = starter.serving(), starter.serving()
    one, other = starter.pids()
    assert lives(one) and lives(other)
    for begun in (second, first):
        begun.terminate()
        begun.communicate(timeout=30)
        assert begun.returncode == 0
    assert not lives(one) and not lives(other)


@pytest.mark.parametrize("written", ["", "nonsense", "1", "0", "-1", "99999999", "other"])
def test_another_program_is_not_ended(home: Path, written: str) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        (home / "pid").write_text(str(other.pid) if written == "other" else written)
        with (home / "pid").open("a+") as memory:
            serve._end_what_was_left(memory, home / "root")
        assert other.poll() is None


@proc
def test_nothing_is_left_in_the_users_home_and_nothing_of_the_current_folder_is_run(starter: Starter) -> None:
    begun = starter.serving()
    begun.terminate()
    begun.communicate(timeout=30)
    assert (starter.home / "words").read_text().splitlines()[:3] == ["-P", "-m", "jupyterlab"]
    variables = dict(
        line.split("=", 1) for line in (starter.home / "variables").read_text().splitlines() if "=" in line
    )
    for each in (variables, notebooks.environment()):
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
            assert Path(each[name]).is_relative_to(starter.home / "state" / "jupyter")


def test_sphinx_runs_nothing_of_the_current_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(book, "run", lambda argv, **_: ran.append(argv))
    from hello_k8s.progress import SILENT

    book._build("ko", home, home / "book", "", SILENT)
    assert ran[0][1:3] == ["-P", "-m"]
