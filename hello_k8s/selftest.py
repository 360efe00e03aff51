"""`test`: what a user would want proved, on the same machine, as one pytest run.

The run has a cluster, a nested engine, a state folder and a workspace of its own, so that a learner's are
never touched; cluster and engine are removed when it ends, the folders are in .state/test.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hello_k8s import catalog, paths, start
from hello_k8s.errors import CommandFailed, EngineError, MachineError
from hello_k8s.language import t
from hello_k8s.machine.debian import os_release
from hello_k8s.notebooks import own_folders
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


def run(progress: Progress, *, quick: bool = False, full: bool = False, ask: start.Ask | None = None) -> int:
    """Run the tests and return pytest's exit code. `quick` needs neither Docker nor cluster; `full` runs all.

    `ask` is called with a question before Docker is installed. Raises MachineError, EngineError or ClusterError
    where the machine can't be prepared for the tests.
    """
    os.environ.update(environment())
    if full:
        os.environ["HELLO_K8S_FULL"] = "1"
    if quick:
        return _pytest(["--numprocesses=2", "tests/unit"])
    ensure_chromium(progress)
    # With `full`, tests/labs/test_notebooks.py runs them all, in an order of its own.
    notebooks, left_out = ([], []) if full else _notebooks()
    if left_out:
        progress.note(t("test.left_out_notebooks", names=", ".join(left_out)))
    if not full:
        progress.note(t("test.left_out_long"))
        progress.note(t("test.left_out_assertions", names=", ".join(_without_proof())))
    try:
        # Before pytest, which would keep an engine's installation and a quarter of an hour of compiling to itself.
        start.prepare(progress, ask=ask)
        # The cluster tests come last: they end by deleting the cluster that the others share.
        folders = ["tests/unit", "tests/book", "tests/engine", "tests/labs", "tests/classroom"]
        return _pytest([*folders, *notebooks, "tests/start", "tests/cluster"])
    finally:
        _remove()


def _pytest(arguments: Sequence[str]) -> int:
    """Pytest on a fixed configuration; its own summary is the last thing printed."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir=.", "-ra", "--durations=15"]
    if any(argument.endswith(".ipynb") for argument in arguments):
        command += ["--nbval", "--nbval-cell-timeout=300"]
    env = {**os.environ, **own_folders()}  # notebooks are run, and a profile in the user's home would count
    return subprocess.run([*command, *arguments], cwd=paths.ROOT, env=env, check=False).returncode


def _notebooks() -> tuple[list[str], list[str]]:
    """Notebooks to run and sections left out: the Korean ones, since a test proves both languages' code equal."""
    sections = [lab.id for lab in catalog.labs()]
    due = _due(sections)
    chosen = [name for name in sections if name in due]
    return [f"notebooks/ko/{name}.ipynb" for name in chosen], [name for name in sections if name not in chosen]


def _without_proof() -> list[str]:
    """The labs whose assertions aren't removed and negated today."""
    from hello_k8s.authoring.assertions import due

    labs = catalog.labs()
    return [lab.id for lab in labs if lab not in due(labs)]


def _due(sections: list[str]) -> set[str]:
    """Sections that changed since the last tag, and a share of the others that moves on every day."""
    changed = {name for name in sections if _changed_since_tag(name)}
    others = [name for name in sections if name not in changed]
    share = -(-len(others) * ROTATING_SHARE // 100)
    start = datetime.date.today().toordinal() % (len(others) or 1)
    return changed | {(others * 2)[start + offset] for offset in range(share)}


def _changed_since_tag(section: str) -> bool:
    """Whether anything of the section changed since the last tag; yes where git or a tag is missing."""
    if shutil.which("git") is None:
        return True
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
            _install_chromium(progress)
        found = shutil.which("chromium")
    if found is None:
        raise MachineError(t("test.no_chromium"), next=t("test.no_chromium_next"))
    return Path(found)


def _install_chromium(progress: Progress) -> None:
    from hello_k8s.machine import install

    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run_command(["apt-get", "update", "-qq"], timeout=300, on_line=progress.line)
        plan = run_command([*command, "--simulate"], env=quiet, timeout=300).stdout
        install.record_others(re.findall(r"^Inst (\S+) \((?:\S+)", plan, re.MULTILINE))
        run_command(command, env=quiet, timeout=900, on_line=progress.line)
    except CommandFailed as failed:
        raise MachineError(t("test.no_chromium"), why=str(failed), next=t("test.no_chromium_next")) from failed


def _debian_root() -> bool:
    return os.geteuid() == 0 and os_release().get("ID") == "debian"


def _remove() -> None:
    """The run's cluster and nested engine. Says nothing: the last line is pytest's."""
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.nested import learner_engine

    try:
        Cluster().delete()
        learner_engine().down()
    except EngineError:
        pass  # pytest has said that nothing answers
