"""The log file of one command: everything its programs print, with the time. Made when first needed."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TextIO

from hello_k8s import paths

#: How many log files are kept; older ones are removed when a new one is made.
KEPT = 60

_file: TextIO | None = None
_lock = threading.Lock()


def open_for(command: str) -> None:
    """Open the log of `command` unless one is open already: `<state>/logs/<command>-<time>.log`."""
    global _file
    with _lock:
        if _file is None:
            folder = paths.logs()
            for old in sorted(folder.glob("*.log"), key=_made)[: -KEPT + 1]:
                old.unlink(missing_ok=True)
            name = f"{command}-{time.strftime('%Y%m%d-%H%M%S')}.log"
            _file = (folder / name).open("a", encoding="utf-8", buffering=1)


def _made(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another command has just removed it
        return 0.0


def opened() -> bool:
    """Whether this command has a log file."""
    return _file is not None


def write(text: str) -> None:
    """Add lines to the log, each with the time of day; nothing happens where no log is open."""
    with _lock:
        if _file is not None:
            now = time.strftime("%H:%M:%S")
            for line in text.splitlines() or [""]:
                _file.write(f"{now} {line}\n")


def shown() -> str:
    """The log's path as a person reads it: relative to where they are, if it is below."""
    if _file is None:
        return ""
    path = Path(_file.name)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def close() -> None:
    """Close it: the next command of this process (tests) gets its own."""
    global _file
    with _lock:
        if _file is not None:
            _file.close()
            _file = None
