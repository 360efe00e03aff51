"""ch2/service: what the cluster hasn't caught up with yet is waited for, never judged."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hello_k8s import catalog
from hello_k8s.grading import waiting
from hello_k8s.grading.asking import Answer
from hello_k8s.grading.waiting import eventually

Object = dict[str, Any]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The lab's own checks.py. Between two tries next to no time passes."""
    monkeypatch.setattr(waiting, "TICK", 0.02)
    spec = importlib.util.spec_from_file_location("service_checks", catalog.lab("ch2/service").folder / "checks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Objects:
    """A namespace whose EndpointSlices are still to come: nothing in it says so but the Pods and the selectors."""

    def __init__(self, ready: bool = True, **selectors: dict[str, str]) -> None:
        self.ready = ready
        self.services = [
            {"metadata": {"name": name}, "spec": {"selector": selector, "ports": [{"port": 80}]}}
            for name, selector in selectors.items()
        ]

    def list(self, kind: str, labels: str = "") -> list[Object]:
        if kind == "Pod":
            return [self.pod("back-1-a", "back"), self.pod("back-1-b", "back"), self.pod("front-1-a", "front")]
        if kind == "Deployment":
            return [{"metadata": {"name": name, "uid": name}} for name in ("back", "front")]
        if kind == "ReplicaSet":
            return [owned(f"{name}-1", name) for name in ("back", "front")]
        return self.services if kind == "Service" else []

    def pod(self, name: str, app: str) -> Object:
        owner = {"kind": "ReplicaSet", "uid": name.rpartition("-")[0], "controller": True}
        ready = self.ready or app == "back"
        return {
            "metadata": {"name": name, "labels": {"app": app}, "ownerReferences": [owner]},
            "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
        }


def owned(name: str, by: str) -> Object:
    return {"metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": by, "controller": True}]}}


class Impostors(Objects):
    """Besides, what only is called like back's: a ReplicaSet of the learner's own, with a Pod."""

    def list(self, kind: str, labels: str = "") -> list[Object]:
        found = super().list(kind, labels)
        if kind == "ReplicaSet":
            found = [*found, {"metadata": {"name": "back-x", "uid": "mine"}}]
        return [*found, self.pod("mine-z", "back")] if kind == "Pod" else found


def test_only_what_the_deployment_made_is_back(checks: ModuleType) -> None:
    assert checks.ready_backs(Impostors()) == {"back-1-a", "back-1-b"}


def answers(*rounds: list[Answer]) -> Callable[..., list[Answer]]:
    """What each question brings; the last for ever."""
    left = list(rounds)

    def http(target: str, path: str = "/", n: int = 1) -> list[Answer]:
        return left.pop(0) if len(left) > 1 else left[0]

    return http


REFUSED = [Answer(0, error="connect: connection refused")]
HELLO = [Answer(200, f"hello, k8s! version 1.0.0 on back-1-{pod}\n") for pod in "ab"]
CALLED = [
    Answer(200, '{"upstream": "http://back", "status": 200, "body": "hello, k8s! version 1 on back-1-a", "error": ""}')
]


def traffic(checks: ModuleType, objects: Objects, http: Callable[..., list[Answer]]) -> Any:
    make = (
        checks.traffic.__wrapped__ if hasattr(checks.traffic, "__wrapped__") else checks.traffic._get_wrapped_function()
    )
    return make({}, SimpleNamespace(name="n"), http, objects, eventually)


def test_a_service_that_was_just_made_is_asked_again(checks: ModuleType) -> None:
    seen = traffic(checks, Objects(back={"app": "back"}), answers(REFUSED, REFUSED, HELLO))
    checks.test_port(seen)
    checks.test_every_ready_pod(seen)
    checks.test_no_other_pod(seen)


@pytest.mark.parametrize("ready", [True, False])
def test_a_front_that_was_just_made_is_asked_again(checks: ModuleType, ready: bool) -> None:
    objects = Objects(ready, back={"app": "back"}, front={"app": "front"})
    checks.test_front_reaches_back(answers(REFUSED, REFUSED, CALLED), objects, eventually)


@pytest.mark.parametrize("selector", [{"app": "nobody"}, {}])
def test_nobody_waits_where_the_selector_matches_nothing(checks: ModuleType, selector: dict[str, str]) -> None:
    asked = []

    def http(target: str, path: str = "/", n: int = 1) -> list[Answer]:
        asked.append(target)
        return REFUSED

    objects = Objects(back=selector, front=selector)
    assert not traffic(checks, objects, http).count
    with pytest.raises(AssertionError, match="connection refused"):
        checks.test_front_reaches_back(http, objects, eventually)
    assert asked == ["back", "front"]
