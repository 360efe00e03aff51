"""Where a section's page first uses a word of the glossary, the word leads there.

Not on the page that explains it; and not a word that a later chapter explains: before it, 서비스 and 요청 are everyday
words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from hello_k8s.booktools.korean import PARTICLES

_SECTION = re.compile(r"book/(?P<language>\w+)/ch(?P<chapter>\d+)/(?!index$)[^/]+")
#: Where words aren't the page's own prose, or lead elsewhere already.
_NOT_IN = (nodes.reference, nodes.literal, nodes.title, nodes.caption, nodes.table, nodes.raw, nodes.Admonition)
_HANGUL = re.compile("[가-힣]")

_Finder = Callable[[str], Iterator[tuple[str, re.Match[str]]]]


def uses(words: Iterable[str]) -> _Finder:
    """What finds the `words` in a text: each of them with its match. As a text uses them: in the plural, capital at the
    beginning of a sentence; a Korean one with any particle behind it; the longest where one is part of another.
    """
    listed = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w/.-])(?:{'|'.join(f'({_spelt(word)})' for word in listed)})")

    def find(text: str) -> Iterator[tuple[str, re.Match[str]]]:
        for match in pattern.finditer(text):
            yield listed[(match.lastindex or 0) - 1], match

    return find


def _spelt(word: str) -> str:
    if _HANGUL.search(word):
        return rf"{re.escape(word)}(?=(?:{'|'.join(PARTICLES)})?(?![가-힣\w]))"
    first = f"[{word[0].upper()}{word[0]}]" if word[0].islower() else re.escape(word[0])
    return rf"{first}{re.escape(word[1:])}(?:e?s)?(?=(?:{'|'.join(PARTICLES)})?(?![\w-]))"


class FirstUse(SphinxPostTransform):
    """See the module. Runs when references are resolved: the glossary has been read then."""

    default_priority = 15

    def run(self, **_: object) -> None:
        here = self.env.docname
        found = _SECTION.fullmatch(here)
        if found is None:
            return
        glossary = f"book/{found['language']}/appendix/glossary"
        if glossary not in self.env.all_docs:
            return
        words = {}
        for word, (anchor, where) in self._words(glossary).items():
            explains = _SECTION.fullmatch(where)
            if explains and where != here and int(explains["chapter"]) <= int(found["chapter"]):
                words[word] = anchor
        if not words:
            return
        find = uses(words)
        for text in list(_prose(self.document)):
            _link(text, find, words, self.app.builder.get_relative_uri(here, glossary))

    def _words(self, glossary: str) -> dict[str, tuple[str, str]]:
        """Each word's anchor, and the page that explains it (empty: not written yet)."""
        found = {}
        for item in self.env.get_doctree(glossary).findall(nodes.definition_list_item):
            explained = [link["reftarget"].lstrip("/") for link in item.findall(addnodes.pending_xref)]
            for term in item.findall(nodes.term):
                found[term.astext()] = (term["ids"][0], explained[0] if explained else "")
        return found


def _prose(document: nodes.document) -> Iterator[nodes.Text]:
    for paragraph in document.findall(nodes.paragraph):
        for text in paragraph.findall(nodes.Text):
            if not any(isinstance(above, _NOT_IN) for above in _above(text)):
                yield text


def _above(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def _link(text: nodes.Text, find: _Finder, words: dict[str, str], glossary: str) -> None:
    """Link the words that are in `text`, and take them out of `words`: the next use is not the first."""
    pieces: list[nodes.Node] = []
    said, end = text.astext(), 0
    for word, match in find(said):
        if word in words:
            link = nodes.reference("", match[0], internal=True, classes=["hk-word"])
            link["refuri"] = f"{glossary}#{words.pop(word)}"
            pieces += [nodes.Text(said[end : match.start()]), link]
            end = match.end()
    if pieces:
        text.parent.replace(text, [*pieces, nodes.Text(said[end:])])


def setup(app: Sphinx) -> None:
    app.add_post_transform(FirstUse)
