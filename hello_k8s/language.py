"""Every sentence that a person reads, in the language that they read.

The sentences are in `texts/<language>/<area>.toml`; `t("area.key", name=value)` fills one in. A key that is
missing in one language is a failing test, never a blank on somebody's screen.
"""

from __future__ import annotations

import functools
import locale
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LANGUAGES = ("ko", "en")
_TEXTS = Path(__file__).parent / "texts"
_chosen: str | None = None


def use(language: str | None) -> None:
    """Choose `ko` or `en` for this process; None goes back to the locale's. Raises ValueError for others."""
    global _chosen
    if language is not None and language not in LANGUAGES:
        raise ValueError(language)
    _chosen = language


def current() -> str:
    """The language in use: what `use` chose, else HELLO_K8S_LANG, else Korean in a Korean locale, else English."""
    if _chosen:
        return _chosen
    asked = os.environ.get("HELLO_K8S_LANG", "")
    if asked in LANGUAGES:
        return asked
    for variable in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "LANG"):
        value = os.environ.get(variable)
        if value:
            return "ko" if value.lower().startswith("ko") else "en"
    return "ko" if (locale.getlocale()[0] or "").lower().startswith(("ko", "korean")) else "en"


@functools.cache
def _area(language: str, area: str) -> dict[str, Any]:
    with (_TEXTS / language / f"{area}.toml").open("rb") as file:
        return tomllib.load(file)


def t(key: str, language: str | None = None, /, **values: object) -> str:
    """The sentence `area.key` in the current language (or in `language`), its `{names}` filled in.

    Raises KeyError for an unknown key: a bug, caught by the test that reads every call.
    """
    area, _, name = key.partition(".")
    text = _area(language or current(), area)
    for part in name.split("."):
        text = text[part]
    if not isinstance(text, str):
        raise KeyError(key)
    return text.format(**values) if values else text


def both(key: str, /, **values: object) -> dict[str, str]:
    """The sentence in every language, as results carry it: `{"ko": …, "en": …}`."""
    return {language: t(key, language, **values) for language in LANGUAGES}


def pick(texts: Mapping[str, str]) -> str:
    """The current language's entry of a `{"ko": …, "en": …}` mapping (a title, a question, a hint)."""
    return texts[current()]
