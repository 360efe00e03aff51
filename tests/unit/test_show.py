"""Progress without a terminal: a line when a step takes long, one when it is done, everything in the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hello_k8s.authoring import Report, Run
from hello_k8s.cli import log, results, show


@pytest.fixture(autouse=True)
def own_log(home: Path) -> Iterator[None]:
    log.close()
    yield
    log.close()


def logged(home: Path) -> str:
    (file,) = (home / "state" / "logs").glob("try-*.log")
    return file.read_text("utf-8")


def test_a_quick_step_is_only_in_the_log(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with show.Terminal("try").step("Doing", 5):
        pass
    assert capsys.readouterr().out == ""
    assert "> Doing" in logged(home) and "✓ Doing" in logged(home)


def test_a_long_step_says_so_with_its_usual_time(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "WORTH_DRAWING", 0.02)
    monkeypatch.setattr(show, "STILL_EVERY", 0.05)
    progress = show.Terminal("try")
    said = ""
    with progress.step("Compiling", 1080):
        progress.line("from the program")
        until = time.monotonic() + 10
        while said.count("(usually 18 min)") < 2 and time.monotonic() < until:
            threading.Event().wait(0.02)
            said += capsys.readouterr().out
    out = (said + capsys.readouterr().out).splitlines()
    assert out[0] == "… Compiling (usually 18 min)" and out[-1].startswith("✓ Compiling")
    assert any("(usually 18 min)" in line for line in out[1:-1])
    assert "from the program" in logged(home) and not any("from the program" in line for line in out)


def test_a_failed_step_is_marked(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "WORTH_DRAWING", 0)
    with pytest.raises(ValueError, match="x"), show.Terminal("try").step("Doing"):
        raise ValueError("x")
    assert capsys.readouterr().out.splitlines()[-1].startswith("✗ Doing")


def test_a_table_shows_a_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """What a check printed, and a checkout in …/[k8s]/…: neither is markup."""
    page = show.table("one", "two")
    page.add_row("closed [/tmp/x]", "/home/[k8s]/ws")
    show.console().print(page)
    out = capsys.readouterr().out
    assert "closed [/tmp/x]" in out and "/home/[k8s]/ws" in out


def test_a_verification_shows_what_a_check_printed(capsys: pytest.CaptureFixture[str]) -> None:
    results.show_verification(Report("ch1/small", (), (Run("solution", "5/5", "ungraded: no [/tmp/x]", False, 1.0),)))
    out = capsys.readouterr().out
    assert "ungraded: no [/tmp/x]" in out and "✗" in out and "[red]" not in out


def test_a_note_stays_even_while_output_is_captured(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import contextlib
    import io

    progress = show.Terminal("try")
    with contextlib.redirect_stdout(io.StringIO()) as captured:
        progress.note("which way was taken")
    assert captured.getvalue() == "" and capsys.readouterr().out == "which way was taken\n"
    assert "which way was taken" in logged(home)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (125, "2 min 5 s"), (1080, "18 min"), (3601, "60 min")],
)
def test_durations_are_said_as_people_do(home: Path, seconds: float, said: str) -> None:
    assert show.duration(seconds) == said


def test_old_logs_are_cleared_away(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "KEPT", 3)
    folder = home / "state" / "logs"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"old-{number}.log").write_text("x")
    log.open_for("try")
    assert len(list(folder.glob("*.log"))) == 3
