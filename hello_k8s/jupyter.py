"""`%load_ext hello_k8s.jupyter`: `%lab` shows what the terminal shows, and `%%bash` stops at the first failure."""

from __future__ import annotations

import html
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hello_k8s import catalog, language, refusal, workspace
from hello_k8s.errors import HelloError, UsageError
from hello_k8s.language import pick, t
from hello_k8s.progress import Progress
from hello_k8s.workspace import begin, chapter, report

if TYPE_CHECKING:
    from hello_k8s.grading.verdict import Result

#: Colours that keep their contrast on JupyterLab's light and dark backgrounds.
_COLOURS: dict[report.Tone, str] = {"good": "#1a9850", "bad": "#e0433a", "ours": "#c98a00"}
_STRICT = "bash -euo pipefail"


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext` calls: registers `%lab`, makes `%%bash` strict, sets kubectl's and docker's environment."""
    from hello_k8s.machine.cluster import Cluster

    os.environ.update(Cluster().environment())
    shell.register_magic_function(lab, "line", "lab")

    # The built-in magic keeps the path that it was made with, so it is replaced rather than configured.
    def strict_bash(line: str, cell: str) -> Any:
        __tracebackhide__ = True
        return shell.run_cell_magic("script", f"{_STRICT} {line}".strip(), cell)

    shell.register_magic_function(strict_bash, "cell", "bash")


class Shown:
    """Something to look at, as HTML in a notebook and as the same text elsewhere."""

    def __init__(self, text: str, markup: str) -> None:
        self._text = text
        self._html = markup

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def lab(line: str) -> Shown | None:
    """`%lab list · start LAB · check [LAB|CHAPTER] · hint [LAB] [CHECK] · reset LAB`, in the notebook."""
    try:
        word, *rest = _split(line) or [""]
        if word not in _ACTIONS:
            raise UsageError(t("lab.magic_unknown", word=word) if word else t("lab.which"), next=t("lab.magic_usage"))
        options = [item for item in rest if item.startswith("-")]
        return _ACTIONS[word]([item for item in rest if item not in options], options)
    except (HelloError, OSError) as error:
        told = refusal.ordinary(error)
        if told is None:
            raise
        return _error(told)


class _Notes(Progress):
    """Progress as printed lines: a notebook keeps them."""

    def __init__(self) -> None:
        # Grading captures what checks print by replacing sys.stdout: this is the cell's own.
        self._out = sys.stdout

    @contextmanager
    def step(self, title: str, usual_seconds: float | None = None) -> Iterator[None]:
        print(f"… {title}", file=self._out, flush=True)
        yield

    def note(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _split(line: str) -> list[str]:
    try:
        return [word for word in shlex.split(line) if word]
    except ValueError as error:  # a quotation mark without its fellow
        raise UsageError(t("cli.bad_usage"), why=line.strip(), next=t("lab.magic_usage")) from error


def _flags(options: Sequence[str], allowed: Sequence[str]) -> dict[str, bool]:
    for option in options:
        if option not in allowed:
            raise UsageError(t("cli.no_such_option", option=option), next=t("lab.magic_usage"))
    return {name.strip("-").replace("-", "_"): name in options for name in allowed}


def _one(words: Sequence[str], at_most: int = 1) -> str | None:
    if len(words) > at_most:
        raise UsageError(t("cli.bad_usage"), next=t("lab.magic_usage"))
    return words[0] if words else None


def _list(words: Sequence[str], options: Sequence[str]) -> Shown:
    _flags(options, ())
    _one(words, 0)
    headings = [t(f"lab.list.{name}") for name in ("lab", "title", "minutes", "points", "progress")]
    rows = [
        [found.id, pick(found.title), str(found.minutes), str(found.points), workspace.standing(found)]
        for found in catalog.labs()
    ]
    return _table(headings, rows)


def _start(words: Sequence[str], options: Sequence[str]) -> None:
    flags = _flags(options, ("--broken", "--empty", "--files-only"))
    begin.begin(workspace.which(_one(words)), _Notes(), **flags)


def _check(words: Sequence[str], options: Sequence[str]) -> Shown:
    flags = _flags(options, ("--as-submitted",))
    name, notes = _one(words), _Notes()
    if labs := chapter.labs_of(name):
        return _chapter(labs, notes, **flags)
    found = workspace.which(name)
    notes.note(t("lab.checking", lab=found.id))
    return show(found, workspace.check(found, progress=notes, **flags))


def _chapter(labs: Sequence[catalog.Lab], notes: Progress, *, as_submitted: bool) -> Shown:
    checked = list(chapter.check_all(labs, notes.note, as_submitted=as_submitted, progress=notes))
    view = report.chapter_view(checked, chapter.total(checked))
    below = [line for line in (view.total, f"→ {view.next}") if line]
    rows = [[row.mark, row.lab, row.title, row.points, row.open] for row in view.rows]
    return _table(["", *view.headings], rows, below)


def _hint(words: Sequence[str], options: Sequence[str]) -> Shown:
    _flags(options, ())
    _one(words, 2)
    return _lines(begin.hint(*words))


def _reset(words: Sequence[str], options: Sequence[str]) -> None:
    flags = _flags(options, ("--broken", "--empty", "--files-only"))
    begin.again(workspace.which(_one(words)), _Notes(), **flags)


_ACTIONS: dict[str, Callable[[Sequence[str], Sequence[str]], Shown | None]] = {
    "list": _list, "start": _start, "check": _check, "hint": _hint, "reset": _reset,
}  # fmt: skip


def show(found: catalog.Lab, result: Result) -> Shown:
    """A result as the terminal shows it: the same sentences in the same order."""
    view = report.view(found, result)
    text = [view.title, *(f"  {note}" for note in view.notes)]
    markup = [f"<div><strong>{html.escape(view.title)}</strong></div>"]
    markup += [f"<div>{_coloured(note, 'ours')}</div>" for note in view.notes]
    for row in view.rows:
        text.append(f"{row.mark} {row.question}  {row.points} · {row.id}")
        text += [f"    {sentence}" for sentence in row.said] + [f"    │ {line}" for line in row.evidence]
        markup.append(_row(row))
    text += [view.total, f"→ {view.next}"]
    markup.append(f"<div><strong>{_coloured(view.total, view.tone)}</strong></div>")
    markup.append(f"<div>→ {html.escape(view.next)}</div>")
    return Shown("\n".join(text), _page(markup))


def _row(row: report.Row) -> str:
    head = f"{_coloured(row.mark, row.tone)} {html.escape(row.question)} <small>{row.points} · {row.id}</small>"
    said = "".join(f"<div style='margin-left:1.5em'>{html.escape(sentence)}</div>" for sentence in row.said)
    facts = "\n".join(html.escape(line) for line in row.evidence)
    shown = f"<pre style='margin:0.2em 0 0.4em 1.5em;white-space:pre-wrap'>{facts}</pre>" if facts else ""
    return f"<div>{head}</div>{said}{shown}"


def _coloured(text: str, tone: report.Tone) -> str:
    return f"<span style='color:{_COLOURS[tone]}'>{html.escape(text)}</span>"


def _page(parts: Sequence[str]) -> str:
    return f"<div lang='{language.current()}' style='line-height:1.5'>{''.join(parts)}</div>"


def _lines(lines: Sequence[str]) -> Shown:
    return Shown("\n".join(lines), _page([f"<div>{html.escape(line)}</div>" for line in lines]))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str] = ()) -> Shown:
    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag} style='text-align:left'>{html.escape(value)}</{tag}>" for value in values)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    table = f"<table><thead><tr>{cells(headings, 'th')}</tr></thead><tbody>{body}</tbody></table>"
    said = [f"<div>{html.escape(line)}</div>" for line in below]
    return Shown("\n".join([*(" · ".join(row) for row in [headings, *rows]), *below]), _page([table, *said]))


def _error(error: HelloError) -> Shown:
    """What happened, why, what next: the notebook's one place for it."""
    text = [f"✗ {error.what}", *(f"  {line}" for line in error.why.splitlines())]
    markup = [f"<div>{_coloured('✗', 'bad')} <strong>{html.escape(error.what)}</strong></div>"]
    if error.why:
        markup.append(f"<pre style='margin-left:1.5em;white-space:pre-wrap'>{html.escape(error.why)}</pre>")
    if error.next:
        text.append(f"→ {error.next}")
        markup.append(f"<div>→ {html.escape(error.next)}</div>")
    return Shown("\n".join(text), _page(markup))
