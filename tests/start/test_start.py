"""`./hello-k8s start` as a newcomer types it, on the test run's own cluster."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hello_k8s import catalog, paths

LAUNCHER = str(paths.ROOT / "hello-k8s")
#: Seconds for a start on which nothing but the cluster, the book and the self-check is missing.
PATIENCE = 300
#: No proxy knows this machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def start(
    *options: str, timeout: float = PATIENCE, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LAUNCHER, "--lang", "en", "start", *options],
        capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def started() -> subprocess.CompletedProcess[str]:
    # What passed on this very cluster before wouldn't be graded now.
    (paths.state() / "self-check").unlink(missing_ok=True)
    done = start("--no-serve")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def test_the_self_check_graded_every_lab(started: subprocess.CompletedProcess[str]) -> None:
    said = started.stdout + started.stderr
    assert "nothing changed" not in said
    for lab in catalog.labs():
        assert f"Self-check: {lab.id}: {lab.points} of {lab.points} points." in said


def test_again_there_is_nothing_left_to_do() -> None:
    began = time.monotonic()
    done = start("--no-serve")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "The book is ready" in said and "nothing changed since the last one" in said
    assert time.monotonic() - began < 60


def test_killed_in_the_middle_it_can_be_run_again() -> None:
    for after in (0.7, 1.5, 2.5):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        process = subprocess.Popen([LAUNCHER, "start", "--no-serve"], **quiet)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    done = start("--no-serve")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_port_in_use_is_named_and_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start("--port", str(port))
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert str(port) in said and "--port" in said


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """A `start` that serves, with the two addresses that it printed; ended by Ctrl-C if the test didn't."""
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        process = subprocess.Popen([LAUNCHER, "--lang", "en", "start"], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, start_new_session=True)  # fmt: skip
        try:
            until = time.monotonic() + PATIENCE
            addresses: dict[str, str] = {}
            while len(addresses) < 2 and process.poll() is None and time.monotonic() < until:
                found = re.findall(r"http://127\.0\.0\.1:\d+/\S*", printed.read_text(errors="replace"))
                addresses = {"jupyter" if "token=" in address else "book": address for address in found}
                time.sleep(0.2)
            assert len(addresses) == 2, printed.read_text(errors="replace")
            yield process, addresses
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(30)


def test_it_serves_both_until_ctrl_c(serving: tuple[subprocess.Popen[bytes], dict[str, str]]) -> None:
    process, addresses = serving
    lab, _, token = addresses["jupyter"].partition("?token=")
    api = lab.removesuffix("lab") + "api/contents?token=" + token
    with DIRECT.open(api, timeout=10) as answer:
        assert b'"notebooks"' in (body := answer.read()) and b'"workspace"' in body
    with pytest.raises(urllib.error.HTTPError) as refused:
        DIRECT.open(lab.removesuffix("lab") + "api/contents", timeout=10)
    assert refused.value.code == 403
    with DIRECT.open(addresses["book"] + "en/", timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError) as missing:
        DIRECT.open(addresses["book"] + "en/no-such-page.html", timeout=10)
    assert missing.value.code == 404
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    with pytest.raises(urllib.error.URLError):
        DIRECT.open(addresses["book"], timeout=2)
