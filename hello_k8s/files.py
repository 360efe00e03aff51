"""Files that are there whole or not at all: what a kill or a power failure cuts off never takes their name."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Characters of a file's name that its unfinished part keeps: three bytes each in Hangul, and a name may have 255.
_LENGTH = 60


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to, which becomes `file` when the block ends; where it raises, `file` stays as it
    was. Raises OSError.
    """
    # a thread's number is nobody else's on this machine: two processes don't write into each other's
    part = file.with_name(f"{file.name[:_LENGTH]}.{threading.get_native_id()}.new")
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def write(file: Path, content: str | bytes, mode: int = 0o666) -> Path:
    """Put `content` (text as UTF-8) at `file`, and make its folder if missing; returns `file`. Raises OSError.

    `mode` is that of a new file, less what the umask takes.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as part:
        part.touch(mode)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    return file
