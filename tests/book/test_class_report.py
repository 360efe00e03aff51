"""The class report as an instructor opens it: from the disk, in a browser, on a phone, by keyboard, on paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hello_k8s.classroom import exports
from hello_k8s.classroom.model import ClassReport, Row, Unmapped
from hello_k8s.language import LANGUAGES, t
from tests import sample_class
from tests.sample_class import row

pytestmark = pytest.mark.browser

DOCKER, SERVICE = sample_class.two_labs()
HOSTILE = [
    "<script>window.hit = 1</script>",
    "</script><script>window.hit = 1</script>",
    '<img src="x" onerror="window.hit = 1">',
    "javascript:window.hit=1",
    '"><svg onload=window.hit=1>',
    "{{7*7}} %%DATA%% ${window.hit=1} `<b>bold</b>`",
    "<!--",
    "\u202egnp.exe",
]


class Opened:
    """The report in a page that keeps what it asked for and what went wrong."""

    def __init__(self, page: Any, file: Path) -> None:
        self.page, self.address = page, file.as_uri()
        self.asked: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda problem: self.problems.append(str(problem)))
        page.on("dialog", lambda dialog: (self.problems.append("dialog"), dialog.dismiss()))

    def go(self, place: str = "", language: str = "en") -> Any:
        """Open the class (`#learner-2`: a learner), in a language."""
        self.page.goto("about:blank")
        self.page.goto(self.address + place)
        self.page.locator(f"[data-language={language}]").click()
        return self.page

    def quiet(self) -> None:
        """It asked for itself only, and nothing went wrong."""
        elsewhere = [url for url in self.asked if url.split("#")[0] not in (self.address, "about:blank", "data:,")]
        assert not elsewhere and not self.problems


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Writes a class and opens it; at the end, nothing but the file itself may have been asked for."""
    made: list[tuple[Any, Opened]] = []

    def make(report: ClassReport | None = None, **options: Any) -> Opened:
        (file,) = exports.write(report or sample_class.realistic(30), tmp_path, ["html"])
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(120_000)
        made.append((context, Opened(context.new_page(), file)))
        return made[-1][1]

    yield make
    for context, found in made:
        found.quiet()
        context.close()


def small() -> ClassReport:
    rows = [row("right", DOCKER), row("right", SERVICE), row("wrong", DOCKER, fails=["small", "answers"])]
    rows += [row("wrong", SERVICE, fails=["every_ready_pod", "no_other_pod"]), row("absent", DOCKER, "not_submitted")]
    rows += [row("absent", SERVICE), row("ours", DOCKER), row("ours", SERVICE, "ungraded")]
    return sample_class.report(rows, [DOCKER, SERVICE])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_opens_everywhere(opened: Callable[..., Opened], width: int, scheme: str, language: str) -> None:
    """Nothing is wider than the screen; one heading; the colours are the reader's."""
    found = opened(viewport={"width": width, "height": 844}, color_scheme=scheme)
    for place in ("", "#learner-1", "#learner-5", "#learner-999", "#print"):
        page = found.go(place, language)
        assert page.evaluate("document.documentElement.lang") == language
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, place
        assert page.locator("h1").count() == (1 if place != "#print" else 30)
        dark = page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) < 128")
        assert dark == (scheme == "dark")
        assert "undefined" not in page.inner_text("body") and "NaN" not in page.inner_text("body")


def test_languages_change_without_loading(opened: Callable[..., Opened]) -> None:
    found = opened(small())
    page = found.go("#learner-2", "en")
    loaded = len(found.asked)
    page.evaluate("window.stayed = true")
    assert page.locator("h2").first.inner_text().startswith(DOCKER.title["en"])
    page.locator("[data-language=ko]").click()
    assert page.locator("h2").first.inner_text().startswith(DOCKER.title["ko"])
    assert page.locator("[data-language=ko]").get_attribute("aria-pressed") == "true"
    assert t("exports.html.seen", "ko") in page.inner_text("main")
    assert page.evaluate("window.stayed") and page.url.endswith("#learner-2") and len(found.asked) == loaded


@pytest.mark.parametrize("language", LANGUAGES)
def test_ungraded_is_a_word_and_not_submitted_a_zero(opened: Callable[..., Opened], language: str) -> None:
    page = opened(small()).go("", language)
    lines = {line.locator("th").inner_text(): line.locator("td") for line in page.locator(".class tbody tr").all()}
    ours = lines["ours"].all_inner_texts()
    assert [re.findall(r"\d+", cell) for cell in (ours[0], ours[2])] == [[], []]
    assert all(t("exports.html.state_ungraded", language) in cell for cell in (ours[0], ours[2]))
    absent = lines["absent"].all_inner_texts()
    assert re.findall(r"\d+", absent[1]) == ["0", str(DOCKER.points)]
    assert t("exports.html.state_not_submitted", language) in absent[1]
    # the chart has three of the four learners, and says whom it leaves out
    assert sum(map(int, re.findall(r"%: (\d+)", page.locator("svg.chart").get_attribute("aria-label")))) == 3
    assert t("exports.html.left_out", language, count=1) in page.inner_text("main")
    assert page.locator(".banner").count() == 1
    page.locator("#scope").select_option(index=1)
    assert sum(map(int, re.findall(r"%: (\d+)", page.locator("svg.chart").get_attribute("aria-label")))) == 4


def test_a_learners_page_has_evidence_cause_and_hints(opened: Callable[..., Opened]) -> None:
    page = opened(small()).go("", "en")
    page.locator(".class a", has_text="wrong").click()
    page.locator(".card.lab").first.wait_for()
    assert page.locator("h1").inner_text() == "wrong" and "wrong" in page.title()
    docker, service = page.locator(".card.lab").all()
    assert "exec /app: no such file or directory" in docker.inner_text()
    assert "All layers of the image together are 912.4 MB." in docker.inner_text()
    hint = docker.locator(".hints li").first
    assert not hint.is_visible()
    docker.locator(".hints summary").first.click()
    assert hint.is_visible() and "docker history multi-stage:lab" in hint.inner_text()
    assert docker.locator(".hints code").count(), "what is between backticks is code"
    assert service.inner_text().count("Service back selects app=back") == 1
    assert t("exports.html.same_cause", "en", check="every_ready_pod").replace("`", "") in service.inner_text()
    assert service.locator(".check").count() == len(SERVICE.checks)
    page.go_back()
    page.locator(".class tbody tr").first.wait_for()
    page.locator(".class a", has_text="absent").click()
    assert "None of the deliverables is there" in page.locator(".card.lab").first.inner_text()


def test_nothing_that_anybody_wrote_runs(opened: Callable[..., Opened]) -> None:
    rows = [hostile_row(text) for text in HOSTILE]
    unmapped = [Unmapped(text, {"ko": text, "en": text}) for text in HOSTILE]
    found = opened(sample_class.report(rows, [DOCKER], unmapped))
    for number in range(len(HOSTILE) + 1):
        page = found.go(f"#learner-{number}" if number else "", "en")
        page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        assert page.evaluate("window.hit") is None
        assert page.locator("script").count() == 2
        assert (
            page.locator(
                "main :is(script, img, iframe, object, embed, b:not(.banner b, .points b), svg:not(.chart))"
            ).count()
            == 0
        )
        assert page.evaluate("[...document.links].every((a) => a.getAttribute('href').startsWith('#'))")
        assert page.evaluate(
            "[...document.querySelectorAll('*')].every((x) => [...x.attributes].every((a) => !a.name.startsWith('on')))"
        )
        if number:
            assert page.locator("h1").text_content() == HOSTILE[number - 1]
            assert HOSTILE[number - 1] in page.locator("pre").first.text_content()
    page = found.go("", "ko")
    assert set(page.locator(".class tbody a").all_text_contents()) == set(HOSTILE)


def hostile_row(text: str) -> Row:
    made = row(text, DOCKER, fails=["small"], source=text, reason={"ko": text, "en": text})
    assert made.result
    said = {"ko": text, "en": text}
    checks = (
        check if check.passed else replace(check, message={"ko": f"1 {text}", "en": f"1 {text}"}, diagnosis=(said,),
                                           evidence=(f"2 {text}",), output=text)
        for check in made.result.checks
    )  # fmt: skip
    return replace(made, result=replace(made.result, checks=tuple(checks), drift=(said,), rewrites=(text,)))


# -- without a mouse, without eyes, on paper


def test_everything_by_keyboard(opened: Callable[..., Opened]) -> None:
    found = opened(small())
    page = found.page
    page.goto(found.address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    found.go("", "en")
    page.locator("#search").focus()
    page.keyboard.type("OU")
    assert page.locator(".class tbody th").all_inner_texts() == ["ours"]
    assert page.locator("[role=status]").inner_text() == t("exports.html.shown", "en", shown=1, all=4)
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.locator(".class thead button").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator(".class thead th").nth(1).get_attribute("aria-sort") == "descending"
    assert page.locator(".class tbody th").all_inner_texts() == ["right", "absent", "wrong", "ours"]
    page.keyboard.press("Space")
    assert page.locator(".class tbody th").all_inner_texts() == ["wrong", "absent", "right", "ours"], "ungraded is last"
    page.locator("#show").select_option("ungraded")
    assert page.locator(".class tbody th").all_inner_texts() == ["ours"]
    page.locator("#show").select_option("all")
    page.locator(".class a", has_text="wrong").focus()
    page.keyboard.press("Enter")
    page.locator(".card.lab").first.wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H1"
    check = page.locator("details.check").first
    check.locator("> summary").focus()
    page.keyboard.press("Enter")
    assert not check.locator(".body").is_visible()
    page.keyboard.press("Space")
    assert check.locator(".body").is_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_has_a_name(opened: Callable[..., Opened], language: str) -> None:
    """Tables have headers with a scope, the chart an alternative and its numbers, fields a label; ids are unique."""
    found = opened()
    for place in ("", "#learner-5"):
        page = found.go(place, language)
        assert page.evaluate("[...document.querySelectorAll('th')].every((x) => x.scope && x.textContent.trim())")
        assert page.evaluate("[...document.querySelectorAll('table')].every((x) => x.querySelector('thead th'))")
        fields = "[...document.querySelectorAll('input, select')]"
        assert page.evaluate(f"{fields}.every((x) => x.ariaLabel || x.labels[0]?.textContent.trim())")
        assert page.evaluate("[...document.querySelectorAll('a, button')].every((x) => x.textContent.trim())")
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((x) => x.id)")
        assert len(ids) == len(set(ids))
        labels = page.evaluate(
            "[...document.querySelectorAll('[aria-labelledby]')].map((x) => x.attributes['aria-labelledby'].value)"
        )
        assert set(labels) <= set(ids)
    page = found.go("", language)
    chart = page.locator("svg.chart")
    assert chart.get_attribute("role") == "img" and "90–100 %" in chart.get_attribute("aria-label")
    page.locator("details.quiet summary").first.click()
    assert page.locator("details.quiet tbody tr").count() == 10


def test_paper_gets_every_learner_on_a_page_of_their_own(opened: Callable[..., Opened]) -> None:
    rows = [row(f"student-{number}", DOCKER) for number in range(4)]
    page = opened(sample_class.report(rows, [DOCKER])).go("#print", "ko")
    page.emulate_media(media="print")
    assert page.locator("article.paper").count() == 4
    assert not page.locator("header.top").is_visible() and not page.locator("nav.ways").is_visible()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 4


def test_without_a_script_it_says_what_to_do(browser: Any, tmp_path: Path) -> None:
    (file,) = exports.write(small(), tmp_path, ["html"])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("noscript .banner, .banner").first.is_visible()
    context.close()


def test_a_thousand_learners_are_drawn_only_when_they_are_opened(opened: Callable[..., Opened]) -> None:
    labs = [replace(lab, id=f"ch{number}/{lab.section}") for number in range(1, 5) for lab in (DOCKER, SERVICE)]
    page = opened(sample_class.realistic(1000, labs), viewport={"width": 390, "height": 844}).go("", "en")
    assert page.locator(".class tbody tr").count() == 1000
    assert page.locator("details.check").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.locator("#search").fill("-777")
    page.locator(".class tbody a").click()
    page.locator(".card.lab").first.wait_for()
    assert page.locator(".card.lab").count() == 8
    assert page.evaluate("document.querySelectorAll('*').length") < 1500
