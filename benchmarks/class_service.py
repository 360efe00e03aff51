"""A class of a hundred on the Service lab, beside a kind cluster for each: `benchmarks/class_service.py`.

70 right, 30 wrong, given/back.yaml with one replica (an overlay), on the cluster that HELLO_K8S_CLUSTER names.
Processor time is the whole machine's: whatever else runs counts, so let nothing else run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from itertools import cycle
from pathlib import Path

import classroom as bench  # first: it makes the checkout importable

from hello_k8s import catalog, start
from hello_k8s.classroom.intake import read_class
from hello_k8s.classroom.journal import Journal, key_of
from hello_k8s.classroom.model import Row
from hello_k8s.classroom.run import grade_class
from hello_k8s.grading import replay
from hello_k8s.grading.overlay import overlaid
from hello_k8s.grading.run import grade
from hello_k8s.machine import images, install
from hello_k8s.machine.cluster import Cluster
from hello_k8s.progress import SILENT
from tests.classroom import service_others
from tests.classroom.case import Sort
from tests.classroom.generate import Classroom, copy_files, one_replica, take, write_class

LAB = catalog.lab("ch2/service")
MIX: dict[Sort, int] = {"right": 70, "wrong": 30}
HOSTILE = "a front that crashes"


def cluster_for_each(folder: Path, overlay: Path, count: int) -> bench.Taken:
    """Create a kind cluster of one node, grade, delete it; `count` times, right and wrong as in the class."""
    lab = overlaid(LAB, overlay)
    cases = [*take(LAB, "right", count - count * 3 // 10), *take(LAB, "wrong", count * 3 // 10)]
    before = os.environ.get("HELLO_K8S_CLUSTER")
    os.environ["HELLO_K8S_CLUSTER"] = "hello-k8s-each"
    refs = images.ensure(["node"], Cluster().engine, SILENT, upstream_names=install.installed_by_us())
    taken = bench.Taken()
    try:
        with bench.measured(taken):
            for case in cases:
                cluster = Cluster(nodes=1)
                cluster.up(SILENT, refs["node"])
                result = grade(lab, copy_files(case, folder), mode="replay", kind="submission", confirm=False)
                got = {check.id: check.verdict for check in result.checks}
                taken.notes += [] if got == dict(case.verdicts) else [f"{case.name}: {got}"]
                cluster.delete()
    finally:
        Cluster(nodes=1).delete()
        if before is None:
            del os.environ["HELLO_K8S_CLUSTER"]
        else:
            os.environ["HELLO_K8S_CLUSTER"] = before
    return taken


def thousand(folder: Path, output: Path, overlay: Path, source: Path, room: Classroom, left: int) -> bench.Taken:
    """The same at 1,000: rows of the hundred, over and over, are in the journal; `left` are graded."""
    many = write_class(folder, [LAB], 1000, mix=MIX, replicas=1)
    lab = overlaid(LAB, overlay)
    report = grade_class(room.folder, labs=room.labs, output=source, overlay=overlay)
    results = cycle([row.result for row in report.rows if row.result])
    with Journal(output).open() as journal:
        for entry in read_class(folder, [LAB], output / "unpacked").entries[left:]:
            if replay.deliverables(lab, entry.folder, "submission"):
                row = Row(entry.learner, LAB.id, entry.source, "graded", next(results))
                journal.write(key_of(entry, lab), row)
    return bench.grade(many, output, overlay)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--each", type=int, default=3, help="clusters made for one submission (0: none)")
    parser.add_argument(
        "--no-hostile", action="store_true", help="leave out the second class, with a hostile one in it"
    )
    parser.add_argument("--no-thousand", action="store_true", help="leave out the memory at 1,000")
    given = parser.parse_args()
    start.prepare(SILENT)
    with tempfile.TemporaryDirectory(prefix="hello-k8s-class-") as name:
        folder = Path(name)
        overlay = one_replica(folder / "overlay", LAB)
        room = write_class(folder / "class", [LAB], given.count, mix=MIX, replicas=1)
        one = bench.grade(room, folder / "results", overlay)
        rate = given.count * 60 / one.seconds
        bench.show(
            f"Service lab, class of {given.count} (70 right, 30 wrong), one replica",
            [
                ("agree", bench.agreement(one, room)),
                ("seconds", f"{one.seconds:.0f}"),
                ("submissions a minute", f"{rate:.1f}"),
                ("CPU-seconds a submission, whole machine", f"{one.cpu / given.count:.2f}"),
                ("memory of grader and children, peak", f"{one.peak / bench.MIB:.0f} MiB"),
            ],
        )
        if given.each:
            each = cluster_for_each(folder / "case", overlay, given.each)
            alone = given.each * 60 / each.seconds
            bench.show(
                f"a kind cluster for each ({given.each})",
                [
                    ("wrong verdicts", str(len(each.notes))),
                    ("seconds a submission", f"{each.seconds / given.each:.1f}"),
                    ("submissions a minute", f"{alone:.2f}"),
                    ("class, times faster", f"{rate / alone:.1f}"),
                ],
            )
        if not given.no_hostile:
            (case,) = [case for case in service_others.hostile(LAB) if case.name == HOSTILE]
            bad = bench.with_one(room, case, folder / "hostile")
            two = bench.grade(bad, folder / "hostile-results", overlay)
            bench.show(
                f"the same class with one hostile submission ({HOSTILE})",
                [
                    ("agree", bench.agreement(two, bad)),
                    ("seconds", f"{two.seconds:.0f}"),
                    ("more time", f"{(two.seconds / one.seconds - 1) * 100:.1f} %"),
                ],
            )
        if not given.no_thousand:
            args = (folder / "thousand", folder / "thousand-results", overlay, folder / "results")
            taken = thousand(*args, room, left=20)
            memory = f"{taken.peak / bench.MIB:.0f} MiB"
            bench.show("1,000 rows, 980 of them from the journal", [("memory of grader and children, peak", memory)])


if __name__ == "__main__":
    main()
