"""Questions about the learner's own image or object: a lab's `own.py`, which follows from the seed alone.

    def files(seed): ...      what `lab start` lays into the workspace: name → bytes
    def answers(seed): ...    the right answers.toml, as values
    def wrong(seed): ...      mutant → the values that it answers instead

So an answer can be graded where nothing was built, and is of no use to anybody else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, TypeVar

from hello_k8s.catalog import Lab
from hello_k8s.grading.answers import FILE, written
from hello_k8s.grading.verdict import Kind, Unmet
from hello_k8s.language import both

T = TypeVar("T")

#: The seed of start, solution and mutants. No learner has it: theirs are positive, and 0 stands for unknown.
PROOF_SEED = -1
_LEARNER_LIMIT = 1 << 16


class Dice:
    """What chance says for a seed: the same on every machine and under every Python, unlike `random`."""

    def __init__(self, seed: int, about: str) -> None:
        self._name = f"{seed}:{about}"
        self._thrown = 0

    def number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        self._thrown += 1
        digest = hashlib.sha256(f"{self._name}:{self._thrown}".encode()).digest()
        return low + int.from_bytes(digest[:8], "big") % (high - low + 1)

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`."""
        return options[self.number(0, len(options) - 1)]


def module(lab: Lab) -> ModuleType | None:
    """The lab's own.py; None where it has none."""
    file = lab.folder / "own.py"
    if not file.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"own_{lab.id.replace('/', '_').replace('-', '_')}", file)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[loaded.__name__] = loaded  # a dataclass looks its module up while it is made
    try:
        # Not by its loader: that trusts compiled code of the same second and size, and an author saves quickly.
        exec(compile(file.read_bytes(), str(file), "exec"), loaded.__dict__)
    finally:
        del sys.modules[loaded.__name__]
    return loaded


def files(lab: Lab, seed: int) -> dict[PurePosixPath, bytes]:
    """What `lab start` lays out for the learner with this seed; nothing where the lab asks everybody the same."""
    own = module(lab)
    return {PurePosixPath(name): data for name, data in own.files(seed).items()} if own else {}


def broken(lab: Lab, mutant: str, seed: int) -> dict[PurePosixPath, bytes]:
    """The answers that a mutant gives to the questions of this seed; nothing where they are the same for everybody."""
    own = module(lab)
    wrong = own.wrong(seed).get(mutant) if own else None
    if own is None or wrong is None:
        return {}
    return {PurePosixPath(FILE): written({**own.answers(seed), **wrong}).encode()}


def answers(lab: Lab, seed: int, kind: Kind) -> Mapping[str, Any]:
    """The right answers for this seed; Unmet where it isn't known, or is one that no learner has."""
    own = module(lab)
    if own is None:
        raise RuntimeError(f"{lab.id} has no own.py")
    if seed == 0 or (seed < 0 and kind in ("workspace", "submission")):
        raise Unmet(both("answers.no_seed", lab=lab.id))
    return own.answers(seed)


def seed_of(folder: Path, kind: Kind) -> int:
    """The seed of whoever answered in `folder`, out of learner.toml there or up to two folders above; 0 if unknown."""
    if kind not in ("workspace", "submission"):
        return PROOF_SEED
    for place in (folder, *list(folder.parents)[:2]):
        file = place / "learner.toml"
        if file.is_file() and not file.is_symlink():
            return _seed_in(file)
    return 0


def _seed_in(file: Path) -> int:
    if file.stat().st_size > _LEARNER_LIMIT:
        return 0
    try:
        seed = tomllib.loads(file.read_text("utf-8-sig")).get("seed")
    except (OSError, ValueError, RecursionError):
        return 0
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else 0
