"""The built book, served on this machine, and a browser to read it with: once for the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

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


@pytest.fixture
def new_context(browser: Any, address: str, site: Path) -> Iterator[Callable[..., Any]]:
    """Makes a browser context that reads the site from the disk, at the site's address.

    Over the network, Chromium breaks off what it loads whenever the machine gets or loses a network interface,
    and every container is one.
    """
    made = []

    def answer(route: Any) -> None:
        if not route.request.url.startswith(address):
            route.abort()
            return
        file = site / unquote(urlsplit(route.request.url).path).lstrip("/")
        file = file / "index.html" if file.is_dir() else file
        if file.is_file():
            route.fulfill(path=file)
        else:
            route.fulfill(status=404, path=site / "ko" / "404.html")

    def make(**options: Any) -> Any:
        made.append(browser.new_context(**options))
        made[-1].set_default_timeout(120_000)
        made[-1].route("**/*", answer)
        return made[-1]

    yield make
    for context in made:
        context.close()


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
