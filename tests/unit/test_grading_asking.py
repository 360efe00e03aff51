"""What a submission's program answers is read, and whatever it is can be written down."""

from __future__ import annotations

import json
import time

import pytest

from hello_k8s.grading.asking import Answer
from hello_k8s.grading.encodable import encodable
from hello_k8s.grading.verdict import Unmet


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


def test_json_as_it_is() -> None:
    said = {"status": 200, "body": "안녕 \u2028 \\ud800", "more": [1.5, None, True, 10**30]}
    for text in (json.dumps(said), json.dumps(said, ensure_ascii=False)):
        assert Answer(200, text).json() == said


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000, "[" * 60_000 + "]" * 60_000, '{"a":' * 900 + "1" + "}" * 900, "[" * 60 + "]" * 60, "9" * 5000, "",
    ],
    ids=range(6),
)  # fmt: skip
def test_what_is_too_deep_or_too_long_is_no_json(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(Unmet, match="not JSON"):
        Answer(200, text).json()
    assert time.process_time() - begun < 1


def test_half_a_character_is_none() -> None:
    answer = Answer(200, r'{"\ud800": ["\udc00x", "a\ud83d\ude00", "\ud83d"]}')
    assert answer.json() == {"\ufffd": ["\ufffdx", "a😀", "\ufffd"]}


@pytest.mark.parametrize("text", ["", "a", "\ufeffa", "안녕", "😀", "\ufffd"])
def test_what_can_be_written_stays(text: str) -> None:
    assert encodable(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [("\ud800", "\ufffd"), ("a\udc80b", "a\ufffdb"), ("\ud83d\ude00", "😀"), ("\ud83da", "\ufffda")],
    ids=ascii,
)
def test_what_cannot_is_marked(text: str, left: str) -> None:
    assert encodable(text) == left
