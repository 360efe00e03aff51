"""What may be in a submission, in an archive or a folder: limits, names, and what is looked for. Opens nothing."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hello_k8s.catalog import Lab
from hello_k8s.grading.manifests import LIMIT_BYTES as DELIVERABLE
from hello_k8s.grading.verdict import Texts
from hello_k8s.language import both

#: A packed submission is some kilobytes; sixteen megabytes leave room for a whole workspace packed by hand.
ARCHIVE = 16 << 20
#: Names in one submission. A workspace has dozens; more than this is no answer, and looking at it costs the class.
MEMBERS = 5_000
#: All of an archive, unpacked. It is what a reader of it may have to run through, about a third of a second.
UNPACKED = 64 << 20
#: One file of an archive, deliverable or not: nothing that belongs to a lab is as large.
MEMBER = 16 << 20
#: Text shrinks by 3 to 10 and an empty manifest in tar's padding by 100; what shrinks more was made to.
RATIO, RATIO_FROM = 200, 4 << 20
#: Folders in folders. A deliverable lies four deep, with an extra folder or two around it six.
DEPTH = 32
#: Bytes of one name (what file systems allow) and of a whole path.
COMPONENT, PATH = 255, 1024
#: learner.toml has two lines.
LEARNER = 4 << 10
LEARNER_FILE = "learner.toml"

Kind = Literal["file", "folder", "link", "special"]
#: A path inside a submission, in parts, each in NFC.
Name = tuple[str, ...]

_DRIVE = re.compile(r"[A-Za-z]:")
_JUNK = re.compile(r"\.DS_Store|\._.*|__MACOSX|Thumbs\.db|desktop\.ini|Icon\r", re.DOTALL)
_ARCHIVE_NAME = re.compile(r".*\.(tar\.gz|tgz|tar|zip)", re.DOTALL | re.IGNORECASE)
_OTHER_ARCHIVE = re.compile(r".*\.(rar|7z|gz|bz2|xz|zst|lz|lzma|tbz2?|txz|alz|egg)", re.DOTALL | re.IGNORECASE)


class Refused(Exception):
    """Something in a submission that is not run: `reason` names it, in both languages."""

    def __init__(self, reason: Texts) -> None:
        super().__init__(reason["en"])
        self.reason = reason


def printable(name: str) -> str:
    """`name` as a line of text: what doesn't print (control characters, bytes that are no UTF-8) is spelled out."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace") if _encodable(name) else ascii(name)[1:-1]
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown if len(shown) <= 200 else f"{shown[:120]}…{shown[-60:]}"


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def too_large(name: str, limit: int) -> Texts:
    """Why the file `name` is refused, which is larger than `limit` bytes."""
    shown = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return both("intake.large_file", member=printable(name), limit=shown)


def is_junk(name: str) -> bool:
    """Whether a system leaves files of this name behind by itself: nobody handed them in."""
    return _JUNK.fullmatch(name) is not None


def is_archive(name: str) -> bool:
    """Whether `name` ends as the archives do that are opened."""
    return _ARCHIVE_NAME.fullmatch(name) is not None


def is_other_archive(name: str) -> bool:
    """Whether `name` is that of an archive of a kind that isn't opened."""
    return _OTHER_ARCHIVE.fullmatch(name) is not None and not is_archive(name)


def name_of(text: str) -> Name:
    """The parts of a member's name, `/` and `\\` alike. Raises Refused for one that means another place or nothing.

    Whether it is safe is decided here, although nothing is ever written under a member's own name.
    """
    plain = text.replace("\\", "/")
    parts = (plain if plain.isascii() else unicodedata.normalize("NFC", plain)).split("/")
    if parts[0] == "" or _DRIVE.match(parts[0]):
        raise Refused(both("intake.absolute", member=printable(text)))
    name = tuple(part for part in parts if part not in ("", "."))
    if ".." in name:
        raise Refused(both("intake.traversal", member=printable(text)))
    if any(char < " " or char == "\x7f" for part in name if not is_junk(part) for char in part):
        raise Refused(both("intake.control", member=printable(text)))
    sizes = [len(os.fsencode(part)) if _encodable(part) else PATH for part in name]
    if len(name) > DEPTH:
        raise Refused(both("intake.deep", member=printable(text), limit=DEPTH))
    if sum(sizes) + len(sizes) > PATH or max(sizes, default=0) > COMPONENT:
        raise Refused(both("intake.long_name", member=printable(text), limit=COMPONENT, path=PATH))
    return name


def folded(name: Name) -> Name:
    """`name` as a system sees it that doesn't tell capitals from small letters."""
    return tuple(part.lower() if part.isascii() else unicodedata.normalize("NFC", part.casefold()) for part in name)


class Wanted:
    """The deliverables of some labs: `<chapter>/<section>/<deliverable>`."""

    def __init__(self, labs: Sequence[Lab]) -> None:
        self.names: dict[Name, tuple[str, str]] = {
            (*lab.id.split("/"), *(unicodedata.normalize("NFC", part) for part in name.split("/"))): (lab.id, name)
            for lab in labs
            for name in lab.deliverables
        }
        self._folded = {folded(name): key for name, key in self.names.items()}
        self._lengths = sorted({len(name) for name in self.names})

    def may_be(self, name: Name) -> bool:
        """Whether `name` can be a deliverable or learner.toml, wherever the submission's folder begins."""
        if name and name[-1] == LEARNER_FILE:
            return True
        return any(name[-length:] in self.names for length in self._lengths)

    def may_be_mistaken(self, name: Name) -> bool:
        """The same where capitals and small letters are one."""
        low = folded(name)
        return low[-1:] == (LEARNER_FILE,) or any(low[-length:] in self._folded for length in self._lengths)

    def nearly(self, name: Name) -> Iterator[str]:
        """Labs whose deliverable this might be, had it another place or spelling; `name` is below learner.toml."""
        low = folded(name)
        if not low or any(part.startswith(".") for part in low[:-1]) or name in self.names:
            return
        for wanted, (lab, _) in self._folded.items():
            if low[-len(wanted) :] == wanted or (len(low) < len(wanted) and wanted[-len(low) :] == low):
                yield lab


@dataclass(frozen=True)
class Contents:
    """What one submission shows. `learner`: learner.toml, None where `reason` says why it isn't known.

    `answers`: lab → deliverable → bytes. `refused`: labs of which nothing is run, and why. `unsure`: labs whose files
    can't be read, `misplaced`: labs whose answer may be a file with another place or spelling, and which. `reason`
    concerns the whole; `cut`: not all of it could be read.
    """

    learner: bytes | None
    answers: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    refused: Mapping[str, Texts] = field(default_factory=dict)
    unsure: Mapping[str, Texts] = field(default_factory=dict)
    misplaced: Mapping[str, Texts] = field(default_factory=dict)
    reason: Texts | None = None
    cut: bool = False

    @property
    def unread(self) -> Texts | None:
        """Why a lab that it doesn't show may have been handed in all the same; None where it wasn't."""
        return self.reason if self.cut or not self.refused else None


class Members:
    """The members of an archive as they are read: each is judged before the next, and nothing is written.

    The first thing wrong makes the archive refused. Reading goes on where it can, since learner.toml and the labs
    that the archive shows may come later; what raises Refused can't go on.
    """

    def __init__(self, wanted: Wanted, packed: int) -> None:
        self._wanted = wanted
        self._packed = packed
        self._kinds: dict[Name, Kind] = {}
        self._folded: dict[Name, Name] = {}
        self._data: dict[Name, bytes] = {}
        self._count = 0
        self._unpacked = 0
        self._reason: Texts | None = None
        self._cut = False

    def refuse(self, reason: Texts) -> None:
        """Not all of this archive can be read, and nothing of it is run; the first reason is the one that is told."""
        self._cut = True
        self._forbid(reason)

    def _forbid(self, reason: Texts) -> None:
        """Nothing of it is run, for what it holds."""
        self._reason = self._reason or reason

    def count(self) -> None:
        """One more member. Raises Refused for one too many."""
        self._count += 1
        if self._count > MEMBERS:
            raise Refused(both("intake.many", limit=MEMBERS))

    def unpacked(self, size: int, packed: int | None = None) -> None:
        """`size` more bytes come out of it (`packed` bytes so far). Raises Refused where it becomes too much."""
        self._unpacked += size
        if self._unpacked > UNPACKED:
            raise Refused(both("intake.large_whole", limit=UNPACKED >> 20))
        if self._unpacked > RATIO_FROM and self._unpacked > RATIO * max(1, packed or self._packed):
            raise Refused(both("intake.ratio", limit=RATIO))

    def add(self, text: str, kind: Kind, size: int) -> Name | None:
        """Judge one member; returns its name if its content is wanted."""
        try:
            name = name_of(text)
        except Refused as refused:
            self._forbid(refused.reason)
            return None
        if not name or any(is_junk(part) for part in name):
            return None
        if kind in ("link", "special"):
            self._forbid(both(f"intake.{kind}", member=printable(text)))
        if size > MEMBER:
            self._forbid(too_large(text, MEMBER))
        before = self._kinds.get(name)
        other = self._folded.setdefault(folded(name), name)
        if self._wanted.may_be_mistaken(name) and (other != name or (before is not None and kind != "folder")):
            self._forbid(both("intake.twice_inside", member=printable(text)))
        self._kinds[name] = kind if before is None or before == "folder" else before
        if kind != "file" or before is not None or not self._wanted.may_be(name):
            return None
        if size > self._limit(name):
            self._forbid(too_large(text, self._limit(name)))
            return None
        return name

    @staticmethod
    def _limit(name: Name) -> int:
        return LEARNER if name[-1] == LEARNER_FILE else DELIVERABLE

    def content(self, name: Name, data: bytes) -> None:
        """What `add` asked for."""
        self._data[name] = data

    def contents(self) -> Contents:
        """What all of it comes to."""
        roots = sorted(name[:-1] for name in self._kinds if name[-1:] == (LEARNER_FILE,))
        if len(roots) != 1:
            return Contents(None, reason=self._reason or self._nobody(roots))
        root = roots[0]
        links = {name for name, kind in self._kinds.items() if kind == "link"}
        shown: dict[str, dict[str, bytes]] = {}
        for wanted, (lab, deliverable) in self._wanted.names.items():
            name = (*root, *wanted)
            through_link = any(name[:end] in links for end in range(1, len(name) + 1))
            if through_link or self._kinds.get(name, "folder") != "folder":
                shown.setdefault(lab, {})
            if name in self._data:
                shown[lab][deliverable] = self._data[name]
        learner = self._data.get((*root, LEARNER_FILE))
        if self._reason is not None:
            return Contents(learner, refused=dict.fromkeys(shown, self._reason), reason=self._reason, cut=self._cut)
        if learner is None:  # a folder of that name
            return Contents(None, reason=self._nobody(()))
        return Contents(learner, answers=shown, misplaced=self._misplaced(root, shown))

    def _nobody(self, roots: Sequence[Name]) -> Texts:
        if roots:
            first, second = ("/".join((*root, LEARNER_FILE)) for root in roots[:2])
            return both("intake.several_learners", first=printable(first), second=printable(second))
        for name in self._kinds:
            if is_archive(name[-1]) or is_other_archive(name[-1]):
                return both("intake.archive_inside", member=printable("/".join(name)))
        return both("intake.no_learner_inside")

    def _misplaced(self, root: Name, shown: Mapping[str, object]) -> dict[str, Texts]:
        found: dict[str, Texts] = {}
        for name, kind in self._kinds.items():
            if kind == "file" and name[: len(root)] == root:
                for lab in self._wanted.nearly(name[len(root) :]):
                    if lab not in shown:
                        found.setdefault(lab, both("intake.misplaced", member=printable("/".join(name)), lab=lab))
        return found
