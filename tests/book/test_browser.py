"""The book as a reader opens it: a browser, two languages, a keyboard, a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import catalog
from hello_k8s.booktools.korean import stem
from hello_k8s.language import LANGUAGES, t

pytestmark = pytest.mark.browser


class Reader:
    """A page of the browser that keeps what went wrong, and where requests went."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.problems: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda problem: self.problems.append(str(problem)))
        page.on("requestfailed", self._failed)
        page.on("request", self._requested)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def _failed(self, request: Any) -> None:
        # A reader who moves on ends what the page was still asking for.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.url}: {request.failure}")

    def open(self, name: str) -> Any:
        self.page.goto(self.address + name, wait_until="load")
        return self.page

    def drawn(self) -> None:
        """Wait until every diagram of the page is drawn."""
        self.page.wait_for_function("[...document.querySelectorAll('.mermaid')].every((x) => x.querySelector('svg'))")


@pytest.fixture
def reader(new_context: Any, address: str) -> Iterator[Reader]:
    context = new_context(viewport={"width": 1280, "height": 900}, locale="ko-KR", color_scheme="light")
    found = Reader(context.new_page(), address)
    yield found
    assert not found.problems
    assert not found.elsewhere


def names(site: Path, language: str) -> list[str]:
    found = sorted(file.relative_to(site).as_posix() for file in (site / language).rglob("*.html"))
    return [name for name in found if "/_" not in name]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_opens_without_error_or_another_host(site: Path, reader: Reader, language: str) -> None:
    """And on a phone nothing is wider than the screen."""
    reader.page.set_viewport_size({"width": 390, "height": 844})
    for name in names(site, language):
        page = reader.open(name)
        reader.drawn()
        assert page.evaluate("document.documentElement.lang") == language
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name}: {wide} pixels too wide"


def test_the_root_follows_the_browsers_language(new_context: Any, address: str) -> None:
    for locale, expected in (("ko-KR", "ko"), ("en-GB", "en"), ("fr-FR", "en")):
        context = new_context(locale=locale)
        page = context.new_page()
        page.goto(address)
        page.wait_for_url(f"{address}{expected}/index.html")
        context = new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("main a").count() == len(LANGUAGES)


def test_switching_language_stays_on_the_page(reader: Reader) -> None:
    section = catalog.labs()[0].id
    page = reader.open(f"ko/{section}.html")
    page.locator(".hk-language a").click()
    page.wait_for_url(f"**/en/{section}.html")
    assert page.evaluate("document.documentElement.lang") == "en"
    page.locator(".hk-language a").click()
    page.wait_for_url(f"**/ko/{section}.html")


def test_diagrams_follow_the_readers_colours(reader: Reader) -> None:
    for lab in catalog.labs():
        page = reader.open(f"en/{lab.id}.html")
        diagrams = page.locator(".hk-diagram > .mermaid")
        assert diagrams.count() >= 1, f"{lab.id} has no diagram"
        reader.drawn()
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        page.wait_for_function("[...document.querySelectorAll('.mermaid')].every((x) => x.dataset.drawn === 'dark')")


@pytest.mark.parametrize("language", LANGUAGES)
def test_self_check_questions_by_keyboard(reader: Reader, language: str) -> None:
    for lab in catalog.labs():
        page = reader.open(f"{language}/{lab.id}.html")
        questions = page.locator(".hk-question")
        assert 2 <= questions.count() <= 6, lab.id
        for number in range(questions.count()):
            answers = questions.nth(number).locator("details.hk-answer")
            assert 1 <= questions.nth(number).locator("details.hk-right").count() < answers.count()
            for choice in range(answers.count()):
                answer = answers.nth(choice)
                assert not answer.locator(".hk-why").is_visible()
                answer.locator("summary").focus()
                page.keyboard.press("Enter" if choice % 2 else "Space")
                assert answer.locator(".hk-why").is_visible()
                right = "hk-right" in str(answer.get_attribute("class"))
                assert answer.locator(".hk-why strong").first.inner_text() == t(
                    "book.quiz_yes" if right else "book.quiz_no", language
                )


def test_questions_need_no_script(new_context: Any, address: str) -> None:
    context = new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}en/{catalog.labs()[0].id}.html")
    answer = page.locator("details.hk-answer").first
    answer.locator("summary").click()
    assert answer.locator(".hk-why").is_visible()


@pytest.mark.parametrize("question", ["이미지를", "이미지", "컨테이너에서", "도커"])
def test_korean_search_finds_words_with_any_particle(reader: Reader, question: str) -> None:
    page = reader.open(f"ko/search.html?q={question}")
    page.wait_for_selector("#search-results ul.search li a")
    hrefs = page.eval_on_selector_all("#search-results ul.search li a", "found => found.map((a) => a.href)")
    assert all("/ko/" in href for href in hrefs)
    page.wait_for_load_state("networkidle")  # it still fetches what it shows of each page: broken off, an error
    page.goto(hrefs[0])
    assert page.locator("article h1").count() == 1


def test_the_browser_stems_as_the_builder_does(reader: Reader) -> None:
    page = reader.open("ko/search.html")
    words = ["도커를", "이미지", "이미지를", "컨테이너에서", "컨테이너에서부터", "정도", "pod가", "에서", "서비스의"]
    words += ["kubectl로", "레플리카셋으로는", "가", "차이", "8080은"]
    theirs = page.evaluate("words => words.map((word) => new Stemmer().stemWord(word))", words)
    assert theirs == [stem(word) for word in words]
    assert stem("도커를") == "도커" and stem("컨테이너에서") == "컨테이너" and stem("정도") == "정도"


def test_what_is_not_there_leads_back(new_context: Any, address: str) -> None:
    context = new_context()
    page = context.new_page()
    answer = page.goto(f"{address}ko/ch9/nothing/here.html")
    assert answer.status == 404
    assert page.locator("article h1").inner_text() == t("book.lost_title", "ko")
    page.locator(".bd-docs-nav a", has_text="hello, k8s").first.click()
    page.wait_for_url(f"{address}ko/index.html")
