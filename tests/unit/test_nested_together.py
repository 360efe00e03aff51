"""Two that need the same nested engine at once make it once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hello_k8s.errors import MachineError
from hello_k8s.machine import images
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.nested import Nested
from hello_k8s.progress import SILENT


def test_it_is_brought_up_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check in a terminal and another in JupyterLab: `docker run` of the second would fail."""
    made: list[Any] = []
    both = threading.Barrier(2)
    first_look = threading.local()

    def has(self: Nested, wanted: set[str]) -> bool:
        if not hasattr(first_look, "done"):
            first_look.done = True
            both.wait(10)
            return False
        return bool(made)

    monkeypatch.setattr(Nested, "_has", has)
    monkeypatch.setattr(Nested, "_bring_up", lambda self, *_: made.append(self))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: Nested("nested", engine=Engine(("false",))).up(), range(2)))
    assert len(made) == 1


def test_a_damaged_file_in_the_cache_is_not_in_the_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine below has the image, so nothing else would ever make the file anew."""
    kept, loaded = home / "kept.tar", []
    kept.write_text("half")

    def load(file: Path, *_: object) -> list[str]:
        if file == kept:
            raise MachineError("damaged")
        loaded.append(file)
        return []

    monkeypatch.setattr(Engine, "answers", lambda self: True)
    monkeypatch.setattr(images, "_kept", lambda image: kept)
    monkeypatch.setattr(images, "_present", lambda *_: None)
    monkeypatch.setattr(images.bundles, "load", load)
    monkeypatch.setattr(images.bundles, "save", lambda file, *_: file.write_text("whole"))
    images._copy(images.catalog.image("probe"), Engine(("true",)), SILENT)
    assert len(loaded) == 1 and not kept.exists()
