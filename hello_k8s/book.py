"""The book, from pages, notebooks and labs to a folder of HTML in each language.

Nothing is executed: notebooks bring their recorded outputs. A section is in the book because its lab.toml exists;
the table of contents is written here, never committed.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import os
import shutil
import string
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from hello_k8s import catalog, files, paths, sources
from hello_k8s.errors import CommandFailed, HelloError
from hello_k8s.language import LANGUAGES, current, t
from hello_k8s.process import run
from hello_k8s.progress import SILENT, Progress

#: Cold, both languages, on two cores: benchmarks/README.md.
USUAL_SECONDS = 25
#: Everything that a page can show or that decides how it looks, from the checkout's root.
_INPUTS = ("_config.yml", "requirements.txt", "book", "notebooks", "labs", "go-app", "images", "addons")
_OURS = ("book.py", "catalog.py", "booktools", "texts/ko/book.toml", "texts/en/book.toml")
_STAMP = ".inputs.json"


def output() -> Path:
    """Where the book is built unless told otherwise: this checkout's `.state/book`."""
    return paths.state() / "book"


def toc(language: str, source: Path | None = None) -> dict[str, Any]:
    """The table of contents of one language, as sphinx-external-toc reads it.

    First the front page and what lies beside it, then the chapters by number: opener, and each section's page with
    its notebook, in the order that the labs say; last what is in `appendix/`. Raises HelloError for a section without
    a page.
    """
    source = source or paths.ROOT
    front = source / "book" / language
    intro, appendix = _pages(language, "", source), _pages(language, "appendix/", source)
    chapters: dict[str, list[dict[str, Any]]] = {}
    for lab in catalog.labs(source / "labs"):
        chapters.setdefault(lab.chapter, []).append(_section(lab, language, source))
    entries = list(intro)
    for page in front.glob("ch*/index.md"):  # a chapter may be nothing but its opener
        chapters.setdefault(page.parent.name, [])
    for chapter, sections in sorted(chapters.items(), key=lambda item: int(item[0].removeprefix("ch"))):
        opener = f"book/{language}/{chapter}/index"
        if (source / f"{opener}.md").is_file():
            entries.append({"file": opener} | ({"subtrees": [{"entries": sections}]} if sections else {}))
        else:
            entries += sections
    entries += appendix
    contents: dict[str, Any] = {"root": f"book/{language}/index"}
    return contents | {"subtrees": [{"entries": entries}]} if entries else contents


def _pages(language: str, folder: str, source: Path) -> list[dict[str, Any]]:
    """Pages that belong to no section, by their names."""
    files = sorted((source / "book" / language / folder).glob("*.md"))
    return [{"file": f"book/{language}/{folder}{file.stem}"} for file in files if file.stem != "index"]


def _section(lab: catalog.Lab, language: str, source: Path) -> dict[str, Any]:
    page, notebook = f"book/{language}/{lab.id}", f"notebooks/{language}/{lab.id}"
    if not (source / f"{page}.md").is_file():
        raise HelloError(
            t("book.no_page", lab=lab.id, file=f"{page}.md"),
            next=t("book.no_page_next", lab=lab.id, file=f"{page}.md"),
        )
    entry: dict[str, Any] = {"file": page}
    if (source / f"{notebook}.ipynb").is_file():
        entry["subtrees"] = [{"entries": [{"file": notebook}]}]
    return entry


def stale(languages: Sequence[str] = LANGUAGES, output: Path | None = None, source: Path | None = None) -> bool:
    """Whether `build` would have something to do: an input changed, or a language isn't there yet."""
    output = output or paths.state() / "book"
    wanted = _hash(source or paths.ROOT)
    built = _stamps(output)
    return any(built.get(language) != wanted for language in languages)


def build(
    progress: Progress = SILENT,
    languages: Sequence[str] = LANGUAGES,
    output: Path | None = None,
    source: Path | None = None,
) -> Path:
    """Make the book in `output` (`.state/book` unless told) and return that folder: `<language>/index.html` in it.

    A language whose inputs didn't change isn't touched; the languages are built side by side. The address it is
    published at comes from HELLO_K8S_BOOK_URL and may be missing. Raises HelloError with Sphinx's own lines where
    one warns: a book with warnings is a broken book.
    """
    output = output or paths.state() / "book"
    source = source or paths.ROOT
    wanted = _hash(source)
    with _only_one(output):
        built = _stamps(output)
        todo = [language for language in languages if built.get(language) != wanted]
        if todo:
            _make(todo, wanted, built, source, output, progress)
        else:
            progress.note(t("book.unchanged"))
    return output


@contextlib.contextmanager
def _only_one(output: Path) -> Iterator[None]:
    """Two that build the same book at once (`start`, and `book build` beside it) would write each other's files."""
    work = output.with_name(f"{output.name}-work")
    work.mkdir(parents=True, exist_ok=True)
    with files.locked(work / "lock"):
        yield


def _make(
    todo: Sequence[str], wanted: str, built: dict[str, str], source: Path, output: Path, progress: Progress
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for language in todo:
        built.pop(language, None)
    _write_stamps(output, built)
    labs = {str(file.relative_to(source)): file for file in (source / "labs").glob("ch*/*/lab.toml")}
    catalog_hash = sources.digest(labs)
    for language in todo:
        _write_toc(_work(output, language) / "_toc.yml", toc(language, source))
    with (
        progress.step(t("book.building", languages=", ".join(todo)), USUAL_SECONDS),
        concurrent.futures.ThreadPoolExecutor(len(todo)) as pool,
    ):
        runs = [pool.submit(_build, language, source, output, catalog_hash, progress) for language in todo]
        for running in runs:
            running.result()
    for language in todo:
        built[language] = wanted
    _write_root(output)
    _write_stamps(output, built)


def _work(output: Path, language: str) -> Path:
    folder = output.with_name(f"{output.name}-work") / language
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build(language: str, source: Path, output: Path, catalog_hash: str, progress: Progress) -> None:
    work, log = _work(output, language), paths.logs() / f"book-{language}.log"
    folders = [str(folder.resolve()) for folder in (source, work, output / language)]
    lines: list[str] = []

    def line(text: str) -> None:
        lines.append(text)
        progress.line(text)

    try:
        run(
            [sys.executable, "-P", "-m", "hello_k8s.booktools.run", language, *folders, catalog_hash],
            env={"PYTHONPATH": str(paths.PACKAGE.parent), "HELLO_K8S_LANG": current(), "PYTHONUNBUFFERED": "1"},
            timeout=1200,
            on_line=line,
        )
    except CommandFailed as failed:
        # What was read with a warning is not read again, and would not warn again.
        shutil.rmtree(work / "doctrees", ignore_errors=True)
        shown = [text for text in failed.output.splitlines() if "WARNING:" in text or "ERROR:" in text]
        why = "\n".join(dict.fromkeys(shown)) or failed.output.strip()[-4000:]
        raise HelloError(
            t("book.broken", language=language),
            why=why.replace(f"{source}{os.sep}", ""),
            next=t("book.broken_next", log=log),
        ) from failed
    finally:
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_toc(file: Path, contents: dict[str, Any]) -> None:
    text = yaml.safe_dump(contents, allow_unicode=True, sort_keys=False)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def _write_root(output: Path) -> None:
    """What lies above the languages: `index.html` goes to the browser's language and says where both are.

    `404.html` is for static hosts that know no other; it may be shown at any address, so its links are absolute.
    """
    there = [language for language in LANGUAGES if (output / language / "index.html").is_file()]
    script = (
        "<script>"
        f"const there = {json.dumps(there)};"
        "const wanted = navigator.languages.map((x) => x.slice(0, 2)).find((x) => there.includes(x));"
        'location.replace((wanted || there[there.length - 1]) + "/index.html");'
        "</script>"
    )
    template = string.Template((paths.PACKAGE / "booktools" / "templates" / "root.html").read_text(encoding="utf-8"))
    site = urlsplit(os.environ.get("HELLO_K8S_BOOK_URL", "")).path.rstrip("/") + "/"
    for name, base, sentence in (("index.html", "", "root_title"), ("404.html", site, "lost_root")):
        home = name == "index.html"
        pages = {language: f"{base}{language}/index.html" for language in there}
        links = [f'<li><a lang="{x}" hreflang="{x}" href="{y}">{t(f"book.{sentence}", x)}</a></li>'
                 for x, y in pages.items()]  # fmt: skip
        alternates = [f'<link rel="alternate" hreflang="{x}" href="{y}">' for x, y in pages.items()] if home else []
        page = template.substitute(
            icon=f"{base}{there[0]}/_static/favicon.svg",
            alternates="\n  ".join(alternates),
            links="\n      ".join(links),
            script=script if home else "",
        )
        (output / name).write_text(page, encoding="utf-8")
    # GitHub Pages and its like treat folders that begin with _ as their own unless told.
    (output / ".nojekyll").touch()


def _stamps(output: Path) -> dict[str, str]:
    try:
        found = json.loads((output / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    there = found.items() if isinstance(found, dict) else ()
    return {language: value for language, value in there if (output / language / "index.html").is_file()}


def _write_stamps(output: Path, stamps: dict[str, str]) -> None:
    (output / _STAMP).write_text(json.dumps(stamps), encoding="utf-8")


def _hash(source: Path) -> str:
    inputs = [paths.PACKAGE / name for name in _OURS] + [source / name for name in _INPUTS]
    found = [f"{path.name}\0{sources.digest(sources.written(path))}" for path in inputs]
    return hashlib.sha256("\n".join([os.environ.get("HELLO_K8S_BOOK_URL", ""), *found]).encode()).hexdigest()
