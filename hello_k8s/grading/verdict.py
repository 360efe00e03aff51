"""What grading says: verdicts, and the result of a submission as versioned JSON (result-1.schema.json)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hello_k8s.errors import CommandFailed, EngineError
from hello_k8s.language import LANGUAGES, current

#: A megabyte as `docker images` counts them.
MB = 1_000_000
SCHEMA = 1
SCHEMA_FILE = Path(__file__).with_name("result-1.schema.json")

Verdict = Literal["passed", "failed", "timed_out", "errored", "not_submitted"]
Kind = Literal["workspace", "submission", "solution", "mutant", "start"]
Texts = Mapping[str, str]

#: From best to worst: a check made of several items is as good as its worst one.
_ORDER: tuple[Verdict, ...] = ("passed", "failed", "timed_out", "not_submitted", "errored")


class Unmet(AssertionError):
    """The submission doesn't do what was asked, and it is the submission's own doing.

    `text` is a sentence, or the same sentence in every language; `diagnosis` the cause as it was observed.
    """

    def __init__(self, text: str | Texts, diagnosis: Iterable[Texts] = (), evidence: Iterable[str] = ()) -> None:
        self.texts = everywhere(text)
        self.diagnosis = tuple(diagnosis)
        self.evidence = tuple(evidence)
        super().__init__(self.texts[current()])


class NotSubmitted(Unmet):
    """None of the deliverables is there."""


class TimedOut(Exception):
    """A hard limit of replay or check was reached, after `seconds`."""

    def __init__(self, seconds: float, what: str | Texts = "") -> None:
        self.seconds = seconds
        self.texts = everywhere(what)
        super().__init__(self.texts[current()])


def everywhere(text: str | Texts) -> dict[str, str]:
    """`text` in every language: a plain string is the same in all."""
    return dict.fromkeys(LANGUAGES, text) if isinstance(text, str) else dict(text)


class Note(str):
    """A note for an exception (`add_note`), which is said in every language."""

    texts: Texts

    def __new__(cls, texts: Texts) -> Note:
        note = super().__new__(cls, texts[current()])
        note.texts = texts
        return note


def verdict_of(error: BaseException | None) -> Verdict:
    """The verdict that an exception out of a check or its fixtures stands for (None: it passed).

    Only what the submission caused is an AssertionError; everything else is a bug of ours or a machine that
    doesn't work, and never counts.
    """
    if error is None:
        return "passed"
    if isinstance(error, NotSubmitted):
        return "not_submitted"
    if isinstance(error, AssertionError):
        return "failed"
    if isinstance(error, TimedOut):
        return "timed_out"
    if isinstance(error, CommandFailed) and not isinstance(error, EngineError) and error.exit_code_of_command is None:
        return "timed_out"
    return "errored"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a check that was made of several."""
    return max(verdicts, key=_ORDER.index)


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome.

    `message` is what the check itself said (the assertion), `diagnosis` the cause that was observed, `evidence`
    facts in no language (the builder's line, a rewritten field), `output` what the check printed.
    """

    id: str
    question: Texts
    points: int
    verdict: Verdict
    message: Texts = field(default_factory=lambda: everywhere(""))
    diagnosis: tuple[Texts, ...] = ()
    evidence: tuple[str, ...] = ()
    hints: tuple[Texts, ...] = ()
    output: str = ""
    seconds: float = 0.0

    @property
    def earned(self) -> int:
        return self.points if self.verdict == "passed" else 0

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


@dataclass(frozen=True)
class Result:
    """All verdicts of one submission.

    `mode`: at the live namespace (`look`) or from the files (`replay`). `files` are the deliverables' SHA-256.
    `drift`: how the live objects differ from the files. `rewrites`: what replay changed so as not to collide.
    `seconds` is from the beginning to the last verdict.
    """

    lab: str
    kind: Kind
    mode: Literal["look", "replay"]
    started: str
    checks: tuple[CheckResult, ...]
    seconds: float = 0.0
    version: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[Texts, ...] = ()
    rewrites: tuple[str, ...] = ()

    @property
    def possible(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def earned(self) -> int:
        return sum(check.earned for check in self.checks)

    @property
    def graded(self) -> bool:
        """False where we failed, not the submission: such a result is retried, and never a zero."""
        return bool(self.checks) and all(check.verdict != "errored" for check in self.checks)

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The result as result-1.schema.json describes it."""
        return {
            "schema": SCHEMA,
            "lab": self.lab,
            "kind": self.kind,
            "mode": self.mode,
            "version": self.version,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "graded": self.graded,
            "earned": self.earned if self.graded else None,
            "possible": self.possible,
            "files": dict(self.files),
            "drift": [dict(texts) for texts in self.drift],
            "rewrites": list(self.rewrites),
            "checks": [_check_to_dict(check) for check in self.checks],
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """The result that `to_dict` gave. Raises ValueError for another schema, KeyError for a missing key."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r}")
        return cls(
            lab=data["lab"],
            kind=data["kind"],
            mode=data["mode"],
            started=data["started"],
            checks=tuple(_check_from_dict(check) for check in data["checks"]),
            seconds=data["seconds"],
            version=data["version"],
            files=data["files"],
            drift=tuple(data["drift"]),
            rewrites=tuple(data["rewrites"]),
        )

    @classmethod
    def from_json(cls, text: str) -> Result:
        return cls.from_dict(json.loads(text))


def _check_to_dict(check: CheckResult) -> dict[str, Any]:
    return {
        "id": check.id,
        "question": dict(check.question),
        "verdict": check.verdict,
        "points": check.points,
        "earned": check.earned if check.verdict != "errored" else None,
        "message": dict(check.message),
        "diagnosis": [dict(texts) for texts in check.diagnosis],
        "evidence": list(check.evidence),
        "hints": [dict(texts) for texts in check.hints],
        "output": check.output,
        "seconds": round(check.seconds, 3),
    }


def _check_from_dict(data: Mapping[str, Any]) -> CheckResult:
    values = {key: value for key, value in data.items() if key != "earned"}
    for key in ("diagnosis", "evidence", "hints"):
        values[key] = tuple(values[key])
    return CheckResult(**values)
