"""A namespace is handed on only as it was found."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from hello_k8s.errors import ClusterError
from hello_k8s.grading import slots
from hello_k8s.grading.slots import Slot
from hello_k8s.grading.verdict import Unmet


class Namespace:
    """An API of one namespace that deletes at once, or, for `sticky` names, never."""

    def __init__(self, sticky: tuple[str, ...] = ()) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.sticky = sticky

    def put(self, kind: str, name: str, *, uid: str = "1", restarts: int = 0, **metadata: Any) -> dict[str, Any]:
        status = {"containerStatuses": [{"containerID": "c", "restartCount": restarts, "ready": True}]}
        obj = {"metadata": {"name": name, "uid": uid, **metadata}, "status": status}
        self.objects[kind, name] = obj
        return obj

    def list(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        return [obj for (found, _), obj in self.objects.items() if found == kind]

    def resource(self, kind: str) -> Any:
        return SimpleNamespace(path=lambda namespace, name: f"{kind}/{name}")

    def request(self, method: str, path: str, body: Any) -> None:
        kind, _, name = path.partition("/")
        if name not in self.sticky:
            self.objects.pop((kind, name), None)

    def delete(self, kind: str, name: str) -> None:
        self.objects.clear()

    def watch(self, *_: Any, **__: Any) -> Any:
        class Nothing:
            def __iter__(self):
                return iter(())

            def close(self) -> None:
                pass

        return Nothing()


@pytest.fixture
def api() -> Namespace:
    found = Namespace()
    found.put("Pod", "back-1", labels={"app": "back"})
    found.put("Deployment", "back", generation=1)
    return found


@pytest.fixture
def slot(api: Namespace, monkeypatch: pytest.MonkeyPatch) -> Slot:
    monkeypatch.setattr(slots, "_CLEAN_SECONDS", 1.0)
    made = Slot(SimpleNamespace(namespace="ch2-service"), api)  # type: ignore[arg-type]
    made.remember(api)  # type: ignore[arg-type]
    return made


def test_what_was_brought_goes(api: Namespace, slot: Slot) -> None:
    before = dict(api.objects)
    for kind in ("Deployment", "ReplicaSet", "Pod", "Service", "ConfigMap", "PersistentVolumeClaim", "Lease"):
        api.put(kind, "front")
    assert slot.clean()
    assert api.objects == before


def test_what_the_cluster_adds_later_is_nobodys(api: Namespace, slot: Slot) -> None:
    api.put("ConfigMap", "kube-root-ca.crt")
    assert slot.clean()


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("Pod", "back-1", {"restarts": 1, "labels": {"app": "back"}}),
        ("Pod", "back-1", {"labels": {"app": "front"}}),
        ("Pod", "back-1", {"uid": "2", "labels": {"app": "back"}}),
        ("Deployment", "back", {"generation": 2}),
        ("Pod", "back-1", {"labels": {"app": "back"}, "ownerReferences": [{"uid": "7"}]}),
    ],
)
def test_a_lab_object_that_changed(api: Namespace, slot: Slot, kind: str, name: str, change: dict[str, Any]) -> None:
    api.put(kind, name, **change)
    assert not slot.clean()


def test_what_still_counts_is_waited_for(api: Namespace, slot: Slot) -> None:
    """The quota is behind: the next submission would be refused for what is gone."""
    quota = api.put("ResourceQuota", "hello-k8s")
    quota["status"] = {"used": {"pods": "1", "count/jobs.batch": "0"}}
    slot.remember(api)  # type: ignore[arg-type]
    quota["status"] = {"used": {"pods": "2", "count/jobs.batch": "0"}}
    assert not slot.clean()
    quota["status"] = {"used": {"pods": "0", "count/jobs.batch": "0"}}
    assert slot.clean()


@pytest.mark.parametrize(
    ("what", "left", "gone"), [("cpu", "2", "900m"), ("cpu", "1030m", "1"), ("memory", "2Gi", "1000Mi")]
)
def test_requests_that_still_count_are_waited_for(api: Namespace, slot: Slot, what: str, left: str, gone: str) -> None:
    quota = api.put("ResourceQuota", "hello-k8s")
    quota["status"] = {"used": {f"requests.{what}": "1" if what == "cpu" else "1Gi"}}
    slot.remember(api)  # type: ignore[arg-type]
    quota["status"] = {"used": {f"requests.{what}": left}}
    assert not slot.clean()
    quota["status"] = {"used": {f"requests.{what}": gone}}
    assert slot.clean()


# -- the lab's own objects, while a submission is there


GIVEN = [{"kind": "Pod", "metadata": {"name": "batch"}}, {"kind": "Deployment", "metadata": {"name": "back"}}]


@pytest.fixture
def given(api: Namespace, slot: Slot) -> Slot:
    """A slot of a lab with a bare Pod, and a Deployment with what has been made of it."""
    api.put("Pod", "batch", uid="b")["spec"] = {"containers": [{"image": "x"}], "nodeName": "worker"}
    api.put("Deployment", "back", uid="d", generation=1)["spec"] = {"replicas": 3}
    api.put("ReplicaSet", "back-5d9c", uid="r", ownerReferences=[{"uid": "d", "kind": "Deployment", "name": "back"}])
    slot.remember(api, GIVEN)  # type: ignore[arg-type]
    return slot


def brought(api: Namespace, kind: str, name: str, *owners: str) -> list[dict[str, Any]]:
    references = [{"uid": uid, "kind": "ReplicaSet", "name": "x", "controller": True} for uid in owners]
    api.put(kind, name, uid="new", ownerReferences=references)
    return [{"kind": kind, "metadata": {"name": name}}]


def test_who_only_adds_changes_nothing(api: Namespace, given: Slot) -> None:
    api.objects["Pod", "batch"]["spec"]["nodeName"] = "worker2"
    api.objects["Pod", "batch"]["metadata"]["labels"] = {"app": "x"}
    api.objects["Pod", "batch"]["status"] = {"phase": "Failed"}
    del api.objects["Pod", "back-1"]  # one of a workload's Pods: a node may lose it
    assert given.tampered(brought(api, "Pod", "front", "somebody")) is None
    assert given.tampered(brought(api, "Service", "back", "d")) is None
    assert given.made_of_given == {"ReplicaSet/back-5d9c", "Pod/back-1", "Pod/batch"}


@pytest.mark.parametrize(
    ("change", "named", "how"),
    [
        (lambda there: there.pop(("Pod", "batch")), "Pod/batch", "deleted"),
        (lambda there: there["Pod", "batch"]["metadata"].update(uid="c"), "Pod/batch", "replaced"),
        (
            lambda there: there["Pod", "batch"]["metadata"].update(
                ownerReferences=[{"uid": "x", "kind": "ReplicaSet", "name": "back-x"}]
            ),
            "Pod/batch",
            "owned by ReplicaSet/back-x",
        ),
        (lambda there: there["Deployment", "back"]["spec"].update(replicas=9), "Deployment/back", "spec.replicas"),
        (
            lambda there: there["Pod", "mine"]["metadata"].update(ownerReferences=[{"uid": "r"}]),
            "ReplicaSet/back-5d9c",
            "owns Pod/mine",
        ),
    ],
    ids=["deleted", "replaced", "adopted", "scaled", "an impostor"],
)
def test_what_a_submission_changes_indirectly(
    api: Namespace, given: Slot, monkeypatch: pytest.MonkeyPatch, change: Any, named: str, how: str
) -> None:
    # what was remembered isn't what is there now: an API answers with an object of its own each time
    given._given = copy.deepcopy(dict(given._given))
    mine = brought(api, "Pod", "mine")
    change(api.objects)
    wrong = given.tampered(mine)
    assert isinstance(wrong, Unmet) and wrong.evidence == (f"{named}: {how}",)
    assert all(f"`{named}`" in wrong.texts[language] for language in ("ko", "en"))


def test_a_lab_that_gives_nothing_asks_nothing(api: Namespace, slot: Slot) -> None:
    api.list = None  # type: ignore[assignment,method-assign]
    assert slot.tampered([{"kind": "Pod", "metadata": {"name": "a"}}]) is None


def test_what_can_not_be_seen_is_no_verdict(api: Namespace, given: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any) -> Any:
        raise ClusterError("silent")

    monkeypatch.setattr(api, "list", silent)
    assert isinstance(given.tampered([]), ClusterError)


def test_what_will_not_go(api: Namespace, slot: Slot) -> None:
    api.sticky = ("stuck",)
    api.put("ConfigMap", "stuck")
    assert not slot.clean()


def test_a_lab_object_that_is_gone(api: Namespace, slot: Slot) -> None:
    del api.objects["Deployment", "back"]
    assert not slot.clean()
