"""What is graded stays graded: every row is on the disk before anybody hears of it.

`journal.jsonl` in the results' folder, one row a line, only ever appended to. A row is found again by its key:
who, which lab and grader as they are now, which bytes were handed in. The last line may be cut off by a kill; it
doesn't count.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hello_k8s
from hello_k8s import catalog, files, paths, sources
from hello_k8s.catalog import Lab
from hello_k8s.classroom.model import Entry, Row
from hello_k8s.errors import UsageError
from hello_k8s.grading import replay
from hello_k8s.grading.verdict import Result
from hello_k8s.language import t
from hello_k8s.machine.images import recipe_hash

NAME = "journal.jsonl"
#: The sources that decide, with those of the machine: what they say of an answer changes more often than the version.
GRADER = tuple(paths.PACKAGE / name for name in ("grading", "machine", "catalog.py"))
#: What in a lab's folder decides about nobody's answer.
_ASIDE = (".", "README", "solution/", "mutants/")


def key_of(entry: Entry, lab: Lab, ours: str = "") -> str:
    """The same for the same answer of the same learner to the same lab; another when any of it changed.

    `ours` is `digest_of_lab(lab)` where that is known already: it is the same for a whole class.
    """
    digest = hashlib.sha256()
    whose = (entry.learner, entry.lab, str(entry.seed), str(entry.refused or ""))
    for part in (hello_k8s.__version__, ours or digest_of_lab(lab), *whose):
        digest.update(part.encode(errors="backslashreplace") + b"\0")
    for name, file in sorted(replay.deliverables(lab, entry.folder, "submission").items()):
        digest.update(f"{name}\0{file.stat().st_size}\0".encode() + replay.decisive_bytes(file))
    return digest.hexdigest()


def digest_of_lab(lab: Lab) -> str:
    """All of ours that decides about an answer to `lab`, as it is now: its files, its images, the grader."""
    written = {name: file for name, file in sources.written(lab.folder).items() if not name.startswith(_ASIDE)}
    given = {f"start/{name}": file for name, file in lab.files().items() if file.is_file()}
    digest = hashlib.sha256("".join((*map(digest_of_grader, GRADER), sources.digest(written | given))).encode())
    machine = (*(("node", "probe") if lab.on_cluster else ()), *(("engine",) if "docker" in lab.needs else ()))
    for image in map(catalog.image, (*machine, *lab.images)):
        digest.update(f"{image.id}\0{image.upstream}\0{recipe_hash(image)}\0".encode())
    return digest.hexdigest()


@functools.cache
def digest_of_grader(part: Path) -> str:
    """The sources in `part`, a folder or a file, as they were when this process first asked: those that it runs."""
    return sources.digest(sources.written(part))


class Journal:
    """The rows of one folder of results. `open` it for as long as a class is graded."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        self._known: dict[str, Row] = {}
        self._stream: Any = None

    @contextlib.contextmanager
    def open(self) -> Iterator[Journal]:
        """Read what is there and hold it against a second grader. Raises UsageError where one is at work."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+b") as stream:
            if not files.lock_if_free(stream):
                raise UsageError(t("classroom.journal_busy", file=self.file), next=t("classroom.journal_busy_next"))
            stream.seek(0)
            whole = self._load(stream.read())
            stream.truncate(whole)
            self._stream = stream
            yield self

    def _load(self, data: bytes) -> int:
        """Fill in what is known; returns how many bytes of `data` are whole lines."""
        whole = 0
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                self._known[record["key"]] = _row(record["row"])
            whole += len(line)
        return whole

    def known(self, key: str) -> Row | None:
        """The row written for `key`; an ungraded one doesn't count, it is tried again."""
        row = self._known.get(key)
        return row if row and row.state != "ungraded" else None

    def write(self, key: str, row: Row) -> None:
        """Append, and return when it is on the disk."""
        record = {
            "key": key,
            "row": {
                "learner": row.learner, "lab": row.lab, "source": row.source, "state": row.state,
                "attempts": row.attempts, "reason": dict(row.reason) if row.reason else None,
                "result": row.result.to_dict() if row.result else None,
            },
        }  # fmt: skip
        # half a surrogate pair (in a file's name, say) has no UTF-8; its backslash form is JSON, and read back the same
        self._stream.write(json.dumps(record, ensure_ascii=False).encode(errors="backslashreplace") + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._known[key] = row


def _row(data: dict[str, Any]) -> Row:
    result = Result.from_dict(data["result"]) if data["result"] else None
    return Row(
        learner=data["learner"],
        lab=data["lab"],
        source=data["source"],
        state=data["state"],
        result=result,
        reason=data["reason"],
        attempts=data["attempts"],
    )
