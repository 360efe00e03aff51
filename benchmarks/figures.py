"""Measures the figures of benchmarks/README.md on this machine: `.venv/bin/python benchmarks/figures.py NAME …`.

Whole processes, as a user types them, several runs, minimum, median and maximum. Seconds from one machine say
little about another, so each figure also stands beside a yardstick measured in the same run (an empty Python, a
`kubectl get`, a plain `docker build`), as a ratio of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELLO = str(ROOT / "hello-k8s")
STATE = Path(os.environ.get("HELLO_K8S_STATE") or ROOT / ".state")


def timed(command: Sequence[str], *, env: dict[str, str] | None = None, ok: bool = True) -> float:
    """Seconds of one run of `command`; its output is shown only if it fails though `ok` says that it mustn't."""
    began = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True, cwd=ROOT)
    seconds = time.perf_counter() - began
    if ok and done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return seconds


def repeated(runs: int, work: Callable[[], float]) -> list[float]:
    return [work() for _ in range(runs)]


def row(name: str, values: list[float], yardstick: tuple[str, list[float]] | None = None) -> None:
    """One line: minimum, median, maximum, and the ratio to the yardstick of the same run."""
    text = f"{name:42} min {min(values):8.2f} s   median {statistics.median(values):8.2f} s   max {max(values):8.2f} s"
    if yardstick:
        ratio = statistics.median(values) / statistics.median(yardstick[1])
        text += f"   = {ratio:.1f} × {yardstick[0]} ({statistics.median(yardstick[1]):.2f} s)"
    print(f"{text}   n={len(values)}", flush=True)


def solved_workspace(folder: Path, section: str) -> dict[str, str]:
    """A workspace of its own in which `section` is started and solved; the learner's isn't touched."""
    env = {"HELLO_K8S_WORKSPACE": str(folder)}
    timed([HELLO, "lab", "start", section], env=env)
    shutil.copytree(ROOT / "labs" / section / "solution", folder / section, dirs_exist_ok=True)
    return env


def kubectl(*words: str, env: dict[str, str] | None = None) -> list[str]:
    return [str(STATE / "bin" / "kubectl"), f"--kubeconfig={STATE / 'kubeconfig'}", *words]


def book(runs: int) -> None:
    """The book in both languages, cold (no output, no doctree)."""

    def cold() -> float:
        for name in ("book", "book-work"):
            shutil.rmtree(STATE / name, ignore_errors=True)
        return timed([HELLO, "book", "build"])

    row("book, both languages, cold", repeated(runs, cold), ("an empty python", empty_python(runs)))


def empty_python(runs: int) -> list[float]:
    return repeated(max(runs, 5), lambda: timed([sys.executable, "-c", "pass"]))


def check(runs: int) -> None:
    """`lab check` of a correct Service lab, from Enter to verdict."""
    with tempfile.TemporaryDirectory() as folder:
        env = solved_workspace(Path(folder), "ch2/service")
        solution = sorted(str(file) for file in (Path(folder) / "ch2/service").glob("*.yaml"))
        applied = [word for file in solution for word in ("-f", file)]
        timed(kubectl("-n", "ch2-service", "apply", *applied))
        timed(kubectl("-n", "ch2-service", "rollout", "status", "deployment/front"))
        timed([HELLO, "lab", "check", "ch2/service"], env=env)
        values = repeated(runs, lambda: timed([HELLO, "lab", "check", "ch2/service"], env=env))
        yard = repeated(runs, lambda: timed(kubectl("get", "nodes")))
        row("lab check ch2/service, correct", values, ("kubectl get nodes", yard))
        build_env = solved_workspace(Path(folder), "ch1/multi-stage")
        timed([HELLO, "lab", "check", "ch1/multi-stage"], env=build_env)
        values = repeated(runs, lambda: timed([HELLO, "lab", "check", "ch1/multi-stage"], env=build_env))
        row("lab check ch1/multi-stage, correct", values, ("kubectl get nodes", yard))

        def paused() -> float:
            timed([HELLO, "pause"])
            return timed([HELLO, "lab", "check", "ch2/service"], env=env)

        row("paused to a passing check", repeated(runs, paused), ("kubectl get nodes", yard))
        timed([HELLO, "lab", "reset", "ch2/service"], env=env, ok=False)


def node_names() -> list[str]:
    cluster = os.environ.get("HELLO_K8S_CLUSTER", "hello-k8s")
    listed = subprocess.run(
        ["docker", "ps", "--filter", f"label=io.x-k8s.kind.cluster={cluster}", "--format", "{{.Names}}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return listed.stdout.split()


def cpu_seconds(node: str) -> float:
    """Processor time of a node's container since it started, in seconds, on cgroup v1 and v2 alike."""
    script = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || grep usage_usec /sys/fs/cgroup/cpu.stat"
    printed = subprocess.run(["docker", "exec", node, "sh", "-c", script], capture_output=True, text=True, check=True)
    word = printed.stdout.split()
    return int(word[0]) / 1e9 if len(word) == 1 else int(word[1]) / 1e6


def cluster(seconds: int = 60) -> None:
    """Memory of the nodes, and the share of one core that they use when nobody asks anything."""
    nodes = node_names()
    stats = subprocess.run(
        ["docker", "stats", "--no-stream", "--format", "{{json .}}", *nodes], capture_output=True, text=True, check=True
    )
    units = {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}
    total = 0.0
    for line in stats.stdout.splitlines():
        used = json.loads(line)["MemUsage"].split(" / ")[0]
        total += float(used[:-3]) * units[used[-3:]]
    before, began = sum(map(cpu_seconds, nodes)), time.perf_counter()
    time.sleep(seconds)
    share = (sum(map(cpu_seconds, nodes)) - before) / (time.perf_counter() - began)
    print(
        f"{'the running cluster, idle':42} {total:.0f} MiB in {len(nodes)} nodes   "
        f"{share:.2f} of a core over {seconds} s"
    )


def start(runs: int) -> None:
    """`start --no-serve`: with everything there, and with the images in the engine but cluster, book and state gone."""
    row("start --no-serve, nothing to do", repeated(runs, lambda: timed([HELLO, "start", "--no-serve"])))

    def cached() -> float:
        timed([HELLO, "delete", "--yes"])
        shutil.rmtree(STATE, ignore_errors=True)
        return timed([HELLO, "start", "--no-serve"])

    row("start --no-serve, images cached", repeated(max(1, runs // 3), cached))


MEASURES: dict[str, Callable[[int], None]] = {
    "book": book,
    "check": check,
    "cluster": lambda runs: cluster(),
    "start": start,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(MEASURES)} (all without one)")
    parser.add_argument("-n", "--runs", type=int, default=5, help="counted runs (default: 5)")
    arguments = parser.parse_args()
    for name in arguments.names or MEASURES:
        if name not in MEASURES:
            parser.error(f"no figure is called {name}")
        MEASURES[name](arguments.runs)


if __name__ == "__main__":
    main()
