"""Addresses without the folder's language: `book/ko/ch1/multi-stage.md` is read at `ko/ch1/multi-stage.html`.

Pages and notebooks are built from the checkout's root, one run a language, each into a folder of its own. Sphinx
would name the language twice (`ko/book/ko/ch1/…`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.search import IndexBuilder


def address(docname: str) -> str:
    """Where a source is read, inside its language's folder and without `.html`."""
    kind, _, rest = docname.partition("/")
    _, _, inner = rest.partition("/")
    if kind == "book" and inner:
        return inner
    if kind == "notebooks" and inner:
        return f"notebooks/{inner}"
    return docname


class _Index(IndexBuilder):
    """The search index under the readers' addresses; Sphinx's own would send a reader to the sources' names."""

    def freeze(self) -> dict[str, Any]:
        frozen = super().freeze()
        frozen["docnames"] = tuple(address(name) for name in frozen["docnames"])
        return frozen

    def load(self, stream: Any, format: Any) -> None:
        back = {address(name): name for name in self.env.all_docs}

        class Loader:
            @staticmethod
            def load(stream: Any) -> Any:
                frozen = format.load(stream)
                if isinstance(frozen, dict):
                    frozen["docnames"] = [back.get(name, name) for name in frozen["docnames"]]
                return frozen

        super().load(stream, Loader)


class BookBuilder(StandaloneHTMLBuilder):
    """Sphinx's HTML, at the readers' addresses."""

    name = "html"

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        return super().get_target_uri(address(docname), typ)

    def get_outfilename(self, pagename: str) -> str:
        return super().get_outfilename(address(pagename))

    def load_indexer(self, docnames: Iterable[str]) -> None:
        assert self.indexer is not None
        self.indexer.__class__ = _Index
        super().load_indexer(docnames)

    def update_page_context(self, pagename: str, templatename: str, ctx: dict[str, Any], event_arg: Any) -> None:
        if self.config.html_baseurl:
            ctx["pageurl"] = self.config.html_baseurl + self.get_target_uri(pagename)


def setup(app: Sphinx) -> None:
    app.add_builder(BookBuilder, override=True)
