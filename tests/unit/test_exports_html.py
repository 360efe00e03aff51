"""The HTML report without a browser: what is in the file, and what can't be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hello_k8s.classroom.exports import as_html
from hello_k8s.classroom.model import ClassReport, Row
from hello_k8s.grading.encodable import encodable
from hello_k8s.grading.verdict import Result
from tests import sample_class
from tests.sample_class import row

DOCKER, SERVICE = sample_class.two_labs()
SCRIPTS = "".join((as_html._DATA / name).read_text("utf-8") for name in as_html._SCRIPTS)
STYLE = (as_html._DATA / "report.css").read_text("utf-8")


def embedded(report: ClassReport) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', as_html.page(report), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_an_ungraded_row_has_no_number_and_is_in_no_figure() -> None:
    rows = [row("right", DOCKER), row("ours", DOCKER, "ungraded"), row("absent", DOCKER, "not_submitted")]
    data = embedded(sample_class.report(rows, [DOCKER]))
    right, ours, absent = data["learners"]
    assert (right["earned"], right["rows"][0]["earned"]) == (DOCKER.points, DOCKER.points)
    assert (ours["earned"], ours["rows"][0]["earned"], ours["state"]) == (None, None, "ungraded")
    assert (absent["earned"], absent["rows"][0]["earned"], absent["state"]) == (0, 0, "not_submitted")
    for spread in data["spreads"]:
        assert (spread["counted"], spread["ungraded"], sum(spread["bins"]), spread["mean"]) == (2, 1, 2, 50)
    assert not data["hardest"]


def test_what_nobody_could_grade_is_told_from_what_we_failed_to() -> None:
    why = {"ko": "답이 둘입니다.", "en": "There are two answers."}
    rows = [Row("kim", DOCKER.id, "a, b", "ungraded", None, why, attempts=0), row("lee", DOCKER, "ungraded")]
    data = embedded(sample_class.report(rows, [DOCKER]))
    kim, lee = (learner["rows"][0] for learner in data["learners"])
    assert (kim["state"], kim["undecided"]) == ("ungraded", 1)
    assert lee["state"] == "ungraded" and "undecided" not in lee


def test_the_policy_allows_this_style_and_this_script_and_nothing_else() -> None:
    page = as_html.page(sample_class.realistic(3))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    for name, text in (("style-src", style), ("script-src", script)):
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert page.index("Content-Security-Policy") < page.index("<style>"), "it holds only for what comes after it"


def test_the_page_names_no_other_host() -> None:
    page = as_html.page(sample_class.realistic(3))
    assert set(re.findall(r"https?://[^\"'\s]+", page)) <= {"http://www.w3.org/2000/svg", "http://back/"}
    assert not re.findall(r"@import|url\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", page)


@settings(max_examples=15, deadline=None)
@given(
    st.text(st.characters(exclude_categories=[]), max_size=40), st.sampled_from(["</script>", "<!--", "%%DATA%%", ""])
)
def test_no_text_ends_the_block_that_it_stands_in(text: str, hostile: str) -> None:
    name = f"{hostile}{text}"
    made = row(name, DOCKER, fails=["small"], source=name, reason={"ko": name, "en": name})
    report = sample_class.report([made], [DOCKER])
    page = as_html.page(report)
    assert page.count("</script>") == page.count("<script") == 2
    found = json.loads(encodable(json.dumps(embedded(report), ensure_ascii=False)))
    assert found["learners"][0]["id"] == encodable(name)
    assert found["learners"][0]["rows"][0]["source"] == encodable(name)


def test_the_script_says_what_the_page_knows() -> None:
    """Every sentence that the script names is embedded, and none is embedded for nothing."""
    named = set(re.findall(r'say\("(\w+)"', SCRIPTS))
    assert named <= set(as_html.WORDS)
    rest = set(as_html.WORDS) - named
    assert rest == {"show_all", "show_ungraded", "show_not_submitted", "show_partial", "p", "f", "t", "e", "n"}
    assert set(as_html._LETTERS.values()) == {"p", "f", "t", "e", "n"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read(scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for text, on cards, page and warnings."""
    first, second = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", first if scheme == "light" else second))
    for ground in ("card", "paper", "soft"):
        for text in ("ink", "quiet", "accent", "good", "bad", "warn"):
            assert contrast(found[text], found[ground]) >= 4.5, f"{text} on {ground}"
    assert contrast(found["ink"], found["warn-soft"]) >= 4.5
    assert contrast(found["warn"], found["warn-soft"]) >= 4.5
    assert contrast(found["quiet"], found["warn-soft"]) >= 4.5
    assert contrast(found["bar"], found["card"]) >= 3


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_big_class_stays_a_file_that_can_be_sent() -> None:
    """Eight labs, 300 characters of evidence of its own for every failed check: 5 kB a learner, 5 MB a thousand."""
    labs = [replace(lab, id=f"ch{number}/{lab.section}") for number in range(1, 5) for lab in (DOCKER, SERVICE)]
    report = sample_class.realistic(200, labs)
    rows = tuple(replace(made, result=with_own_evidence(made)) for made in report.rows)
    size = len(as_html.page(replace(report, rows=rows)).encode())
    assert 300_000 < size < 1_000_000


def with_own_evidence(made: Row) -> Result | None:
    if made.result is None:
        return None
    own = (f"{made.learner} {made.lab} ".ljust(300, "."),)
    checks = (check if check.passed else replace(check, evidence=own) for check in made.result.checks)
    return replace(made.result, checks=tuple(checks))


def test_what_is_too_long_is_cut_and_says_so() -> None:
    made = row("kim", DOCKER, reason={"ko": "가" * 10_000, "en": "a" * 10_000})
    texts = embedded(sample_class.report([made], [DOCKER]))["texts"]
    assert max(len(text) for item in texts for text in ([item] if isinstance(item, str) else item)) == as_html._LENGTH
    assert "…" in {text[-1] for item in texts for text in item if text}
