"""What a builder printed, told as one sentence; whatever a step printed."""

from __future__ import annotations

import time

import pytest

from hello_k8s.grading.buildlog import build_failure, evidence_of

FAILED = """#5 [2/2] RUN x
------
 > [2/2] RUN x:
{said}
------
Dockerfile:2
--------------------
   1 |     FROM debian:trixie-slim
   2 | >>> RUN x
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 9
"""
DENIED = """Dockerfile:2
--------------------
   2 | >>> {instruction}
--------------------
ERROR: failed to build: failed to solve: {error}
"""


def test_a_megabyte_without_an_end_of_line_costs_nothing() -> None:
    begun = time.process_time()
    output = FAILED.format(said="0.1 " + "x" * 1_000_000)
    failed = build_failure(output, "Dockerfile", ["debian"])
    assert time.process_time() - begun < 1
    assert len(failed.texts["en"]) < 1000 and "line 2" in failed.texts["en"]
    assert all(len(line) <= 600 for line in evidence_of(output))


@pytest.mark.parametrize("said", ["failed to resolve source metadata for x", "network.host is not allowed"])
def test_what_a_step_prints_is_no_refusal(said: str) -> None:
    text = build_failure(FAILED.format(said=f"0.1 a: {said}"), "Dockerfile", ["debian"]).texts["en"]
    assert "doesn't build" in text


@pytest.mark.parametrize(
    ("instruction", "error", "told"),
    [
        (
            "FROM nginx",
            "nginx: failed to resolve source metadata for docker.io/library/nginx:latest: denied by policy",
            "`nginx`, which can't be used",
        ),
        (
            "RUN --mount=from=nginx id",
            'failed to load LLB: source "docker-image://docker.io/library/nginx:latest" denied by policy',
            "`nginx:latest`, which can't be used",
        ),
        ("# syntax=a/b", "failed to resolve source metadata for docker.io/a/b: denied", "another builder"),
        ("ADD http://h/x /", 'failed to load LLB: source "http://h/x" denied by policy', "fetches `http://h/x`"),
        ("RUN --network=host id", "failed to load LLB: network.host is not allowed", "network of the host"),
    ],
)
def test_what_is_refused_is_named(instruction: str, error: str, told: str) -> None:
    failed = build_failure(DENIED.format(instruction=instruction, error=error), "Dockerfile", ["debian"])
    assert told in failed.texts["en"] and failed.texts["ko"]
