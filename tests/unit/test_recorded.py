"""`{recorded}`: what a page shows of a notebook."""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes

from hello_k8s.booktools.recorded import outputs

PIXEL = "iVBORw0KGgo="


def notebook(tmp_path: Path, *, alt: str = "a bar") -> Path:
    picture = {"output_type": "display_data", "data": {"image/png": PIXEL + "\n", "text/plain": "<Figure>"}}
    printed = {"output_type": "stream", "name": "stdout", "text": ["one\n", "two\n"]}
    cells = [
        {"id": "table", "cell_type": "code", "metadata": {}, "outputs": [printed]},
        {"id": "chart", "cell_type": "code", "metadata": {"mystnb": {"image": {"alt": alt}}}, "outputs": [picture]},
        {"id": "silent", "cell_type": "code", "metadata": {}, "outputs": []},
        {"id": "words", "cell_type": "markdown", "metadata": {}},
    ]
    file = tmp_path / "x.ipynb"
    file.write_text(json.dumps({"cells": cells}))
    return file


def test_what_was_printed_is_shown_as_it_is(tmp_path: Path) -> None:
    (shown,) = outputs(notebook(tmp_path), "table")
    assert isinstance(shown, nodes.literal_block) and shown.astext() == "one\ntwo"


def test_a_drawing_is_shown_with_its_alternative_text_and_never_without(tmp_path: Path) -> None:
    (shown,) = outputs(notebook(tmp_path), "chart")
    assert isinstance(shown, nodes.image)
    assert (shown["uri"], shown["alt"]) == (f"data:image/png;base64,{PIXEL}", "a bar")
    assert outputs(notebook(tmp_path, alt=""), "chart") == []


def test_nothing_recorded_is_nothing_shown(tmp_path: Path) -> None:
    for name in ("silent", "words", "missing"):
        assert outputs(notebook(tmp_path), name) == []
    assert outputs(tmp_path / "no.ipynb", "table") == []
