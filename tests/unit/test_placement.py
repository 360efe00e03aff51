"""`lab check --placement`: what is all answered right can be skipped; nobody's typing error ends the test."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hello_k8s import paths
from hello_k8s.cli import placement as command
from hello_k8s.errors import CatalogError, UsageError
from hello_k8s.workspace.placement import topics


def typing(lines: list[str]) -> Callable[[str], str]:
    left = iter(lines)

    def ask(_: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    return ask


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


def right() -> list[str]:
    return [str(question.right) for topic in topics() for question in topic.questions]


def test_all_right_is_all_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.take(typing(right())) == 0
    out = capsys.readouterr().out
    assert out.count("you can skip this") == len(topics()) and "read this part" not in out


def test_one_wrong_answer_is_a_part_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    lines = right()
    lines[0] = "0"
    command.take(typing(["", "nine", "9", *lines]))
    out = capsys.readouterr().out
    assert out.count("Type a number") == 3
    assert f"→ {topics()[0].title['en']}: read" in out and out.count("you can skip this") == len(topics()) - 1


def test_an_end_of_input_is_told() -> None:
    with pytest.raises(UsageError, match="ended"):
        command.take(typing(["1"]))


def test_every_topic_is_a_part_of_chapter_0() -> None:
    for language in ("ko", "en"):
        page = (paths.BOOK / language / "ch0" / "index.md").read_text("utf-8")
        for topic in topics():
            assert f"\n## {topic.title[language]}\n" in page
    positions = {question.right for topic in topics() for question in topic.questions}
    assert positions == {1, 2, 3}, "always the same number is no test"


@pytest.mark.parametrize(
    ("old", "new"), [("right = 2", "right = 4"), ('answers.en = ["0", "1", "false"]', "answers.en = []")]
)
def test_a_wrong_file_is_named(tmp_path: Path, old: str, new: str) -> None:
    text = (paths.LABS / "ch0" / "placement.toml").read_text("utf-8")
    assert old in text
    file = tmp_path / "placement.toml"
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(CatalogError, match="exit-code"):
        topics(file)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_the_page_says_of_exit_codes_is_so(tmp_path: Path, language: str) -> None:
    page = (paths.BOOK / language / "ch0" / "index.md").read_text("utf-8")
    lines = re.findall(r"^(.*; echo \$\?) +# (\d+)", page, re.MULTILINE)
    assert len(lines) == 3
    for line, said in lines:
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=10)
        assert done.stdout.split() == [said], line


def test_what_the_page_says_of_yaml_is_so() -> None:
    read = yaml.safe_load
    assert read("value: 8080") == {"value": 8080} and read('enabled: "false"')["enabled"]
    assert read("version: 1.10") == {"version": 1.1} and read("country: no") == {"country": False}
    assert read("mode: 0644") == {"mode": 420} and read("name:web") == "name:web"
    with pytest.raises(yaml.YAMLError):
        read("a:\n\tb: 1")
