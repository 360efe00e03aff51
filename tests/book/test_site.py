"""What can be said of the built pages without a browser."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest
from bs4 import BeautifulSoup

from hello_k8s import catalog
from hello_k8s.language import LANGUAGES, t

OTHER = {"ko": "en", "en": "ko"}


@functools.cache
def page(file: Path) -> BeautifulSoup:
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def pages(site: Path, language: str) -> dict[str, Path]:
    """Every page of a language by its address below the language's folder."""
    found = {file.relative_to(site / language).as_posix(): file for file in sorted((site / language).rglob("*.html"))}
    return {name: file for name, file in found.items() if not name.startswith("_")}


def written(site: Path, language: str) -> dict[str, Path]:
    """The pages that somebody wrote: without search, index and the page for what isn't there."""
    made = {"search.html", "genindex.html", "404.html"}
    return {name: file for name, file in pages(site, language).items() if name not in made}


def test_both_languages_have_the_same_pages(site: Path) -> None:
    assert list(written(site, "ko")) == list(written(site, "en"))
    for lab in catalog.labs():
        assert {f"{lab.id}.html", f"notebooks/{lab.id}.html"} <= set(written(site, "ko"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_link_is_dead(site: Path, language: str) -> None:
    """Every address within the site leads to a file, and every #anchor to something with that id."""
    dead = []
    for name, file in {**pages(site, language), "/": site / "index.html", "/404": site / "404.html"}.items():
        here = f"/{file.relative_to(site).as_posix()}"
        for tag, attribute in (("a", "href"), ("link", "href"), ("img", "src"), ("script", "src")):
            for element in page(file).find_all(tag):
                target = str(element.get(attribute) or "")
                if not target or urlsplit(target).scheme:
                    continue
                asked = urlsplit(urljoin(here, target))
                found = site / unquote(asked.path).lstrip("/")
                if not found.is_file():
                    dead.append(f"{name}: {target}")
                elif asked.fragment and found.suffix == ".html":
                    ids = {str(x["id"]) for x in page(found).find_all(id=True)}
                    if unquote(asked.fragment) not in ids:
                        dead.append(f"{name}: {target}")
    assert not dead


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_comes_from_another_host(site: Path, language: str) -> None:
    for name, file in pages(site, language).items():
        for element in page(file).find_all(["script", "img", "link", "iframe", "source"]):
            target = str(element.get("src") or element.get("href") or "")
            assert urlsplit(target).scheme in ("", "data"), f"{name}: {target}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_page_says_its_language_and_leads_to_the_same_page_in_the_other(site: Path, language: str) -> None:
    other = OTHER[language]
    for name, file in written(site, language).items():
        root = page(file).find("html")
        assert root["lang"] == language
        link = page(file).select_one(".hk-language a")
        assert link["hreflang"] == link["lang"] == other
        there = (file.parent / link["href"]).resolve()
        assert there == (site / other / name).resolve()
        alternates = {x["hreflang"]: x["href"] for x in page(file).select('link[rel="alternate"][hreflang]')}
        assert set(alternates) == set(LANGUAGES)
        assert (file.parent / alternates[other]).resolve() == there
        assert (file.parent / alternates[language]).resolve() == file.resolve()


def test_generated_pages_lead_to_the_other_languages_front_page(site: Path) -> None:
    link = page(site / "ko" / "search.html").select_one(".hk-language a")
    assert link["href"] == "../en/index.html"
    assert page(site / "en" / "404.html").select_one(".hk-language a")["href"] == "/ko/index.html"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_address_that_is_not_there_answers_404_in_its_language(address: str, language: str) -> None:
    answer = httpx.get(f"{address}{language}/ch9/nothing/here.html", trust_env=False)
    assert answer.status_code == 404
    assert t("book.lost_title", language) in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_has_a_text(site: Path, language: str) -> None:
    """A picture says in words what it shows; its file's name is not that."""
    for name, file in written(site, language).items():
        for picture in page(file).select("article img"):
            text = str(picture.get("alt") or "")
            assert len(text) > 10 and "/" not in text.split()[0], f"{name}: {picture.get('src')}: {text!r}"
        for diagram in page(file).select(".hk-diagram"):
            assert diagram["role"] == "img" and len(diagram["aria-label"]) > 10, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_section_links_its_notebook_and_says_how_to_start_its_lab(site: Path, language: str) -> None:
    for lab in catalog.labs():
        section = page(site / language / f"{lab.id}.html").select_one("article")
        box = section.select_one(".hk-lab")
        assert f"./hello-k8s lab start {lab.id}" in box.get_text()
        assert str(lab.points) in box.get_text() and str(lab.minutes) in box.get_text()
        said = box.get_text().replace("’", "'").replace("“", '"').replace("”", '"')  # Sphinx sets quotes
        for check in lab.checks:
            assert check.question[language].replace("`", "") in said
        links = {(Path(f"/{lab.id}").parent / a["href"]).as_posix() for a in box.select("a[href]")}
        assert any(f"notebooks/{lab.id}.html" in link for link in links)
        notebook = page(site / language / "notebooks" / f"{lab.id}.html").select_one("article .hk-back")
        assert f"{lab.id}.html" in notebook.select_one("a")["href"]
        assert f"notebooks/{language}/{lab.id}.ipynb" in notebook.get_text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_openers_list_every_section(site: Path, language: str) -> None:
    for lab in catalog.labs():
        for opener in ("index.html", f"{lab.chapter}/index.html"):
            hrefs = [str(a["href"]) for a in page(site / language / opener).select(".hk-sections a")]
            assert any(href.endswith(f"{lab.section}.html") for href in hrefs), opener


def test_the_themes_own_words_are_korean(site: Path) -> None:
    english = {
        t(f"book.theme.{key}", "en")
        for key in ("skip", "top", "on_this_page", "previous", "next", "color_mode", "light", "dark", "system",
                    "search", "section_navigation", "download_page", "print", "toggle_navigation")
    }  # fmt: skip
    for name, file in pages(site, "ko").items():
        said = {text.strip() for text in page(file).find_all(string=True) if not text.find_parent(["pre", "code"])}
        for element in page(file).find_all(True):
            said |= {str(element.get(key)) for key in ("title", "aria-label", "data-bs-title", "placeholder")}
        assert not said & english, f"{name}: {said & english}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_search_leads_to_pages(site: Path, language: str) -> None:
    text = (site / language / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert set(index["docnames"]) == {name.removesuffix(".html") for name in written(site, language)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_use_of_a_word_leads_to_the_glossary(site: Path, language: str) -> None:
    glossary = (site / language / "appendix/glossary.html").read_text("utf-8")
    for lab in catalog.labs():
        page = (site / language / f"{lab.id}.html").read_text("utf-8")
        found = re.findall(r'class="hk-word [^"]*" href="\.\./appendix/glossary\.html#([^"]+)"', page)
        assert found and len(set(found)) == len(found), "linked at the first use only"
        assert all(f'id="{anchor}"' in glossary for anchor in found)
