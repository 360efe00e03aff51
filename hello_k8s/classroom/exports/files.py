"""Files that are there whole or not at all, and file names made of what a learner is called."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

#: Characters of a learner's id in a file name: three bytes each in Hangul, and a name may have 255.
_LENGTH = 60
#: Names that Windows gives to devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def storable(text: str) -> str:
    """`text` as UTF-8 can hold it: half a character (a lone surrogate) becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def replace_file(file: Path, content: Iterable[bytes]) -> Path:
    """Put the pieces of `content` at `file`: a reader gets all of the old or all of the new, also after a crash."""
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_name(f".{file.name[:_LENGTH]}.{os.getpid()}.new")
    try:
        with written.open("wb") as stream:
            stream.writelines(content)
            stream.flush()
            os.fsync(stream.fileno())
        written.replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            written.unlink()
    return file


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
    name = re.sub(r"[^\w.@+-]+", "-", unicodedata.normalize("NFC", storable(learner)))
    name = name[:_LENGTH].strip(".-@+") or "learner"
    return f"learner-{name}" if _DEVICES.fullmatch(name) else name


def _hash(learner: str) -> str:
    return hashlib.sha256(learner.encode("utf-8", "surrogatepass")).hexdigest()[:8]
