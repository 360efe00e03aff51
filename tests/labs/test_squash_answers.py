"""ch1/squash: right Dockerfiles that aren't the solution pass; wrong ones fail what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade
from hello_k8s.grading.verdict import Result

LAB = catalog.lab("ch1/squash")
ANSWERS = (LAB.solution / "answers.toml").read_text("utf-8")
DOCKERFILE = (LAB.solution / "Dockerfile").read_text("utf-8")
CASES = {f"case_{number}" for number in range(1, 5)}


def graded(folder: Path, dockerfile: str, answers: str = ANSWERS) -> Result:
    (folder / "Dockerfile").write_text(dockerfile, "utf-8")
    (folder / "answers.toml").write_text(answers, "utf-8")
    return grade(LAB, folder, mode="replay", kind="submission")


MAKE = "sh /usr/local/bin/make-report.sh /work /srv/report.txt"
RIGHT = {
    "made and removed in one RUN": (
        f"FROM debian:trixie-slim\nCOPY make-report.sh /usr/local/bin/\nRUN {MAKE} && rm -r /work\n"
        'CMD ["cat", "/srv/report.txt"]\n'
    ),
    "mounts": (
        "FROM debian:trixie-slim\n"
        "RUN --mount=type=bind,source=make-report.sh,target=/make.sh --mount=type=tmpfs,target=/work \\\n"
        "    sh /make.sh /work /report\nENTRYPOINT cat /report\n"
    ),
    "three stages, the report under another name": (
        "FROM debian:trixie-slim AS base\nFROM base AS made\nCOPY make-report.sh /m\nRUN sh /m /tmp/x /out/r\n"
        'FROM base\nCOPY --from=made /out /out\nUSER 65534\nCMD ["cat", "/out/r"]\n'
    ),
}
WRONG = {
    "kept": (DOCKERFILE.split("\n\n")[0] + '\nCMD ["cat", "/srv/report.txt"]\n', {"no_deleted_bytes"}),
    "a report written by hand": (
        'FROM debian:trixie-slim\nCMD ["echo", "report 1.0.0: 2000000 measurements"]\n', {"report"},
    ),
    "another base": ('FROM scratch\nCOPY make-report.sh /\nCMD ["/make-report.sh"]\n', {"shares_base", "report"}),
    "doesn't build": ("FROM debian:trixie-slim\nRUN false\n", {"no_deleted_bytes", "shares_base", "report"}),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_dockerfile_passes(tmp_path: Path, name: str) -> None:
    result = graded(tmp_path, RIGHT[name])
    assert result.passed, result.to_json()


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_dockerfile_fails_what_it_should(tmp_path: Path, name: str) -> None:
    dockerfile, fails = WRONG[name]
    result = graded(tmp_path, dockerfile)
    assert {check.id for check in result.checks if check.verdict == "failed"} == fails, result.to_json()
    assert result.graded


def test_a_mistake_in_the_answers_is_explained_and_costs_the_dockerfile_nothing(tmp_path: Path) -> None:
    result = graded(tmp_path, DOCKERFILE, ANSWERS.replace('"builder"', "builder"))
    assert {check.id for check in result.checks if check.verdict == "failed"} == CASES
    assert "line 2" in result.checks[0].message["en"]


def test_a_cause_that_is_none_is_met_with_the_nearest(tmp_path: Path) -> None:
    result = graded(tmp_path, DOCKERFILE, ANSWERS.replace('"builder"', '"buildkit"'))
    (failed,) = (check for check in result.checks if check.verdict == "failed")
    assert failed.id == "case_2" and "builder" in failed.message["en"]
