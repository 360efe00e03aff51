"""Grading one submission for one lab: pytest in this process, with nothing from outside in it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import hello_k8s
from hello_k8s import paths
from hello_k8s.catalog import Lab
from hello_k8s.grading.verdict import CheckResult, Kind, Result, Texts, everywhere
from hello_k8s.language import LANGUAGES, both, t
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.grading.ground import Ground
    from hello_k8s.grading.plugin import Chosen

#: Seconds that the lab's own solution may take to confirm that a time-out was the submission's.
_CONFIRM_SECONDS = 900
#: Seconds after which a node that was started again in the middle of a class does all of its work. (A learner doesn't
#: grade before `start` has seen everything ready.)
_SETTLED_SECONDS = 30.0
#: Parts of pytest that grading has no use for: each costs time on the way to a verdict.
_WITHOUT = (
    "terminal", "cacheprovider", "doctest", "junitxml", "pastebin", "stepwise", "faulthandler", "setuponly",
    "setupplan", "debugging", "unittest", "legacypath", "logging", "recwarn", "tmpdir", "monkeypatch",
)  # fmt: skip


def grade(
    lab: Lab,
    folder: Path,
    *,
    mode: Literal["auto", "replay"] = "auto",
    kind: Kind = "workspace",
    seed: int = 0,
    ground: Ground | None = None,
    progress: Progress = SILENT,
    confirm: bool = True,
    plugins: Sequence[object] = (),
) -> Result:
    """Run the lab's checks on the deliverables in `folder` and return the result; never raises for a submission.

    `auto` looks at the live namespace where the lab says so and `kind` is the workspace; everything else is
    replayed from the files. A `mutant` folder is laid over the solution. `seed`: whose questions were answered (0: as
    learner.toml says, beside the folder or above). `ground` is what gradings share (default: the learner's engine and
    cluster, found anew). `confirm`: whether a time-out is tried against the lab's own solution. `plugins` of pytest
    that look on. What the machine does wrong comes back as `errored` checks, so that `result.graded` is False.
    """
    from hello_k8s.grading.plugin import Chosen

    look = mode == "auto" and kind == "workspace" and lab.check == "look"
    chosen = Chosen(lab, folder.resolve(), "look" if look else "replay", kind, seed, ground, progress)
    begun, started = time.monotonic(), datetime.now(UTC)
    with _alone(lab):
        _pytest(lab, chosen, plugins)
    if not chosen.results:
        said = "\n".join(chosen.problems) or t("grading.no_checks_ran", lab=lab.id)
        chosen.results.append(_ungraded(lab, chosen, said, started, time.monotonic() - begun))
    (result,) = chosen.results
    return confirmed(result, lab) if confirm and kind != "solution" else result


def _pytest(lab: Lab, chosen: Chosen, plugins: Sequence[object]) -> None:
    import pytest

    arguments = [f"-pno:{name}" for name in _WITHOUT]
    arguments += [
        "-c", str(paths.ROOT / "pyproject.toml"), f"--rootdir={paths.ROOT}", "--noconftest", "--capture=sys",
        str(lab.folder / "checks.py"),
    ]  # fmt: skip
    ctrl_c = _CtrlC()
    pytest.main(arguments, plugins=[chosen, ctrl_c, *plugins])
    if ctrl_c.pressed:
        raise KeyboardInterrupt


class _CtrlC:
    """pytest takes Ctrl-C for itself and ends as if nothing had happened; whoever called has to know."""

    pressed = False

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        # an error while collecting comes here as a kind of KeyboardInterrupt, too
        self.pressed = type(excinfo.value) is KeyboardInterrupt


@contextlib.contextmanager
def _alone(lab: Lab) -> Iterator[None]:
    """No plugin that happens to be installed, no option from the environment, no checks.py of an earlier run."""
    names = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        checks = str(lab.folder / "checks.py")
        for name in [n for n, module in sys.modules.items() if getattr(module, "__file__", None) == checks]:
            del sys.modules[name]


def _ungraded(lab: Lab, chosen: Chosen, said: str, started: datetime, seconds: float) -> Result:
    checks = tuple(
        CheckResult(c.id, c.question, c.points, "errored", everywhere(said), hints=c.hints) for c in lab.checks
    )
    return Result(
        lab=lab.id,
        kind=chosen.kind,
        mode=chosen.mode,
        started=started.isoformat(timespec="seconds"),
        checks=checks,
        seconds=seconds,
        version=hello_k8s.__version__,
    )


def confirmed(result: Result, lab: Lab) -> Result:
    """`result`, what failed in it kept only if no node of the cluster was down meanwhile, and its time-outs only if the
    lab's own solution passes those checks right now; else they are ours.
    """
    if _was_shaken(result, lab):
        return _ours(result, {check.id for check in result.checks if not check.passed}, both("grading.node_was_down"))
    late = {check.id for check in result.checks if check.verdict == "timed_out"}
    if not late or result.kind == "solution":
        return result
    own = _solution(lab)
    passed = {check.id for check in own.checks if check.passed} if own else set()
    ours = late - passed
    if not ours:
        return result
    return _ours(result, ours, both("grading.solution_failed_too"))


def _ours(result: Result, checks: set[str], told: Texts) -> Result:
    """`result` with `checks` errored, and why: whatever was seen, it says nothing of the submission."""
    changed = tuple(
        replace(c, verdict="errored", message={x: f"{c.message[x]} {told[x]}".strip() for x in LANGUAGES})
        if c.id in checks
        else c
        for c in result.checks
    )
    return replace(result, checks=changed)


def _was_shaken(result: Result, lab: Lab) -> bool:
    """Whether a node of the cluster wasn't there for all of a replay that found fault with the submission."""
    found_fault = {"failed", "timed_out"} & {check.verdict for check in result.checks}
    if not found_fault or not result.graded or result.mode == "look" or not lab.on_cluster:
        return False
    from hello_k8s.errors import HelloError
    from hello_k8s.grading.nonce import CLASS
    from hello_k8s.machine.cluster import Cluster

    begun = datetime.fromisoformat(result.started).timestamp()
    settled = _SETTLED_SECONDS if os.environ.get(CLASS) or result.kind == "submission" else 0.0
    try:
        return not Cluster().was_up(begun, begun + result.seconds, settled)
    except HelloError:
        return True


def _solution(lab: Lab) -> Result | None:
    """The solution graded in a process of its own: this one may be inside a pytest run already."""
    import secrets
    import tempfile

    from hello_k8s.errors import HelloError
    from hello_k8s.grading.nonce import SECRET
    from hello_k8s.process import run

    with tempfile.TemporaryDirectory(prefix="hello-k8s-") as folder:
        file = Path(folder) / "result.json"
        command = [
            sys.executable, "-m", "hello_k8s.grading.run", f"--root={lab.folder.parent.parent}",
            f"--result={file}", str(lab.folder), str(lab.solution),
        ]  # fmt: skip
        try:
            # with another nonce than the class's: what is found in the build cache says nothing of now
            own = {SECRET: secrets.token_hex(16)}
            run(command, cwd=paths.ROOT, env=own, timeout=_CONFIRM_SECONDS, check=False)
            return Result.from_json(file.read_text("utf-8"))
        except (HelloError, OSError, ValueError):
            return None


def main(arguments: list[str] | None = None) -> int:
    """`python -m hello_k8s.grading.run LAB FOLDER`: grade a folder as the solution of the lab in folder LAB."""
    from hello_k8s.catalog import read_lab

    parser = argparse.ArgumentParser(prog="python -m hello_k8s.grading.run")
    parser.add_argument("lab", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root", type=Path, default=paths.LABS)
    parser.add_argument("--kind", default="solution")
    parser.add_argument("--result", type=Path, required=True)
    given = parser.parse_args(arguments)
    result = grade(read_lab(given.lab, given.root), given.folder, mode="replay", kind=given.kind, confirm=False)
    given.result.write_text(result.to_json(), "utf-8")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
