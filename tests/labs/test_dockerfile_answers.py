"""ch1/dockerfile: right answers that aren't the solution pass; strange ones fail, and never as our own error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade

LAB = catalog.lab("ch1/dockerfile")
BUILD = """FROM golang:1.26 AS builder
WORKDIR /src
COPY main.go ./
RUN CGO_ENABLED=0 go build -o /hello main.go
"""
DEBIAN = f"{BUILD}FROM debian:trixie-slim\nCOPY --from=builder /hello /usr/local/bin/hello\nUSER 1000\n"


def script(*lines: str) -> str:
    """Instructions that start the program through a script, with the arguments of CMD."""
    text = "\n".join(("#!/bin/sh", *lines))
    return f'{DEBIAN}COPY --chmod=755 <<"EOF" /start.sh\n{text}\nEOF\nENTRYPOINT ["/start.sh"]\nCMD ["-to", "k8s"]\n'


RIGHT = {
    "an empty image": f"{BUILD}FROM scratch\nCOPY --from=builder /hello /\nUSER 65534:65534\n"
    'ENTRYPOINT ["/hello"]\nCMD ["-to", "k8s"]\n',
    "a script that execs": script("set -e", "echo ready", 'exec hello "$@"'),
    "a script that passes the signal on": script('hello "$@" &', "trap 'kill $!' TERM", "wait $!", "wait $!"),
    "sh -c with exec": f'{DEBIAN}ENTRYPOINT ["sh", "-c", "exec hello \\"$@\\"", "sh"]\nCMD ["-to=k8s"]\n',
    "bash, which execs by itself": f'{DEBIAN}ENTRYPOINT ["bash", "-c", "hello \\"$@\\"", "bash"]\nCMD ["-to", "k8s"]\n',
    "no CMD, since the last argument counts": f'{DEBIAN}ENTRYPOINT ["hello", "-to", "k8s"]\n',
}

ALL = {check.id for check in LAB.checks}
WRONG = {
    "nothing to run": (f"{BUILD}FROM scratch\nCOPY --from=builder /hello /\nUSER 1\n", ALL - {"numeric_user"}),
    "SIGKILL for a stop": (f'{DEBIAN}STOPSIGNAL SIGKILL\nENTRYPOINT ["hello"]\nCMD ["-to", "k8s"]\n', {"stops"}),
    "single quotes": (f"{DEBIAN}ENTRYPOINT ['hello']\nCMD ['-to', 'k8s']\n", ALL - {"numeric_user"}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_answer_passes(tmp_path: Path, name: str) -> None:
    (tmp_path / "Dockerfile").write_text(RIGHT[name], "utf-8")
    result = grade(LAB, tmp_path, mode="replay", kind="submission")
    assert result.passed, result.to_json()


@pytest.mark.parametrize("name", WRONG)
def test_a_strange_answer_fails_what_it_should(tmp_path: Path, name: str) -> None:
    dockerfile, fails = WRONG[name]
    (tmp_path / "Dockerfile").write_text(dockerfile, "utf-8")
    result = grade(LAB, tmp_path, mode="replay", kind="submission")
    assert {check.id for check in result.checks if check.verdict == "failed"} == fails, result.to_json()
    assert result.graded
