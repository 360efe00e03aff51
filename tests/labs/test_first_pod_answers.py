"""ch1/first-pod: other right answers pass; strange ones fail, and never as our own error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade
from hello_k8s.grading.verdict import Result

LAB = catalog.lab("ch1/first-pod")
DOCKERFILE, POD = ((LAB.solution / name).read_text("utf-8") for name in LAB.deliverables)
NAMED = DOCKERFILE.replace("USER 65534:65534", "USER nobody")


def changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def graded(folder: Path, dockerfile: str, pod: str) -> Result:
    (folder / "Dockerfile").write_text(dockerfile, "utf-8")
    (folder / "pod.yaml").write_text(pod, "utf-8")
    return grade(LAB, folder, mode="replay", kind="submission")


ARGS = 'args: ["-to", "k8s"]'
RIGHT = {
    "the whole command": (DOCKERFILE, changed(POD, (ARGS, 'command: ["/hello", "-to", "k8s"]'))),
    "a named user, overruled by number": (NAMED, changed(POD, ("runAsNonRoot: true", "runAsUser: 1000"))),
    "the image's full name": (DOCKERFILE, changed(POD, ("first-pod:1.0", "docker.io/library/first-pod:1.0"))),
    "as short as it gets": (
        changed(DOCKERFILE, ('"docker"', '"k8s"')),
        "apiVersion: v1\nkind: Pod\nmetadata: {name: hello}\n"
        "spec: {containers: [{name: a, image: 'first-pod:1.0', imagePullPolicy: Never}]}\n",
    ),
}
EVERYTHING = {check.id for check in LAB.checks}
WRONG = {
    "always pulled": (DOCKERFILE, changed(POD, ("image: ", "imagePullPolicy: Always\n      image: ")), EVERYTHING),
    "a probe of a path that isn't there": (DOCKERFILE, changed(POD, ("/healthz", "/ready")), {"ready"}),
    "another name": (DOCKERFILE, changed(POD, ("  name: hello\nspec", "  name: hi\nspec")), EVERYTHING),
    "no Pod but a Service": (
        DOCKERFILE,
        "apiVersion: v1\nkind: Service\nmetadata: {name: hello}\nspec: {ports: [{port: 8080}]}\n",
        EVERYTHING,
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_answer_passes(name: str, tmp_path: Path) -> None:
    result = graded(tmp_path, *RIGHT[name])
    assert result.passed, result.to_json()


@pytest.mark.parametrize("name", WRONG)
def test_a_strange_answer_fails_what_it_should(name: str, tmp_path: Path) -> None:
    dockerfile, pod, fails = WRONG[name]
    result = graded(tmp_path, dockerfile, pod)
    assert {check.id for check in result.checks if check.verdict == "failed"} == fails, result.to_json()
    assert result.graded
