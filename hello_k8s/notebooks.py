"""Notebooks: one a section and language, the same code and the same recorded outputs in both."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hello_k8s import catalog, files, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError
from hello_k8s.language import LANGUAGES, t
from hello_k8s.progress import SILENT, Progress

#: The language that is run; its outputs are written into the other too.
RUN = "ko"
#: Seconds that one cell may take. A whole notebook should take 60.
CELL_TIMEOUT = 300
LOAD_EXTENSION = "%load_ext hello_k8s.jupyter"
#: Of `language_info` only this is kept: the interpreter's exact version would change with every machine.
_LANGUAGE_INFO = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def which(sections: Sequence[str] | None) -> list[Lab]:
    """The labs of these sections; all of them where none is named. Raises UsageError for an unknown one."""
    return [catalog.lab(name) for name in sections] if sections else list(catalog.labs())


def file_of(lab: Lab, language: str) -> Path:
    """Where the notebook of a section is."""
    return paths.NOTEBOOKS / language / lab.chapter / f"{lab.section}.ipynb"


def environment() -> dict[str, str]:
    """What a notebook runs with: kubectl, kind and docker of ours, and this package, whatever folder it is in."""
    from hello_k8s.machine.cluster import Cluster

    here, before = str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")
    python = f"{here}{os.pathsep}{before}" if before else here
    return {**os.environ, **Cluster().environment(), **own_folders(), "PYTHONPATH": python}


def own_folders() -> dict[str, str]:
    """Where Jupyter, IPython and Matplotlib keep their files: in this checkout's state, not in the user's home."""
    home = paths.state() / "jupyter"
    home.mkdir(exist_ok=True)  # else IPython takes a folder of its own choice
    names = {"IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "runtime", "MPLCONFIGDIR": "matplotlib"}
    return {variable: str(home / name) for variable, name in names.items()}


def problems(lab: Lab) -> list[str]:
    """What is wrong with a section's notebooks as they are, without running them: sentences, none if all is well."""
    found: list[str] = []
    notebooks: dict[str, Any] = {}
    for language in LANGUAGES:
        file = file_of(lab, language)
        name = _name(file)
        if not file.is_file():
            found.append(t("lab.notebook.no_file", file=name))
            continue
        try:
            notebooks[language] = _read(file)
        except Exception as error:  # nbformat raises its own, jsonschema's and json's
            found.append(t("lab.notebook.unreadable", file=name, why=str(error).splitlines()[0]))
            continue
        found += _problems_of_one(notebooks[language], name)
    if len(notebooks) == len(LANGUAGES):
        found += _differences(lab.id, *(notebooks[language] for language in LANGUAGES))
    return found


def _name(file: Path) -> str:
    return file.relative_to(paths.ROOT).as_posix() if file.is_relative_to(paths.ROOT) else str(file)


def _read(file: Path) -> Any:
    import nbformat

    return nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]


def _problems_of_one(notebook: Any, name: str) -> Iterator[str]:
    if "language_info" not in notebook.metadata:
        yield t("lab.notebook.no_language", file=name)
    code = [(number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"]
    if not code or not code[0][1].source.strip().startswith(LOAD_EXTENSION):
        yield t("lab.notebook.first_cell", file=name)
    never = [str(number) for number, cell in code if cell.execution_count is None and cell.source.strip()]
    if never:
        yield t("lab.notebook.not_executed", file=name, cells=", ".join(never))
    for number, cell in code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield t("lab.notebook.error_output", file=name, cell=number, error=output.ename)
            if _names_this_checkout(str(output)):
                yield t("lab.notebook.own_path", file=name, cell=number)


def _names_this_checkout(text: str) -> bool:
    """Whether its path stands in `text`; one as short as /app stands in many that name no machine."""
    root = paths.ROOT
    return len(root.parts) > 2 and re.search(re.escape(str(root)) + r"(?![\w-]|\.\w)", text) is not None


def _differences(section: str, one: Any, other: Any, *, outputs: bool = True) -> Iterator[str]:
    kinds = [[cell.cell_type for cell in notebook.cells] for notebook in (one, other)]
    if kinds[0] != kinds[1]:
        same = next((n for n, (a, b) in enumerate(zip(*kinds)) if a != b), min(len(kinds[0]), len(kinds[1])))
        yield t("lab.notebook.cells_differ", section=section, cell=same + 1)
        return
    for number, (a, b) in enumerate(zip(one.cells, other.cells), 1):
        if a.cell_type != "code":
            continue
        if a.source != b.source or _tags(a) != _tags(b):
            yield t("lab.notebook.code_differs", section=section, cell=number)
        elif outputs and a.outputs != b.outputs:
            yield t("lab.notebook.outputs_differ", section=section, cell=number)


def _tags(cell: Any) -> list[str]:
    return sorted(cell.metadata.get("tags", ()))


def refresh(lab: Lab, progress: Progress = SILENT, prepare: Callable[[], object] = lambda: None) -> list[Path]:
    """Run the Korean notebook and write its outputs into both languages; returns the files written.

    `prepare` makes the machine ready before it runs. Raises HelloError, having written nothing, where the languages'
    code differs or a cell fails.
    """
    notebooks = {language: _read(_existing(file_of(lab, language))) for language in LANGUAGES}
    different = list(_differences(lab.id, *notebooks.values(), outputs=False))
    if different:
        raise HelloError(different[0], next=t("lab.notebook.cell_failed_next", section=lab.id))
    file = file_of(lab, RUN)
    prepare()
    with progress.step(t("lab.notebook.step_run", file=_name(file)), 60):
        _execute(notebooks[RUN], file, lab)
    recorded = [cell for cell in notebooks[RUN].cells if cell.cell_type == "code"]
    written = []
    for language, notebook in notebooks.items():
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for cell, source in zip(code, recorded, strict=True):
            cell.outputs, cell.execution_count = source.outputs, source.execution_count
        written.append(_write(notebook, file_of(lab, language)))
    return written


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise HelloError(t("lab.notebook.no_file", file=_name(file)), next=t("lab.notebook.no_file_next"))
    return file


def _execute(notebook: Any, file: Path, lab: Lab) -> None:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    for cell in notebook.cells:
        if cell.cell_type == "code":  # as recorded, they would all seem to have been executed
            cell.execution_count, cell.outputs = None, []
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(file.parent)}},
    )
    try:
        with _here(own_folders()):  # the connection to the kernel is written by this process
            client.execute(env=environment())
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        cell = sum(cell.cell_type == "code" and cell.execution_count is not None for cell in notebook.cells)
        position = [n for n, c in enumerate(notebook.cells, 1) if c.cell_type == "code"][max(cell - 1, 0)]
        raise HelloError(
            t("lab.notebook.cell_failed", file=_name(file), cell=position),
            why=_without_colour(str(error)),
            next=t("lab.notebook.cell_failed_next", section=lab.id),
        ) from error
    number = 0
    for code in (cell for cell in notebook.cells if cell.cell_type == "code"):
        code.outputs = _merged(code.outputs)
        if code.execution_count is not None:
            number += 1
            code.execution_count = number
        for output in code.outputs:
            if "execution_count" in output:
                output["execution_count"] = number


@contextlib.contextmanager
def _here(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _merged(outputs: Sequence[Any]) -> list[Any]:
    """Neighbouring pieces of one stream as one: where a program's output is cut depends on the moment."""
    merged: list[Any] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last is not None and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _write(notebook: Any, file: Path) -> Path:
    import nbformat

    for cell in notebook.cells:
        for transient in ("execution", "ExecuteTime", "collapsed", "scrolled"):
            cell.metadata.pop(transient, None)
    notebook.metadata.clear()
    notebook.metadata.update({"kernelspec": KERNEL, "language_info": _LANGUAGE_INFO})
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]
    return files.write(file, text)


def check(lab: Lab, progress: Progress = SILENT, prepare: Callable[[], object] = lambda: None) -> list[str]:
    """Everything wrong with a section's notebooks: as they are, and run as tests in both languages.

    `prepare` makes the machine ready before they run. A run that leaves containers, volumes, networks, images or
    namespaces behind is a problem too.
    """
    found = problems(lab)
    if found:
        return found
    prepare()
    before = things()
    for language in LANGUAGES:
        file = file_of(lab, language)
        with progress.step(t("lab.notebook.step_check", file=_name(file)), 60):
            found += _nbval(file, progress)
    left = sorted(things() - before)
    return [*found, t("lab.notebook.leftover", section=lab.id, what=", ".join(left))] if left else found


def nbval_command(files: Sequence[Path]) -> list[str]:
    """The command that runs `files` as tests: every cell, its output compared with the recorded one."""
    options = ["--nbval", f"--nbval-cell-timeout={CELL_TIMEOUT}", "-p", "no:cacheprovider", "--no-header", "-q"]
    configuration = ["-c", str(paths.ROOT / "pyproject.toml"), f"--rootdir={paths.ROOT}"]
    return [sys.executable, "-m", "pytest", *configuration, *options, *map(str, files)]


def _nbval(file: Path, progress: Progress) -> list[str]:
    from hello_k8s.process import run

    done = run(nbval_command([file]), env=environment(), cwd=paths.ROOT, check=False, on_line=progress.line)
    if done.code == 0:
        return []
    lines = [_without_colour(line) for line in done.stdout.splitlines()]
    wrong = [line for line in lines if line.startswith(("FAILED", "ERROR"))] or lines[-10:] or [done.stderr[-500:]]
    return [t("lab.notebook.failed", file=_name(file), what=line) for line in wrong]


def things() -> set[str]:
    """What is on the engine and in the cluster, by kind and name, without what hello, k8s itself keeps there."""
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.engine import user_engine

    engine, cluster = user_engine(), Cluster()
    ours = ("hello-k8s", cluster.name, "kind", *(name for image in catalog.images().values() for name in _refs(image)))
    listings = {
        "container": ("ps", "--all", "--format", "{{.Names}}"),
        "volume": ("volume", "ls", "--format", "{{.Name}}"),
        "network": ("network", "ls", "--format", "{{.Name}}"),
        "image": ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}"),
    }
    found = set()
    for kind, arguments in listings.items():
        names = engine.run(*arguments).stdout.split()
        found |= {f"{kind} {name}" for name in names if not name.startswith((*ours, "<none>"))}
    if cluster.status() == "running":
        namespaces = cluster.api().list("Namespace")
        found |= {f"namespace {item['metadata']['name']}" for item in namespaces}
    return found


def _refs(image: catalog.Image) -> Mapping[str, None]:
    return dict.fromkeys([image.name, *image.aliases])
