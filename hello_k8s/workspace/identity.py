"""Who is learning here (learner.toml), and what is remembered of their way through each lab."""

from __future__ import annotations

import getpass
import json
import re
import secrets
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hello_k8s import files, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import UsageError
from hello_k8s.language import t
from hello_k8s.tomlfile import read_toml

#: Letters and digits of any script, so that a Korean name is fine; it names a file and a folder.
ID = re.compile(r"\w[\w.@+-]{0,63}")


@dataclass(frozen=True)
class Learner:
    """The name that submissions carry, and the seed from which questions of one's own are made."""

    id: str
    seed: int


def learner_file() -> Path:
    """Where it is written: `<workspace>/learner.toml`."""
    return paths.workspace() / "learner.toml"


def default_id() -> str:
    """The user's own name, as far as it can name a file."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, in a container
        name = ""
    return re.sub(r"[^\w.@+-]", "-", name).lstrip(".-@+")[:64] or "learner"


def introduce(name: str) -> Learner:
    """Write learner.toml once, with a random seed; an existing one is read and stays as it is.

    Raises UsageError for a name that can't name a file.
    """
    file = learner_file()
    name = unicodedata.normalize("NFC", name)  # as the class will read it
    if not file.exists():
        if not ID.fullmatch(name):
            raise UsageError(t("lab.wrong_id", id=name), why=t("lab.id_expected"), next=t("lab.id_next"))
        files.write(file, f'id = "{name}"\nseed = {1 + secrets.randbelow(2**31 - 1)}\n')
    return learner()


def learner() -> Learner:
    """The learner of this workspace; made from the user's name where there is none yet.

    Raises CatalogError (file, key, what was expected) for a learner.toml that was changed to something else.
    """
    if not learner_file().exists():
        return introduce(default_id())
    table = read_toml(learner_file())
    found = Learner(unicodedata.normalize("NFC", table.string("id")), table.integer("seed"))
    if not ID.fullmatch(found.id):
        raise table.error("id", t("lab.id_expected"))
    table.nothing_else()
    return found


class Memory:
    """What is remembered of one lab, in `<state>/labs/<chapter>-<section>.json`: hints given, the last result."""

    def __init__(self, lab_id: str) -> None:
        self._lab = lab_id
        self._file = _folder() / f"{lab_id.replace('/', '-')}.json"
        self._values = _read(self._file)

    @classmethod
    def of(cls, lab: Lab) -> Memory:
        return cls(lab.id)

    @staticmethod
    def last_lab() -> str | None:
        """The id of the lab used last."""
        used = [values for file in _folder().glob("*.json") if (values := _read(file)).get("lab")]
        return max(used, key=lambda values: values.get("used", 0))["lab"] if used else None

    def touch(self) -> None:
        """Note that the lab was used now."""
        self._write({})

    def remember(self, result: Mapping[str, Any]) -> None:
        """Keep a result, as Result.to_dict gives it."""
        self._write({"result": dict(result)})

    def last_result(self) -> dict[str, Any] | None:
        return self._values.get("result")

    def hints_given(self, check: str) -> int:
        """How many levels of a check's hints were given."""
        return int(self._values.get("hints", {}).get(check, 0))

    def give_hint(self, check: str, level: int) -> None:
        self._write({"hints": {**self._values.get("hints", {}), check: level}})

    def next_turn(self) -> int:
        """0, 1, 2, …: which of the wrong answers is planted next."""
        turn = int(self._values.get("turn", 0))
        self._write({"turn": turn + 1})
        return turn

    def forget(self) -> None:
        """Hints and result begin again; which wrong answer is next doesn't."""
        self._values.pop("hints", None)
        self._values.pop("result", None)
        self._write({})

    def _write(self, changed: Mapping[str, Any]) -> None:
        self._values |= {"lab": self._lab, "used": time.time(), **changed}
        files.write(self._file, json.dumps(self._values, ensure_ascii=False, indent=1))


def _folder() -> Path:
    return paths.state() / "labs"


def _read(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # none yet, or cut off by a power failure: begin again
        return {}
    return values if isinstance(values, dict) else {}
