"""A namespace is handed on only as it was found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hello_k8s.grading import slots
from hello_k8s.grading.slots import Slot


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
    ],
)
def test_a_lab_object_that_changed(api: Namespace, slot: Slot, kind: str, name: str, change: dict[str, Any]) -> None:
    api.put(kind, name, **change)
    assert not slot.clean()


def test_what_will_not_go(api: Namespace, slot: Slot) -> None:
    api.sticky = ("stuck",)
    api.put("ConfigMap", "stuck")
    assert not slot.clean()


def test_a_lab_object_that_is_gone(api: Namespace, slot: Slot) -> None:
    del api.objects["Deployment", "back"]
    assert not slot.clean()
