"""The one way a program is run: argv lists, never a shell; output kept; a limit on time; the whole group killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hello_k8s.errors import CommandFailed, ProgramMissing

#: Output kept in memory of one command, in bytes; beyond it the middle is dropped (a build may print 1 GB).
KEPT = 1 << 20


_running: set[subprocess.Popen[bytes]] = set()
#: Held from a program's start until it is in `_running`: `end_all` must not look in between.
_beginning = threading.RLock()


def end_all() -> None:
    """Kill every program that is still waited for, on whatever thread: nobody wants its answer any more."""
    with _beginning:
        for process in list(_running):
            _kill_group(process)


@dataclass(frozen=True)
class Completed:
    """A finished command: `stdout` and `stderr` as text, `code` its exit code."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


class _Kept:
    """Head and tail of a stream, so that a program that prints without end costs bounded memory."""

    def __init__(self) -> None:
        self.head = bytearray()
        self.tail = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        room = KEPT // 2 - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        self.tail += data
        over = len(self.tail) - KEPT // 2
        if over > 0:
            del self.tail[:over]
            self.dropped += over

    def text(self) -> str:
        middle = f"\n… {self.dropped} bytes …\n".encode() if self.dropped else b""
        return bytes(self.head + middle + self.tail).decode(errors="replace")


def run(
    argv: Sequence[str],
    *,
    input: bytes | Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    check: bool = True,
    on_line: Callable[[str], None] | None = None,
    error: type[CommandFailed] = CommandFailed,
) -> Completed:
    """Run `argv` and return what it printed.

    `input` is what it reads: bytes, or a file (streamed, so that gigabytes cost no memory). `env` is added to this
    process's environment. `timeout` is in seconds; past it the program and all its
    children are killed. `on_line` gets each line of both streams as it comes. With `check`, an exit code other
    than 0 raises `error` (a CommandFailed); running out of time raises it always, with exit code None.
    Raises ProgramMissing where the program isn't installed.
    """
    stdin = input.open("rb") if isinstance(input, Path) else subprocess.PIPE if input else subprocess.DEVNULL
    try:
        process = _begin(argv, stdin, env=env, cwd=cwd)
    finally:
        if not isinstance(stdin, int):
            stdin.close()
    out, err = _Kept(), _Kept()
    threads = [
        threading.Thread(target=_drain, args=(process.stdout, out, on_line), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr, err, on_line), daemon=True),
    ]
    if input and not isinstance(input, Path):
        threads.append(threading.Thread(target=_feed, args=(process.stdin, input), daemon=True))
    for thread in threads:
        thread.start()
    try:
        code: int | None = process.wait(timeout)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        _end(process)
    for thread in threads:
        thread.join(5)
    if code is None or (check and code != 0):
        raise error(argv, err.text() or out.text(), code)
    return Completed(tuple(argv), code, out.text(), err.text())


@contextmanager
def started(
    argv: Sequence[str], *, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """`argv` running, for who moves its bytes; its standard error is a pipe. Leaving the block kills what still runs.

    Raises ProgramMissing where the program isn't installed.
    """
    process = _begin(argv, stdin, stdout)
    try:
        yield process
    finally:
        _end(process)


@contextmanager
def reading(
    argv: Sequence[str],
    *,
    timeout: float,
    error: type[CommandFailed] = CommandFailed,
) -> Iterator[IO[bytes]]:
    """Run `argv` and read its standard output as a stream of bytes, for what is too large to keep.

    Raises `error` where it ends with another exit code than 0 or isn't done after `timeout` seconds, ProgramMissing
    where the program isn't installed. Leaving the block kills a program that still runs.
    """
    process = _begin(argv, subprocess.DEVNULL)
    late = threading.Event()

    def stop() -> None:
        late.set()
        _kill_group(process)

    timer = threading.Timer(timeout, stop)
    said = _Kept()
    listener = threading.Thread(target=_drain, args=(process.stderr, said, None), daemon=True)
    timer.daemon = True
    timer.start()
    listener.start()
    try:
        assert process.stdout is not None
        try:
            yield process.stdout
        except Exception as broken:
            # Half an answer is a consequence; that the program failed is the cause.
            if late.is_set() or process.poll():
                raise error(argv, said.text(), None if late.is_set() else process.returncode) from broken
            raise
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            return  # whoever reads no further has what it wanted
        listener.join(5)
        if code != 0:
            raise error(argv, said.text(), None if late.is_set() else code)
    finally:
        timer.cancel()
        _end(process)
        if process.stdout is not None:
            process.stdout.close()


def _begin(
    argv: Sequence[str],
    stdin: int | IO[bytes],
    stdout: int = subprocess.PIPE,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """In a group of its own, so that Ctrl-C at the terminal is ours to pass on; known to `end_all` until `_end`."""
    try:
        with _beginning:
            process = subprocess.Popen(
                list(argv),
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env={**os.environ, **env} if env else None,
                cwd=cwd,
                start_new_session=True,
            )
            _running.add(process)
    except FileNotFoundError as missing:
        raise ProgramMissing(argv[0]) from missing
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _kill_group(process)
    _running.discard(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        # the program may be gone and leave a child that is deaf to SIGTERM
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _drain(stream, kept: _Kept, on_line: Callable[[str], None] | None) -> None:  # type: ignore[no-untyped-def]
    rest = b""
    while data := stream.read1(65536):
        kept.add(data)
        if on_line:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace").rstrip("\r"))
            rest = rest[-65536:]
    if on_line and rest:
        on_line(rest.decode(errors="replace"))
    stream.close()


def _feed(stream, data: bytes) -> None:  # type: ignore[no-untyped-def]
    try:
        stream.write(data)
    except BrokenPipeError:
        pass
    finally:
        try:
            stream.close()
        except BrokenPipeError:
            pass
