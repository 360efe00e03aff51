"""Words of the glossary are found as texts use them, and nothing else is."""

from __future__ import annotations

import pytest

from hello_k8s.booktools.firstuse import pattern_of

WORDS = pattern_of(["image", "base image", "Service", "이미지", "베이스 이미지", "파드"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Images are built.", "Images"),
        ("a base image below", "base image"),
        ("Service or service", "Service"),
        ("two services", None),
        ("imagery, re-image, an image-store, docker.image", None),
        ("이미지를 만든다", "이미지"),
        ("베이스 이미지에서는", "베이스 이미지"),
        ("이미지화, 새이미지", None),
        ("파드(Pod)", "파드"),
    ],
)
def test_a_word_is_found_as_texts_use_it(text: str, found: str | None) -> None:
    match = WORDS.search(text)
    assert (match[0] if match else None) == found
