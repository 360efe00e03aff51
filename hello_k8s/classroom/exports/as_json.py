"""class.json: everything that is known, as class-1.schema.json describes it, results of schema 1 inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hello_k8s import files
from hello_k8s.classroom.exports.table import Spread, Table
from hello_k8s.classroom.model import ClassReport, Row
from hello_k8s.grading.encodable import encodable

NAME = "class.json"
SCHEMA = 1
SCHEMA_FILE = Path(__file__).with_name("class-1.schema.json")


def write(report: ClassReport, folder: Path) -> list[Path]:
    """Write class.json into `folder`."""
    return [files.write(folder / NAME, (encodable(text).encode() for text in _pieces(report)))]


def to_dict(report: ClassReport) -> dict[str, Any]:
    """The report as class-1.schema.json describes it."""
    return {**_head(report), "rows": [_row(row) for row in report.rows]}


def _pieces(report: ClassReport) -> Iterator[str]:
    """The document, a row a line: a class of a thousand is tens of megabytes, and never in memory at once."""
    yield json.dumps(_head(report), ensure_ascii=False, indent=1).removesuffix("\n}")
    yield ',\n "rows": ['
    for number, row in enumerate(report.rows):
        yield (",\n  " if number else "\n  ") + json.dumps(_row(row), ensure_ascii=False)
    yield "\n ]\n}\n"


def _head(report: ClassReport) -> dict[str, Any]:
    table = Table(report)
    return {
        "schema": SCHEMA,
        "version": report.version,
        "started": report.started,
        "finished": report.finished,
        "seconds": round(report.seconds, 3),
        "labs": [
            {"id": lab.id, "title": dict(lab.title), "possible": table.possible(lab), **_spread(spread)}
            for lab, spread in zip(table.labs, table.spreads()[1:], strict=True)
        ],
        "learners": [
            {"learner": total.learner, "state": total.state, "earned": total.earned, "possible": total.possible}
            for total in table.totals()
        ],
        "unmapped": [{"source": item.source, "reason": dict(item.reason)} for item in report.unmapped],
    }


def _spread(spread: Spread) -> dict[str, Any]:
    mean = None if spread.mean is None else round(spread.mean, 2)
    counts = {"counted": spread.counted, "not_submitted": spread.not_submitted, "ungraded": spread.ungraded}
    return {**counts, "mean_percent": mean}


def _row(row: Row) -> dict[str, Any]:
    return {
        "learner": row.learner,
        "lab": row.lab,
        "source": row.source,
        "state": row.state,
        "earned": row.earned,
        "attempts": row.attempts,
        "reason": None if row.reason is None else dict(row.reason),
        "result": None if row.result is None else row.result.to_dict(),
    }
