"""File names made of what a learner is called."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from hello_k8s.grading.encodable import encodable

#: Characters of a learner's id in a file name: three bytes each in Hangul, and a name may have 255.
_LENGTH = 60
#: Names that Windows gives to devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_names(learners: Iterable[str]) -> dict[str, str]:
    """A file name for each learner: safe on every system, different for different learners, case ignored.

    A learner whose id can name a file keeps it; a changed or shared one gets a few characters of its hash, so
    that it is the same in every run.
    """
    ids = list(dict.fromkeys(learners))
    plain = {learner: _plain(learner) for learner in ids}
    shared = Counter(name.casefold() for name in plain.values())
    return {
        learner: name if name == learner and shared[name.casefold()] == 1 else f"{name}-{_hash(learner)}"
        for learner, name in plain.items()
    }


def _plain(learner: str) -> str:
    name = re.sub(r"[^\w.@+-]+", "-", unicodedata.normalize("NFC", encodable(learner)))
    name = name[:_LENGTH].strip(".-@+") or "learner"
    return f"learner-{name}" if _DEVICES.fullmatch(name) else name


def _hash(learner: str) -> str:
    return hashlib.sha256(learner.encode("utf-8", "surrogatepass")).hexdigest()[:8]
