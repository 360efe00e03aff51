"""The machine's commands: start, status, pause, stop, delete, doctor, shell, uninstall; and test."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Annotated

import typer

from hello_k8s.cli.show import Terminal, console, table
from hello_k8s.errors import HelloError, UsageError
from hello_k8s.language import t


def start(
    no_serve: Annotated[bool, typer.Option("--no-serve")] = False,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=9, metavar="N")] = 3,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, metavar="P", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y")] = False,
) -> int:
    """Help: cli.help.start."""
    print(t("cli.starting"), flush=True)
    from hello_k8s import start as starting
    from hello_k8s.cli import log

    log.open_for("start")
    print(t("cli.log_is", log=log.shown()), flush=True)
    progress = Terminal("start")
    ask = (lambda _: True) if yes else progress.ask if sys.stdin.isatty() else None
    starting.start(progress, serve=not no_serve, nodes=nodes, port=port, ask=ask)
    return 0


def test(
    quick: Annotated[bool, typer.Option("--quick")] = False,
    full: Annotated[bool, typer.Option("--full")] = False,
) -> int:
    """Help: cli.help.test."""
    if quick and full:
        raise UsageError(t("cli.quick_and_full"), next=t("cli.see_help", command="./hello-k8s test"))
    from hello_k8s import selftest

    progress = Terminal("test")
    ask = progress.ask if sys.stdin.isatty() else None
    return selftest.run(progress, quick=quick, full=full, ask=ask)


def pause() -> int:
    """Help: cli.help.pause."""
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.nested import learner_engine

    cluster, engine = Cluster(), learner_engine()
    states = {cluster.status(), engine.status()}
    cluster.pause()
    engine.pause()
    if states & {"running", "paused"}:
        print(t("cli.paused"))
    else:
        print(t("cli.nothing_there") if states == {"absent"} else t("cli.nothing_runs"))
    return 0


def _anything_there() -> bool:
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.nested import class_engine, learner_engine

    return Cluster().status() != "absent" or learner_engine().exists() or class_engine().exists()


def stop() -> int:
    """Help: cli.help.stop."""
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.nested import class_engine, learner_engine

    if not _anything_there():
        print(t("cli.nothing_there"))
        return 0
    progress = Terminal("stop")
    with progress.step(t("cli.stopping"), 10):
        Cluster().stop()
        learner_engine().stop()
        class_engine().down()  # left by a killed `grade`, which makes another
    print(t("cli.stopped"))
    return 0


def delete(yes: Annotated[bool, typer.Option("--yes", "-y")] = False) -> int:
    """Help: cli.help.delete."""
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.nested import class_engine, learner_engine

    there = _anything_there()
    progress = Terminal("delete")
    if there and not yes and (code := _refused("delete", progress)) is not None:
        return code
    with progress.step(t("cli.deleting"), 10):
        Cluster().delete()
        learner_engine().down()
        class_engine().down()
    print(t("cli.deleted") if there else t("cli.nothing_there"))
    return 0


def _refused(command: str, progress: Terminal) -> int | None:
    """The exit code where nobody agrees to `command`; None where somebody does."""
    if not sys.stdin.isatty():
        print(t(f"cli.{command}_needs_yes"))
        return 2
    if progress.ask(t(f"cli.ask_{command}")):
        return None
    print(t("cli.nothing_done"))
    return 0


def status() -> int:
    """Help: cli.help.status."""
    from hello_k8s.cli.statuspage import rows

    print(t("cli.looking"), flush=True)
    page = table(t("cli.status.what"), t("cli.status.how"), t("cli.status.next"))
    for row in rows():
        page.add_row(*row)
    console().print(page)
    return 0


def doctor(
    class_: Annotated[int | None, typer.Option("--class", min=1, max=100_000, metavar="N", show_default=False)] = None,
    labs: Annotated[list[str] | None, typer.Option("--lab", metavar="LAB", show_default=False)] = None,
) -> int:
    """Help: cli.help.doctor."""
    if labs and class_ is None:
        raise UsageError(t("cli.lab_needs_class"), next=t("cli.see_help", command="./hello-k8s doctor"))
    print(t("cli.looking"), flush=True)
    from hello_k8s.machine import doctor as examination

    findings = examination.examine()
    _show_findings([(finding.level, finding.what, finding.found, finding.next) for finding in findings])
    wrong = sum(finding.level == "problem" for finding in findings)
    print(t("cli.doctor.ill", count=wrong) if wrong else t("cli.doctor.well"))
    if class_ is None or wrong:
        return 1 if wrong else 0
    return _class_of(class_, labs or [])


def _class_of(count: int, names: list[str]) -> int:
    from hello_k8s import catalog
    from hello_k8s.classroom import forecast

    lines = forecast.forecast(count, catalog.labs_of(names), Terminal("doctor"))
    _show_findings([(line.level, line.what, line.found, line.next) for line in lines])
    wrong = sum(line.level == "problem" for line in lines)
    print(t("forecast.doesnt_fit", count=count, problems=wrong) if wrong else t("forecast.fits", count=count))
    return 1 if wrong else 0


def _show_findings(rows: list[tuple[str, str, str, str]]) -> None:
    from rich.text import Text

    page = table("", t("cli.doctor.what"), t("cli.doctor.found"), t("cli.doctor.next"))
    marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
    for level, what, found, following in rows:
        page.add_row(Text(*marks[level]), what, found, following)
    console().print(page)


def shell(
    command: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", show_default=False)] = None,
) -> int:
    """Help: cli.help.shell."""
    from hello_k8s.machine.cluster import Cluster

    cluster = Cluster()
    try:
        status: str = cluster.attach()
        if status == "paused":  # kubectl would wait for ever
            cluster.resume()
    except HelloError:
        status = "absent"  # docker, or the way to `start`, may be what the shell is for
    environment = {**os.environ, **cluster.environment()}
    if command:
        try:
            os.execvpe(command[0], command, environment)
        except OSError as missing:
            what = t("core.command_missing", program=command[0])
            raise UsageError(what, next=t("core.command_missing_next", program=command[0])) from missing
    print(t("cli.shell_opened") if status in ("running", "paused") else t("cli.shell_no_cluster"), flush=True)
    program = shutil.which(os.environ.get("SHELL") or "") or "/bin/sh"
    os.execvpe(program, [program], environment)


def uninstall(
    yes: Annotated[bool, typer.Option("--yes", "-y")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n")] = False,
) -> int:
    """Help: cli.help.uninstall."""
    print(t("cli.looking"), flush=True)
    from hello_k8s.machine import uninstall as removal
    from hello_k8s.machine.engine import user_engine

    things = removal.inventory()
    if not user_engine().answers():
        print(t("cli.uninstall_silent"))
    if not things:
        print(t("cli.uninstall_nothing"))
        return 0
    page = table(t("cli.uninstall_what"), t("cli.uninstall_where"))
    for thing in things:
        page.add_row(thing.what, thing.where)
    console().print(page)
    progress = Terminal("uninstall")
    if dry_run:
        print(t("cli.nothing_done"))
        return 0
    if not yes and (code := _refused("uninstall", progress)) is not None:
        return code
    removal.remove(things, progress)
    print(t("cli.uninstalled"))
    return 0
