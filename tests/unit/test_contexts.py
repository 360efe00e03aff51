"""What an engine is sent to build: the same bytes for the same files, readable for whoever an image is run as."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from hello_k8s.machine.engine import tar_of


def context(folder: Path, umask: int) -> bytes:
    before = os.umask(umask)
    try:
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "text").write_text("read")
        (folder / "program").write_text("run")
        (folder / "program").chmod(0o777 & ~umask)
        (folder / "link").symlink_to("program")
    finally:
        os.umask(before)
    return tar_of(folder, {"added": b""})


@pytest.mark.parametrize("umask", [0o002, 0o027, 0o077])
def test_another_umask_is_no_other_context(tmp_path: Path, umask: int) -> None:
    usual = context(tmp_path / "usual", 0o022)
    assert context(tmp_path / "other", umask) == usual
    with tarfile.open(fileobj=io.BytesIO(usual)) as archive:
        modes = {member.name: member.mode for member in archive if not member.issym()}
    assert modes == {"below": 0o755, "below/text": 0o644, "program": 0o755, "added": 0o644}
