"""A lab's namespace is deleted only once all that is the learner's in it lies in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hello_k8s import files, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import ClusterError, MachineError
from hello_k8s.grading import slots
from hello_k8s.machine.kubeapi import NotYet
from hello_k8s.progress import SILENT
from hello_k8s.workspace import readiness

#: What a learner, the cluster's admin, can make in a lab's namespace.
KINDS = (*slots.KINDS, "Role", "RoleBinding", "LimitRange", "ResourceQuota")


def obj(kind: str, name: str, owner: str = "", **more: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "lab-ch1-small", "managedFields": [{"manager": "kubectl"}]}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner, "name": "web", "controller": True}]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


class Fake:
    """A running cluster and its API in one: what is in the namespace, and whether it was deleted."""

    def __init__(self) -> None:
        self.objects = [
            *(obj(kind, "mine") for kind in KINDS),
            obj("ReplicaSet", "web-1", "Deployment"),
            obj("Pod", "web-1-x", "ReplicaSet"),
            obj("EndpointSlice", "web-y", "Service"),
            obj("Secret", "key", data={"password": "비밀"}),
        ]
        self.silent = ""
        self.deleted: list[str] = []
        self.kept_before = 0
        self.slow = False
        self.state = "running"

    def status(self) -> str:
        return self.state

    attach = status

    def api(self) -> Fake:
        return self

    def list(self, kind: str, namespace: str | None) -> list[dict[str, Any]]:
        assert namespace == "ch1-small"
        if kind == self.silent:
            raise ClusterError("silent")
        return [each for each in self.objects if each["kind"] == kind]

    def delete(self, kind: str, name: str, namespace: str | None, *, wait: bool) -> None:
        self.kept_before = len(list((paths.workspace() / ".kept").rglob("live.yaml")))
        self.deleted.append(f"{kind} {name}")
        if self.slow:
            raise NotYet(None)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr("hello_k8s.machine.cluster.Cluster", lambda: fake)
    monkeypatch.setattr(readiness, "_make_namespace", lambda *_: None)
    return fake


def test_everything_is_kept_but_what_controllers_make_of_it(small: Lab, cluster: Fake) -> None:
    kept = readiness.refresh(small, SILENT)
    assert kept is not None and kept.is_relative_to(paths.workspace() / ".kept")
    written = yaml.safe_load(kept.read_text("utf-8"))
    assert (written["apiVersion"], written["kind"]) == ("v1", "List")
    names = {(item["kind"], item["metadata"]["name"]) for item in written["items"]}
    assert names == {(kind, "mine") for kind in KINDS} | {("Secret", "key")}
    assert "managedFields" not in kept.read_text("utf-8") and "비밀" in kept.read_text("utf-8")
    assert kept.stat().st_mode & 0o077 == 0, "there are Secrets in it"


def test_it_is_written_before_the_namespace_is_deleted(small: Lab, cluster: Fake) -> None:
    readiness.refresh(small, SILENT)
    assert cluster.deleted == [f"Namespace {small.namespace}"] and cluster.kept_before == 1


@pytest.mark.parametrize("kind", ["Deployment", "Secret", "Lease"])
def test_what_cannot_be_read_is_not_deleted(small: Lab, cluster: Fake, kind: str) -> None:
    cluster.silent = kind
    with pytest.raises(ClusterError):
        readiness.refresh(small, SILENT)
    assert not cluster.deleted


def test_what_cannot_be_written_is_not_deleted(small: Lab, cluster: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, *_: object, **__: object) -> Path:
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError):
        readiness.refresh(small, SILENT)
    assert not cluster.deleted


def test_a_namespace_that_goes_slowly_is_no_bug(small: Lab, cluster: Fake) -> None:
    cluster.slow = True
    with pytest.raises(ClusterError, match="ch1-small is still being deleted") as raised:
        readiness.refresh(small, SILENT)
    assert "lab reset ch1/small" in raised.value.next


@pytest.mark.parametrize(("state", "word"), [("stopped", "stopped"), ("partial", "not whole")])
def test_what_is_in_a_stopped_cluster_is_not_forgotten(small: Lab, cluster: Fake, state: str, word: str) -> None:
    """It would be there again after `start`, and be judged in place of what `reset` laid."""
    cluster.state = state
    with pytest.raises(MachineError, match=f"the cluster is {word}") as raised:
        readiness.refresh(small, SILENT)
    assert raised.value.next.index("./hello-k8s start") < raised.value.next.index("again")
    assert not cluster.deleted


def test_without_a_cluster_there_is_nothing_to_do(small: Lab, cluster: Fake) -> None:
    cluster.state = "absent"
    assert readiness.refresh(small, SILENT) is None and not cluster.deleted


def test_what_is_kept_can_be_applied_again(small: Lab, cluster: Fake) -> None:
    servers = {
        "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3, "resourceVersion": "7", "selfLink": "/api",
        "uid": "u-1", "managedFields": [],
    }  # fmt: skip
    ours = {"labels": {"app": "web"}, "annotations": {"note": "mine"}}
    deployment = obj("Deployment", "web", spec={"replicas": 2}, status={"readyReplicas": 2})
    deployment["metadata"] |= servers | ours
    uid = {"batch.kubernetes.io/controller-uid": "u-2", "controller-uid": "u-2", "job-name": "once"}
    template = {"metadata": {"labels": {**uid, "app": "job"}}, "spec": {"restartPolicy": "Never"}}
    job = obj("Job", "once", spec={"selector": {"matchLabels": dict(uid)}, "template": template})
    chosen = {"matchLabels": {"own": "x"}}
    by_hand = obj("Job", "by-hand", spec={"manualSelector": True, "selector": chosen, "template": template})
    cluster.objects = [deployment, job, by_hand]
    kept = readiness.refresh(small, SILENT)
    assert kept is not None
    items = {item["metadata"]["name"]: item for item in yaml.safe_load(kept.read_text("utf-8"))["items"]}
    assert items["web"] == {
        "apiVersion": "v1", "kind": "Deployment", "spec": {"replicas": 2},
        "metadata": {"name": "web", "namespace": "lab-ch1-small", **ours},
    }  # fmt: skip
    once = items["once"]["spec"]
    assert "selector" not in once and once["template"]["metadata"]["labels"] == {"app": "job"}
    assert items["by-hand"]["spec"] == {"manualSelector": True, "selector": chosen, "template": template}
