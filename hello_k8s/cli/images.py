"""The commands for images: `images list|bundle|load`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hello_k8s import workspace
from hello_k8s.cli.show import Terminal, console, duration, table
from hello_k8s.language import pick, t

Names = Annotated[list[str] | None, typer.Argument(metavar="[IMAGE]...", show_default=False)]


def list_() -> int:
    """Help: cli.help.images.list."""
    print(t("cli.looking"), flush=True)
    from hello_k8s import catalog
    from hello_k8s.machine import images
    from hello_k8s.machine.engine import user_engine

    page = table(*(t(f"cli.images.{name}") for name in ("image", "title", "way", "usual", "reason")))
    for plan in images.plan(catalog.images(), user_engine()):
        usual = duration(plan.image.usual_seconds) if plan.way == "build" else ""
        page.add_row(plan.image.id, pick(plan.image.title), t(f"cli.images.{plan.way}"), usual, plan.reason)
    console().print(page)
    return 0


def bundle(file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)], names: Names = None) -> int:
    """Help: cli.help.images.bundle."""
    print(t("cli.bundling"), flush=True)
    from hello_k8s import catalog
    from hello_k8s.machine import images
    from hello_k8s.machine.engine import user_engine

    chosen = [catalog.image(name).id for name in names] if names else list(catalog.images())
    images.bundle(file, chosen, user_engine(), Terminal("images-bundle"))
    print(t("cli.bundled", file=workspace.shown(file), size=round(file.stat().st_size / 1e6)))
    return 0


def load(file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]) -> int:
    """Help: cli.help.images.load."""
    print(t("cli.loading"), flush=True)
    from hello_k8s.machine import images
    from hello_k8s.machine.engine import user_engine

    names = images.load_bundle(file, user_engine(), Terminal("images-load"))
    print(t("cli.loaded", names=", ".join(names)))
    return 0


COMMANDS = {"list": list_, "bundle": bundle, "load": load}
