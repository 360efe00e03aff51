"""Two languages, one book: the same pages with the same parts, and notebooks with the same code and outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hello_k8s import paths

_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}|:{3,})\s*(?P<info>[^`\n]*)$")


def sources(kind: Path, ending: str) -> list[str]:
    found = {language: {f.relative_to(kind / language).as_posix() for f in (kind / language).rglob(f"*.{ending}")}
             for language in ("ko", "en")}  # fmt: skip
    assert found["ko"] == found["en"]
    return sorted(name for name in found["ko"] if ".ipynb_checkpoints" not in name)


def parts(text: str) -> tuple[list[int], list[tuple[str, str]]]:
    """Levels of the headings; and each block: its info line and its body."""
    levels: list[int] = []
    blocks: list[tuple[str, str]] = []
    fence, info, body = "", "", list[str]()
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            if line.strip() == fence:
                blocks.append((info, "\n".join(body)))
                fence = ""
            else:
                body.append(line)
        elif mark:
            fence, info, body = mark["fence"], mark["info"].strip(), []
        elif heading := re.match(r"(#+) ", line):
            levels.append(len(heading[1]))
    assert not fence, "a block that doesn't end"
    return levels, blocks


def plain(code: str) -> str:
    """Code without its comments: these are in the reader's language."""
    return "\n".join(re.sub(r"\s*#.*$", "", line) for line in code.splitlines())


def options(body: str) -> list[str]:
    """Options of a directive that both languages must give alike: all but the texts."""
    found = re.findall(r"^:([\w-]+):(.*)$", body, re.M)
    return [name if name in ("alt", "caption", "title") else f"{name}:{value}" for name, value in found]


def quiz(body: str) -> list[list[bool]]:
    return [[bool(option.get("right")) for option in item["answers"]] for item in yaml.safe_load(body)]


@pytest.mark.parametrize("name", sources(paths.BOOK, "md"))
def test_pages_have_the_same_parts(name: str) -> None:
    ko, en = (parts((paths.BOOK / language / name).read_text(encoding="utf-8")) for language in ("ko", "en"))
    assert ko[0] == en[0], "headings"
    assert ko[0][0] == 1 and ko[0].count(1) == 1
    kinds = [[re.match(r"\{?[\w-]*\}?", info)[0] for info, _ in page[1]] for page in (ko, en)]  # type: ignore[index]
    assert kinds[0] == kinds[1], "blocks"
    for (info, mine), (other, theirs) in zip(ko[1], en[1], strict=True):
        if info.startswith(("{literalinclude}", "{lab}", "{sections}", "{figure}", "{image}")):
            same = other.replace("/en/", "/ko/")
            assert info == same and options(mine) == options(theirs)
        elif info.startswith("{quiz}"):
            assert quiz(mine) == quiz(theirs)
        elif info.startswith("{mermaid}"):
            assert options(mine) == options(theirs)
            # Words differ by language; the drawing has the same lines.
            assert len(mine.strip().splitlines()) == len(theirs.strip().splitlines())
        elif not info.startswith("{"):
            assert plain(mine) == plain(theirs)


@pytest.mark.parametrize("name", sources(paths.NOTEBOOKS, "ipynb"))
def test_notebooks_have_the_same_code_and_outputs(name: str) -> None:
    ko, en = (json.loads((paths.NOTEBOOKS / language / name).read_text(encoding="utf-8")) for language in ("ko", "en"))
    assert [cell["cell_type"] for cell in ko["cells"]] == [cell["cell_type"] for cell in en["cells"]]
    for number, (mine, theirs) in enumerate(zip(ko["cells"], en["cells"], strict=True)):
        if mine["cell_type"] == "code":
            assert "".join(mine["source"]) == "".join(theirs["source"]), number
            assert mine["outputs"] == theirs["outputs"], number
            assert tags(mine) == tags(theirs), number
        else:
            assert headings(mine) == headings(theirs), number
    assert ko["metadata"]["language_info"]["name"] == en["metadata"]["language_info"]["name"] == "python"


def tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def headings(cell: dict[str, Any]) -> list[int]:
    return [len(mark) for mark in re.findall(r"^(#+) ", "".join(cell["source"]), re.M)]
