"""`lab new`: every file of a section, in both languages, with marks where the author has to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hello_k8s import catalog, paths
from hello_k8s.errors import UsageError
from hello_k8s.language import t

_TEMPLATES = Path(__file__).with_name("templates")
_ID = re.compile(r"ch\d+/[a-z0-9]+(-[a-z0-9]+)*")

#: Template → the file that it becomes, below the checkout.
FILES = {
    "lab.toml": "labs/{id}/lab.toml",
    "README.ko.md": "labs/{id}/README.ko.md",
    "README.en.md": "labs/{id}/README.en.md",
    "checks.py": "labs/{id}/checks.py",
    "start.Dockerfile": "labs/{id}/start/Dockerfile",
    "solution.Dockerfile": "labs/{id}/solution/Dockerfile",
    "mutant.Dockerfile": "labs/{id}/mutants/root/Dockerfile",
    "page.ko.md": "book/ko/{id}.md",
    "page.en.md": "book/en/{id}.md",
    "notebook.ko.json": "notebooks/ko/{id}.ipynb",
    "notebook.en.json": "notebooks/en/{id}.ipynb",
}


def new(section_id: str) -> list[Path]:
    """Write a section's files; returns them. Nothing is written where one of them exists.

    Raises UsageError for an id that can't be one, or a section that exists.
    """
    if not _ID.fullmatch(section_id):
        raise UsageError(t("lab.new_wrong_id", id=section_id), next=t("lab.new_expected_id"))
    files = {template: paths.ROOT / place.format(id=section_id) for template, place in FILES.items()}
    taken = [file for file in (*files.values(), paths.LABS / section_id) if file.exists()]
    if taken:
        shown = taken[0].relative_to(paths.ROOT)
        raise UsageError(t("lab.new_exists", file=shown), next=t("lab.new_exists_next"))
    values = _values(section_id)
    for template, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_filled((_TEMPLATES / f"{template}.in").read_text("utf-8"), values), "utf-8")
    return list(files.values())


def _values(section_id: str) -> dict[str, str]:
    chapter, section = section_id.split("/")
    orders = [lab.order for lab in catalog.labs() if lab.chapter == chapter]
    return {"ID": section_id, "SECTION": section, "ORDER": str((max(orders, default=0) // 10 + 1) * 10)}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
