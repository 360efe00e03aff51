"""A small section to try things on, in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hello_k8s import catalog, grading, paths
from hello_k8s.authoring import side_by_side
from hello_k8s.catalog import Lab
from hello_k8s.grading.verdict import Kind, Result
from hello_k8s.progress import SILENT, Progress

LAB_TOML = """
order = 10
needs = ["docker"]
minutes = 5
deliverables = ["Dockerfile", "sub/notes.txt"]
check = "replay"

[title]
ko = "작은 실습"
en = "A small lab"

[checks.first]
points = 2
question = { ko = "처음인가요?", en = "Is it the first?" }
hints.ko = ["어디를 볼지", "무엇을 바꿀지"]
hints.en = ["Where to look", "What to change"]

[checks.second]
points = 3
question = { ko = "둘째인가요?", en = "Is it the second?" }
hints.ko = ["둘째: 어디", "둘째: 무엇"]
hints.en = ["Second: where", "Second: what"]

[mutants.wrong]
fails = ["first"]
misconception = { ko = "틀림", en = "Wrong" }

[mutants.other]
fails = ["second"]
misconception = { ko = "다름", en = "Other" }
"""


@pytest.fixture(autouse=True)
def english_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts as the tests know them, whatever the locale of who runs them and the colours that a CI system asks for."""
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)


FILES = {
    "lab.toml": LAB_TOML,
    "README.ko.md": "# 작은 실습\n\n```bash\ndocker build .   # 빌드\n```\n",
    "README.en.md": "# A small lab\n\n```bash\ndocker build .   # build\n```\n",
    "checks.py": "def test_first():\n    pass\n\n\ndef test_second():\n    pass\n",
    "start/Dockerfile": "FROM scratch\n",
    "start/sub/notes.txt": "begin\n",
    "start/given.txt": "given\n",
    "solution/Dockerfile": "FROM scratch\nUSER 65534\n",
    "solution/sub/notes.txt": "solved\n",
    "mutants/wrong/Dockerfile": "FROM scratch\nUSER root\n",
    "mutants/other/sub/notes.txt": "wrong\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


@pytest.fixture
def labs(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """labs/, book/ and notebooks/ of a checkout with one section, ch1/small; catalog and paths look there."""
    root = home / "checkout"
    for name in ("labs", "book", "notebooks", "images", "addons"):
        (root / name).mkdir(parents=True)
        monkeypatch.setattr(paths, name.upper(), root / name)
    monkeypatch.setattr(paths, "ROOT", root)
    write(root / "labs" / "ch1" / "small", FILES)
    return root / "labs"


@pytest.fixture
def verified_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """`authoring.verify` grades in this process: others know nothing of what a test replaces."""

    def graded(lab: Lab, submissions: Sequence[tuple[Path, Kind]], progress: Progress = SILENT) -> list[Result | str]:
        return [grading.grade(lab, folder, mode="replay", kind=kind) for folder, kind in submissions]

    monkeypatch.setattr(side_by_side, "graded", graded)


@pytest.fixture
def small(labs: Path) -> catalog.Lab:
    """The lab ch1/small."""
    return catalog.lab("ch1/small")
