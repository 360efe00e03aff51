"""One language's build, in a process of its own: `python -m hello_k8s.booktools.run LANGUAGE SOURCE WORK OUTPUT`.

WORK holds `_toc.yml` (written before by hello_k8s.book); this writes `conf.py`, as `jupyter-book config sphinx`
does, and runs `sphinx-build`. Nothing is written into the source tree.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hello_k8s.language import t

_TOOLS = Path(__file__).parent
#: Jupyter Book's own additions that would ask other hosts, or that we have no use for.
_WITHOUT = {"sphinx_thebe", "sphinx_comments", "sphinx.ext.intersphinx", "sphinx_jupyterbook_latex"}
#: Both put absolute addresses into pages: without HELLO_K8S_BOOK_URL there are none, and none is made up.
_ONLY_PUBLISHED = {"sphinxext.opengraph", "sphinx_sitemap"}


def settings(language: str, source: Path, work: Path, catalog_hash: str) -> dict[str, Any]:
    """Sphinx's settings for one language: Jupyter Book's reading of `_config.yml`, and what that can't say."""
    from jupyter_book.config import get_final_config

    found, _ = get_final_config(
        user_yaml=source / "_config.yml",
        sourcedir=source,
        raise_on_invalid=True,
        cli_config={
            "latex_individualpages": False,
            "external_toc_path": str(work / "_toc.yml"),
            "language": language,
            "use_jupyterbook_latex": False,
        },
    )
    site = os.environ.get("HELLO_K8S_BOOK_URL", "").rstrip("/")
    drop = _WITHOUT | (set() if site else _ONLY_PUBLISHED)
    # Ours first: its Korean for the theme's words must be found before the theme's own.
    found["extensions"] = ["hello_k8s.booktools", *(x for x in found["extensions"] if x not in drop)]
    found["extensions"] = list(dict.fromkeys(found["extensions"]))
    base = f"{site}/{language}/" if site else ""
    found["html_theme_options"] |= {
        "logo": {"text": found["html_title"]},
        "search_bar_text": t("book.theme.search", language) + " …",
        "toc_title": t("book.theme.on_this_page", language),
    }
    return found | {
        "project": found["html_title"],
        "html_baseurl": base,
        "html_favicon": str(_TOOLS / "static" / "favicon.svg"),
        "html_static_path": [str(_TOOLS / "static")],
        "html_css_files": ["book.css"],
        "html_js_files": ["book.js"],
        "templates_path": [str(_TOOLS / "templates")],
        "hello_catalog": catalog_hash,
        "hello_messages": str(work / "locale"),
        "notfound_urls_prefix": f"{urlsplit(site).path}/{language}/",
        "notfound_context": {
            "title": t("book.lost_title", language),
            "body": f"<h1>{t('book.lost_title', language)}</h1>\n<p>{t('book.lost', language)}</p>",
        },
        "nb_execution_cache_path": str(work / "cache"),
        "nb_code_prompt_show": t("book.show_code", language),
        "nb_code_prompt_hide": t("book.hide_code", language),
        "ogp_site_url": base,
        "ogp_site_name": found["html_title"],
        "html_context": {"hello_language_label": t("book.language", language), "default_mode": "auto"},
    }


def _theme(language: str) -> dict[str, str]:
    file = _TOOLS.parent / "texts" / language / "book.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))["theme"]


def write_messages(folder: Path, language: str) -> None:
    """The theme's own words in `language`, where Sphinx looks for them; the themes bring no complete Korean."""
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    messages = Catalog(locale=language)
    for key, english in _theme("en").items():
        messages.add(english, _theme(language)[key])
    for name in ("sphinx", "booktheme"):
        target = folder / language / "LC_MESSAGES" / f"{name}.mo"
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            write_mo(file, messages)


def main(language: str, source: Path, work: Path, output: Path, catalog_hash: str) -> int:
    """Build; the exit code is Sphinx's (0, or not 0 after the first warning)."""
    from sphinx.cmd.build import main as sphinx_build

    conf = work / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    write_messages(work / "locale", language)
    lines = [f"{key} = {value!r}\n" for key, value in sorted(settings(language, source, work, catalog_hash).items())]
    (conf / "conf.py").write_text("".join(lines), encoding="utf-8")
    # A sitemap lists what this run wrote: published books are written whole.
    whole = ["-a"] if os.environ.get("HELLO_K8S_BOOK_URL") else []
    options = ["-b", "html", "-W", "--keep-going", "--color" if sys.stdout.isatty() else "--no-color", *whole]
    folders = ["-c", str(conf), "-d", str(work / "doctrees"), "-D", f"language={language}"]
    return sphinx_build([*options, *folders, str(source), str(output)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5]))
