"""The built book, served on this machine, and a browser to read it with: once for the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import book, serve
from hello_k8s.progress import SILENT
from hello_k8s.selftest import CHROMIUM
from tests.conftest import cannot_run

#: No first-run pages, no talk with the browser's maker: what it asks the network for is the book's doing.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def site() -> Path:
    """The book as `start` builds it. A warning would have been an error."""
    return book.build(SILENT)


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where the site is read; ends with a slash."""
    with serve.book_server(site) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a window."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        cannot_run("no Chromium on this machine: `./hello-k8s test` installs it on Debian")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()
