"""What the system refuses is said as what, why and what next; it is no bug and leaves no traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import cli, files, language, paths, refusal
from hello_k8s.catalog import Lab
from hello_k8s.cli import app, log
from hello_k8s.workspace import identity


@pytest.fixture(autouse=True)
def own_log(home: Path) -> Iterator[None]:
    log.close()
    yield
    log.close()


def said(error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(app, "run", fail)
    assert cli.run(["x"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


def is_bug(err: str) -> bool:
    return "There is a bug" in err


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_another_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int) -> None:
    err = said(OSError(number, os.strerror(number), "/mnt/share/x"), monkeypatch, capsys)
    assert not is_bug(err) and "chown" not in err
    assert err.index("/mnt/share/x") < err.index(os.strerror(number)) < err.index("→") < err.index("--output")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("file", [None, "/mnt/share/x"])
def test_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, file: str | None
) -> None:
    error = OSError(number, os.strerror(number), file) if file else OSError(number, os.strerror(number))
    err = said(error, monkeypatch, capsys)
    assert not is_bug(err) and "docker system prune" in err and (file or "full") in err


@pytest.mark.parametrize("folder", ["state", "workspace", "cache"])
def test_a_file_of_ours_that_is_another_users(home: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    file = home / folder / "labs" / "deep" / "x.json"
    file.parent.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: file.parent.stat().st_uid + 1)
    for tongue in language.LANGUAGES:
        language.use(tongue)
        error = refusal.explained(PermissionError(errno.EACCES, "Permission denied", str(file)))
        assert error is not None and f'sudo chown -R "$(id -un)" {home / folder}' in error.next


def test_a_file_of_ours_that_is_ours(home: Path) -> None:
    (home / "state").mkdir()
    error = refusal.explained(PermissionError(errno.EACCES, "Permission denied", str(home / "state" / "x")))
    assert error is not None and "chown" not in error.next


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, "Input/output error", "/x"), FileNotFoundError(errno.ENOENT, "No such file", "/x"),
     ProcessLookupError(errno.ESRCH, "No such process"), PermissionError(errno.EPERM, "Operation not permitted"),
     OSError("no number at all")],
)  # fmt: skip
def test_the_others_stay_bugs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError
) -> None:
    assert is_bug(said(error, monkeypatch, capsys))


@pytest.mark.parametrize("place", ["", "ch1", "ch1/small", "ch1/small/sub"])
def test_a_file_in_the_place_of_a_folder(
    small: Lab, home: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    file = home / "workspace" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    if place:
        identity.introduce("jo")
    file.write_text("mine")
    assert cli.run(["lab", "start", "ch1/small", "--files-only"]) == 1
    err = capsys.readouterr().err
    assert not is_bug(err) and f"{file} is a file" in err and "→" in err and file.read_text() == "mine"


def test_a_folder_in_the_place_of_a_file(
    small: Lab, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HELLO_K8S_DOCKER", str(home / "no-docker"))
    (home / "workspace" / "learner.toml").mkdir(parents=True)
    assert cli.run(["lab", "pack", "ch1/small"]) == 1
    err = capsys.readouterr().err
    assert not is_bug(err) and "learner.toml is a folder" in err
    assert cli.run(["status"]) == 0, "its row says so, the others are there"
    out = " ".join(capsys.readouterr().out.split())
    assert "needed there" in out and "Book" in out


def test_a_folder_where_a_new_file_should_go(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "there").mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        files.write(home / "there", "x")
    err = said(raised.value, monkeypatch, capsys)
    assert not is_bug(err) and f"{home / 'there'} is a folder" in err


def test_a_folder_that_was_there_already_stays_a_bug(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FileExistsError) as raised:
        home.mkdir()
    assert is_bug(said(raised.value, monkeypatch, capsys))


def test_a_log_that_another_command_removes_is_no_bug(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Path(paths.logs() / "old.log")
    monkeypatch.setattr(type(gone), "glob", lambda *_: [gone, gone])
    log.open_for("x")
    assert log.opened()


def test_a_log_that_cannot_be_written_is_no_second_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log.open_for("x")
    monkeypatch.setattr(log, "write", full)
    assert not is_bug(said(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), monkeypatch, capsys))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_output_to_a_full_disk(home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "hello_k8s", "--version"]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, cwd=home, check=False
        )
    assert done.returncode == 1 and "The disk is full." in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
