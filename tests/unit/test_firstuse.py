"""Words of the glossary are found as texts use them, and nothing else is."""

from __future__ import annotations

import pytest

from hello_k8s.booktools.firstuse import uses

FIND = uses(["image", "base image", "Service", "이미지", "베이스 이미지", "파드"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Images are built.", [("image", "Images")]),
        ("a base image below", [("base image", "base image")]),
        ("Service or service", [("Service", "Service")]),
        ("two services", []),
        ("imagery, re-image, an image-store, docker.image", []),
        ("이미지를 만든다", [("이미지", "이미지")]),
        ("베이스 이미지에서는", [("베이스 이미지", "베이스 이미지")]),
        ("이미지화, 새이미지", []),
        ("파드(Pod)의 이미지", [("파드", "파드"), ("이미지", "이미지")]),
    ],
)
def test_a_word_is_found_as_texts_use_it(text: str, found: list[tuple[str, str]]) -> None:
    assert [(word, match[0]) for word, match in FIND(text)] == found
