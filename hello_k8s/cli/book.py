"""The book's commands: `book build|serve`."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from hello_k8s import workspace
from hello_k8s.cli.show import Terminal
from hello_k8s.language import LANGUAGES, t


def build() -> int:
    """Help: cli.help.book.build."""
    print(t("cli.book_building"), flush=True)
    from hello_k8s import book

    folder = book.build(Terminal("book-build"), languages=LANGUAGES)
    print(t("cli.book_built", folder=workspace.shown(folder)))
    return 0


def serve(
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, metavar="P", show_default=False)] = None,
) -> int:
    """Help: cli.help.book.serve."""
    print(t("cli.looking"), flush=True)
    from hello_k8s import book, serve

    folder = book.build(Terminal("book-serve"), languages=LANGUAGES) if book.stale() else book.output()
    with serve.book_server(folder, port) as address:
        print(t("cli.book_serving", address=address), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


COMMANDS = {"build": build, "serve": serve}
