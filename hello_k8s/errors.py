"""The one family of errors that a person is told about.

Each carries what happened, why, and what to do next; `hello_k8s.cli.main` and the Jupyter magics are the
only places that print them. A bug raises something else and keeps its traceback.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from hello_k8s.language import t

#: How much of a command's output an error carries, in characters; the log file has the rest.
OUTPUT_LIMIT = 4000


class HelloError(Exception):
    """Something that the person at the keyboard can understand and act upon.

    `what` happened, `why` (may be empty) and what to do `next` (a command where there is one): sentences
    already in the reader's language, made with `hello_k8s.language.t`.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", next: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.next) if part)


class UsageError(HelloError):
    """What was asked for doesn't exist or doesn't fit: a wrong lab id, an option that can't be combined."""

    exit_code = 2


class CatalogError(HelloError):
    """A lab.toml, image.toml or addon.toml that says something it can't: file, key and what was expected."""


class MachineError(HelloError):
    """The machine can't do what is needed: no engine, no space, no memory, no free port, no registry."""


class ProgramMissing(MachineError):
    """A program that should be run isn't installed."""

    def __init__(self, program: str) -> None:
        super().__init__(
            t("core.command_missing", program=program), next=t("core.command_missing_next", program=program)
        )


class CommandFailed(MachineError):
    """A program ended with another exit code than 0, or ran out of time (`exit_code_of_command` is None).

    Always carries the command and what it printed, so that nobody has to run it again to know.
    """

    def __init__(
        self,
        command: Sequence[str],
        output: str,
        exit_code_of_command: int | None,
        *,
        what: str = "",
        why: str = "",
        next: str = "",
    ) -> None:
        self.command = tuple(command)
        self.output = output
        self.exit_code_of_command = exit_code_of_command
        shown = shlex.join(self.command)
        if exit_code_of_command is None:
            what = what or t("core.command_timed_out", command=shown)
        else:
            what = what or t("core.command_failed", command=shown, code=exit_code_of_command)
        super().__init__(what, why=why or output.strip()[-OUTPUT_LIMIT:], next=next)


class EngineError(CommandFailed):
    """The Docker engine, or the nested one, didn't answer or lost what we gave it. Never a learner's fault."""


class ClusterError(MachineError):
    """The cluster can't be brought up or doesn't answer. Never a learner's fault."""
