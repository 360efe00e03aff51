"""ch1/build: other right answers pass; a token or a fetch in disguise is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade
from hello_k8s.grading.verdict import Result

LAB = catalog.lab("ch1/build")
END = 'USER 65534:65534\nENTRYPOINT ["/hello"]\n'
SECRET = "--mount=type=secret,id=token"
START = "FROM golang:1.26 AS build\nWORKDIR /work\n"
LAST = f"FROM scratch\nCOPY --from=build /hello /hello\n{END}"


def graded(folder: Path, dockerfile: str, ignored: str) -> Result:
    (folder / "Dockerfile").write_text(dockerfile, "utf-8")
    (folder / ".dockerignore").write_text(ignored, "utf-8")
    return grade(LAB, folder, mode="replay", kind="submission")


RIGHT = {
    "two stages, the secret as a variable": (
        f"{START}COPY go.* get-modules.sh ./\nCOPY modules modules\n"
        f"RUN {SECRET},env=TOKEN sh get-modules.sh\nCOPY main.go hello.md ./\n"
        f"RUN CGO_ENABLED=0 go build -o /hello .\n{LAST}",
        "*\n!*.go\n!go.*\n!hello.md\n!get-modules.sh\n!modules\n",
    ),
    "a cache mount instead of a layer": (
        f"FROM golang:1.26\nWORKDIR /src\nCOPY . .\n"
        f"RUN {SECRET} --mount=type=cache,target=/go/pkg/mod sh get-modules.sh && go build -o /hello .\n{END}",
        "**/token.txt\n",
    ),
    "bind mounts": (
        f"{START}RUN {SECRET} --mount=type=bind,source=modules,target=modules"
        " --mount=type=bind,source=go.mod,target=go.mod --mount=type=bind,source=go.sum,target=go.sum"
        " --mount=type=bind,source=get-modules.sh,target=get-modules.sh sh get-modules.sh\n"
        f"COPY *.go *.md go.* ./\nRUN CGO_ENABLED=0 go build -o /hello .\n{LAST}",
        "",
    ),
    "an argument of a stage that is left behind": (
        f"{START}ARG TOKEN\nCOPY go.mod go.sum get-modules.sh ./\nCOPY modules modules\nRUN sh get-modules.sh\n"
        f"COPY main.go hello.md ./\nRUN CGO_ENABLED=0 go build -o /hello .\n{LAST}",
        "private\n",
    ),
}
SOLUTION = (LAB.solution / "Dockerfile").read_text("utf-8")
IGNORED = (LAB.solution / ".dockerignore").read_text("utf-8")
STEP = f"RUN {SECRET} sh get-modules.sh\n"
WRONG = {
    "the workspace's own token in the command": (
        SOLUTION.replace(STEP, "RUN TOKEN=hello-k8s-token-0badcafe sh get-modules.sh\n"),
        IGNORED,
        {"no_secret"},
    ),
    "a label": (SOLUTION.replace(STEP, f"{STEP}ARG TOKEN\nLABEL built-with=$TOKEN\n"), IGNORED, {"no_secret"}),
    "a cache mount for the compiler's cache alone": (
        f"FROM golang:1.26\nWORKDIR /src\nCOPY . .\n"
        f"RUN {SECRET} --mount=type=cache,target=/root/.cache sh get-modules.sh && go build -o /hello .\n{END}",
        IGNORED,
        {"cached"},
    ),
    "no token": (SOLUTION.replace(f"{SECRET} ", ""), IGNORED, {"answers", "cached", "no_secret"}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_answer_passes(name: str, tmp_path: Path) -> None:
    result = graded(tmp_path, *RIGHT[name])
    assert result.passed, result.to_json()


@pytest.mark.parametrize("name", WRONG)
def test_a_strange_answer_fails_what_it_should(name: str, tmp_path: Path) -> None:
    dockerfile, ignored, fails = WRONG[name]
    result = graded(tmp_path, dockerfile, ignored)
    assert {check.id for check in result.checks if check.verdict == "failed"} == fails, result.to_json()
    assert result.graded
    assert not any("0badcafe" in check.message["en"] for check in result.checks if check.id == "no_secret")
