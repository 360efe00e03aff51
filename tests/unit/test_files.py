"""A file is written whole or not at all, whoever else writes it and whatever happens in the middle."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hello_k8s import files


def test_what_is_written_is_there_and_nothing_beside_it(tmp_path: Path) -> None:
    file = files.write(tmp_path / "new" / "folder" / "한글.txt", "가나다")
    assert file.read_bytes() == "가나다".encode()
    assert files.write(file, b"\xff\x00") == file and file.read_bytes() == b"\xff\x00"
    assert list(file.parent.iterdir()) == [file]


def test_a_secret_is_never_open_to_others_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, modes = tmp_path / "secret", []
    monkeypatch.setattr(os, "fsync", lambda number: modes.append(os.fstat(number).st_mode & 0o777))
    files.write(file, "x", mode=0o600)
    assert modes == [0o600] and file.stat().st_mode & 0o777 == 0o600


def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = files.write(tmp_path / "file", "old")
    with pytest.raises(ValueError), files.whole(file) as part:
        part.write_text("ne")
        raise ValueError
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_pieces_of_which_one_cannot_be_made_leave_the_old_file(tmp_path: Path) -> None:
    file = files.write(tmp_path / "file", (piece for piece in (b"ol", b"d")))
    with pytest.raises(ZeroDivisionError):
        files.write(file, (b"new" * (1 // number) for number in (1, 0)))
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


def test_it_is_on_the_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.write(tmp_path / "file", "old")
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: seen.append(file.read_text()))
    files.write(file, "new")
    assert seen == ["old"] and file.read_text() == "new"


def test_two_at_once_do_not_write_into_the_same_part(tmp_path: Path) -> None:
    parts: set[Path] = set()
    meet = threading.Barrier(2)

    def write(text: str) -> None:
        with files.whole(tmp_path / "file") as part:
            parts.add(part)
            part.write_text(text)
            meet.wait(10)

    threads = [threading.Thread(target=write, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parts) == 2 and (tmp_path / "file").read_text() in ("one", "two")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_name_as_long_as_names_may_be_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / ("김" * 83 + ".tar")
    assert files.write(file, b"x").read_bytes() == b"x"
