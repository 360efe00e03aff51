"""report.html: the class in one file that asks no host for anything, Korean and English in it.

The page is a frame, its style, its script, and the class as JSON in a block that is never executed; the script
writes every text by `textContent`. So nothing that a learner made is ever markup, and a thousand learners are
rows of data until somebody opens one. The Content-Security-Policy names the style and the script by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hello_k8s import files
from hello_k8s.catalog import Check
from hello_k8s.classroom.exports.table import Table, Total
from hello_k8s.classroom.model import ClassReport, Row
from hello_k8s.grading.encodable import encodable
from hello_k8s.grading.verdict import CheckResult, Texts, Verdict
from hello_k8s.language import LANGUAGES, both, current, t

NAME = "report.html"
_DATA = Path(__file__).with_name("data")
_SCRIPTS = ("dom.js", "chart.js", "overview.js", "learner.js", "report.js")
#: Characters of one piece of evidence, or of an output, in the page; class.json has all of it.
_LENGTH = 2000
#: In the page a verdict is one letter: a big class has forty thousand of them.
_LETTERS: dict[Verdict, str] = {
    "passed": "p", "failed": "f", "timed_out": "t", "errored": "e", "not_submitted": "n",
}  # fmt: skip
#: The page's sentences, `exports.html.<name>`.
WORDS = (
    "title", "language", "skip", "started", "took", "took_minutes", "version", "file_note", "learners",
    "mean", "median", "mean_note", "submitted", "not_submitted", "ungraded", "ungraded_note", "ungraded_banner",
    "undecided_note", "undecided_banner",
    "distribution", "distribution_of", "all_labs", "chart_alt", "chart_numbers", "percent", "count", "left_out",
    "nobody", "hardest", "hardest_note", "hardest_none", "check", "more", "fewer", "pass_rate", "passed_of", "cause",
    "cause_times", "table", "table_note", "search", "show", "show_all", "show_ungraded", "show_not_submitted",
    "show_partial", "shown", "none_shown", "learner", "total", "state_not_submitted", "state_ungraded", "p", "f",
    "t", "e", "n", "back", "previous", "next", "print", "print_all", "print_ready", "no_learner", "said", "seen",
    "same_cause", "evidence", "hints", "output", "attempts", "replay_notes", "drift", "source", "reason", "unmapped",
    "unmapped_note",
)  # fmt: skip


def write(report: ClassReport, folder: Path) -> list[Path]:
    """Write report.html into `folder`."""
    return [files.write(folder / NAME, encodable(page(report)).encode())]


def page(report: ClassReport) -> str:
    """The whole file. It opens in the current language."""
    style = (_DATA / "report.css").read_text("utf-8")
    script = '"use strict";\n' + "".join((_DATA / name).read_text("utf-8") for name in _SCRIPTS)
    policy = [
        "default-src 'none'", f"style-src {_hash(style)}", f"script-src {_hash(script)}", "img-src data:",
        "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    parts = {
        "LANGUAGE": current(),
        "POLICY": "; ".join(policy),
        "TITLE": t("exports.html.title"),
        "NO_SCRIPT": t("exports.html.no_script"),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": _embedded(data(report)),
    }
    text = (_DATA / "report.html").read_text("utf-8")
    pieces = text.split("%%")  # what a part says is never looked through for parts
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(value: Any) -> str:
    """JSON that can't end the script element it stands in: no `<` is left, whatever anybody wrote."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate({ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"})


def data(report: ClassReport) -> dict[str, Any]:
    """The class as the script reads it."""
    table, texts = Table(report), _Pool()
    learners = [_learner(table, total, texts) for total in table.totals()]
    words = {name: both(f"exports.html.{name}") for name in WORDS}
    return {
        "words": {language: {name: word[language] for name, word in words.items()} for language in LANGUAGES},
        "version": report.version,
        "started": report.started,
        "seconds": round(report.seconds),
        "labs": [
            {
                "id": lab.id,
                "title": dict(lab.title),
                "possible": table.possible(lab),
                "checks": [_check(check) for check in table.checks(lab.id)],
            }
            for lab in table.labs
        ],
        "spreads": [asdict(spread) for spread in table.spreads()],
        "hardest": [asdict(hard) for hard in table.hardest()],
        "unmapped": [{"source": item.source, "reason": dict(item.reason)} for item in report.unmapped],
        "learners": learners,
        "texts": texts.items,
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "points": check.points,
        "question": dict(check.question),
        "hints": [dict(hint) for hint in check.hints],
    }


class _Pool:
    """Each text once: most learners who fail a check fail it in the same words."""

    def __init__(self) -> None:
        self.items: list[str | list[str]] = []
        self._known: dict[tuple[str, ...], int] = {}

    def add(self, texts: Texts | str) -> int:
        """The number of this text. A list is one in every language; a string the same in all."""
        parts = (texts,) if isinstance(texts, str) else tuple(texts[language] for language in LANGUAGES)
        parts = tuple(map(_cut, parts[:1] if len(set(parts)) == 1 else parts))
        if parts not in self._known:
            self._known[parts] = len(self.items)
            self.items.append(list(parts) if len(parts) > 1 else parts[0])
        return self._known[parts]


def _cut(text: str) -> str:
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…"


def _learner(table: Table, total: Total, texts: _Pool) -> dict[str, Any]:
    rows = [_row(table, row, texts) for row in total.rows]
    return {"id": total.learner, "state": total.state, "earned": total.earned, "possible": total.possible, "rows": rows}


def _row(table: Table, row: Row, texts: _Pool) -> dict[str, Any]:
    result = row.result
    found: dict[str, Any] = {
        "state": row.state,
        "earned": row.earned,
        "source": row.source,
        "checks": [_outcome(check, texts) for check in table.outcomes(row)],
        "attempts": row.attempts if row.attempts > 1 else 0,
        "undecided": int(row.undecided),
        "reason": None if row.reason is None else texts.add(row.reason),
        "drift": [texts.add(text) for text in result.drift] if result else [],
        "rewrites": [texts.add(text) for text in result.rewrites] if result else [],
    }
    return {key: value for key, value in found.items() if key == "earned" or value not in (None, 0, [])}


def _outcome(check: CheckResult, texts: _Pool) -> list[Any]:
    """Letter, message, diagnosis, evidence, output; of a passed check the letter is all there is to read."""
    letter = _LETTERS[check.verdict]
    if check.passed:
        return [letter]
    said = texts.add(check.message) if any(check.message.values()) else -1
    facts = [texts.add(line) for line in check.evidence if line.strip()]
    output = texts.add(check.output) if check.output.strip() else -1
    return [letter, said, [texts.add(text) for text in check.diagnosis], facts, output]
