"""The author's commands for notebooks: `notebooks refresh|check`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from hello_k8s import workspace
from hello_k8s.cli.show import Terminal
from hello_k8s.language import t

Sections = Annotated[list[str] | None, typer.Argument(metavar="[LAB]...", show_default=False)]


def refresh(sections: Sections = None) -> int:
    """Help: cli.help.notebooks.refresh."""
    print(t("lab.notebooks_refreshing"), flush=True)
    from hello_k8s import notebooks
    from hello_k8s.workspace import readiness

    progress = Terminal("notebooks-refresh")
    for lab in notebooks.which(sections):
        for file in notebooks.refresh(lab, progress, partial(readiness.machine, lab, progress)):
            print(t("lab.notebook_written", file=workspace.shown(file)))
    return 0


def check(sections: Sections = None) -> int:
    """Help: cli.help.notebooks.check."""
    print(t("lab.notebooks_checking"), flush=True)
    from hello_k8s import notebooks
    from hello_k8s.workspace import readiness

    progress = Terminal("notebooks-check")
    problems = 0
    for lab in notebooks.which(sections):
        found = notebooks.check(lab, progress, partial(readiness.machine, lab, progress))
        problems += len(found)
        for problem in found:
            print(f"✗ {lab.id}: {problem}")
        if not found:
            print(f"✓ {lab.id}")
    return 1 if problems else 0


COMMANDS = {"refresh": refresh, "check": check}
