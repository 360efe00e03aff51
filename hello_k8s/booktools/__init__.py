"""What Sphinx learns for this book: directives, addresses, languages, search. Loaded by name in `_config.yml`.

Only the build's own processes import this package's modules; importing `hello_k8s.book` costs no Sphinx.
"""

from __future__ import annotations

from typing import Any

#: Goes up when a page that was read before must be read again.
_VERSION = 3


def setup(app: Any) -> dict[str, object]:
    """Sphinx's entry point."""
    from hello_k8s.booktools import addresses, boxes, diagrams, firstuse, korean, pages, quiz, recorded

    app.add_config_value("hello_catalog", "", "env")
    app.add_config_value("hello_messages", "", "env")
    for name in ("sphinx", "booktheme"):
        app.add_message_catalog(name, app.config.hello_messages)
    for module in (addresses, boxes, diagrams, firstuse, korean, pages, quiz, recorded):
        module.setup(app)
    return {"version": "1", "env_version": _VERSION, "parallel_read_safe": True, "parallel_write_safe": True}
