"""Texts that can be written down: what a submission's programs say ends up in files, and files are UTF-8."""

from __future__ import annotations

from collections.abc import Mapping


def encodable(text: str) -> str:
    """`text` with U+FFFD for every lone half of a surrogate pair: JSON's escapes make them, no encoding can write them.

    Two halves that belong together become the character that they mean.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encodable_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The same for a sentence in every language."""
    return {language: encodable(text) for language, text in texts.items()}
