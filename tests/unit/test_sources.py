"""What people wrote counts, what tools leave beside it doesn't; nothing changes without the digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import sources

from .conftest import write

OURS = {"a.py": "a", "sub/.dockerignore": "docs", "sub/한글.md": "b", "sub-2/c": "c"}
LEFT = {"__pycache__/a.pyc": "x", "sub/.ipynb_checkpoints/b": "x", ".DS_Store": "x", "sub/.git/HEAD": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "folder", OURS | LEFT)
    return tmp_path / "folder"


def test_what_people_wrote_by_name(folder: Path) -> None:
    (folder / "gone").symlink_to("nowhere")
    assert {name: file.read_text() for name, file in sources.written(folder).items()} == OURS
    assert sources.written(folder / "a.py") == {"a.py": folder / "a.py"}
    assert sources.written(folder / "nowhere") == {}


@pytest.mark.parametrize("change", ["content", "name", "new", "gone", "moved", "border"])
def test_the_digest_is_another_when_anything_changed(folder: Path, change: str) -> None:
    before = sources.digest(sources.written(folder))
    for name in LEFT:
        (folder / name).write_text("y")
    assert sources.digest(sources.written(folder)) == before
    if change == "content":
        (folder / "a.py").write_text("b")
    elif change == "name":
        (folder / "a.py").rename(folder / "b.py")
    elif change == "new":
        (folder / "empty").touch()
    elif change == "gone":
        (folder / "sub-2/c").unlink()
    elif change == "moved":
        (folder / "sub-2/c").rename(folder / "sub/c")
    else:  # the same bytes in a row
        (folder / "a.py").write_text("")
        (folder / "sub-2/c").write_text("ca")
    assert sources.digest(sources.written(folder)) != before
