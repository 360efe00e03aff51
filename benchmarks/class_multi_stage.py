"""A class of a hundred on the multi-stage lab, beside the loop that shares no build cache.

`benchmarks/class_multi_stage.py`: 70 right, 30 wrong. The loop grades a few of the same answers one after another,
each in a nested engine made for it and thrown away, and once more in one engine whose build cache is emptied before
each; both are extrapolated to the class.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import classroom as bench  # first: it makes the checkout importable

from hello_k8s import catalog, start
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.run import grade
from hello_k8s.machine.nested import Nested
from hello_k8s.progress import SILENT
from tests.classroom import dockerfile_others
from tests.classroom.case import Case, Sort
from tests.classroom.generate import copy_files, take, write_class

LAB = catalog.lab("ch1/multi-stage")
MIX: dict[Sort, int] = {"right": 70, "wrong": 30}
ENGINE = "hello-k8s-engine-loop"


def loop(cases: Sequence[Case], folder: Path, *, new_engine: bool) -> bench.Taken:
    """Grade `cases` one after another without anything of the one before."""
    nested = Nested(ENGINE)
    taken = bench.Taken()
    try:
        nested.up(LAB.images)
        with bench.measured(taken):
            for case in cases:
                if new_engine:
                    nested.down()
                    nested.up(LAB.images)
                else:
                    nested.engine.run("builder", "prune", "--all", "--force", timeout=300)
                files = copy_files(case, folder)
                ground = Ground(nested)
                result = grade(LAB, files, mode="replay", kind="submission", ground=ground, confirm=False)
                got = {check.id: check.verdict for check in result.checks}
                taken.notes += [] if got == dict(case.verdicts) else [f"{case.name}: {got}"]
    finally:
        nested.down()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--loop", type=int, default=4, help="answers that the loop grades (0: none)")
    parser.add_argument(
        "--no-hostile", action="store_true", help="leave out the second class, with a hostile one in it"
    )
    given = parser.parse_args()
    start.prepare(SILENT)
    with tempfile.TemporaryDirectory(prefix="hello-k8s-class-") as name:
        folder = Path(name)
        room = write_class(folder / "class", [LAB], given.count, mix=MIX)
        one = bench.grade(room, folder / "results")
        rate = given.count * 60 / one.seconds
        bench.show(
            f"multi-stage lab, class of {given.count} (70 right, 30 wrong)",
            [
                ("agree", bench.agreement(one, room)),
                ("seconds", f"{one.seconds:.0f}"),
                ("submissions a minute", f"{rate:.1f}"),
                ("CPU-seconds a submission, whole machine", f"{one.cpu / given.count:.2f}"),
                ("memory of grader and children, peak", f"{one.peak / bench.MIB:.0f} MiB"),
            ],
        )
        if given.loop:
            cases = [*take(LAB, "right", given.loop - given.loop * 3 // 10), *take(LAB, "wrong", given.loop * 3 // 10)]
            for title, new_engine in (("an engine for each", True), ("one engine, its cache emptied", False)):
                alone = loop(cases, folder / "case", new_engine=new_engine)
                whole = alone.seconds / given.loop * given.count
                bench.show(
                    f"the loop, {title} ({given.loop}, extrapolated to {given.count})",
                    [
                        ("wrong verdicts", str(len(alone.notes))),
                        ("seconds a submission", f"{alone.seconds / given.loop:.1f}"),
                        ("seconds of the class, extrapolated", f"{whole:.0f}"),
                        ("class, times faster", f"{whole / one.seconds:.1f}"),
                    ],
                )
        if not given.no_hostile:
            bad = bench.with_one(room, dockerfile_others.sleeping(LAB), folder / "hostile")
            two = bench.grade(bad, folder / "hostile-results")
            bench.show(
                "the same class with one build that sleeps for ever",
                [
                    ("agree", bench.agreement(two, bad)),
                    ("seconds", f"{two.seconds:.0f}"),
                    ("more time", f"{(two.seconds / one.seconds - 1) * 100:.1f} %"),
                ],
            )


if __name__ == "__main__":
    main()
