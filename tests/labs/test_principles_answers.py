"""ch1/principles: right answers that aren't the solution pass; strange ones fail, and never as our own error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade

LAB = catalog.lab("ch1/principles")
BUILD = """FROM golang:1.26 AS builder
WORKDIR /src
COPY main.go ./
RUN CGO_ENABLED=0 go build -o /web main.go
"""
DEBIAN = f"{BUILD}FROM debian:trixie-slim\nCOPY --from=builder /web /usr/local/bin/\n"

RIGHT = {
    "an empty image": f"{BUILD}FROM scratch\nWORKDIR /site\nCOPY --from=builder /web ./\nCOPY page.html ./\n"
    'ENV DATA=/tmp\nUSER 65534:65534\nENTRYPOINT ["/site/web"]\n',
    "both, and all ends with one": f"{DEBIAN}WORKDIR /app\nCOPY page.html ./\nENV DATA=/tmp\nUSER nobody\n"
    'ENTRYPOINT ["bash", "-c", "web & web worker & wait -n"]\n',
    "working in /tmp": f"{DEBIAN}COPY page.html /srv/\nUSER 1000\n"
    'ENTRYPOINT ["sh", "-c", "cp /srv/page.html /tmp && cd /tmp && exec web"]\n',
    "root that steps down": f"{DEBIAN}WORKDIR /app\nCOPY page.html ./\nENV DATA=/tmp\n"
    'ENTRYPOINT ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "web"]\n',
}
WRONG = {
    "the program belongs to the user": (
        f"{BUILD}FROM debian:trixie-slim\nWORKDIR /app\nCOPY --from=builder --chown=1000 /web ./\nCOPY page.html ./\n"
        'RUN chown 1000 /app\nENV DATA=/tmp\nUSER 1000\nENTRYPOINT ["/app/web"]\n',
        {"sealed"},
    ),
    "a volume for the data": (
        f"{DEBIAN}WORKDIR /app\nCOPY page.html ./\nENV DATA=/data\nVOLUME /data\nUSER 1000\n"
        'ENTRYPOINT ["/usr/local/bin/web"]\n',
        {"read_only"},
    ),
    "restarted inside": (
        f"{DEBIAN}WORKDIR /app\nCOPY page.html ./\nENV DATA=/tmp\nUSER 1000\n"
        'ENTRYPOINT ["sh", "-c", "while :; do web; done"]\n',
        {"ends_with_the_app"},
    ),
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
