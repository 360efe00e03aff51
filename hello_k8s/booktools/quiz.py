"""`{quiz}`: self-check questions that need no server and no script.

The body is YAML: a list of `question` and `answers`, each answer with `text`, `why` and, for a right one, `right:
true`. An answer is a native <details>: a click, Enter or Space opens its explanation, with a keyboard and a screen
reader as with a mouse.
"""

from __future__ import annotations

from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hello_k8s.language import t


class answer(nodes.Element):  # type: ignore[misc]
    """One answer; `right` says whether it is."""


class summary(nodes.TextElement):  # type: ignore[misc]
    """What is seen before the answer is opened."""


def questions(body: str) -> list[dict[str, Any]]:
    """The questions of a body. Raises ValueError with a sentence for the author."""
    try:
        read = yaml.safe_load(body)
    except yaml.YAMLError as wrong:
        raise ValueError(t("book.quiz_yaml", problem=wrong)) from wrong
    if not isinstance(read, list) or not read:
        raise ValueError(t("book.quiz_list"))
    for number, item in enumerate(read, 1):
        if not isinstance(item, dict) or set(item) != {"question", "answers"} or not isinstance(item["answers"], list):
            raise ValueError(t("book.quiz_keys", number=number))
        for option in item["answers"]:
            if not isinstance(option, dict) or not {"text", "why"} <= set(option) <= {"text", "why", "right"}:
                raise ValueError(t("book.quiz_answer", number=number))
        right = sum(bool(option.get("right")) for option in item["answers"])
        if not right or right == len(item["answers"]):
            raise ValueError(t("book.quiz_right", number=number))
    return read


class Quiz(SphinxDirective):
    """See the module."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            read = questions("\n".join(self.content))
        except ValueError as wrong:
            raise self.error(str(wrong)) from wrong
        box = nodes.container(classes=["hk-quiz"])
        for item in read:
            group = nodes.container(classes=["hk-question"])
            group += self._parsed(item["question"], "hk-question-text")
            for option in item["answers"]:
                group += self._answer(option)
            box += group
        return [box]

    def _answer(self, option: dict[str, Any]) -> nodes.Node:
        right = bool(option.get("right"))
        element = answer(right=right)
        head = summary()
        head += self._parsed(option["text"]).children[0].children
        element += head
        why = self._parsed(option["why"], "hk-why")
        verdict = t("book.quiz_yes" if right else "book.quiz_no", self.env.config.language)
        why.children[0].insert(0, nodes.strong("", verdict))
        why.children[0].insert(1, nodes.Text(" "))
        element += why
        return element

    def _parsed(self, markdown: object, name: str = "") -> nodes.container:
        found = nodes.container(classes=[name] if name else [])
        source = self.get_source_info()[0]
        self.state.nested_parse(StringList(str(markdown).splitlines(), source), self.content_offset, found)
        if not found.children or not isinstance(found.children[0], nodes.paragraph):
            raise self.error(t("book.quiz_text", text=markdown))
        return found


def _open(self: Any, node: answer) -> None:
    self.body.append(self.starttag(node, "details", CLASS="hk-answer hk-right" if node["right"] else "hk-answer"))


def _close(self: Any, node: answer) -> None:
    self.body.append("</details>\n")


def _open_summary(self: Any, node: summary) -> None:
    self.body.append(self.starttag(node, "summary", suffix=""))


def _close_summary(self: Any, node: summary) -> None:
    self.body.append("</summary>\n")


def setup(app: Sphinx) -> None:
    app.add_node(answer, html=(_open, _close))
    app.add_node(summary, html=(_open_summary, _close_summary))
    app.add_directive("quiz", Quiz)
