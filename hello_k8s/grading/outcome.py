"""What one phase of a check came to: an exception, or none, as a CheckResult."""

from __future__ import annotations

import traceback
from dataclasses import replace

import pytest

from hello_k8s.catalog import Check
from hello_k8s.errors import HelloError
from hello_k8s.grading.attempt import Attempt
from hello_k8s.grading.encodable import encodable, encodable_texts
from hello_k8s.grading.verdict import CheckResult, Note, Texts, TimedOut, Unmet, everywhere, verdict_of
from hello_k8s.language import both

_OUTPUT_LIMIT = 20_000


def outcome(attempt: Attempt, check: Check, call: pytest.CallInfo[None], made: pytest.TestReport) -> CheckResult:
    """The outcome of one phase of `check`. Raises what stops the whole run: Ctrl-C, pytest.exit."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
        raise error
    # looked for after each check: what changes the lab's objects (a scaler, say) may take its time
    tampered = attempt.tampered() if call.when == "call" else None
    if error is None:
        error = tampered
    verdict = verdict_of(error)
    if isinstance(error, pytest.fail.Exception) and call.when == "call":
        verdict = "failed"  # a check may say so instead of asserting; pytest itself uses it for broken fixtures
    result = CheckResult(
        id=check.id,
        question=check.question,
        points=check.points,
        verdict=verdict,
        hints=check.hints,
        output=encodable("".join(text for _, text in made.sections)[-_OUTPUT_LIMIT:]) if call.when == "call" else "",
        seconds=call.duration,
    )
    if error is None:
        return result
    if result.verdict in ("failed", "timed_out") and (scheduler := attempt.crowded_out()):
        told = both("grading.crowded_out")
        return replace(result, verdict="errored", message=told, evidence=(encodable(scheduler),))
    message, evidence = _said(error, made.skipped)
    causes = attempt.causes(error) if result.verdict in ("failed", "timed_out") else ()
    if isinstance(tampered, Unmet) and tampered is not error:
        causes = (tampered.texts, *causes)
    return replace(
        result,
        message=encodable_texts(message),
        evidence=tuple(map(encodable, evidence)),
        diagnosis=tuple(map(encodable_texts, causes)),
    )


def _said(error: BaseException, skipped: bool) -> tuple[dict[str, str], list[str]]:
    """What an exception says to the learner, in every language, and the facts that it carries."""
    if skipped:
        return both("grading.skipped"), [str(error)]
    if isinstance(error, Unmet | TimedOut):
        return _with_notes(error.texts, error), list(getattr(error, "evidence", ()))
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return _with_notes(everywhere(_short(str(error))), error), []
    if isinstance(error, HelloError):
        return everywhere(str(error)), []
    lines = traceback.format_exception(error)
    return everywhere(f"{type(error).__name__}: {error}"), "".join(lines[-8:]).splitlines()


def _with_notes(texts: Texts, error: BaseException) -> dict[str, str]:
    notes = [note.texts if isinstance(note, Note) else everywhere(note) for note in getattr(error, "__notes__", ())]
    return {language: " ".join([text, *(note[language] for note in notes)]) for language, text in texts.items()}


def _short(text: str) -> str:
    """An assertion's own message, without the lines that pytest adds about where the values came from."""
    first, _, rest = text.partition("\nassert ")
    return first if rest and first else text
