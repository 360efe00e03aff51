"""Programs are run without a shell, within a limit, and never leave children behind."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hello_k8s import process
from hello_k8s.errors import CommandFailed, ProgramMissing
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.nested import Nested


def test_output_of_both_streams_is_kept_apart() -> None:
    done = process.run([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"])
    assert (done.stdout, done.stderr, done.code) == ("out\n", "err\n", 0)


def test_a_failure_carries_the_command_and_what_it_printed() -> None:
    with pytest.raises(CommandFailed) as caught:
        process.run([sys.executable, "-c", "import sys; sys.exit('no space left')"])
    assert caught.value.exit_code_of_command == 1
    assert "no space left" in caught.value.output and "no space left" in caught.value.why
    assert caught.value.command[0] == sys.executable


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program-here"):
        process.run(["no-such-program-here"])
    with pytest.raises(ProgramMissing, match="no-such"), process.reading(["no-such-program-here"], timeout=9):
        pass


def test_past_the_limit_the_whole_group_is_killed(tmp_path: Path) -> None:
    """A child of the program that ran out of time doesn't go on writing, not even one that is deaf to SIGTERM."""
    mark = tmp_path / "mark"
    parent = f"(trap '' TERM; sleep 2; touch {mark}) & wait"
    began = time.monotonic()
    with pytest.raises(CommandFailed) as caught:
        process.run(["sh", "-c", parent], timeout=0.5)
    assert caught.value.exit_code_of_command is None
    assert time.monotonic() - began < 2
    with pytest.raises(CommandFailed):
        process.run([sys.executable, "-c", "import time; time.sleep(9)"], timeout=2)
    assert not mark.exists()


def test_endless_output_costs_bounded_memory() -> None:
    done = process.run([sys.executable, "-c", "print('head'); print('x' * 5_000_000); print('tail')"])
    assert len(done.stdout) < process.KEPT + 100
    assert done.stdout.startswith("head\n") and done.stdout.endswith("tail\n")


def test_lines_come_as_they_are_printed_and_input_reaches_the_program() -> None:
    lines: list[str] = []
    process.run(
        [sys.executable, "-c", "import sys; print(sys.stdin.read().upper())"], input=b"abc", on_line=lines.append
    )
    assert lines == ["ABC"]


def test_a_program_that_does_not_read_its_input_is_fine() -> None:
    assert process.run([sys.executable, "-c", "print(1)"], input=b"x" * 10_000_000).stdout == "1\n"


def test_when_somebody_ends_it_all_no_thread_is_left_waiting() -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(process.run, ["sleep", "60"])
        while not process._running:
            assert not running.done()
        began = time.monotonic()
        process.end_all()
        with pytest.raises(CommandFailed):
            running.result()
        assert time.monotonic() - began < 5 and not process._running


def test_what_reads_from_a_program_is_ended_too() -> None:
    def read() -> bytes:
        with process.reading(["sleep", "60"], timeout=60) as stream:
            return stream.read()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(read)
        while not process._running:
            assert not running.done()
        process.end_all()
        with pytest.raises(CommandFailed):
            running.result(5)
        assert not process._running


def test_whoever_reads_no_further_waits_for_nothing(home: Path) -> None:
    """An engine whose containers answer more than anybody reads: the answer is too large, and nobody's error."""
    endless = home / "docker"
    endless.write_text("#!/bin/sh\nexec yes\n")
    endless.chmod(0o755)
    (first, second) = Nested("nested", engine=Engine((str(endless),))).fetch("http://127.0.0.1/", 2)
    assert first == second and "too large" in first["error"] and first["status"] == 0
    assert not process._running


def test_a_program_that_goes_on_after_its_last_word_is_ended() -> None:
    with process.reading(["sh", "-c", "echo done; exec >&-; sleep 60"], timeout=60) as stream:
        assert stream.read() == b"done\n"
    assert not process._running
