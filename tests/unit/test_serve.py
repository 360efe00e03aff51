"""JupyterLab's and the book's addresses: on 127.0.0.1, asked directly, a port in use named."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hello_k8s import serve
from hello_k8s.errors import CommandFailed, MachineError
from hello_k8s.machine import registry


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("docker-distribution-api-version", "registry/2.0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port on which somebody answers, on a machine whose proxy answers nothing."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_proxy_is_not_asked_about_this_machine(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "JUPYTER_PATIENCE", 5)
    waiting = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as process, serve.Stop() as stop:
        serve._wait_until_it_answers(process, port, "token", ["jupyter"], tmp_path / "log", stop)
    registry._answers.cache_clear()
    assert registry._answers(f"127.0.0.1:{port}")


def test_a_jupyter_that_ends_says_what_it_printed(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no such option")
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait()
        with serve.Stop() as stop, pytest.raises(CommandFailed, match="no such option"):
            serve._wait_until_it_answers(process, 1, "token", ["jupyter"], tmp_path / "log", stop)


def test_a_port_in_use(port: int) -> None:
    with pytest.raises(MachineError, match=str(port)) as raised:
        serve.free_port(port, strict=True)
    assert "--port" in raised.value.next and raised.value.why
    assert serve.free_port(port, strict=False) != port


def test_the_book_is_served_on_this_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Beside another book server: that one would answer at the usual port.
    monkeypatch.setattr(serve, "BOOK_PORT", 10_000 + 40 * (os.getpid() % 1000))
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "404.html").write_text("our own page")
    with serve.book_server(tmp_path) as address:
        assert address.startswith("http://127.0.0.1:")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with pytest.raises(urllib.error.HTTPError) as missing:
            direct.open(address + "en/none.html", timeout=5)
        assert missing.value.code == 404 and missing.value.read() == b"our own page"
    with socket.socket() as again, pytest.raises(OSError):
        again.connect(("127.0.0.1", int(address.rstrip("/").rsplit(":", 1)[1])))
