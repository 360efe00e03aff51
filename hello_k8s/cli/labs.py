"""The learner's and the author's commands: `lab list|start|check|hint|reset|solution|pack|new|verify`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hello_k8s import workspace
from hello_k8s.cli.show import Terminal, console, table
from hello_k8s.language import pick, t
from hello_k8s.workspace import begin, identity

if TYPE_CHECKING:
    from hello_k8s import catalog

#: `lab check`: not every point · ours, nothing was graded.
NOT_ALL, UNGRADED = 1, 3


def _ids(incomplete: str) -> list[str]:
    from hello_k8s import catalog

    return [lab.id for lab in catalog.labs() if lab.id.startswith(incomplete)]


def _ids_and_chapters(incomplete: str) -> list[str]:
    ids = _ids(incomplete)
    return [*dict.fromkeys(name.split("/")[0] for name in ids), *ids]


Lab = Annotated[str | None, typer.Argument(metavar="LAB", show_default=False, autocompletion=_ids)]
LabOrChapter = Annotated[
    str | None, typer.Argument(metavar="LAB|CHAPTER", show_default=False, autocompletion=_ids_and_chapters)
]
Broken = Annotated[bool, typer.Option("--broken")]
Empty = Annotated[bool, typer.Option("--empty")]
FilesOnly = Annotated[bool, typer.Option("--files-only")]


def list_() -> int:
    """Help: cli.help.lab.list."""
    from hello_k8s import catalog

    page = table(*(t(f"lab.list.{name}") for name in ("lab", "title", "minutes", "needs", "points", "progress")))
    for lab in catalog.labs():
        needs = ", ".join(need for need in lab.needs if not need.startswith("image:"))
        page.add_row(lab.id, pick(lab.title), str(lab.minutes), needs, str(lab.points), workspace.standing(lab))
    console().print(page)
    print(t("lab.list.next"))
    return 0


def start(lab: Lab = None, broken: Broken = False, empty: Empty = False, files_only: FilesOnly = False) -> int:
    """Help: cli.help.lab.start."""
    found = workspace.which(lab)
    progress = Terminal("lab-start")
    _introduce(progress)
    begin.begin(found, progress, broken=broken, empty=empty, files_only=files_only)
    return 0


def _introduce(progress: Terminal) -> None:
    """Ask once for the name that submissions carry, where somebody can be asked."""
    if sys.stdin.isatty() and not identity.learner_file().exists():
        default = identity.default_id()
        identity.introduce(progress.ask_text(t("lab.ask_id", default=default), default))


def check(
    lab: LabOrChapter = None,
    as_submitted: Annotated[bool, typer.Option("--as-submitted")] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
    placement: Annotated[bool, typer.Option("--placement")] = False,
) -> int:
    """Help: cli.help.lab.check."""
    if placement:
        from hello_k8s.cli.placement import take

        return take()
    from hello_k8s.workspace import chapter

    if labs := chapter.labs_of(lab):
        return _check_chapter(labs, as_submitted=as_submitted, json=json)
    found = workspace.which(lab)
    print(t("lab.checking", lab=found.id), file=sys.stderr if json else sys.stdout, flush=True)
    result = workspace.check(found, as_submitted=as_submitted, progress=Terminal("lab-check"))
    if json:
        print(result.to_json(), end="")
    else:
        from hello_k8s.cli.results import show

        show(found, result)
    if not result.graded:
        return UNGRADED
    return 0 if result.earned == result.possible else NOT_ALL


def _check_chapter(labs: Sequence[catalog.Lab], *, as_submitted: bool, json: bool) -> int:
    from hello_k8s.cli import say
    from hello_k8s.workspace import chapter

    announce = partial(print, file=sys.stderr if json else sys.stdout, flush=True)
    checked = []
    for each in chapter.check_all(labs, announce, as_submitted=as_submitted, progress=Terminal("lab-check")):
        checked.append(each)
        if json and each.error:  # the list holds results only
            say(each.error)
    total = chapter.total(checked)
    if json:
        import json as format

        results = [each.result.to_dict() for each in checked if each.result]
        print(format.dumps(results, ensure_ascii=False, indent=1))
    else:
        from hello_k8s.cli.results import show_chapter

        show_chapter(checked, total)
    if total.ungraded:
        return UNGRADED
    return NOT_ALL if total.open or not total.graded else 0


def hint(
    lab: Lab = None, check: Annotated[str | None, typer.Argument(metavar="CHECK", show_default=False)] = None
) -> int:
    """Help: cli.help.lab.hint."""
    for line in begin.hint(lab, check):
        print(line)
    return 0


def reset(lab: Lab = None, broken: Broken = False, empty: Empty = False, files_only: FilesOnly = False) -> int:
    """Help: cli.help.lab.reset."""
    begin.again(workspace.which(lab), Terminal("lab-reset"), broken=broken, empty=empty, files_only=files_only)
    return 0


def solution(lab: Lab = None, copy: Annotated[bool, typer.Option("--copy")] = False) -> int:
    """Help: cli.help.lab.solution."""
    found = workspace.which(lab)
    if copy:
        print(t("lab.solution_copied", folder=workspace.shown(workspace.copy_solution(found))))
        return 0
    from hello_k8s.cli.results import show_file

    for file in workspace.solution(found):
        show_file(file)
    print(t("lab.solution_next", lab=found.id))
    return 0


def pack(
    labs: Annotated[list[str] | None, typer.Argument(metavar="[LAB]...", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", show_default=False)] = None,
) -> int:
    """Help: cli.help.lab.pack."""
    from hello_k8s.workspace.packing import pack as packed_labs

    packed = packed_labs([workspace.which(lab) for lab in labs or ()], output)
    page = table(t("lab.list.lab"), t("lab.packed_files"), t("lab.packed_missing"))
    for lab, files, missing in packed.contents:
        page.add_row(lab, ", ".join(files), ", ".join(missing))
    console().print(page)
    print(t("lab.packed", file=workspace.shown(packed.file), size=packed.file.stat().st_size))
    return 0


def new(section: Annotated[str, typer.Argument(metavar="CH/SECTION", show_default=False)]) -> int:
    """Help: cli.help.lab.new."""
    from hello_k8s import authoring

    for file in authoring.new(section):
        print(t("lab.new_wrote", file=workspace.shown(file)))
    print(t("lab.new_next", lab=section))
    return 0


def verify(
    labs: Annotated[list[str] | None, typer.Argument(metavar="[LAB]...", show_default=False)] = None,
    static: Annotated[bool, typer.Option("--static")] = False,
    overlay: Annotated[Path | None, typer.Option("--overlay", metavar="DIR", show_default=False)] = None,
) -> int:
    """Help: cli.help.lab.verify."""
    from hello_k8s import authoring, catalog
    from hello_k8s.cli.results import show_verification
    from hello_k8s.grading.overlay import covered, overlaid
    from hello_k8s.workspace import readiness

    names = labs or (covered(overlay) if overlay else [lab.id for lab in catalog.labs()])
    chosen = [overlaid(catalog.lab(name), overlay) for name in names]
    progress = Terminal("lab-verify")
    good = True
    for lab in chosen:
        print(t("lab.verifying", lab=lab.id), flush=True)
        report = authoring.verify(lab, progress, static=static, prepare=partial(readiness.machine, lab, progress))
        show_verification(report)
        good = good and report.ok
    return 0 if good else 1


COMMANDS = {
    "list": list_, "start": start, "check": check, "hint": hint, "reset": reset, "solution": solution,
    "pack": pack, "new": new, "verify": verify,
}  # fmt: skip
