"""Search in Korean: a word is found whatever particle hangs on it (도커 finds 도커를, 이미지를 finds 이미지)."""

from __future__ import annotations

import json
import re

from sphinx.application import Sphinx
from sphinx.search import SearchLanguage

#: 조사, and combinations of them; the longest is taken off. A whole analyser is no option: the reader's browser
#: must do the same to the question, without a server.
_PARTICLES = """
은 는 이 가 을 를 의 에 도 로 만 와 과 나 랑 께 에서 에게 한테 으로 까지 부터 처럼 보다 마다
조차 마저 밖에 이나 이란 이랑 이라 이다 라는 이라는 라고 이라고 에는 에도 에만 에의 와의 과의 와는
과는 로서 으로서 로써 으로써 로는 으로는 로도 으로도 로만 으로만 로의 으로의 에서는 에서도 에서만 에서의
에서부터 에게는 에게서 까지는 까지도 부터는 으로부터 로부터 만이 만을 만은 들이 들을 들은 들의 들에 들과
들도 들에게
"""
PARTICLES = tuple(sorted(_PARTICLES.split(), key=len, reverse=True))
_HANGUL = re.compile(r"[가-힣]")
_ENDING = re.compile(f"({'|'.join(PARTICLES)})$")

# Both sides keep at least two syllables, or one Latin letter or digit (Pod가), of what they strip.
_SCRIPT = """
var Stemmer = function () {
  const ending = new RegExp("(" + %s.join("|") + ")$");
  this.stemWord = function (word) {
    const match = ending.exec(word);
    if (!match) return word;
    const stem = word.slice(0, match.index);
    if (stem.length >= 2) return stem;
    return /^[^가-힣]$/.test(stem) ? stem : word;
  };
};
"""


def stem(word: str) -> str:
    """`word` without its particle; the same as the script does in the reader's browser."""
    match = _ENDING.search(word)
    if not match:
        return word
    kept = word[: match.start()]
    if len(kept) >= 2 or (len(kept) == 1 and not _HANGUL.match(kept)):
        return kept
    return word


class SearchKorean(SearchLanguage):
    """What Sphinx calls a search language."""

    lang = "ko"
    language_name = "Korean"
    js_stemmer_code = _SCRIPT % json.dumps(PARTICLES, ensure_ascii=False)
    stopwords: set[str] = set()  # noqa: RUF012  (Sphinx's name and type)

    def stem(self, word: str) -> str:
        return stem(word.lower())


def setup(app: Sphinx) -> None:
    app.add_search_language(SearchKorean)
