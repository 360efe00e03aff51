"""Who handed in what: a folder of submissions read into a roster, before anything runs. Executes nothing.

A submission is a folder with learner.toml in it, or an archive of one as `lab pack` makes it. Only the deliverables
of known labs are taken, as plain files below `store`; whatever else is there is not even read. What can't be mapped
is shown, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hello_k8s.catalog import Lab
from hello_k8s.classroom.folders import Source, look
from hello_k8s.classroom.learnerfile import read_learner
from hello_k8s.classroom.members import LEARNER_FILE, Contents, Refused, Wanted
from hello_k8s.classroom.model import Entry, Roster, Unmapped
from hello_k8s.classroom.store import keep, sweep
from hello_k8s.errors import UsageError
from hello_k8s.language import both, t
from hello_k8s.workspace.identity import Learner


@dataclass(frozen=True)
class _Known:
    """A submission of which it is known whose it is."""

    learner: Learner
    source: str
    contents: Contents

    @property
    def labs(self) -> tuple[str, ...]:
        """The labs about which it says anything."""
        found = self.contents
        return tuple(sorted({*found.answers, *found.refused, *found.unsure, *found.misplaced}))


def read_class(folder: Path, labs: Sequence[Lab], store: Path) -> Roster:
    """Who handed in what of `labs` below `folder`; the deliverables are copied into `store`, a folder of ours.

    A second call finds the same places. Raises UsageError where there is no such folder, nothing for anything in it.
    """
    if not folder.is_dir():
        raise UsageError(t("intake.no_folder", folder=folder), next=t("intake.no_folder_next"))
    sweep(store)
    sources, unmapped = look(folder, Wanted(labs), store)
    known = [submission for source in sources if (submission := _who(source, unmapped)) is not None]
    known = _of_one_folder(known, sources, unmapped)
    entries: list[Entry] = []
    for submissions in _by_learner(known).values():
        unmapped += _unread(submissions)
        if len({submission.learner.seed for submission in submissions}) > 1:
            unmapped += _two_persons(submissions)
            continue
        for lab in labs:
            entries += _entries(lab.id, submissions, store, unmapped)
    entries = _of_ones_own(entries, known, labs, unmapped)
    return Roster(
        tuple(sorted({submission.learner.id for submission in known})),
        tuple(sorted(entries, key=lambda entry: (entry.learner, entry.lab))),
        tuple(sorted(unmapped, key=lambda each: each.source)),
    )


def _who(source: Source, unmapped: list[Unmapped]) -> _Known | None:
    contents = source.contents
    if contents.learner is None:
        unmapped.append(Unmapped(source.shown, contents.reason or both("intake.no_learner")))
        return None
    try:
        learner = read_learner(contents.learner, f"{source.shown}/{LEARNER_FILE}")
    except Refused as refused:
        unmapped.append(Unmapped(source.shown, contents.reason or refused.reason))
        return None
    return _Known(learner, source.shown, contents)


def _of_one_folder(known: Sequence[_Known], sources: Iterable[Source], unmapped: list[Unmapped]) -> list[_Known]:
    """Without archives that lie in another learner's submission: whoever put them there isn't the one they name."""
    owners = {submission.source: submission.learner.id for submission in known}
    outer = {source.shown: source.inside for source in sources if source.inside is not None}
    kept = []
    for submission in known:
        around = outer.get(submission.source)
        if around is None or owners.get(around, submission.learner.id) == submission.learner.id:
            kept.append(submission)
        else:
            unmapped.append(Unmapped(submission.source, both("intake.nested", outer=around)))
    return kept


def _by_learner(known: Sequence[_Known]) -> Mapping[str, Sequence[_Known]]:
    found: dict[str, list[_Known]] = {}
    for submission in sorted(known, key=lambda submission: (submission.learner.id, submission.source)):
        found.setdefault(submission.learner.id, []).append(submission)
    return found


def _unread(submissions: Sequence[_Known]) -> list[Unmapped]:
    """Those of one learner that may hold more than they show."""
    unread = [(each, each.contents.unread) for each in submissions]
    return [Unmapped(each.source, why, each.learner.id, rest=True) for each, why in unread if why is not None]


def _two_persons(submissions: Sequence[_Known]) -> list[Unmapped]:
    labs = tuple(sorted({lab for submission in submissions for lab in submission.labs}))
    return [
        Unmapped(each.source, both("intake.two_persons", id=each.learner.id, others=_others(each, submissions)),
                 each.learner.id, labs)
        for each in submissions
    ]  # fmt: skip


def _others(submission: _Known, submissions: Sequence[_Known]) -> str:
    return ", ".join(each.source for each in submissions if each is not submission)


def _entries(lab: str, submissions: Sequence[_Known], store: Path, unmapped: list[Unmapped]) -> list[Entry]:
    """The one entry of a learner for `lab`; none where there is no answer, or two that differ."""
    having = [each for each in submissions if lab in each.contents.answers or lab in each.contents.refused]
    unsure = [each for each in submissions if lab in each.contents.unsure]
    if len({_answer(each, lab) for each in having}) > 1 or (having and unsure):
        several = [*having, *unsure]
        unmapped += [
            Unmapped(each.source, both("intake.twice", lab=lab, others=_others(each, several)), each.learner.id, (lab,))
            for each in several
        ]
        return []
    if not having:
        reasons = [(each, {**each.contents.misplaced, **each.contents.unsure}.get(lab)) for each in submissions]
        unmapped += [Unmapped(each.source, why, each.learner.id, (lab,)) for each, why in reasons if why is not None]
        return []
    first = having[0]
    files = first.contents.answers.get(lab, {})
    place = keep(store, first.learner.id, lab, files)
    refused = first.contents.refused.get(lab)
    return [Entry(first.learner.id, lab, place, first.source, first.learner.seed, refused)]


def _of_ones_own(
    entries: Iterable[Entry], known: Iterable[_Known], labs: Iterable[Lab], unmapped: list[Unmapped]
) -> list[Entry]:
    """Without answers to questions that two learners share: whoever has a friend's seed can hand in the friend's."""
    asking = {lab.id for lab in labs if (lab.folder / "own.py").is_file()}
    by_seed: dict[int, list[_Known]] = {}
    for submission in known:
        by_seed.setdefault(submission.learner.seed, []).append(submission)
    kept = []
    for entry in entries:
        others = [each.source for each in by_seed[entry.seed] if each.learner.id != entry.learner]
        if entry.lab in asking and others:
            why = both("intake.one_seed", lab=entry.lab, source=entry.source, others=", ".join(others))
            unmapped.append(Unmapped(entry.source, why, entry.learner, (entry.lab,)))
        else:
            kept.append(entry)
    return kept


def _answer(submission: _Known, lab: str) -> tuple[object, ...]:
    """What two submissions have in common if they are one."""
    refused = submission.contents.refused.get(lab)
    return (*sorted(submission.contents.answers.get(lab, {}).items()), *sorted((refused or {}).items()))
