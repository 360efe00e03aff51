"""JupyterLab and the book, each at an address of its own on 127.0.0.1, until Ctrl-C."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import secrets
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

from hello_k8s import language, paths
from hello_k8s.errors import CommandFailed, MachineError
from hello_k8s.language import t
from hello_k8s.progress import Progress

HOST = "127.0.0.1"
JUPYTER_PORT = 8888
BOOK_PORT = 8880
#: Seconds JupyterLab may take to answer at first; 3 to 5 are usual.
JUPYTER_PATIENCE = 60


@dataclass(frozen=True)
class Served:
    """What is being served: two addresses, the first with its token."""

    jupyter: str
    book: str


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
def jupyter_server(environment: Mapping[str, str], port: int | None = None) -> Iterator[str]:
    """Run JupyterLab while the block runs; yields its address with the token.

    Its settings, runtime files and history stay in this checkout's state folder: the user's own Jupyter isn't
    touched. Raises CommandFailed with what it printed when it ends before it answers.
    """
    chosen = free_port(port or JUPYTER_PORT, strict=port is not None)
    token = secrets.token_urlsafe(24)
    home = paths.state() / "jupyter"
    log = paths.logs() / "jupyterlab.log"
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.ip={HOST}", f"--ServerApp.port={chosen}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={_root(home)}", "--allow-root",
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
        _wait_until_it_answers(process, chosen, token, command, log)
        yield f"http://{HOST}:{chosen}/lab?token={token}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _root(home: Path) -> Path:
    """A folder that holds notebooks/ (in the reader's language) and workspace/, and nothing else to get lost in."""
    root = home / "root"
    root.mkdir(parents=True, exist_ok=True)
    paths.workspace().mkdir(parents=True, exist_ok=True)
    for name, target in (
        ("notebooks", paths.NOTEBOOKS / language.current()),
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
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "HELLO_K8S_LANG": language.current(),
    }


def _settle(home: Path, name: str, values: Mapping[str, object]) -> None:
    """Give one of JupyterLab's plugins its first settings; what the learner set since stays."""
    file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], port: int, token: str, command: list[str], log: Path
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
            time.sleep(0.1)
    raise CommandFailed(command, log.read_text(errors="replace"), None)


def serve(progress: Progress, environment: Mapping[str, str], book: Path, port: int | None) -> None:
    """Serve both until Ctrl-C or SIGTERM, telling the addresses through `progress`."""
    with contextlib.ExitStack() as running:
        with progress.step(t("start.step_jupyter"), 5):
            lab = running.enter_context(jupyter_server(environment, port))
            book_address = running.enter_context(book_server(book))
        progress.note(t("start.serving_jupyter", address=lab))
        progress.note(t("start.serving_book", address=book_address))
        progress.note(t("start.serving_stop"))
        stop = threading.Event()
        before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
        try:
            stop.wait()
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGTERM, before)
        progress.note(t("start.stopped"))
