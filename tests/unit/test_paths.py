"""Where things are, whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ASK = """
import os
from hello_k8s import paths
os.chdir("/")
print(paths.state(), paths.workspace(), paths.cache(), os.environ["HELLO_K8S_STATE"], sep="\\n")
"""


def test_a_relative_path_counts_from_where_we_were_called(tmp_path: Path) -> None:
    """Workers grade in the checkout's folder, kernels run in the notebook's: it is the same folder for them."""
    names = {"HELLO_K8S_STATE": "st", "HELLO_K8S_WORKSPACE": "ws", "HELLO_K8S_CACHE": "ca"}
    environment = {**os.environ, **names, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert asked.stdout.split() == [str(tmp_path / name) for name in ("st", "ws", "ca", "st")]
