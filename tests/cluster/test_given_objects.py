"""What a lab gives stays as it is, whatever a manifest reaches it through; and what a grading brought goes again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import paths
from hello_k8s.catalog import Lab, read_lab
from hello_k8s.grading import Result, grade, replay
from hello_k8s.machine import loading
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.kubeapi import KubeApi
from tests.cluster.conftest import APP

pytestmark = pytest.mark.cluster

LAB = "ch2/service"


@pytest.fixture
def lab(settled: Cluster, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("HELLO_K8S_CLUSTER", settled.name)
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    return read_lab(paths.LABS / LAB, paths.LABS)


def graded(lab: Lab, tmp_path: Path, *more: str, front: str = "") -> Result:
    """The solution with documents added to back.yaml, and another front.yaml."""
    back = (lab.solution / "back.yaml").read_text()
    (tmp_path / "back.yaml").write_text("\n---\n".join((back, *more)))
    (tmp_path / "front.yaml").write_text(front or (lab.solution / "front.yaml").read_text())
    result = grade(lab, tmp_path, kind="submission")
    assert all(check.verdict in ("passed", "failed") for check in result.checks), result.to_json()
    return result


def told(result: Result, language: str = "en") -> str:
    return "\n".join(text[language] for check in result.checks for text in (check.message, *check.diagnosis))


#: What reaches the lab's own objects without naming itself as they are called.
INDIRECT = {
    "adopted": "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: back-x}, spec: {replicas: 1, selector:"
    " {matchLabels: {app: hello, tier: batch}}, template: {metadata: {labels: {app: hello, tier: batch}}, spec:"
    f" {{containers: [{{name: c, image: {APP}, imagePullPolicy: IfNotPresent}}]}}}}}}}}",
    "scaled": "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: less}, spec:"
    " {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: back}, minReplicas: 1, maxReplicas: 1,"
    " metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}}",
}


@pytest.mark.parametrize(("way", "named"), [("adopted", "Pod/batch"), ("scaled", "Deployment/back")])
def test_what_is_given_cannot_be_changed_indirectly(
    lab: Lab, tmp_path: Path, way: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "scaled":  # a scaler looks every 15 s, for the first time later than these checks do
        real = replay.settle

        def patient(*arguments: Any, **options: Any) -> None:
            real(*arguments, **options)
            if not options.get("patient"):
                api, namespace = arguments[:2]
                api.wait("Deployment", "back", namespace, lambda back: back["spec"]["replicas"] == 1, 120)

        monkeypatch.setattr(replay, "settle", patient)
    result = graded(lab, tmp_path, INDIRECT[way])
    assert result.earned == 0 and f"Your manifests changed what was given: `{named}`" in told(result), result.to_json()
    assert "실습이 준 오브젝트를 바꾸었습니다" in told(result, "ko")


def test_what_the_labs_controllers_made_cannot_be_patched(lab: Lab, tmp_path: Path, running: Cluster) -> None:
    """The ReplicaSet of a given Deployment is called the same everywhere: by what is in it."""
    name = ""
    real = replay.prepare_account

    def seen(api: KubeApi, namespace: str) -> KubeApi:
        nonlocal name
        (found,) = [o for o in api.list("ReplicaSet", namespace) if o["metadata"]["name"].startswith("back-")]
        name = found["metadata"]["name"]
        return real(api, namespace)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "prepare_account", seen)
        assert graded(lab, tmp_path).passed
    patched = INDIRECT["adopted"].replace("back-x", name)
    assert f"`ReplicaSet/{name}` belongs to the lab" in told(graded(lab, tmp_path, patched, front="a: b"))


def test_an_image_that_was_brought_goes_and_the_labs_own_stays(running: Cluster) -> None:
    """One of new content goes with all its names; one that is the lab's by another name loses only that name."""
    engine, node = running.engine, running.nodes()[0]
    before = names(running, node)
    engine.run("build", "--quiet", "--tag=brought:1", "-", input=f"FROM {APP}\nLABEL made={time.time()}\n".encode())
    engine.run("image", "tag", APP, "brought:2")
    running.load(["brought:1", "brought:2"], engine)
    deadline = time.monotonic() + 10
    # the node's runtime gives an image a name of its own a moment later
    while time.monotonic() < deadline and not any(n.startswith("sha256:") for n in names(running, node) - before):
        time.sleep(0.2)
    for ref in ("brought:1", "brought:2"):
        loading.remove(ref, engine, running.nodes())
        engine.run("image", "rm", ref)
    assert {n for n in names(running, node) - before if "@" not in n} == set()
    assert running.has_image(APP) and not running.has_image("brought:1")


def names(cluster: Cluster, node: str) -> set[str]:
    printed = cluster.engine.run("exec", node, "ctr", "-n", "k8s.io", "images", "ls", "--quiet").stdout
    return set(printed.split())
