"""A result as plain lines, for pytest's own terminal. The command line and Jupyter draw theirs from the same Result."""

from __future__ import annotations

from collections.abc import Iterator

from hello_k8s.grading.verdict import CheckResult, Result
from hello_k8s.language import pick, t

_MARK = {"passed": "✓", "failed": "✗", "timed_out": "✗", "not_submitted": "–", "errored": "!"}


def cause(check: CheckResult) -> str:
    """The question, the cause that was seen, and what the check itself said: lines of one failed check."""
    lines = [pick(check.question)]
    lines += [t("grading.report.cause", text=pick(text)) for text in check.diagnosis]
    if pick(check.message):
        lines.append(t("grading.report.said", text=pick(check.message)))
    return "\n".join([*lines, *(f"    {line}" for line in check.evidence)])


def lines(result: Result) -> Iterator[str]:
    """One line a check with its verdict and points, then notes about drift, then the total."""
    for check in result.checks:
        verdict = t(f"grading.verdict.{check.verdict}")
        yield f"{_MARK[check.verdict]} {check.earned}/{check.points}  {pick(check.question)}  {verdict}"
    for text in result.drift:
        yield t("grading.report.drift", text=pick(text))
    key = "grading.report.total" if result.graded else "grading.report.ungraded"
    yield t(key, lab=result.lab, earned=result.earned, possible=result.possible)
