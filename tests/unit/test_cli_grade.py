"""`grade` at the command line, as far as no machine is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog, cli
from tests.classroom.generate import write_class


@pytest.mark.parametrize("named", ["ch2/service", "ch2"])
def test_who_is_who_of_the_labs_that_are_named(home: Path, capsys: pytest.CaptureFixture[str], named: str) -> None:
    room = write_class(home / "class", [catalog.lab("ch2/service")], 3, mix={"right": 1})
    code = cli.run(["grade", str(room.folder), "--dry-run", f"--lab={named}", "--lab=ch2/service"])
    said = capsys.readouterr().out
    assert code == 0
    assert said.count("ch2/service") >= len(room.pupils) and "ch1" not in said
