"""Notebooks: the same code and outputs in both languages, executed once, free of what only this run knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from hello_k8s import notebooks, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError

Cell = nbformat.NotebookNode


def code(source: str, number: int, *outputs: Cell) -> Cell:
    return nbformat.v4.new_code_cell(source, id=f"c{number}", execution_count=number, outputs=list(outputs))


def printed(text: str) -> Cell:
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def save(lab: Lab, tongue: str, *cells: Cell, info: bool = True) -> Path:
    metadata = {"language_info": {"name": "python"}} if info else {}
    title = nbformat.v4.new_markdown_cell({"ko": "# 제목", "en": "# Title"}[tongue], id="title")
    file = notebooks.file_of(lab, tongue)
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[title, *cells], metadata=metadata), file)
    return file


def both(lab: Lab, *cells: Cell) -> None:
    for tongue in ("ko", "en"):
        save(lab, tongue, *cells)


LOAD = code(notebooks.LOAD_EXTENSION, 1)


def test_two_equal_notebooks_are_well(small: Lab) -> None:
    both(small, LOAD, code("print(1)", 2, printed("1\n")))
    assert notebooks.problems(small) == []


def test_each_missing_notebook_is_named(small: Lab) -> None:
    assert [text.split(" ")[0] for text in notebooks.problems(small)] == [
        "notebooks/ko/ch1/small.ipynb",
        "notebooks/en/ch1/small.ipynb",
    ]


@pytest.mark.parametrize(
    ("korean", "english", "expected"),
    [
        ([LOAD, code("print(1)", 2)], [LOAD, code("print(2)", 2)], "the code of cell 3 differs"),
        ([LOAD, code("x", 2, printed("1"))], [LOAD, code("x", 2, printed("2"))], "outputs of cell 3 differ"),
        ([LOAD, code("x", 2)], [LOAD], "kinds differ at cell 3"),
        ([code("import this", 1)], [code("import this", 1)], "first code cell"),
        ([LOAD, nbformat.v4.new_code_cell("x", id="x")], [LOAD, code("x", 2)], "never run: cell 3"),
    ],
)
def test_what_differs_is_named_by_cell(small: Lab, korean: list[Cell], english: list[Cell], expected: str) -> None:
    save(small, "ko", *korean)
    save(small, "en", *english)
    assert any(expected in text for text in notebooks.problems(small)), notebooks.problems(small)


def test_errors_and_this_machines_paths_are_no_outputs_to_record(small: Lab) -> None:
    failed = nbformat.v4.new_output("error", ename="ZeroDivisionError", evalue="x", traceback=[])
    both(small, LOAD, code("1/0", 2, failed), code("p", 3, printed(f"{paths.ROOT}/x\n")))
    found = " ".join(notebooks.problems(small))
    assert "ZeroDivisionError" in found and "names a folder of this machine" in found


def test_a_broken_file_and_a_missing_language_info_are_named(small: Lab) -> None:
    save(small, "ko", LOAD, info=False)
    notebooks.file_of(small, "en").parent.mkdir(parents=True)
    notebooks.file_of(small, "en").write_text("{")
    found = " ".join(notebooks.problems(small))
    assert "no language_info" in found and "isn't a notebook" in found


def test_pieces_of_one_stream_are_one() -> None:
    merged = notebooks._merged([printed("a"), printed("b"), nbformat.v4.new_output("display_data"), printed("c")])
    assert [output.get("text") for output in merged] == ["ab", None, "c"]


def test_refresh_runs_korean_and_writes_both(small: Lab) -> None:
    cell = nbformat.v4.new_code_cell("print('one'); print('two')", id="x")
    cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00Z"}
    both(small, nbformat.v4.new_code_cell(notebooks.LOAD_EXTENSION, id="l"), cell)
    written = notebooks.refresh(small)
    assert [file.parent.parent.name for file in written] == ["ko", "en"]
    one, other = (nbformat.read(file, as_version=4) for file in written)
    for notebook in (one, other):
        assert notebook.cells[2].outputs[0].text == "one\ntwo\n"
        assert "execution" not in notebook.cells[2].metadata
        assert [c.execution_count for c in notebook.cells if c.cell_type == "code"] == [1, 2]
        assert notebook.metadata.language_info == {**notebooks._LANGUAGE_INFO}
    assert one.cells[0].source == "# 제목" and other.cells[0].source == "# Title"
    assert notebooks.problems(small) == []
    before = [file.read_bytes() for file in written]
    notebooks.refresh(small)
    assert [file.read_bytes() for file in written] == before, "a second run leaves no difference"


def test_a_failing_cell_is_named_and_nothing_is_written(small: Lab) -> None:
    both(small, LOAD, code("1/0", 2), code("after = 1", 3))  # as recorded before
    before = [notebooks.file_of(small, tongue).read_bytes() for tongue in ("ko", "en")]
    with pytest.raises(HelloError) as failed:
        notebooks.refresh(small)
    assert "cell 3" in failed.value.what and "ZeroDivisionError" in failed.value.why
    assert "notebooks refresh ch1/small" in failed.value.next
    assert [notebooks.file_of(small, tongue).read_bytes() for tongue in ("ko", "en")] == before


def test_different_code_is_refused_before_anything_runs(small: Lab) -> None:
    save(small, "ko", LOAD, code("open('ran', 'w')", 2))
    save(small, "en", LOAD)
    with pytest.raises(HelloError, match="cell 3"):
        notebooks.refresh(small)
    assert not (notebooks.file_of(small, "ko").parent / "ran").exists()


def test_check_runs_both_and_names_what_a_run_left(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Path] = []
    things: list[Any] = [{"container a"}, {"container a", "namespace b"}]
    monkeypatch.setattr(notebooks, "things", lambda: things.pop(0))
    monkeypatch.setattr(notebooks, "_nbval", lambda file, progress: ran.append(file) or [])
    both(small, LOAD)
    (left,) = notebooks.check(small)
    assert "namespace b" in left and "container a" not in left
    assert [file.parent.parent.name for file in ran] == ["ko", "en"]


def test_nbval_compares_outputs_with_the_recorded_ones(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", Path(__file__).resolve().parents[2])
    monkeypatch.setattr(paths, "NOTEBOOKS", small.folder.parents[2] / "notebooks")
    good = save(small, "ko", LOAD, code("print(1)", 2, printed("1\n")))
    bad = save(small, "en", LOAD, code("print(1)", 2, printed("2\n")))
    from hello_k8s.progress import SILENT

    assert notebooks._nbval(good, SILENT) == []
    assert any("Cell 1" in text for text in notebooks._nbval(bad, SILENT))


@pytest.mark.parametrize(
    ("root", "text", "named"),
    [
        ("/home/kim/k8s", "made /home/kim/k8s", True),
        ("/home/kim/k8s", "/home/kim/k8s/labs", True),
        ("/home/kim/k8s", "It lies in /home/kim/k8s.", True),
        ("/home/kim/k8s", "/home/kim/k8s-two and /home/kim/k8s.old", False),
        ("/app", "WORKDIR /app", False),  # a checkout in a container; the text is the Dockerfile's
    ],
)
def test_the_checkouts_own_path(monkeypatch: pytest.MonkeyPatch, root: str, text: str, named: bool) -> None:
    monkeypatch.setattr(paths, "ROOT", Path(root))
    assert notebooks._names_this_checkout(text) is named


@pytest.mark.parametrize("command", ["check", "refresh"])
def test_the_machine_is_made_ready_or_named_before_a_cell_runs(
    small: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Without a cluster every cell failed, one line each, and none said why."""
    from hello_k8s import cli
    from hello_k8s.errors import MachineError
    from hello_k8s.workspace import readiness

    def machine(lab: Lab, *_: object) -> None:
        raise MachineError(f"no cluster for {lab.id}", next="./hello-k8s start")

    monkeypatch.setattr(readiness, "machine", machine)
    both(small, LOAD)
    assert cli.run(["notebooks", command, "ch1/small"]) != 0
    assert "no cluster for ch1/small" in capsys.readouterr().err
