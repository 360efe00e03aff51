"""What the book is made from, without building it: table of contents, questions, diagrams' script, texts."""

from __future__ import annotations

import gzip
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hello_k8s import book, catalog, paths
from hello_k8s.booktools.korean import stem
from hello_k8s.booktools.quiz import questions
from hello_k8s.errors import HelloError
from hello_k8s.language import LANGUAGES
from hello_k8s.progress import SILENT


def lab_file(root: Path, section: str, order: int) -> None:
    folder = root / "labs" / section
    folder.mkdir(parents=True)
    text = f'order = {order}\nminutes = 1\ndeliverables = []\ncheck = "look"\ntitle = {{ ko = "가", en = "a" }}\n'
    (folder / "lab.toml").write_text(text, encoding="utf-8")
    for kind, ending in (("book", "md"), ("notebooks", "ipynb")):
        file = root / kind / "ko" / f"{section}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_contents_follow_chapters_and_orders(tmp_path: Path) -> None:
    lab_file(tmp_path, "ch10/late", 1)
    lab_file(tmp_path, "ch2/second", 20)
    lab_file(tmp_path, "ch2/first", 10)
    (tmp_path / "book" / "ko" / "ch2" / "index.md").touch()
    (tmp_path / "book" / "ko" / "ch0").mkdir()
    (tmp_path / "book" / "ko" / "ch0" / "index.md").touch()
    (tmp_path / "book" / "ko" / "glossary.md").touch()
    (tmp_path / "book" / "ko" / "index.md").touch()
    (tmp_path / "book" / "ko" / "appendix").mkdir()
    (tmp_path / "book" / "ko" / "appendix" / "card.md").touch()
    contents = book.toc("ko", tmp_path)
    assert contents["root"] == "book/ko/index"
    glossary, zero, second, tenth, card = contents["subtrees"][0]["entries"]
    assert zero == {"file": "book/ko/ch0/index"}
    assert glossary == {"file": "book/ko/glossary"}
    assert second["file"] == "book/ko/ch2/index"
    first, after = second["subtrees"][0]["entries"]
    assert first["file"] == "book/ko/ch2/first" and after["file"] == "book/ko/ch2/second"
    assert first["subtrees"] == [{"entries": [{"file": "notebooks/ko/ch2/first"}]}]
    assert card == {"file": "book/ko/appendix/card"}
    assert tenth["file"] == "book/ko/ch10/late"  # a chapter without an opener is its sections


def test_a_section_without_a_page_is_named(tmp_path: Path) -> None:
    lab_file(tmp_path, "ch1/lost", 1)
    (tmp_path / "book" / "ko" / "ch1" / "lost.md").unlink()
    with pytest.raises(HelloError, match=r"book/ko/ch1/lost\.md") as missing:
        book.toc("ko", tmp_path)
    assert "ch1/lost" in missing.value.next


def test_every_section_of_the_checkout_is_in_the_contents() -> None:
    for language in LANGUAGES:
        text = str(book.toc(language))
        for lab in catalog.labs():
            assert f"'book/{language}/{lab.id}'" in text
            assert f"'notebooks/{language}/{lab.id}'" in text


def test_stale_until_built(tmp_path: Path) -> None:
    assert book.stale(("ko",), tmp_path / "nothing", tmp_path)


def test_a_stamp_that_is_not_ours_means_build(tmp_path: Path) -> None:
    for nonsense in ("", "[]", "{", '{"ko": 3}'):
        (tmp_path / ".inputs.json").write_text(nonsense)
        assert book.stale(("ko",), tmp_path, tmp_path)


GOOD = """
- question: Which?
  answers:
    - {text: this, right: true, why: so}
    - {text: that, why: "not so: no"}
"""


def test_a_quiz_is_read() -> None:
    assert [option.get("right", False) for option in questions(GOOD)[0]["answers"]] == [True, False]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "question: Which?",
        "- question: [",
        "- question: Which?",
        "- {question: Which?, answers: none}",
        "- {question: Which?, answers: [{text: this, right: true}]}",
        "- {question: Which?, answers: [{text: this, why: x}, {text: that, why: x}]}",
        "- {question: Which?, answers: [{text: this, why: x, right: true}]}",
        "- {question: Which?, answers: [{text: this, why: x, rigth: true}, {text: that, why: x}]}",
        "- {question: Which?, hint: no, answers: [{text: this, why: x, right: true}, {text: that, why: x}]}",
    ],
)
def test_a_quiz_that_cannot_be_answered_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match=r"quiz|YAML"):
        questions(body)


def test_mermaid_is_what_its_readme_says() -> None:
    folder = paths.ROOT / "hello_k8s" / "booktools" / "vendor"
    script = gzip.decompress((folder / "mermaid.tiny.js.gz").read_bytes())
    assert hashlib.sha256(script).hexdigest() in (folder / "README.md").read_text(encoding="utf-8")
    assert (folder / "mermaid.LICENSE").read_text(encoding="utf-8").startswith("MIT License") or "MIT" in (
        folder / "mermaid.LICENSE"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("도커를", "도커"), ("도커", "도커"), ("이미지를", "이미지"), ("컨테이너에서", "컨테이너"),
        ("컨테이너에서부터", "컨테이너"), ("Pod가", "Pod"), ("서비스의", "서비스"), ("정도", "정도"), ("차이", "차이"),
        ("kubectl로", "kubectl"), ("레플리카셋으로는", "레플리카셋"), ("에서", "에서"), ("service", "service"),
    ],
)  # fmt: skip
def test_a_korean_word_without_its_particle(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_search_script_and_builder_know_the_same_particles() -> None:
    from hello_k8s.booktools.korean import PARTICLES, SearchKorean

    assert all(f'"{particle}"' in SearchKorean.js_stemmer_code for particle in PARTICLES)


def test_no_page_names_another_host_for_what_it_shows() -> None:
    """Links may lead anywhere; images and raw HTML may not."""
    for file in sorted((paths.ROOT / "book").rglob("*.md")):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"!\[[^\]]*\]\(https?:", text), file
        assert not re.search(r"<(script|img|iframe|link)\b", text), file


def test_the_same_book_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`start`, and `book build` in another terminal: they would write each other's files."""
    output, built = tmp_path / "made", []
    monkeypatch.setattr(book, "_make", lambda *_: built.append("anew"))
    (output / "ko").mkdir(parents=True)
    (output / "ko" / "index.html").touch()
    with ThreadPoolExecutor(1) as pool, book._only_one(output):
        second = pool.submit(book.build, SILENT, ("ko",), output, tmp_path)
        with pytest.raises(TimeoutError):
            second.result(0.2)
        book._write_stamps(output, {"ko": book._hash(tmp_path)})
    assert second.result(10) == output and not built
