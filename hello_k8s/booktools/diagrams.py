"""`{mermaid}` drawn by the book's own copy of mermaid, with a text for those who don't see the drawing.

sphinxcontrib-mermaid reads the directive; drawn it would be by a script from another host, without the text.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinxcontrib.mermaid import Mermaid, mermaid

from hello_k8s.language import t

#: The published file of npm's @mermaid-js/tiny, compressed; see vendor/README.md.
SCRIPT = Path(__file__).parent / "vendor" / "mermaid.tiny.js.gz"


class Diagram(Mermaid):  # type: ignore[misc]
    """sphinxcontrib-mermaid's directive; `:alt:` is required."""

    def run(self, **kwargs: Any) -> list[nodes.Node]:
        if not self.options.get("alt", "").strip():
            raise self.error(t("book.diagram_alt"))
        return super().run(**kwargs)


def _draw(self: Any, node: mermaid) -> None:
    attributes = {"role": "img", "aria-label": node["alt"]}
    self.body.append(self.starttag(node, "div", CLASS="hk-diagram", **attributes))
    self.body.append(f'<pre class="mermaid">{self.encode(node["code"])}</pre></div>\n')
    raise nodes.SkipNode


def _scripts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if doctree is not None and doctree.next_node(mermaid) is not None:
        app.add_js_file("mermaid.tiny.js", loading_method="defer")
        app.add_js_file("diagrams.js", loading_method="defer")


def _unpack(app: Sphinx, exception: Exception | None) -> None:
    target = Path(app.outdir) / "_static" / "mermaid.tiny.js"
    if exception is None and not target.is_file():
        target.write_bytes(gzip.decompress(SCRIPT.read_bytes()))


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinxcontrib.mermaid")
    app.add_directive("mermaid", Diagram, override=True)
    app.add_node(mermaid, override=True, html=(_draw, None))
    app.connect("html-page-context", _scripts)
    app.connect("build-finished", _unpack)
