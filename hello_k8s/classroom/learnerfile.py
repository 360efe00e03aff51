"""The learner.toml of a submission: who it is, or what is wrong with the file."""

from __future__ import annotations

import tomllib
import unicodedata

from hello_k8s.classroom.members import Refused, printable
from hello_k8s.grading.verdict import Texts
from hello_k8s.language import both
from hello_k8s.workspace.identity import ID, Learner

#: Seeds are drawn from 31 bits; results carry them as JSON numbers.
_SEEDS = range(-(2**53), 2**53)


def read_learner(data: bytes, file: str) -> Learner:
    """The learner that `data`, the bytes of `file`, names; the id in NFC. Raises Refused with file, key and reason."""
    try:
        values = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number without end, brackets without end
        raise Refused(both("intake.not_toml", file=file, why=printable(str(error)))) from error
    for key in values:
        if key not in ("id", "seed"):
            raise _wrong(file, key, both("intake.unknown_key"))
    name = unicodedata.normalize("NFC", values["id"]) if isinstance(values.get("id"), str) else ""
    if not ID.fullmatch(name):
        raise _wrong(file, "id", both("intake.id_expected"))
    seed = values.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed not in _SEEDS:
        raise _wrong(file, "seed", both("intake.seed_expected"))
    return Learner(name, seed)


def _wrong(file: str, key: str, expected: Texts) -> Refused:
    sentence = both("intake.wrong_key", file=file, key=printable(key))
    return Refused({language: f"{sentence[language]} {expected[language]}" for language in sentence})
