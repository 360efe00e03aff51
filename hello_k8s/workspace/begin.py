"""A lab begun, begun again and hinted at, in the order in which a person is told: the same in terminal and notebook."""

from __future__ import annotations

from hello_k8s import workspace
from hello_k8s.catalog import Lab
from hello_k8s.language import pick, t
from hello_k8s.progress import Progress
from hello_k8s.workspace import readiness


def begin(lab: Lab, progress: Progress, *, broken: bool = False, empty: bool = False, files_only: bool = False) -> None:
    """Lay the lab's files, then make the machine ready unless `files_only`.

    What was done to the learner's files is noted before the machine is asked, which may fail. Raises what
    `workspace.start` and `readiness.prepare` do.
    """
    progress.note(t("lab.starting", lab=lab.id))
    for line in workspace.start(lab, broken=broken, empty=empty).lines():
        progress.note(line)
    if not files_only:
        readiness.prepare(lab, progress)
    task = workspace.shown(workspace.folder_of(lab) / "README.md")
    progress.note(t("lab.started_next", lab=lab.id, file=task))


def again(lab: Lab, progress: Progress, *, broken: bool = False, empty: bool = False, files_only: bool = False) -> None:
    """Lay the lab's files anew, and its namespace unless `files_only`; noted as in `begin`: first of all where the
    replaced files are. Raises what `workspace.reset` and `readiness.refresh` do.
    """
    progress.note(t("lab.resetting", lab=lab.id))
    for line in workspace.reset(lab, broken=broken, empty=empty).lines():
        progress.note(line)
    if lab.on_cluster and not files_only:
        kept = readiness.refresh(lab, progress)
        if kept:
            progress.note(t("lab.live_kept", file=workspace.shown(kept)))


def hint(lab: str | None = None, check: str | None = None) -> list[str]:
    """The next hint, as sentences. One word without a slash is a check of the lab in use.

    Raises UsageError for a lab or check that isn't there.
    """
    if lab and check is None and "/" not in lab:
        lab, check = None, lab
    found = workspace.which(lab)
    given = workspace.hint(found, check)
    return [
        t("lab.hint_of", check=given.check.id, question=pick(given.check.question)),
        t("lab.hint_level", level=given.level, of=given.of, text=given.text),
        t("lab.hint_more") if given.level < given.of else t("lab.hint_last", lab=found.id),
    ]
