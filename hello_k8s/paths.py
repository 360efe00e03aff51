"""Where things are. Nothing outside these folders is ever written, except by the engine itself.

HELLO_K8S_STATE, HELLO_K8S_WORKSPACE and HELLO_K8S_CACHE move a folder (tests and second classes use them). A path in
them counts from the folder that we were called in, for every process of ours, wherever it works.
"""

from __future__ import annotations

import os
from pathlib import Path

#: The checkout: where labs/, images/, book/ and the launcher are.
ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(__file__).resolve().parent
LABS = ROOT / "labs"
IMAGES = ROOT / "images"
ADDONS = ROOT / "addons"
BOOK = ROOT / "book"
#: What is ours in the folders below (glob patterns): they may be set to a folder that holds other things, too.
IN_CACHE = ("apt", "build", "images", "tools", "passing-*.tar*", "pulled", "*.lock")
IN_STATE = (
    "bin", "book", "book-work", "bundle.tar", "buildx", "classes", "cluster", "discovery-*", "jupyter", "kube-cache",
    "kubeconfig*", "labs", "logs", "nested", "overlays", "secret*", "self-check", "start.lock",
    "test",
)  # fmt: skip
NOTEBOOKS = ROOT / "notebooks"
for _name in ("HELLO_K8S_STATE", "HELLO_K8S_WORKSPACE", "HELLO_K8S_CACHE"):
    if os.environ.get(_name):
        os.environ[_name] = str(Path(os.environ[_name]).absolute())


def state() -> Path:
    """This checkout's own state (kubeconfig, tools, logs, built book), made if missing."""
    return _made(os.environ.get("HELLO_K8S_STATE") or ROOT / ".state")


def workspace() -> Path:
    """The learner's own files: `<chapter>/<section>/` folders and learner.toml. Not made here."""
    return Path(os.environ.get("HELLO_K8S_WORKSPACE") or ROOT / "workspace")


def cache() -> Path:
    """What every checkout of this user shares: downloads and finished build steps. Made if missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return _made(os.environ.get("HELLO_K8S_CACHE") or Path(base) / "hello-k8s")


def logs() -> Path:
    """Log files, one per command of ours that does something long."""
    return _made(state() / "logs")


def _made(path: str | Path) -> Path:
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
