"""`test`: what a user would want proved, on the same machine, as one pytest run.

The run has a cluster, a nested engine, a state folder and a workspace of its own, so that a learner's are
never touched; they are removed when it ends.
"""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hello_k8s import catalog, paths
from hello_k8s.errors import MachineError
from hello_k8s.language import t
from hello_k8s.process import run as run_command
from hello_k8s.progress import Progress

#: The test run's own names and folders; `tests/` and everything it calls read them from the environment.
CLUSTER = "hello-k8s-test"
ENGINE = "hello-k8s-engine-test"
#: Sections whose notebooks run although they haven't changed, of each hundred: the share moves on daily.
ROTATING_SHARE = 5
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def environment() -> dict[str, str]:
    """The variables that keep a test run away from a learner's cluster, engine, state and workspace."""
    state = paths.ROOT / ".state" / "test"
    return {
        "HELLO_K8S_STATE": str(state),
        "HELLO_K8S_WORKSPACE": str(state / "workspace"),
        "HELLO_K8S_CLUSTER": CLUSTER,
        "HELLO_K8S_ENGINE": ENGINE,
    }


def run(progress: Progress, *, quick: bool = False, full: bool = False) -> int:
    """Run the tests and return pytest's exit code. `quick` needs neither Docker nor cluster; `full` runs all.

    Raises MachineError where the machine can't be prepared for the tests.
    """
    os.environ.update(environment())
    if full:
        os.environ["HELLO_K8S_FULL"] = "1"
    if quick:
        return _pytest(["--numprocesses=2", "tests/unit"])
    ensure_chromium(progress)
    notebooks, left_out = _notebooks(full)
    if left_out:
        progress.note(t("test.left_out_notebooks", names=", ".join(left_out)))
    if not full:
        progress.note(t("test.left_out_long"))
    try:
        # The cluster tests come last: they end by deleting the cluster that the others share.
        shared = ["tests/unit", "tests/book", "tests/engine", "tests/labs", *notebooks, "tests/start"]
        return _pytest([*shared, "tests/cluster"])
    finally:
        _remove(progress)


def _pytest(arguments: Sequence[str]) -> int:
    """Pytest on a fixed configuration; its own summary is the last thing printed."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir=.", "-ra", "--durations=15"]
    if any(argument.endswith(".ipynb") for argument in arguments):
        command += ["--nbval", "--nbval-cell-timeout=300"]
    return subprocess.run([*command, *arguments], cwd=paths.ROOT, check=False).returncode


def _notebooks(full: bool) -> tuple[list[str], list[str]]:
    """Notebooks to run and sections left out: the Korean ones, since a test proves both languages' code equal."""
    sections = [lab.id for lab in catalog.labs()]
    chosen = sections if full else [name for name in sections if name in _due(sections)]
    languages = ("ko", "en") if full else ("ko",)
    files = [f"notebooks/{language}/{name}.ipynb" for name in chosen for language in languages]
    return files, [name for name in sections if name not in chosen]


def _due(sections: list[str]) -> set[str]:
    """Sections that changed since the last tag, and a share of the others that moves on every day."""
    changed = {name for name in sections if _changed_since_tag(name)}
    others = [name for name in sections if name not in changed]
    share = -(-len(others) * ROTATING_SHARE // 100)
    start = datetime.date.today().toordinal() % (len(others) or 1)
    return changed | {(others * 2)[start + offset] for offset in range(share)}


def _changed_since_tag(section: str) -> bool:
    """Whether anything of the section changed since the last tag; yes where git or a tag is missing."""
    tag = run_command(["git", "-C", str(paths.ROOT), "describe", "--tags", "--abbrev=0"], check=False)
    if tag.code != 0:
        return True
    files = [f"labs/{section}", *(f"{kind}/{language}/{section}.{ending}" for kind, ending in
             (("notebooks", "ipynb"), ("book", "md")) for language in ("ko", "en"))]  # fmt: skip
    differs = ["git", "-C", str(paths.ROOT), "diff", "--quiet", tag.stdout.strip(), "--", *files]
    return run_command(differs, check=False).code != 0


def ensure_chromium(progress: Progress) -> Path:
    """The Chromium that opens the book; installed where Debian and root allow. Raises MachineError elsewhere."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None and _debian_root():
        with progress.step(t("test.step_chromium"), 40):
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            run_command(["apt-get", "update", "-qq"], timeout=300, on_line=progress.line)
            packages = ["chromium", "fonts-noto-cjk"]
            install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
            run_command(install, env=quiet, timeout=900, on_line=progress.line)
        found = shutil.which("chromium")
    if found is None:
        raise MachineError(t("test.no_chromium"), next=t("test.no_chromium_next"))
    return Path(found)


def _debian_root() -> bool:
    release = Path("/etc/os-release")
    return os.geteuid() == 0 and release.exists() and "ID=debian" in release.read_text().splitlines()


def _remove(progress: Progress) -> None:
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.nested import learner_engine

    with progress.step(t("test.step_remove"), 5):
        Cluster().delete()
        learner_engine().down()
