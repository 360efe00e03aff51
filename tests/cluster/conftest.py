"""One cluster for all tests of this folder: its own name, its own state folder, an engine that must answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import paths
from hello_k8s.catalog import Lab, read_lab
from hello_k8s.grading.run import _SETTLED_SECONDS
from hello_k8s.grading.waiting import eventually
from hello_k8s.machine import images
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.isolation import REPLAY_LABEL
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.progress import SILENT

NAME = os.environ.get("HELLO_K8S_TEST_CLUSTER") or "hello-k8s-test"
APP = "hello-k8s/go-app:1.0.0"
#: It lies on every node of ours, and has a shell.
SHELL = "docker.io/hello-k8s/node-tools:v1.37.0"
#: How the lab.toml of a small lab begins.
LAB_TOML = """
order = 1
needs = ["cluster", "image:go-app"]
minutes = 1
deliverables = ["web.yaml"]
title = { ko = "웹", en = "web" }
"""


def pytest_configure(config: pytest.Config) -> None:
    """Each process of pytest-xdist would delete the cluster of the others and make it anew."""
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        raise pytest.UsageError("tests/cluster: one cluster for all of its tests, so not with pytest-xdist (-n)")


@pytest.fixture(scope="session")
def engine() -> Engine:
    found = user_engine()
    if not found.answers():
        from tests.conftest import cannot_run

        cannot_run("no Docker engine answers")
    return found


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder for this cluster alone, so that whatever the tests do to it is nobody else's."""
    folder = tmp_path_factory.mktemp("state")
    before = os.environ.get("HELLO_K8S_STATE")
    os.environ["HELLO_K8S_STATE"] = str(folder)
    assert paths.state() == folder
    yield folder
    if before is None:
        del os.environ["HELLO_K8S_STATE"]
    else:
        os.environ["HELLO_K8S_STATE"] = before


@pytest.fixture(scope="session")
def node_image(engine: Engine) -> str:
    return images.ensure(["node"], engine, SILENT, upstream_names=False)["node"]


@pytest.fixture(scope="session")
def cluster(engine: Engine, state: Path, node_image: str) -> Iterator[Cluster]:
    made = Cluster(NAME)
    made.delete()
    made.up(SILENT, node_image)
    made.load([images.ensure(["go-app"], engine, SILENT, upstream_names=False)["go-app"]], engine)
    yield made
    made.delete()
    made.delete()
    assert made.status() == "absent"


@pytest.fixture
def running(cluster: Cluster, node_image: str) -> Cluster:
    cluster.up(SILENT, node_image)
    return cluster


@pytest.fixture
def settled(running: Cluster) -> Cluster:
    """Its nodes have been up for so long that what a grading finds fault with is the submission's: where a test before
    this one started them again, it would be ours for a while (grading/run.py).
    """

    def up() -> bool:
        now = time.time()
        return running.was_up(now, now, _SETTLED_SECONDS + 1)  # a result's start has whole seconds

    eventually(up, 2 * _SETTLED_SECONDS)
    return running


def wait_for_submissions_to_go(api: KubeApi) -> None:
    """Until no namespace of a submission is left: a grading doesn't wait for the end of its own, whose Pods keep their
    room until then.
    """
    for found in api.list("Namespace", labels=f"{REPLAY_LABEL}=true"):
        api.wait("Namespace", found["metadata"]["name"], None, lambda _: False, 120, gone=True)


@pytest.fixture
def make_lab(settled: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Lab]:
    """Write the lab ch9/web of these files (name → text), to be graded in English on the cluster of this folder."""
    monkeypatch.setenv("HELLO_K8S_CLUSTER", settled.name)
    monkeypatch.setenv("HELLO_K8S_LANG", "en")

    def make(files: Mapping[str, str]) -> Lab:
        folder = tmp_path / "labs/ch9/web"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return read_lab(folder, tmp_path / "labs")

    return make


@pytest.fixture
def namespace(running: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = "t-" + request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:40]
    running.prepare_namespace(name, labels={"hello-k8s/test": "yes"})
    yield name
    running.up(SILENT)
    running.api().delete("Namespace", name)


@pytest.fixture
def web(running: Cluster, namespace: str) -> Callable[[int], None]:
    """Make `web`: a Deployment of go-app spread over both workers, with a Service; returns when all are ready."""

    def make(replicas: int = 4) -> None:
        labels = {"app": "web"}
        container: dict[str, Any] = {
            "name": "web",
            "image": APP,
            "imagePullPolicy": "Never",
            "ports": [{"containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5},
        }
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "nodeTaintsPolicy": "Honor",
            "labelSelector": {"matchLabels": labels},
        }
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "topologySpreadConstraints": [spread],
                        "containers": [container],
                    },
                },
            },
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        }
        api = running.api()
        api.apply(deployment)
        api.apply(service)
        api.wait("Deployment", "web", namespace, lambda d: d["status"].get("readyReplicas") == replicas, 90)

    return make
