"""Every section's page has what a section is made of, and says where it has its facts from."""

from __future__ import annotations

import re

import pytest

from hello_k8s import catalog, paths
from tests.unit.test_parity import parts

PAGES = [f"{language}/{lab.id}" for language in ("ko", "en") for lab in catalog.labs()]
#: Words of a page: English as counted there; Korean puts into one word what English puts into one and a half.
WORDS = {"en": (800, 1500), "ko": (560, 1100)}
#: What makes a paragraph a claim about the world: a year, a share, a version of something else.
CLAIM = re.compile(
    r"\b(19|20)\d\d\b|\b\d+ ?%|\b(Docker|Kubernetes|BuildKit|Linux|containerd)( Engine)? v?\d", re.IGNORECASE
)
LINK = re.compile(r"\]\((https?://[^)\s]+)\)")
INCLUDED = re.compile(r"^`{3,}\{(?:literal)?include\} (\S+)", re.MULTILINE)


def text_of(page: str) -> str:
    return (paths.BOOK / f"{page}.md").read_text(encoding="utf-8")


def prose_of(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def blocks_of(text: str) -> list[tuple[str, str]]:
    return parts(text)[1]


def admonitions(text: str) -> list[str]:
    return [body for info, body in blocks_of(text) if info.startswith("{admonition}")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_its_parts(page: str) -> None:
    blocks = blocks_of(text_of(page))
    kinds = [info.split()[0] for info, _ in blocks if info]
    assert kinds.count("{lab}") == 1 and kinds.count("{quiz}") == 1
    assert set(kinds) & {"{mermaid}", "{figure}"}, "no diagram"
    assert "{recorded}" in kinds, "nothing that was run"
    goes_wrong = [body for body in admonitions(text_of(page)) if ":class: warning" in body]
    assert goes_wrong and len(re.findall(r"^\*\*", goes_wrong[-1], re.MULTILINE)) >= 3, (
        "what goes wrong, with its error"
    )
    assert len(re.findall(r"^\*\*.*`.*\*\*", goes_wrong[-1], re.MULTILINE)) >= 2, "the exact text of errors"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_read_in_one_sitting(page: str) -> None:
    text = text_of(page)
    words = re.sub(r"\(https?://\S+?\)", "", " ".join([prose_of(text), *admonitions(text)])).split()
    least, most = WORDS[page.partition("/")[0]]
    assert least <= len(words) <= most


@pytest.mark.parametrize("page", PAGES)
def test_a_figure_says_its_idea_in_words(page: str) -> None:
    for info, body in blocks_of(text_of(page)):
        if info.startswith(("{mermaid}", "{figure}", "{image}")):
            alt = re.search(r"^:alt: (.+)$", body, re.MULTILINE)
            assert alt and len(alt[1]) >= 40, info


@pytest.mark.parametrize("page", PAGES)
def test_a_page_gives_no_answer_away(page: str) -> None:
    included = INCLUDED.findall(text_of(page))
    assert not [file for file in included if re.match(r"/labs/[^/]+/[^/]+/solution/", file)]


@pytest.mark.parametrize("page", PAGES)
def test_a_claim_about_the_world_has_its_source(page: str) -> None:
    text = text_of(page)
    assert len(set(LINK.findall(text))) >= 5
    # A list or table is one block: its source may stand in any of its lines.
    paragraphs = [part for part in re.split(r"\n\n+", prose_of(text)) if not part.startswith("#")]
    unproved = [part for part in paragraphs if CLAIM.search(re.sub(r"`[^`]*`", "", part)) and not LINK.search(part)]
    assert not unproved


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_name_the_same_sources(page: str) -> None:
    language, _, section = page.partition("/")
    other = {"ko": "en", "en": "ko"}[language]
    here, there = (
        set(map(page_in_any_language, LINK.findall(text_of(f"{each}/{section}")))) for each in (language, other)
    )
    assert here == there


def page_in_any_language(address: str) -> str:
    """Some sites have Korean pages of their own."""
    return address.replace("/ko/", "/")
