"""The commands as one Typer application; every help text comes from `texts/<language>/cli.toml`."""

from __future__ import annotations

import difflib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from hello_k8s.cli import book, grade, images, labs, machine, notebooks
from hello_k8s.errors import UsageError
from hello_k8s.language import t

PROGRAM = "./hello-k8s"

#: The groups of the first help page, in order; each names a title under `cli.panel`.
PANELS = {
    "every_day": ("start", "lab", "shell", "status"),
    "class": ("grade",),
    "machine": ("pause", "stop", "delete", "doctor", "uninstall", "images"),
    "making": ("test", "book", "notebooks"),
}


class _Spoken:
    """The two sentences of Typer's own that have no other place to be translated."""

    def get_usage(self, ctx: Any) -> str:
        return super().get_usage(ctx).replace("Usage:", t("cli.usage"), 1)  # type: ignore[misc]

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = t("cli.completion.help")
        return option


class _Command(_Spoken, TyperCommand):
    pass


class _Group(_Spoken, TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        order = [name for names in PANELS.values() for name in names] if ctx.parent is None else list(self.commands)
        return [name for name in order if name in self.commands]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.commands, n=3, cutoff=0.5)
            raise UsageError(
                t("cli.no_such_command", command=name),
                why=t("catalog.nearest", names=", ".join(near)) if near else "",
                next=t("cli.see_help", command=ctx.command_path),
            )
        return super().resolve_command(ctx, args)


def _root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version")] = False,
    lang: Annotated[str | None, typer.Option("--lang", metavar="ko|en")] = None,
) -> None:
    # `--lang` is read in cli.split_language, before there is a sentence to say; here it is only documented.
    if version:
        from hello_k8s import __version__

        print(f"hello-k8s {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
        raise typer.Exit


def build() -> Any:
    """The whole command, its help in the current language."""
    app = typer.Typer(cls=_Group, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.callback(invoke_without_command=True)(_root)
    for command in (
        machine.start, machine.status, machine.shell, machine.test, machine.pause, machine.stop, machine.delete,
        machine.doctor, machine.uninstall, grade.grade,
    ):  # fmt: skip
        settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
        app.command(command.__name__, cls=_Command, context_settings=settings if command is machine.shell else None)(
            command
        )
    for name, module in (("lab", labs), ("notebooks", notebooks), ("book", book), ("images", images)):
        app.add_typer(_group(module.COMMANDS), name=name)
    command = typer.main.get_command(app)
    _speak(command, "cli.help")
    return command


def _group(commands: Any) -> typer.Typer:
    group = typer.Typer(cls=_Group, no_args_is_help=True)
    for name, function in commands.items():
        group.command(name, cls=_Command)(function)
    return group


def _speak(command: Any, key: str) -> None:
    """Give `command`, its options and its sub-commands their texts: `<key>.about`, `<key>.<option>`."""
    command.help = _one_a_line(t(f"{key}.about"))
    command.short_help = t(f"{key}.short")
    for parameter in command.params:
        name = parameter.name
        parameter.help = t(f"{key}.{name}") if name not in _COMPLETION else t(f"cli.completion.{name}")
    for name, inner in getattr(command, "commands", {}).items():
        _speak(inner, f"{key}.{name}")
        for panel, members in PANELS.items():
            if key == "cli.help" and name in members:
                inner.rich_help_panel = t(f"cli.panel.{panel}")


def _one_a_line(text: str) -> str:
    """An indented line `a · b · c` (exit codes, variables) as a line each."""
    lines = (line.replace(" · ", "\n  ") if line.startswith("  ") else line for line in text.strip().splitlines())
    return "\n".join(lines)


_COMPLETION = ("install_completion", "show_completion")


def _localise_rich() -> None:
    from typer import rich_utils

    rich_utils.ARGUMENTS_PANEL_TITLE = t("cli.panel.arguments")
    rich_utils.OPTIONS_PANEL_TITLE = t("cli.panel.options")
    rich_utils.COMMANDS_PANEL_TITLE = t("cli.panel.commands")
    rich_utils.DEFAULT_STRING = t("cli.default")
    rich_utils.REQUIRED_LONG_STRING = t("cli.required")
    rich_utils.STYLE_HELPTEXT = ""


def run(words: list[str]) -> int:
    """Run one command; returns its exit code. Raises HelloError."""
    if "--help" in words or len(words) < 2:  # a help page will be printed, or may be
        _localise_rich()
    command = build()
    try:
        code = command.main(args=words, prog_name=PROGRAM, standalone_mode=False)
    except TyperException as error:
        raise _usage_error(error) from error
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _usage_error(error: Any) -> UsageError:
    """Typer's own complaint, in our words and with the help page to read."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else PROGRAM
    following = t("cli.see_help", command=path)
    kind = type(error).__name__
    if kind == "NoArgsIsHelpError":
        print(error.message)
        sys.exit(2)
    if kind == "NoSuchOption":
        near = ", ".join(error.possibilities or ())
        why = t("catalog.nearest", names=near) if near else ""
        return UsageError(t("cli.no_such_option", option=error.option_name), why=why, next=following)
    if kind == "MissingParameter" and error.param is not None:
        return UsageError(t("cli.missing_argument", name=error.param.name.upper()), next=following)
    if kind == "BadParameter" and error.param is not None:
        name = (error.param.opts or [error.param.name])[0]
        low, high = getattr(error.param, "min", None), getattr(error.param, "max", None)
        why = str(error.message) if low is None else t("cli.expected_number", low=low, high=high)
        return UsageError(t("cli.bad_value", name=name), why=why, next=following)
    return UsageError(t("cli.bad_usage"), why=error.format_message(), next=following)
