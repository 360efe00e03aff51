"""JupyterLab and the book, each at an address of its own on 127.0.0.1, until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import http.server
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hello_k8s import language, notebooks, paths
from hello_k8s.errors import CommandFailed, HelloError, MachineError
from hello_k8s.language import t
from hello_k8s.process import run
from hello_k8s.progress import Progress
from hello_k8s.workspace import readers

HOST = "127.0.0.1"
JUPYTER_PORT = 8888
BOOK_PORT = 8880
#: Seconds JupyterLab may take to answer at first; 3 to 5 are usual.
JUPYTER_PATIENCE = 60
#: Seconds it may take to end; its kernels end with it.
JUPYTER_FAREWELL = 10


@dataclass(frozen=True)
class Served:
    """What is being served: two addresses, the first with its token."""

    jupyter: str
    book: str


class Stop:
    """Whether an end was asked for: Ctrl-C, SIGTERM, a terminal that was closed. While the block runs, each is only
    noted, so that nothing is cut off between beginning a server and taking care that it ends.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Stop:
        self._read, self._write = os.pipe()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup: that stays
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def _hear(self, *_: object) -> None:
        if not self.asked:
            self.asked = True
            os.write(self._write, b"x")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is asked for, `seconds` at most; returns whether it was."""
        return bool(select.select([self._read], [], [], seconds)[0])


class _Stopped(Exception):
    """An end was asked for before everything was there."""


class _BookHandler(http.server.SimpleHTTPRequestHandler):
    """The static book, with its own page for what isn't there."""

    def log_message(self, format: str, *args: object) -> None:
        """A reader's requests aren't worth a line on the terminal."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = self._not_found_page() if code == 404 else None
        if page is None:
            super().send_error(code, message, explain)
            return
        body = page.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _not_found_page(self) -> Path | None:
        asked = self.path.lstrip("/").split("/")[0]
        tongue = asked if asked in language.LANGUAGES else language.current()
        page = Path(self.directory) / tongue / "404.html"
        return page if page.is_file() else None


def free_port(wanted: int, *, strict: bool) -> int:
    """`wanted` if nobody listens there; else, unless `strict`, the next free one of the twenty after it.

    Raises MachineError, naming the port and what to do, where there is none.
    """
    for port in range(wanted, wanted + (1 if strict else 20)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise MachineError(
        t("start.port_taken", port=wanted), why=t("start.port_taken_why"), next=t("start.port_taken_next")
    )


@contextlib.contextmanager
def book_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Serve the built book in `folder` while the block runs; yields its address.

    A `port` asked for must be free; without one the first free port from 8880 on is taken.
    """
    chosen = free_port(port or BOOK_PORT, strict=port is not None)
    handler = functools.partial(_BookHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer((HOST, chosen), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{chosen}/"
        finally:
            server.shutdown()


@contextlib.contextmanager
def jupyter_server(environment: Mapping[str, str], stop: Stop, port: int | None = None) -> Iterator[str]:
    """Run JupyterLab while the block runs; yields its address with the token. One that a killed `start` left is ended.

    Its settings, runtime files and history stay in this checkout's state folder: the user's own Jupyter isn't
    touched. Raises CommandFailed with what it printed when it ends before it answers.
    """
    home = paths.state() / "jupyter"
    root, log = _root(home), paths.logs() / "jupyterlab.log"
    with (home / "pid").open("a+") as memory:
        ours = _ours_alone(memory)
        if ours:
            _end_what_was_left(memory, root)
        chosen = free_port(port or JUPYTER_PORT, strict=port is not None)
        token = secrets.token_urlsafe(24)
        command = [
            sys.executable, "-P", "-m", "jupyterlab", "--no-browser", f"--ServerApp.ip={HOST}",
            f"--ServerApp.port={chosen}", "--ServerApp.port_retries=0", _root_option(root), "--allow-root",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]  # fmt: skip
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment, **_jupyter_environment(home), "JUPYTER_TOKEN": token},
                start_new_session=True,
            )
        try:
            if ours:
                _remember(memory, str(process.pid))
            _wait_until_it_answers(process, chosen, token, command, log, stop)
            yield f"http://{HOST}:{chosen}/lab?token={token}"
        finally:
            _end(process)
            if ours:
                _remember(memory, "")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(JUPYTER_FAREWELL)
            return
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ours_alone(memory: IO[str]) -> bool:
    """Whether no other `start` of this checkout serves: each holds the file of the first as long as it lives."""
    try:
        fcntl.flock(memory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remember(memory: IO[str], pid: str) -> None:
    memory.seek(0)
    memory.truncate()
    memory.write(pid)
    memory.flush()


def _end_what_was_left(memory: IO[str], root: Path) -> None:
    memory.seek(0)
    said = memory.read().strip()
    pid = int(said) if said.isdecimal() else 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + JUPYTER_FAREWELL
        if _is_jupyter(pid, root):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
        while _is_jupyter(pid, root) and time.monotonic() < until:
            time.sleep(0.1)  # it is nobody's child any more: there is nothing to wait on


def _is_jupyter(pid: int, root: Path) -> bool:
    """Whether the process `pid` is the JupyterLab of this checkout: numbers are given again to other programs."""
    if pid <= 1:
        return False
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return _root_option(root).encode() in words
    try:
        return _root_option(root) in run(["ps", "-ww", "-o", "command=", "-p", str(pid)], check=False).stdout
    except HelloError:
        return False


def _root_option(root: Path) -> str:
    return f"--ServerApp.root_dir={root}"


def _root(home: Path) -> Path:
    """A folder that holds notebooks/ (in the reader's language) and workspace/, and nothing else to get lost in."""
    root = home / "root"
    root.mkdir(parents=True, exist_ok=True)
    paths.workspace().mkdir(parents=True, exist_ok=True)
    for name, target in (
        ("notebooks", readers.lay(language.current()).resolve()),
        ("workspace", paths.workspace().resolve()),
    ):
        link = root / name
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    return root


def _jupyter_environment(home: Path) -> dict[str, str]:
    _settle(home, "apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False})
    if language.current() == "ko":
        _settle(home, "translation-extension/plugin", {"locale": "ko_KR"})
    return {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        **notebooks.own_folders(),
        "HELLO_K8S_LANG": language.current(),
    }


def _settle(home: Path, name: str, values: Mapping[str, object]) -> None:
    """Give one of JupyterLab's plugins its first settings; what the learner set since stays."""
    file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], port: int, token: str, command: list[str], log: Path, stop: Stop
) -> None:
    until = time.monotonic() + JUPYTER_PATIENCE
    # A proxy of the user's doesn't lead to this machine itself.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://{HOST}:{port}/api/status", headers={"Authorization": f"token {token}"})
    while time.monotonic() < until:
        if process.poll() is not None:
            raise CommandFailed(command, log.read_text(errors="replace"), process.returncode)
        try:
            with direct.open(request, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            # Jupyter offers nothing to wait on: it is there when it answers.
            if stop.wait(0.1):
                raise _Stopped from None
    raise CommandFailed(command, log.read_text(errors="replace"), None)


@contextlib.contextmanager
def _closed_terminal() -> Iterator[None]:
    """A terminal that was closed can be written to no more, and that shows before SIGHUP comes."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise


def serve(progress: Progress, environment: Mapping[str, str], book: Path, port: int | None) -> None:
    """Serve both until Ctrl-C, SIGTERM or the end of the terminal, telling the addresses through `progress`."""
    with Stop() as stop:
        with contextlib.suppress(_Stopped), _closed_terminal(), contextlib.ExitStack() as running:
            with progress.step(t("start.step_jupyter"), 5):
                lab = running.enter_context(jupyter_server(environment, stop, port))
                book_address = running.enter_context(book_server(book))
            progress.note(t("start.serving_jupyter", address=lab))
            progress.note(t("start.serving_book", address=book_address))
            progress.note(t("start.serving_stop"))
            stop.wait()
        with contextlib.suppress(OSError):  # the terminal is closed, and nobody reads it
            progress.note(t("start.stopped", folder=paths.workspace()))
