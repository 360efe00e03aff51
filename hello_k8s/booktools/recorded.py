"""`{recorded} CELL`: what a cell of the section's notebook printed or drew, so that a page never repeats it by hand.

The notebook is the one in the page's language; CELL is the cell's id.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hello_k8s.language import t


class Recorded(SphinxDirective):
    """See the module. A drawing needs its alternative text in the cell's metadata (`mystnb.image.alt`)."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        chapter, section = self.env.docname.split("/")[-2:]
        file = Path(self.env.srcdir, "notebooks", self.env.config.language, chapter, f"{section}.ipynb")
        self.env.note_dependency(str(file))
        shown = outputs(file, name)
        if not shown:
            raise self.error(t("book.recorded_nothing", self.env.config.language, cell=name, file=file.name))
        return shown


def outputs(file: Path, name: str) -> list[nodes.Node]:
    """The recorded outputs of the cell `name` of a notebook, as nodes; none where there is no such cell or output."""
    cells: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["cells"] if file.is_file() else []
    nothing: dict[str, Any] = {"metadata": {}}
    cell = next((cell for cell in cells if cell.get("id") == name), nothing)
    alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
    found = (_node(output, alt) for output in cell.get("outputs", ()))
    return [node for node in found if node is not None]


def _node(output: dict[str, Any], alt: str) -> nodes.Node | None:
    data = output.get("data", {})
    if alt and "image/png" in data:
        return nodes.image(uri="data:image/png;base64," + "".join(data["image/png"].split()), alt=alt)
    text = "".join(output.get("text", "")).strip("\n")
    return nodes.literal_block(text, text, language="none") if text else None


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("recorded", Recorded)
