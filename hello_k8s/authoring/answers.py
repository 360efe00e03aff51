"""Labs with an answers.toml: what `verify` makes by itself, one wrong answer a key; and own.py held to its files."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from hello_k8s.catalog import Lab
from hello_k8s.grading import own
from hello_k8s.grading.answers import FILE, read, written
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import t

Path = tuple[str, ...]


def wrong_ones(lab: Lab) -> Iterator[tuple[str, str]]:
    """The solution's answers.toml with one answer made wrong, for each in turn: the key, the file's text."""
    if FILE not in lab.deliverables:
        return
    right = read((lab.solution / FILE).read_text("utf-8"))
    for path, value in _leaves(right):
        wrong = copy.deepcopy(right)
        inner = wrong
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = _other(value, [other for where, other in _leaves(right) if where != path])
        yield ".".join(path), written(wrong)


def _leaves(values: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _other(value: Any, others: list[Any]) -> Any:
    """A wrong value of the same kind: the right answer to another question where there is one."""
    if isinstance(value, list):
        return [*value, "one-more"]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    texts = (other for other in others if isinstance(other, str) and other != value)
    return next(texts, f"{value}-else")


def problems(lab: Lab) -> Iterator[str]:
    """What is wrong with a lab's own.py: it must always make the same, and answer as the solution and mutants do."""
    try:
        module = own.module(lab)
        if module is None:
            return
        for name, data in module.files(own.PROOF_SEED).items():
            if module.files(own.PROOF_SEED).get(name) != data:
                yield t("answers.own_unstable", file=name)
        right, wrong = module.answers(own.PROOF_SEED), module.wrong(own.PROOF_SEED)
    except Exception as error:  # whatever a lab's own code raises is for its author to read
        yield t("answers.own_fails", problem=f"{type(error).__name__}: {error}")
        return
    yield from _compared(lab, f"solution/{FILE}", right)
    for mutant in lab.mutants:
        name = f"mutants/{mutant.name}/{FILE}"
        if not (lab.folder / name).is_file():
            continue
        if mutant.name not in wrong:
            yield t("answers.own_no_file", mutant=mutant.name)
            continue
        yield from _compared(lab, name, {**right, **wrong[mutant.name]})


def _compared(lab: Lab, name: str, expected: Mapping[str, Any]) -> Iterator[str]:
    try:
        found = read((lab.folder / name).read_text("utf-8"), name)
    except OSError:
        return  # that it is missing is said elsewhere
    except Unmet as wrong:
        yield str(wrong)
        return
    keys = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    if keys:
        yield t("answers.own_differs", file=name, keys=", ".join(keys))
