"""What an instructor takes away: the class as CSV, JSON, JUnit XML, Gradescope's results.json and an HTML report.

One rule holds in all of them: *ungraded* is our failure, or it isn't known which of several answers counts; so it has
its own form everywhere, is never a zero, and counts in no average and no distribution. *Not submitted* is a zero, and
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hello_k8s.classroom.exports import as_csv, as_gradescope, as_html, as_json, as_junit
from hello_k8s.classroom.model import ClassReport
from hello_k8s.errors import UsageError
from hello_k8s.language import t

_WRITERS: dict[str, Callable[[ClassReport, Path], list[Path]]] = {
    "csv": as_csv.write,
    "json": as_json.write,
    "junit": as_junit.write,
    "gradescope": as_gradescope.write,
    "html": as_html.write,
}
FORMATS = tuple(_WRITERS)


def write(report: ClassReport, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write `report` into `folder` (made if missing) in each of `formats`; returns the files in that order.

    A file that is there already is replaced as a whole or not at all. Raises UsageError for an unknown format,
    before anything is written.
    """
    require_known(formats)
    folder.mkdir(parents=True, exist_ok=True)
    return [file for name in dict.fromkeys(formats) for file in _WRITERS[name](report, folder)]


def require_known(formats: Sequence[str]) -> None:
    """Raise UsageError where one of `formats` doesn't exist: better before a class is graded than after."""
    unknown = [name for name in formats if name not in _WRITERS]
    if unknown:
        raise UsageError(
            t("exports.unknown_format", format=", ".join(unknown)),
            next=t("exports.known_formats", formats=", ".join(FORMATS)),
        )
