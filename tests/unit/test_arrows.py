"""The house stands: inside the package an import goes only downward, and the machine knows nothing of labs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

from hello_k8s.sources import written

PACKAGE = Path(__file__).resolve().parents[2] / "hello_k8s"

#: From the roof to the ground; a module may import from its own floor (within one folder) and from lower ones.
FLOORS = [
    {"__main__"},
    {"cli", "jupyter"},
    {"selftest"},
    {"start"},
    {"serve"},
    {"workspace", "classroom", "authoring", "book", "booktools", "notebooks"},
    {"grading"},
    {"machine"},
    {"catalog"},
    {"tomlfile"},
    {"process", "files", "refusal", "sources"},
    {"progress", "paths"},
    {"errors"},
    {"language"},
    {"__init__"},
]

#: Neighbours on one floor that may call each other, and why.
NEIGHBOURS = {
    ("authoring", "classroom"): "verify grades side by side, as a class is graded",
    ("authoring", "notebooks"): "verify looks at a section's notebooks",
    ("classroom", "workspace"): "a class is made of what lab pack packs: one learner's name",
}


def floor(module: str) -> int:
    for number, names in enumerate(FLOORS):
        if module in names:
            return number
    raise AssertionError(f"hello_k8s/{module} has no floor: add it to FLOORS where it belongs")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def top(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """Names below hello_k8s that `file` imports anywhere, inside functions too: `machine.engine`, `errors`, …"""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("hello_k8s.") for alias in node.names if "hello_k8s." in alias.name}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            if node.module == "hello_k8s":
                found |= {alias.name for alias in node.names if (PACKAGE / alias.name).exists()
                          or (PACKAGE / f"{alias.name}.py").exists()}  # fmt: skip
            elif node.module and node.module.startswith("hello_k8s."):
                found.add(node.module.removeprefix("hello_k8s."))
    return found


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_go_only_downward(file: Path) -> None:
    here = top(file)
    for name in imported(file):
        there = name.split(".")[0]
        if there == here or (here, there) in NEIGHBOURS:
            continue
        assert floor(there) > floor(here), f"{here} may not import {name}"


def test_every_neighbour_is_called() -> None:
    """An arrow that nobody needs any more would let the next one in unseen."""
    used = {(top(file), name.split(".")[0]) for file in modules() for name in imported(file)}
    assert NEIGHBOURS.keys() <= used, NEIGHBOURS.keys() - used


def test_the_picture_in_contributing_shows_the_floors() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    picture = text.split("Imports go only downward")[1].split("```")[1].strip()
    drawn = [re.split(r" {2,}", line)[0].split(" · ") for line in picture.splitlines()]
    assert [{name.removesuffix("/").removesuffix(".py") for name in names} for names in drawn] == FLOORS[1:-1]


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "machine").glob("*.py")), ids=lambda file: file.relative_to(PACKAGE).as_posix()
)
def test_the_machine_knows_nothing_of_labs(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "hello_k8s.catalog":
            names = {alias.name for alias in node.names}
            assert names <= {"Image", "image", "images", "Addon", "addons"}, f"{file.name} imports {names}"


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_file_passes_400_lines(file: Path) -> None:
    assert len(file.read_text("utf-8").splitlines()) <= 400


def committed(root: Path) -> list[str]:
    """What git keeps, whoever owns the checkout; all that was written where this is no checkout (a downloaded ZIP)."""
    if not (root / ".git").exists():
        return [name for name in written(root) if not name.startswith((".state/", ".venv/", "workspace/"))]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=root, env=clean, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return list(filter(None, listed.stdout.split("\0")))


def test_nothing_names_this_machine() -> None:
    """No committed file holds a path of the machine it was written on."""
    root = PACKAGE.parent
    words = ["/root/" + ".cache/hello-k8s", "/tmp/" + "k8sbuild"]
    if len(root.parts) > 2:  # a word like /work/ stands in a .gitignore, too
        words.append(f"{root}/")
    for name in committed(root):
        file = root / name
        if file.is_symlink() or not file.is_file():
            continue
        text = file.read_bytes()
        for word in words:
            assert word.encode() not in text, f"{name} names {word}"
