"""Every sentence exists in both languages, with the same blanks, and every sentence that the code names exists."""

from __future__ import annotations

import ast
import os
import re
import string
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import language

PACKAGE = Path(language.__file__).parent
#: Texts that are nothing but commands to type are the same in both.
COMMAND = re.compile(r"\s*`?(sudo|apt-get|brew|dnf|docker|systemctl|wsl|\./hello-k8s)\b")
AREAS = sorted({file.stem for file in (PACKAGE / "texts").glob("*/*.toml")})


def flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def sentences(tongue: str, area: str) -> dict[str, Any]:
    return dict(flat(tomllib.loads((PACKAGE / "texts" / tongue / f"{area}.toml").read_text("utf-8"))))


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("area", AREAS)
def test_both_languages_have_the_same_keys(area: str) -> None:
    ko, en = (set(sentences(tongue, area)) for tongue in ("ko", "en"))
    assert ko == en, f"only ko: {sorted(ko - en)}, only en: {sorted(en - ko)}"


@pytest.mark.parametrize("area", AREAS)
def test_both_languages_have_the_same_blanks(area: str) -> None:
    ko, en = sentences("ko", area), sentences("en", area)
    for key in ko.keys() & en.keys():
        assert isinstance(ko[key], str) and isinstance(en[key], str), f"{area}.{key} is no text"
        assert ko[key].strip() and en[key].strip(), f"{area}.{key} is empty"
        assert blanks(ko[key]) == blanks(en[key]), f"{area}.{key}"


@pytest.mark.parametrize("area", AREAS)
def test_korean_is_korean(area: str) -> None:
    """A sentence copied from English would pass every other test."""
    ko, en = sentences("ko", area), sentences("en", area)
    prose = re.compile(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}")
    copied = [key for key, text in ko.items() if text == en.get(key) and prose.search(text)]
    assert not [key for key in copied if not COMMAND.match(ko[key])]


def calls() -> Iterator[tuple[str, str, set[str] | None]]:
    """Each `t("area.key", …)`: where it is, its key, the blanks it fills (None: with `**values`)."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("t", "both"):
                where = f"{file.relative_to(PACKAGE)}:{node.lineno}"
                names = {keyword.arg for keyword in node.keywords if keyword.arg}
                spread = any(keyword.arg is None for keyword in node.keywords)
                for key in keys_of(node.args[0]):
                    yield where, key, None if spread else names


def keys_of(node: ast.expr) -> list[str]:
    """The keys that an expression may stand for; `*` where a part is only known when it runs."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return keys_of(node.body) + keys_of(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)]
    return []


def shown(value: object) -> str:
    """The same name in every process: tests may run side by side."""
    return ",".join(sorted(value)) if isinstance(value, set) else str(value)[:60]


@pytest.mark.parametrize(("where", "key", "filled"), sorted(calls(), key=lambda call: call[:2]), ids=shown)
def test_every_sentence_that_the_code_names_exists(where: str, key: str, filled: set[str] | None) -> None:
    area, _, name = key.partition(".")
    if "*" in area:
        return
    assert area in AREAS, f"{where}: there is no texts/*/{area}.toml"
    known = sentences("en", area)
    pattern = re.compile(re.escape(name).replace(r"\*", r".+"))
    matching = [text for known_key, text in known.items() if pattern.fullmatch(known_key)]
    assert matching, f"{where}: {key}"
    if "*" not in key and filled is not None:
        assert blanks(matching[0]) <= filled, f"{where}: {key} has blanks {blanks(matching[0])}"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LC_ALL": "ko_KR.UTF-8", "LANG": "en_US.UTF-8"}, "ko"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"HELLO_K8S_LANG": "en", "LANG": "ko_KR.UTF-8"}, "en"),
        ({"HELLO_K8S_LANG": "xx", "LANG": "ko_KR.UTF-8"}, "ko"),
    ],
)
def test_the_locale_decides(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("HELLO_K8S_LANG", "LC_ALL", "LC_MESSAGES", "LANGUAGE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    language.use(None)
    assert language.current() == expected


def test_what_was_chosen_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    language.use("ko")
    try:
        assert language.current() == "ko"
    finally:
        language.use(None)
    with pytest.raises(ValueError, match="xx"):
        language.use("xx")


def test_an_unknown_sentence_is_a_bug() -> None:
    with pytest.raises(KeyError):
        language.t("core.nowhere")
    with pytest.raises(KeyError):
        language.t("catalog.kind")


def test_a_terminal_without_korean_is_no_bug(home: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(PACKAGE.parent)}
    listed = subprocess.run(
        [sys.executable, "-m", "hello_k8s", "lab", "list", "--lang", "ko"],
        capture_output=True, text=True, env={**os.environ, **plain}, cwd=home, timeout=120,
    )  # fmt: skip
    assert listed.returncode == 0 and "ch1/multi-stage" in listed.stdout and not listed.stderr
