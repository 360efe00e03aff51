"""ch2/service: right answers that aren't the solution pass; strange ones fail, and never as our own error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade
from hello_k8s.grading.verdict import Result

LAB = catalog.lab("ch2/service")
BACK, FRONT = ((LAB.solution / name).read_text("utf-8") for name in LAB.deliverables)


def changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def graded(folder: Path, back: str, front: str) -> Result:
    (folder / "back.yaml").write_text(back, "utf-8")
    (folder / "front.yaml").write_text(front, "utf-8")
    return grade(LAB, folder, mode="replay", kind="submission")


RIGHT = {
    "named target port": (changed(BACK, ("targetPort: 8080", "targetPort: http")), FRONT),
    "NodePort": (changed(BACK, ("spec:\n", "spec:\n  type: NodePort\n")), FRONT),
    "LoadBalancer": (changed(BACK, ("spec:\n", "spec:\n  type: LoadBalancer\n  clusterIP: 10.96.0.77\n")), FRONT),
    "one label": (changed(BACK, ("    app: hello\n", "")), FRONT),
    "two ports": (
        changed(BACK, ("    - port: 80\n", "    - {name: other, port: 8080}\n    - name: http\n      port: 80\n")),
        changed(FRONT, ("http://back", "http://back:8080")),
    ),
    "bare name": (BACK, changed(FRONT, ("http://back", "back"))),
    "another name for back": (
        f"{BACK}---\n{changed(BACK, ('name: back', 'name: other'))}",
        changed(FRONT, ("http://back", "http://other")),
    ),
    "full name": (BACK, changed(FRONT, ("http://back", "http://back.ch2-service.svc.cluster.local:80/"))),
}

REACHES = {"front_reaches_back"}
BEHIND_THE_NAME = {"port", "every_ready_pod", "no_other_pod", *REACHES}
WRONG = {
    "no URL": (BACK, changed(FRONT, ("http://back", "http://back:abc")), REACHES),
    "front calls itself": (BACK, changed(FRONT, ("http://back", "http://localhost:8080")), REACHES),
    "the stranger under a name of its own": (
        f"{BACK}---\n{changed(BACK, ('name: back', 'name: other'), ('tier: back', 'tier: batch'))}",
        changed(FRONT, ("http://back", "http://other")),
        REACHES,
    ),
    "another program": (BACK, changed(FRONT, ("hello-k8s/go-app:1.0.0", "hello-k8s/probe:1")), REACHES),
    "headless": (changed(BACK, ("spec:\n", "spec:\n  clusterIP: None\n")), FRONT, BEHIND_THE_NAME),
    "no YAML": ("{{{", FRONT, {"name", *BEHIND_THE_NAME}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_answer_passes(tmp_path: Path, name: str) -> None:
    result = graded(tmp_path, *RIGHT[name])
    assert result.passed, result.to_json()


@pytest.mark.parametrize("name", WRONG)
def test_a_strange_answer_fails_what_it_should(tmp_path: Path, name: str) -> None:
    back, front, fails = WRONG[name]
    result = graded(tmp_path, back, front)
    assert {check.id for check in result.checks if check.verdict == "failed"} == fails, result.to_json()
    assert result.graded
