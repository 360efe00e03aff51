"""The transcripts of ch1/squash are what the notebook recorded: real runs, not texts that somebody typed."""

from __future__ import annotations

import json
import re

import pytest

from hello_k8s import catalog, notebooks

#: What differs from run to run.
_MOMENT = re.compile(r"\d\d:\d\d:\d\d\.\d+|(?<=root root)[ ]+\d+|\b[0-9a-f]{12,64}\b|\d+\.\d+\.\d+(\+\w+)?|[\d.]+kB")


def lasting(text: str) -> list[str]:
    lines = [_MOMENT.sub("…", line.strip()) for line in text.splitlines()]
    passing = ("Using cache", "intermediate container", "Running in")  # depends on what was built before
    return [line for line in lines if line and not any(word in line for word in passing)]


def recorded() -> dict[str, str]:
    notebook = json.loads(notebooks.file_of(catalog.lab("ch1/squash"), "ko").read_text("utf-8"))
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == "cases")
    text = "".join(part for output in cell["outputs"] for part in output["text"])
    parts = re.split(r"^--- (.+)\n", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("name", [f"case-{number}.txt" for number in range(1, 5)])
def test_a_transcript_is_what_the_notebook_recorded(name: str) -> None:
    given = (catalog.lab("ch1/squash").start / name).read_text("utf-8")
    assert lasting(given) == lasting(recorded()[name])


def test_each_transcript_shows_what_decides_it() -> None:
    cases = [(catalog.lab("ch1/squash").start / f"case-{number}.txt").read_text("utf-8") for number in range(1, 5)]
    off, ignored, store = (
        '"--squash" is only supported on a Docker daemon with experimental features enabled',
        "experimental flag squash is removed with BuildKit",
        "error squashing image: not implemented",
    )
    assert [(off in case, ignored in case, store in case) for case in cases] == [
        (True, False, False), (False, True, False), (False, False, True), (True, False, False),
    ]  # fmt: skip
    assert ['"experimental": true' in case for case in cases] == [True, True, True, False]
    assert ["experimental true\n" in case for case in cases] == [False, True, True, False]
    written = [
        dict((line.split()[-1], line.split()[-2]) for line in case.splitlines() if line.startswith("-rw"))
        for case in cases
    ]
    newer = [times.get("/etc/docker/daemon.json", "") > times["/run/docker.pid"] for times in written]
    assert newer == [True, False, False, False], "only in case 1 was the file written after the daemon had started"
