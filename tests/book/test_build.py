"""Building: what is left alone, what a broken page gets, and a section that is only files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hello_k8s import book, catalog, paths
from hello_k8s.errors import HelloError
from hello_k8s.progress import SILENT


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a front page and one beside it, in English, and nothing else."""
    monkeypatch.delenv("HELLO_K8S_BOOK_URL", raising=False)
    root = tmp_path / "source"
    (root / "book" / "en").mkdir(parents=True)
    (root / "labs").mkdir()
    shutil.copy(paths.ROOT / "_config.yml", root)
    (root / "book" / "en" / "index.md").write_text("# Front\n\nA page.\n", encoding="utf-8")
    (root / "book" / "en" / "more.md").write_text("# More\n\nMore.\n", encoding="utf-8")
    return root


def build(source: Path) -> Path:
    catalog._labs.cache_clear()
    return book.build(SILENT, ("en",), source.parent / "out", source)


def test_what_did_not_change_is_not_built_and_the_source_is_left_alone(source: Path) -> None:
    before_sources = sorted(source.rglob("*"))
    output = build(source)
    assert sorted(source.rglob("*")) == before_sources
    assert not book.stale(("en",), output, source)
    front = output / "en" / "index.html"
    before = front.stat().st_mtime_ns
    build(source)
    assert front.stat().st_mtime_ns == before
    (source / "book" / "en" / "index.md").write_text("# Front\n\nAnother page.\n", encoding="utf-8")
    assert book.stale(("en",), output, source)
    build(source)
    assert "Another page." in front.read_text(encoding="utf-8")
    assert "A page." not in front.read_text(encoding="utf-8")
    # No address was given, so none is made up.
    assert "og:url" not in front.read_text(encoding="utf-8")
    assert 'rel="canonical"' not in front.read_text(encoding="utf-8")


#: What an author can get wrong, and a word of the warning; each on lines of its own.
MISTAKES = {
    "[nowhere](nowhere.md)": "nowhere.md",
    "[no heading](#no-such-heading)": "no-such-heading",
    "```{mermaid}\nflowchart LR\n  a --> b\n```": ":alt:",
    "```{quiz}\n- question: Why?\n  answers: [{text: Because, why: x}]\n```": "quiz",
    "```{literalinclude} /labs/none.yaml\n```": "none.yaml",
    "```{lab} ch1/none\n```": "ch1/none",
    "```{no-such-directive}\n```": "no-such-directive",
}


def test_a_warning_breaks_the_book_and_names_file_and_line(source: Path) -> None:
    page = "# Front\n\n" + "\n\n".join(MISTAKES) + "\n"
    (source / "book" / "en" / "index.md").write_text(page, encoding="utf-8")
    with pytest.raises(HelloError) as broken:
        build(source)
    for mistake, said in MISTAKES.items():
        line = page[: page.index(mistake)].count("\n") + 1
        assert any(said in text and f"book/en/index.md:{line}: " in text for text in broken.value.why.splitlines()), (
            f"{mistake!r} in line {line}:\n{broken.value.why}"
        )
    assert broken.value.next
    # And again: what failed once isn't taken for done.
    assert book.stale(("en",), source.parent / "out", source)
    with pytest.raises(HelloError):
        build(source)


def test_a_section_is_only_files(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scaffolded as `lab new` does it, the section is in the table of contents, on the front page and in search."""
    from hello_k8s import authoring

    (source / "book" / "en" / "index.md").write_text("# Front\n\n```{sections}\n```\n", encoding="utf-8")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(paths, "ROOT", source)
        elsewhere.setattr(paths, "LABS", source / "labs")
        authoring.new("ch3/brand-new")
    output = build(source)
    page = output / "en" / "ch3" / "brand-new.html"
    assert page.is_file()
    assert "ch3/brand-new.html" in (output / "en" / "index.html").read_text(encoding="utf-8")
    assert "ch3/brand-new" in (output / "en" / "searchindex.js").read_text(encoding="utf-8")
    shutil.rmtree(source / "labs" / "ch3")
    build(source)
    assert "ch3/brand-new.html" not in (output / "en" / "index.html").read_text(encoding="utf-8")


def test_with_an_address_pages_say_where_they_are(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_BOOK_URL", "https://books.test/k8s/")
    output = build(source)
    front = (output / "en" / "index.html").read_text(encoding="utf-8")
    assert '<link rel="canonical" href="https://books.test/k8s/en/index.html"' in front
    assert 'property="og:url" content="https://books.test/k8s/en/index.html"' in front
    sitemap = (output / "en" / "sitemap.xml").read_text(encoding="utf-8")
    assert "<loc>https://books.test/k8s/en/index.html</loc>" in sitemap
    assert "/k8s/en/_static/" in (output / "en" / "404.html").read_text(encoding="utf-8")
