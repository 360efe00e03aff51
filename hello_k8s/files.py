"""Files that are there whole or not at all: what a kill or a power failure cuts off never takes their name. Locks."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

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


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock `file` while the block runs, once nobody else does; a killed process holds none."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lock_if_free(stream: IO[Any]) -> bool:
    """Hold the lock on this open file until it is closed, if nobody else holds it; returns whether it is ours now."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(file: Path, content: str | bytes | Iterable[bytes], mode: int = 0o666) -> Path:
    """Put `content` (text as UTF-8, or pieces) at `file`, and make its folder if missing; returns `file`.

    `mode` is that of a new file, less what the umask takes. Raises OSError, and what making the pieces raises.
    """
    if isinstance(content, str):
        content = content.encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as part:
        part.touch(mode)
        with part.open("wb") as stream:
            stream.writelines([content] if isinstance(content, bytes) else content)
    return file
