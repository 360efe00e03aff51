"""What one phase of a check came to: an exception, or none, as a CheckResult."""

from __future__ import annotations

import traceback
from dataclasses import replace

import pytest

from hello_k8s.catalog import Check
from hello_k8s.errors import HelloError
from hello_k8s.grading.attempt import Attempt
from hello_k8s.grading.verdict import CheckResult, TimedOut, Unmet, everywhere, verdict_of
from hello_k8s.language import both

_OUTPUT_LIMIT = 20_000


def outcome(attempt: Attempt, check: Check, call: pytest.CallInfo[None], made: pytest.TestReport) -> CheckResult:
    """The outcome of one phase of `check`. Raises what stops the whole run: Ctrl-C, pytest.exit."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
        raise error
    verdict = verdict_of(error)
    if isinstance(error, pytest.fail.Exception) and call.when == "call":
        verdict = "failed"  # a check may say so instead of asserting; pytest itself uses it for broken fixtures
    result = CheckResult(
        id=check.id,
        question=check.question,
        points=check.points,
        verdict=verdict,
        hints=check.hints,
        output="".join(text for _, text in made.sections)[-_OUTPUT_LIMIT:] if call.when == "call" else "",
        seconds=call.duration,
    )
    if error is None:
        return result
    message, evidence = _said(error, made.skipped)
    causes = attempt.causes(error) if result.verdict in ("failed", "timed_out") else ()
    return replace(result, message=message, evidence=tuple(evidence), diagnosis=causes)


def _said(error: BaseException, skipped: bool) -> tuple[dict[str, str], list[str]]:
    """What an exception says to the learner, in every language, and the facts that it carries."""
    if skipped:
        return both("grading.skipped"), [str(error)]
    notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, Unmet | TimedOut):
        texts = {language: text + notes for language, text in error.texts.items()}
        return texts, list(getattr(error, "evidence", ()))
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return everywhere(_short(str(error)) + notes), []
    if isinstance(error, HelloError):
        return everywhere(str(error)), []
    lines = traceback.format_exception(error)
    return everywhere(f"{type(error).__name__}: {error}"), "".join(lines[-8:]).splitlines()


def _short(text: str) -> str:
    """An assertion's own message, without the lines that pytest adds about where the values came from."""
    first, _, rest = text.partition("\nassert ")
    return first if rest and first else text
