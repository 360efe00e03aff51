"""What every page gets: the way to the other language, and from a notebook back to its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from hello_k8s.booktools.addresses import address
from hello_k8s.language import LANGUAGES, t


def counterpart(source: Path, docname: str, language: str, other: str) -> str | None:
    """The same page in the other language, or None where there is none."""
    name = docname.replace(f"/{language}/", f"/{other}/", 1)
    if name == docname or not any((source / f"{name}{kind}").is_file() for kind in (".md", ".ipynb")):
        return None
    return name


def _languages(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    language = app.config.language
    up = "../" * (address(pagename).count("/") + 1)
    links = []
    for other in LANGUAGES:
        if other == language:
            continue
        found = counterpart(Path(app.srcdir), pagename, language, other)
        same = found is not None
        target = f"{address(found)}.html" if found is not None else "index.html"
        if pagename == app.config.notfound_pagename:
            # Served for any address: nothing may be relative.
            href = app.config.notfound_urls_prefix.removesuffix(f"{language}/") + f"{other}/{target}"
        else:
            href = f"{up}{other}/{target}"
        links.append({"lang": other, "name": t("book.name", other), "href": href, "same": same})
    context["hello_languages"] = links
    if doctree is not None:
        context["metatags"] = context.get("metatags", "") + _alternates(app, pagename, links)


def _alternates(app: Sphinx, pagename: str, links: list[dict[str, Any]]) -> str:
    base = app.config.html_baseurl
    here = f"{address(pagename)}.html"
    found = [(app.config.language, base + here if base else here.rpartition("/")[2])]
    for link in links:
        if link["same"]:
            absolute = base.removesuffix(f"{app.config.language}/") + link["href"].replace("../", "")
            found.append((link["lang"], absolute if base else link["href"]))
    return "".join(f'<link rel="alternate" hreflang="{code}" href="{href}" />\n' for code, href in found)


def _back(app: Sphinx, doctree: nodes.document) -> None:
    """Under a notebook's title: the page that it belongs to, and how to run it."""
    docname = app.env.docname
    kind, _, rest = docname.partition("/")
    page = f"book/{rest}"
    if kind != "notebooks" or page not in app.env.found_docs:
        return
    title = doctree.next_node(nodes.title)
    if title is None:
        return
    language = app.config.language
    link = addnodes.pending_xref(
        "",
        nodes.inline(text=t("book.back_to_page", language)),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{page}",
        refexplicit=True,
        refwarn=True,
        refdoc=docname,
    )
    line = nodes.paragraph(classes=["hk-back"])
    line += [link, nodes.Text(" · "), nodes.Text(t("book.run_notebook", language)), nodes.Text(" ")]
    line += nodes.literal(text=f"{docname}.ipynb")
    title.parent.insert(title.parent.index(title) + 1, line)


def _sitemap(app: Sphinx, exception: Exception | None) -> None:
    """sphinx-sitemap writes sources' names; readers and search engines have addresses."""
    file = Path(app.outdir) / "sitemap.xml"
    if exception is None and app.config.html_baseurl and file.is_file():
        base, text = app.config.html_baseurl, file.read_text(encoding="utf-8")
        for kind in ("book", "notebooks"):
            prefix = f"{kind}/{app.config.language}/"
            text = text.replace(f"<loc>{base}{prefix}", f"<loc>{base}{address(prefix + '_').removesuffix('_')}")
        file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", _languages, priority=600)
    app.connect("doctree-read", _back)
    app.connect("build-finished", _sitemap, priority=900)
