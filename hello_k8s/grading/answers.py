"""`answers.toml`: a learner's answers read as data, each as the kind of value that the question asks for.

What is written differently but says the same counts as the same: a list or one string, 8080 or "8080/tcp",
a table or lines of NAME=value.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from hello_k8s.grading.parts import Submission
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both

FILE = "answers.toml"
#: What a blank looks like in a start file.
BLANK = re.compile(r"_{3,}")
_PLACE = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_SHOWN = 120


class Answers:
    """The answers of one file, `file` in messages. Each reader raises Unmet for what it can't use."""

    def __init__(self, values: Mapping[str, Any], file: str = FILE) -> None:
        self.values = values
        self.file = file

    @classmethod
    def of(cls, submission: Submission, file: str = FILE) -> Answers:
        """The submission's `file`; Unmet where it is missing or no TOML (then with line and column)."""
        return cls(read(submission.text(file), file), file)

    def value(self, key: str) -> Any:
        """What `key` was answered; Unmet where it wasn't."""
        if key not in self.values:
            raise self._missing(key)
        value = self.values[key]
        if _blank(value):
            raise Unmet(both("answers.blank", file=self.file, key=key))
        return value

    def string(self, key: str) -> str:
        """A text; a number is as good as its digits."""
        value = self.value(key)
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self._wrong_kind(key, value, "string")

    def integer(self, key: str) -> int:
        """A whole number, with or without quotes."""
        value = self.value(key)
        if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value.strip()):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._wrong_kind(key, value, "integer")

    def count(self, key: str) -> int:
        """How many there are: a number, or the list of what was counted."""
        value = self.value(key)
        return len(value) if isinstance(value, list) else self.integer(key)

    def strings(self, key: str) -> list[str]:
        """A list of texts. One text is taken apart as a shell would, or read as the JSON that docker prints."""
        value = self.value(key)
        if isinstance(value, str):
            return _words(value)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return list(value)
        raise self._wrong_kind(key, value, "strings")

    def port(self, key: str) -> str:
        """A port with its protocol (`8080/tcp`): also from 8080, "8080", or one of these in a list or a table."""
        value = self.value(key)
        if isinstance(value, list | dict) and len(value) == 1:
            (value,) = value
        text = str(value).strip().lower() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if not re.fullmatch(r"\d{1,5}(/(tcp|udp|sctp))?", text):
            raise self._wrong_kind(key, self.value(key), "port")
        number, _, protocol = text.partition("/")
        return f"{int(number)}/{protocol or 'tcp'}"

    def variables(self, key: str) -> dict[str, str]:
        """Environment variables: a table, a list of "NAME=value", or one such text (also JSON)."""
        value = self.value(key)
        if isinstance(value, dict):
            if all(isinstance(item, str | int) and not isinstance(item, bool) for item in value.values()):
                return {name: str(item) for name, item in value.items()}
            raise self._wrong_kind(key, value, "variables")
        lines = _words(value) if isinstance(value, str) else value
        if not isinstance(lines, list) or not all(isinstance(line, str) and "=" in line for line in lines):
            raise self._wrong_kind(key, value, "variables")
        return dict(line.split("=", 1) for line in lines)

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """One of `allowed`; Unmet, with the nearest of them, for anything else."""
        value = self.string(key).lower()
        if value not in allowed:
            near = difflib.get_close_matches(value, allowed, n=1)
            names = ", ".join(near or allowed)
            raise Unmet(both("answers.no_choice", file=self.file, key=key, got=_short(value), names=names))
        return value

    def said(self, key: str) -> str:
        """The answer as it was written, for a check's message: it never tells the right one."""
        return f"{self.file}: {key} = {_short(self.value(key))}"

    def _missing(self, key: str) -> Unmet:
        for table, inner in self.values.items():
            if isinstance(inner, dict) and key in inner:
                return Unmet(both("answers.below", file=self.file, key=key, table=table))
        near = difflib.get_close_matches(key, [name for name in self.values if name != key], n=1)
        if near:
            return Unmet(both("answers.missing_near", file=self.file, key=key, near=near[0]))
        return Unmet(both("answers.missing", file=self.file, key=key))

    def _wrong_kind(self, key: str, value: Any, kind: str) -> Unmet:
        expected = both(f"answers.kind.{kind}")
        texts = {
            language: both("answers.wrong_kind", file=self.file, key=key, got=_short(value), kind=text)[language]
            for language, text in expected.items()
        }
        return Unmet(texts)


def read(text: str, file: str = FILE) -> dict[str, Any]:
    """The values of a TOML text called `file`; Unmet, with line and column, where it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
        place = _PLACE.search(problem)
        problem = _PLACE.sub("", problem)
        if place and place[1]:
            values = {"file": file, "line": place[1], "column": place[2], "problem": problem}
            said = text.splitlines()[int(place[1]) - 1 : int(place[1])]
            raise Unmet(both("answers.not_toml_at", **values), evidence=[line[:_SHOWN] for line in said]) from None
        raise Unmet(both("answers.not_toml", file=file, problem=problem)) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a list in a list in a list …
        raise Unmet(both("answers.not_toml", file=file, problem=_short(str(error)))) from None


def written(values: Mapping[str, Any]) -> str:
    """`values` as TOML: texts, whole numbers, lists of texts, and one level of tables, which come last."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += ["", f"[{_key(key)}]", *(f"{_key(name)} = {_value(item)}" for name, item in value.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    # JSON's strings, numbers and lists are TOML's too; its \/ is never written
    return json.dumps(value, ensure_ascii=False)


def _blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip() or bool(BLANK.search(value))
    if isinstance(value, list):
        return bool(value) and all(_blank(item) for item in value)
    if isinstance(value, dict):
        return bool(value) and all(_blank(item) or bool(BLANK.search(key)) for key, item in value.items())
    return False


def _words(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return found
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark that doesn't end
        return text.split()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = f'"{text}"' if isinstance(value, str) else text
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
