"""A reader runs copies of the notebooks, keeps what they did, and gets the book's new ones otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import paths
from hello_k8s.workspace import readers


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook of the book."""
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setenv("HELLO_K8S_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("HELLO_K8S_STATE", str(tmp_path / "state"))
    file = tmp_path / "notebooks" / "ko" / "ch1" / "build.ipynb"
    file.parent.mkdir(parents=True)
    file.write_text("first")
    return file


def test_a_copy_that_nobody_changed_follows_the_book(book: Path) -> None:
    copy = readers.lay("ko") / "ch1" / "build.ipynb"
    assert copy.read_text() == "first" and copy.is_relative_to(paths.workspace())
    book.write_text("second")
    readers.lay("ko")
    assert copy.read_text() == "second"


def test_what_the_reader_did_stays_and_the_book_is_never_touched(book: Path) -> None:
    copy = readers.lay("ko") / "ch1" / "build.ipynb"
    copy.write_text("mine")
    book.write_text("second")
    readers.lay("ko")
    assert copy.read_text() == "mine" and book.read_text() == "second"
    copy.unlink()
    readers.lay("ko")
    assert copy.read_text() == "second"


@pytest.mark.parametrize("memory", ["", "{", "[]"])
def test_without_a_memory_every_copy_is_the_readers(book: Path, memory: str) -> None:
    copy = readers.lay("ko") / "ch1" / "build.ipynb"
    (file,) = (paths.state() / "jupyter").iterdir()
    file.write_text(memory)
    book.write_text("second")
    readers.lay("ko")
    assert copy.read_text() == "first"
