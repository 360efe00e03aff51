"""The placement test: which parts of chapter 0 a reader can skip, as labs/ch0/placement.toml asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import paths
from hello_k8s.catalog import Texts, read_texts
from hello_k8s.language import LANGUAGES, t
from hello_k8s.tomlfile import Table, read_toml


@dataclass(frozen=True)
class Question:
    """One question: `answers` to choose from, `right` is the number of the right one, counted from 1."""

    id: str
    ask: Texts
    answers: tuple[Texts, ...]
    right: int
    why: Texts


@dataclass(frozen=True)
class Topic:
    """A part of chapter 0."""

    id: str
    title: Texts
    questions: tuple[Question, ...]

    def known(self, given: Mapping[str, int]) -> bool:
        """Whether the answers `given` (question → number) are all right, so that this part can be skipped."""
        return all(given.get(question.id) == question.right for question in self.questions)


def topics(file: Path | None = None) -> tuple[Topic, ...]:
    """The topics in their order. Raises CatalogError with file, key and what was expected."""
    table = read_toml(file or paths.LABS / "ch0" / "placement.toml")
    found = tuple(_topic(name, inner) for name, inner in table.tables("topics"))
    table.nothing_else()
    return found


def _topic(name: str, table: Table) -> Topic:
    questions = tuple(_question(each, inner) for each, inner in table.tables("questions"))
    topic = Topic(name, read_texts(table, "title"), questions)
    table.nothing_else()
    return topic


def _question(name: str, table: Table) -> Question:
    answers = table.table("answers")
    columns = [answers.strings(language) for language in LANGUAGES]
    if len({len(column) for column in columns}) > 1:
        raise table.error("answers", t("placement.expected_same_answers"))
    answers.nothing_else()
    right = table.integer("right")
    if not 1 <= right <= len(columns[0]):
        raise table.error("right", t("placement.expected_number", count=len(columns[0])))
    rows = tuple(dict(zip(LANGUAGES, row, strict=True)) for row in zip(*columns, strict=True))
    question = Question(name, read_texts(table, "ask"), rows, right, read_texts(table, "why"))
    table.nothing_else()
    return question
