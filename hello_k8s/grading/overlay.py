"""Hidden checks: a folder beside the labs that adds checks, points and mutants to them without touching them.

`DIR/<chapter>/<section>/` may hold `overlay.toml` (tables `checks` and `mutants`, as in lab.toml), `checks.py`,
`mutants/<name>/` and, where the instructor's class is to run beside other neighbours, replaced `given/` files.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hello_k8s import catalog, paths, sources
from hello_k8s.catalog import Lab
from hello_k8s.errors import CatalogError, UsageError
from hello_k8s.language import t
from hello_k8s.tomlfile import Table, read_toml

#: Part of the digest: a copy merged by an older version of this module is made anew.
_FORMAT = "2"


def covered(overlay: Path, root: Path | None = None) -> tuple[str, ...]:
    """The ids of the labs that `overlay` adds something to.

    Raises UsageError for a folder that isn't there or adds nothing, and for a section that has no lab: hidden checks
    that silently don't run would give points away.
    """
    if not overlay.is_dir():
        raise UsageError(t("overlay.no_folder", folder=overlay), next=t("overlay.layout"))
    found = sorted(entry.relative_to(overlay).as_posix() for entry in overlay.glob("ch*/*") if entry.is_dir())
    if not found:
        raise UsageError(t("overlay.empty", folder=overlay), next=t("overlay.layout"))
    for name in found:
        if not ((root or paths.LABS) / name / "lab.toml").is_file():
            raise UsageError(t("overlay.no_lab", folder=overlay / name, lab=name), next=t("catalog.list_labs"))
    return tuple(found)


def overlaid(lab: Lab, overlay: Path | None) -> Lab:
    """`lab` with what `overlay` adds to it: its folder is a merged copy below the state folder.

    The lab itself where there is no overlay, or none for it. Processes side by side share the copy, since its name is
    the digest of what it was made from. Raises CatalogError or UsageError (file, key, what was expected).
    """
    root = lab.folder.parent.parent
    if overlay is None or lab.id not in covered(overlay, root):
        return lab
    added = overlay.resolve() / lab.id
    target = paths.state() / "overlays" / _digest(lab.folder, added) / lab.id
    if not target.is_dir():
        merged = _merged_table(lab, added, target)
        checks = _merged_checks(lab, added)
        files = dict(_added_files(lab, added))
        _write(lab, target, files, merged, checks)
    return catalog.read_lab(target, target.parent.parent)


def _digest(*folders: Path) -> str:
    parts = (_FORMAT, str(paths.ROOT), str(paths.state()), *(sources.digest(sources.written(f)) for f in folders))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _write(lab: Lab, target: Path, files: Mapping[str, Path], table: Mapping[str, Any], checks: str) -> None:
    """The merged folder, complete when it appears under its name; another process may have been first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=paths.state() / "overlays"))
    try:
        for name, file in {**sources.written(lab.folder), **files}.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, temporary / name)
        (temporary / "lab.toml").write_text(to_toml(table), "utf-8")
        (temporary / "checks.py").write_text(checks, "utf-8")
        temporary.chmod(0o755)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


# -- files


def _added_files(lab: Lab, added: Path) -> Iterator[tuple[str, Path]]:
    """Mutants and replaced `given/` files; raises UsageError for a file that the overlay can't have."""
    for name, file in sources.written(added).items():
        first = name.split("/")[0]
        if first == "given" and (lab.folder / name).is_file():
            yield name, file
        elif first == "mutants" and name.count("/") >= 2:
            folder = lab.folder / "/".join(name.split("/")[:2])
            if folder.exists():
                raise UsageError(t("overlay.mutant_twice", folder=file.parent, lab=lab.id), next=t("overlay.rename"))
            yield name, file
        elif name not in ("overlay.toml", "checks.py") and not name.startswith(("README", ".")):
            given = [given for given in sources.written(lab.folder) if given.startswith("given/")]
            raise UsageError(
                t("overlay.unknown_file", file=file),
                why=t("overlay.known_files", given=", ".join(given) or "–"),
                next=t("overlay.layout"),
            )


# -- lab.toml


def _merged_table(lab: Lab, added: Path, target: Path) -> dict[str, Any]:
    """What the merged lab.toml says. Everything is read through `Table` first, so that a mistake is named."""
    file = added / "overlay.toml"  # who only replaces `given/` files needs none
    table = read_toml(file) if file.exists() else Table(file, "", {})
    raw: dict[str, Any] = tomllib.loads(file.read_text("utf-8-sig")) if file.exists() else {}
    merged: dict[str, Any] = tomllib.loads((lab.folder / "lab.toml").read_text("utf-8-sig"))
    checks = list(lab.checks)
    theirs = {check.id for check in lab.checks}
    for name, entry in table.tables("checks"):
        if name in theirs:
            _only(entry, {"points"}, "overlay.only_points")
            entry.integer("points")
        else:
            checks.append(catalog.read_check(entry, name))
        merged.setdefault("checks", {}).setdefault(name, {}).update(raw["checks"][name])
    for name, entry in table.tables("mutants"):
        if any(mutant.name == name for mutant in lab.mutants):
            _only(entry, {"fails"}, "overlay.only_fails")
            _known(entry, [check.id for check in checks])
        else:
            catalog.read_mutant(entry, name, checks)
        merged.setdefault("mutants", {}).setdefault(name, {}).update(raw["mutants"][name])
    table.nothing_else()
    merged["include"] = {name: _moved(source, lab, target) for name, source in lab.include.items()}
    return merged


def _only(entry: Table, allowed: set[str], expected: str) -> None:
    for key in entry.keys:
        if key not in allowed:
            raise entry.error(key, t(expected))


def _known(entry: Table, checks: Sequence[str]) -> None:
    for name in entry.strings("fails"):
        if name not in checks:
            raise entry.error("fails", t("catalog.expected_check", got=name, known=", ".join(sorted(checks))))


def _moved(source: str, lab: Lab, target: Path) -> str:
    """Where an included file is now: one of the lab's own folder is taken from the copy."""
    file = paths.ROOT / source
    return str(target / file.relative_to(lab.folder)) if file.is_relative_to(lab.folder) else source


def to_toml(table: Mapping[str, Any]) -> str:
    """`table` as TOML: a key a line, inner tables inline."""
    return "".join(f"{_string(key)} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_string(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return "[" + ", ".join(map(_value, value)) + "]"


def _string(text: str) -> str:
    # a basic string of TOML is one of JSON's, but for the one control character that JSON leaves alone
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# -- checks.py


def _merged_checks(lab: Lab, added: Path) -> str:
    """The lab's checks.py with the overlay's below it, so that hidden checks can use the lab's fixtures and helpers.

    A name that both define is refused: the second would quietly replace the first in the lab's own checks, too.
    """
    own = (lab.folder / "checks.py").read_text("utf-8-sig")
    file = added / "checks.py"
    if not file.is_file():
        return own
    hidden = file.read_text("utf-8-sig")
    before, after = _defined(lab.folder / "checks.py", own), _defined(file, hidden)
    twice = [name for name, what in after.items() if name in before and before[name] != what]
    twice += [name for name in after if name in before and name.startswith("test_") and name not in twice]
    if twice:
        raise UsageError(t("overlay.defined_twice", file=file, names=", ".join(twice)), next=t("overlay.rename"))
    hidden, future = _without_future(hidden)
    line = "" if not future or _without_future(own)[1] else f"from __future__ import {', '.join(sorted(future))}\n"
    return f"{line}{own.rstrip()}\n\n\n# {'-' * 8} {added.parent.name}/{added.name}\n{hidden}"


def _defined(file: Path, text: str) -> dict[str, str]:
    """The names that a module binds, each with what it is; an import is the same wherever it says the same."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise CatalogError(t("overlay.syntax", file=file, line=error.lineno or 0), why=error.msg) from error
    found: dict[str, str] = {}
    for node in tree.body:
        where = f"{file}:{node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            found |= {a.asname or a.name.split(".")[0]: f"{source}import {a.name}" for a in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = where
        else:
            stored = (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            found |= {name.id: where for name in stored}
    return found


def _without_future(text: str) -> tuple[str, set[str]]:
    """`text` with its `from __future__` lines blank, and what they ask for: they may only stand at the very top."""
    lines, features = text.splitlines(), set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            features |= {alias.name for alias in node.names}
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join([*lines, ""]), features
