"""What can be seen of a section without running it: every part is there, in both languages, and they agree."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import catalog, notebooks, paths
from hello_k8s.authoring import answers
from hello_k8s.catalog import Lab, Mutant
from hello_k8s.language import LANGUAGES, t
from hello_k8s.sources import written

#: Marks, in a scaffold, what the author has still to write; the rest of the line says what.
TO_WRITE = "✎"
#: A hint where to look, then a hint what to change.
HINT_LEVELS = 2
#: Too slow to import on the path of a check (1.0 s and 0.5 s).
HEAVY = ("kubernetes", "docker")

_MARKED = re.compile(rf'{TO_WRITE}\s*([^"{TO_WRITE}]*)')
_CODE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) ", re.MULTILINE)


@dataclass(frozen=True)
class Problem:
    """One thing to do. `of_lab`: in the lab's folder itself, so that grading it would prove nothing yet."""

    text: str
    of_lab: bool = True


def problems(lab: Lab) -> Iterator[Problem]:
    """Everything to do, the lab's folder first. Raises CatalogError for an image.toml that is wrong."""
    for group in (_texts, _checks, _files, _mutants, answers.problems):
        for text in group(lab):
            yield Problem(text)
    for file in written(lab.folder).values():
        for text in _to_write(file):
            yield Problem(text)
    for language in LANGUAGES:
        page = paths.BOOK / language / lab.chapter / f"{lab.section}.md"
        for text in _page(page):
            yield Problem(text, of_lab=False)
        notebook = notebooks.file_of(lab, language)
        if notebook.is_file():
            for text in _to_write(notebook):
                yield Problem(text, of_lab=False)
    for text in notebooks.problems(lab):
        yield Problem(text, of_lab=False)


def folder_of(lab: Lab, mutant: Mutant) -> Path:
    """The folder of a mutant: the files in which it differs from the solution."""
    return lab.folder / "mutants" / mutant.name


def _shown(file: Path) -> str:
    return file.relative_to(paths.ROOT).as_posix() if file.is_relative_to(paths.ROOT) else str(file)


def _to_write(file: Path) -> Iterator[str]:
    text = file.read_bytes().decode("utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        for what in _MARKED.findall(line):
            yield t("lab.verify.to_write", file=_shown(file), line=number, what=what.strip().removesuffix("\\n") or "…")


def _page(page: Path) -> Iterator[str]:
    if not page.is_file():
        yield t("lab.verify.no_file", file=_shown(page))
    elif not page.read_text("utf-8").strip():
        yield t("lab.verify.empty_file", file=_shown(page))
    else:
        yield from _to_write(page)


def _texts(lab: Lab) -> Iterator[str]:
    readmes = [lab.folder / f"README.{language}.md" for language in LANGUAGES]
    there = [file for file in readmes if file.is_file()]
    for file in readmes:
        if file not in there:
            yield t("lab.verify.no_file", file=_shown(file))
        elif not file.read_text("utf-8").strip():
            yield t("lab.verify.empty_file", file=_shown(file))
    if len(there) == len(readmes):
        yield from _same_parts(*there)


def _same_parts(one: Path, other: Path) -> Iterator[str]:
    texts = [file.read_text("utf-8") for file in (one, other)]
    codes = [[_without_comments(code) for _, code in _CODE.findall(text)] for text in texts]
    for number in range(max(map(len, codes))):
        if codes[0][number : number + 1] != codes[1][number : number + 1]:
            yield t("lab.verify.code_differs", one=_shown(one), other=_shown(other), number=number + 1)
            break
    levels = ["".join(str(len(marks)) for marks in _HEADING.findall(_CODE.sub("", text))) for text in texts]
    if levels[0] != levels[1]:
        yield t("lab.verify.parts_differ", one=_shown(one), other=_shown(other), a=levels[0], b=levels[1])


def _without_comments(code: str) -> str:
    return "\n".join(re.sub(r"(^|\s+)#.*", "", line).rstrip() for line in code.splitlines())


def _checks(lab: Lab) -> Iterator[str]:
    if not lab.checks:
        yield t("lab.verify.no_checks")
    elif not lab.points:
        yield t("lab.verify.no_points")
    for check in lab.checks:
        if len(check.hints) < HINT_LEVELS:
            yield t("lab.verify.few_hints", check=check.id, count=len(check.hints))
    file = lab.folder / "checks.py"
    if not file.is_file():
        yield t("lab.verify.no_file", file=_shown(file))
        return
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except SyntaxError as error:
        yield t("lab.verify.syntax", line=error.lineno or 0, what=error.msg)
        return
    written = [node.name.removeprefix("test_") for node in tree.body
               if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]  # fmt: skip
    described = [check.id for check in lab.checks]
    yield from (t("lab.verify.no_test", check=name) for name in described if name not in written)
    yield from (t("lab.verify.no_check", check=name) for name in written if name not in described)
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (t("lab.verify.heavy_import", module=m) for m in modules if m.split(".")[0] in HEAVY)


def _files(lab: Lab) -> Iterator[str]:
    for name in lab.deliverables:
        if not (lab.solution / name).is_file():
            yield t("lab.verify.no_deliverable", file=name)
    for source in lab.include.values():
        if not (paths.ROOT / source).is_file():
            yield t("lab.verify.no_include", file=source)
    known = {str(name) for name in lab.files()} | set(lab.deliverables)
    named = {
        "given": lab.replay.given,
        "apply": lab.replay.apply,
        "build": lab.replay.build.values(),
        "secrets": lab.replay.secrets.values(),
    }
    for key, names in named.items():
        for name in names:
            if name not in known and not (lab.folder / name).is_file():
                yield t("lab.verify.no_given", key=key, file=name)
    for image in lab.images:
        if image not in catalog.images():
            yield t("lab.verify.no_image", image=image)
    for need in lab.needs:
        if need.startswith("addon:") and need.removeprefix("addon:") not in catalog.addons():
            yield t("lab.verify.no_addon", addon=need.removeprefix("addon:"))


def _mutants(lab: Lab) -> Iterator[str]:
    folder = lab.folder / "mutants"
    described = {mutant.name for mutant in lab.mutants}
    there = {entry.name for entry in folder.iterdir() if entry.is_dir()} if folder.is_dir() else set()
    yield from (t("lab.verify.no_mutant_entry", mutant=name) for name in sorted(there - described))
    for mutant in lab.mutants:
        if mutant.name not in there:
            yield t("lab.verify.no_mutant_folder", mutant=mutant.name)
            continue
        places = places_of(lab, mutant)
        if places == 0:
            yield t("lab.verify.mutant_same", mutant=mutant.name)
        elif places > 1:
            yield t("lab.verify.mutant_places", mutant=mutant.name, count=places)
        if not mutant.fails:
            yield t("lab.verify.mutant_fails_nothing", mutant=mutant.name)
    failed = {name for mutant in lab.mutants for name in mutant.fails}
    for check in lab.checks:
        if check.points and check.id not in failed:
            yield t("lab.verify.check_untried", check=check.id)


def places_of(lab: Lab, mutant: Mutant) -> int:
    """In how many places a mutant differs from the solution: hunks as `diff -u` would show them, over all files."""
    folder, places = folder_of(lab, mutant), 0
    for name, file in written(folder).items():
        original = lab.solution / name
        if not original.is_file():
            places += 1
            continue
        right, wrong = (source.read_text("utf-8", errors="replace").splitlines() for source in (original, file))
        places += len(list(difflib.SequenceMatcher(None, right, wrong, autojunk=False).get_grouped_opcodes(3)))
    return places
