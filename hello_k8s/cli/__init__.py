"""The command line: parse, call one function, show. The one place that prints an error to a terminal."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from hello_k8s import language
from hello_k8s.errors import HelloError
from hello_k8s.language import t

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command in `argv` (the process's own by default) and end the process with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where the locale has no Korean, no bug is reported for it; stderr does so by itself.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; every error is printed here: what happened, why, what next."""
    try:
        try:
            words, chosen = split_language(argv)
            language.use(chosen)
            code = _run(words)
        except HelloError as error:
            say(error)
            code = error.exit_code
        except (KeyboardInterrupt, EOFError):
            code = INTERRUPTED
        except BrokenPipeError:
            raise
        except OSError as error:
            _refused(error)
            code = 1
        except Exception as error:
            _bug(error)
            code = 1
        if code != 0:
            _end_programs()
        if code == INTERRUPTED:
            print("\n" + t("cli.interrupted"), file=sys.stderr)
        return _flushed(code)
    except BrokenPipeError:  # `… | head`: the reader has gone
        _silence()
        return 0


def split_language(argv: Sequence[str]) -> tuple[list[str], str | None]:
    """`argv` without `--lang ko|en`, and the language; it may stand anywhere before `--` or `shell`'s command."""
    from hello_k8s.errors import UsageError

    words: list[str] = []
    chosen: str | None = None
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--" or (words[:1] == ["shell"] and not word.startswith("-")):
            return [*words, word, *rest], chosen
        if word == "--lang":
            value = rest.pop(0) if rest else ""
        elif word.startswith("--lang="):
            value = word.removeprefix("--lang=")
        else:
            words.append(word)
            continue
        if value not in language.LANGUAGES:
            raise UsageError(t("cli.wrong_language", got=value), next=t("cli.wrong_language_next"))
        chosen = value
    return words, chosen


def _run(words: list[str]) -> int:
    from hello_k8s.cli import app

    return app.run(words)


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _silence()
        if error.errno == errno.EIO:  # the terminal was closed
            return code
        _refused(error)  # `… > file` on a disk that is full
        return code or 1
    return code


def _silence() -> None:
    """What can't be written any more is dropped: the flush at exit must not complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused(error: OSError) -> None:
    from hello_k8s import refusal

    ordinary = refusal.explained(error)
    if ordinary is None:
        _bug(error)
    else:
        say(ordinary)


def _end_programs() -> None:
    """Work that goes on beside what failed (the book's build) would otherwise be waited for at exit."""
    process = sys.modules.get("hello_k8s.process")
    if process is not None:
        process.end_all()


def say(error: HelloError) -> None:
    """What happened, why (in the program's own words) and what to do, each on lines of its own."""
    red, bold, off = ("\033[31m", "\033[1m", "\033[0m") if _colour() else ("", "", "")
    print(f"{red}✗{off} {bold}{error.what}{off}", file=sys.stderr)
    for line in error.why.splitlines():
        print(f"  {line}", file=sys.stderr)
    for number, line in enumerate(error.next.splitlines()):
        print(f"{' ' if number else '→'} {line}", file=sys.stderr)
    from hello_k8s.cli import log

    if log.opened():
        with contextlib.suppress(OSError):  # the disk is full: that is what was just said
            log.write(str(error))
        print(f"  {t('cli.log_is', log=log.shown())}", file=sys.stderr)


def _colour() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _bug(error: Exception) -> None:
    from hello_k8s.cli import log

    lines = "".join(traceback.format_exception(error))
    if os.environ.get("HELLO_K8S_DEBUG") == "1":
        print(lines, file=sys.stderr)
    try:
        log.open_for("crash")
        log.write(lines)
        where = t("cli.bug_next", log=log.shown())
    except OSError:  # the log can't be written: the screen is all there is
        print(lines, file=sys.stderr)
        where = ""
    print(f"✗ {t('cli.bug', error=f'{type(error).__name__}: {error}')}", file=sys.stderr)
    if where:
        print(f"→ {where}", file=sys.stderr)
