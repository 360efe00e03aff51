"""The class folder looked through: submissions and archives in it, whatever lies around them. Follows no link."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hello_k8s.classroom import members
from hello_k8s.classroom.archives import read_archive
from hello_k8s.classroom.members import LEARNER_FILE, Contents, Name, Refused, Wanted, printable
from hello_k8s.classroom.model import Unmapped
from hello_k8s.grading.manifests import LIMIT_BYTES as DELIVERABLE
from hello_k8s.grading.verdict import Texts
from hello_k8s.language import both


@dataclass(frozen=True)
class Source:
    """One submission: where it is, what it shows, and (for an archive) the submission folder that it lies in."""

    shown: str
    contents: Contents
    inside: str | None = None


class Unreadable(Exception):
    """A file that is there and can't be read: nobody's answer to anything."""

    def __init__(self, reason: Texts) -> None:
        super().__init__(reason["en"])
        self.reason = reason


def look(folder: Path, wanted: Wanted, but: Path) -> tuple[list[Source], list[Unmapped]]:
    """Every submission below `folder`, and everything there that is none. `folder` itself may be one; `but`, a
    folder of ours, and the folder that it lies in aren't.
    """
    search = _Search(folder.resolve(), wanted, but.resolve())
    try:
        search.visit((), _Budget(), None)
    except Refused as refused:
        search.unmap((), refused.reason)
    return search.sources, search.unmapped


class _Budget:
    """How many names are looked at in one submission, or around them in one folder of the class."""

    def __init__(self) -> None:
        self._left = members.MEMBERS

    def take(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Refused(both("intake.many", limit=members.MEMBERS))


@dataclass
class _Root:
    """The submission that is being looked through."""

    parts: Name
    misplaced: dict[str, Texts]


class _Search:
    def __init__(self, top: Path, wanted: Wanted, but: Path) -> None:
        self._top = top
        self._but = {but, but.parent}
        self._wanted = wanted
        self.sources: list[Source] = []
        self.unmapped: list[Unmapped] = []

    def visit(self, parts: Name, budget: _Budget, root: _Root | None) -> bool:
        """Look through one folder; returns whether anything in it was named. Raises Refused at a limit."""
        if len(parts) > (len(root.parts) if root else 0) + members.DEPTH:
            raise Refused(both("intake.deep", member=_shown(parts), limit=members.DEPTH))
        entries = self._entries(parts, budget)
        if any(entry.name == LEARNER_FILE for entry in entries):
            if root is not None and parts != root.parts:
                self.unmap(parts, both("intake.nested", outer=_shown(root.parts)))
                return True
            return self._submission(parts, entries)
        return self._children(parts, entries, budget, root)

    def _entries(self, parts: Name, budget: _Budget) -> list[os.DirEntry[str]]:
        found = []
        try:
            with os.scandir(self._path(parts)) as listing:
                for entry in listing:
                    budget.take()
                    if not members.is_junk(entry.name) and Path(entry.path) not in self._but:
                        found.append(entry)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise Refused(both("intake.deep", member=_shown(parts), limit=members.DEPTH)) from error
            self.unmap(parts, both("intake.unreadable", why=error.strerror or str(error)))
        return sorted(found, key=lambda entry: entry.name)

    def _submission(self, parts: Name, entries: Sequence[os.DirEntry[str]]) -> bool:
        root = _Root(parts, {})
        place = len(self.sources)
        reason: Texts | None = None
        try:
            self._children(parts, entries, _Budget(), root)
        except Refused as refused:
            reason = refused.reason
        self.sources.insert(place, Source(_shown(parts), self._contents(parts, root, reason)))
        return True

    def _contents(self, parts: Name, root: _Root, reason: Texts | None) -> Contents:
        answers: dict[str, dict[str, bytes]] = {}
        refused: dict[str, Texts] = {}
        unsure: dict[str, Texts] = {}
        for name, (lab, deliverable) in self._wanted.names.items():
            try:
                content = read_plain(self._path(parts), name, DELIVERABLE)
            except Refused as wrong:
                refused.setdefault(lab, reason or wrong.reason)
            except Unreadable as error:
                unsure.setdefault(lab, error.reason)
            else:
                if content is not None:
                    answers.setdefault(lab, {})[deliverable] = content
                    if reason is not None:
                        refused.setdefault(lab, reason)
        answers = {lab: files for lab, files in answers.items() if lab not in refused and lab not in unsure}
        try:
            learner = read_plain(self._path(parts), (LEARNER_FILE,), members.LEARNER)
        except (Refused, Unreadable) as error:
            return Contents(None, reason=error.reason)
        clear = {*answers, *refused, *unsure}
        misplaced = {lab: why for lab, why in root.misplaced.items() if lab not in clear}
        return Contents(learner, answers, refused, unsure, misplaced, reason)

    def _children(self, parts: Name, entries: Sequence[os.DirEntry[str]], budget: _Budget, root: _Root | None) -> bool:
        named = False
        silent: list[Name] = []
        for entry in entries:
            name = (*parts, entry.name)
            if entry.is_dir(follow_symlinks=False):
                # Each folder of the class has a budget of its own: one of them can't use up the others'.
                saw = self._folder(name, _Budget() if not parts and root is None else budget, root)
            else:
                saw = self._file(entry, name, root)
            named |= saw
            if not saw and (entry.is_dir(follow_symlinks=False) or not parts):
                silent.append(name)
        if root is None and (named or not parts):
            for name in silent:
                if not name[-1].startswith("."):
                    self.unmap(name, both("intake.no_learner"))
        return named

    def _folder(self, name: Name, budget: _Budget, root: _Root | None) -> bool:
        if root is not None or len(name) > 1:
            return self.visit(name, budget, root)
        try:
            return self.visit(name, budget, None)
        except Refused as refused:
            self.unmap(name, refused.reason)
            return True

    def _file(self, entry: os.DirEntry[str], name: Name, root: _Root | None) -> bool:
        if not entry.is_file(follow_symlinks=False):
            if root is None:
                key = "link" if entry.is_symlink() else "special"
                self.unmap(name, both(f"intake.{key}", member=_shown(name)))
            return True
        if members.is_archive(entry.name):
            self._archive(name, root)
            return True
        if root is None and members.is_other_archive(entry.name):
            self.unmap(name, both("intake.other_archive"))
            return True
        if root is not None:
            below = tuple(unicodedata.normalize("NFC", part) for part in name[len(root.parts) :])
            for lab in self._wanted.nearly(below):
                root.misplaced.setdefault(lab, both("intake.misplaced", member=_shown(name), lab=lab))
        return False

    def _archive(self, name: Name, root: _Root | None) -> None:
        try:
            data = read_plain(self._path(name[:-1]), name[-1:], members.ARCHIVE)
        except (Refused, Unreadable) as error:
            self.unmap(name, error.reason)
            return
        if data is not None:
            inside = _shown(root.parts) if root else None
            self.sources.append(Source(_shown(name), read_archive(data, self._wanted), inside))

    def unmap(self, parts: Name, reason: Texts) -> None:
        self.unmapped.append(Unmapped(_shown(parts), reason))

    def _path(self, parts: Name) -> Path:
        return self._top.joinpath(*parts)


def _shown(parts: Name) -> str:
    return printable("/".join(parts)) or "."


def read_plain(folder: Path, name: Name, limit: int) -> bytes | None:
    """The file `name` below `folder`; None where there is none. No link on the way is followed.

    Raises Refused for what is no file or is larger than `limit`, Unreadable for what the system doesn't give.
    """
    shown = printable("/".join(name))
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in name[:-1]:
                _refuse_link(part, opened, shown)
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened)
                os.close(opened)
                opened = inner
            _refuse_link(name[-1], opened, shown)
            # Not blocking: opening a FIFO would wait for somebody to write into it.
            file = os.open(name[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened)
        finally:
            os.close(opened)
        with os.fdopen(file, "rb") as stream:
            kind = os.fstat(stream.fileno())
            if not stat.S_ISREG(kind.st_mode):
                raise Refused(both("intake.special", member=shown))
            content = stream.read(limit + 1) if kind.st_size <= limit else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unreadable(both("intake.unreadable", why=error.strerror or str(error))) from error
    if kind.st_size > limit or len(content) > limit:
        raise Refused(members.too_large("/".join(name), limit))
    return content


def _refuse_link(name: str, folder: int, shown: str) -> None:
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        raise Refused(both("intake.link", member=shown))
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Refused(both("intake.special", member=shown))
