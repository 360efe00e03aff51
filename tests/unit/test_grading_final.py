"""When nothing that is waited for can come any more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from hello_k8s.grading import final, waiting
from hello_k8s.grading.final import at_rest
from hello_k8s.grading.replay import NEVER_READY
from hello_k8s.grading.waiting import eventually


class Fake:
    """The objects of one namespace."""

    def __init__(self, **kinds: list[dict[str, Any]]) -> None:
        self.kinds = kinds

    def list(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        return self.kinds.get(kind, [])


def pod(name: str, *, ready: bool = True, reason: str = "", labels: dict[str, str] | None = None, **metadata: Any):
    state = {"waiting": {"reason": reason}} if reason else {"running": {"startedAt": "2026-11-24T08:00:00Z"}}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": "back"}, **metadata},
        "status": {
            "phase": "Running",
            "podIP": "10.244.1.2",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"state": state}],
        },
    }


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "back"}, "spec": {"selector": {"app": "back"}, **spec}}


def slice_of(**pods: bool) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": "back"}},
        "endpoints": [
            {"targetRef": {"name": name}, "conditions": {"ready": ready}} for name, ready in pods.items()
        ],
    }  # fmt: skip


def test_all_ready_and_listed() -> None:
    assert at_rest(Fake(Pod=[pod("a")], Service=[service()], EndpointSlice=[slice_of(a=True)]), "n")


def test_a_selector_that_matches_nothing_is_at_rest() -> None:
    assert at_rest(Fake(Pod=[pod("a", labels={"app": "x"})], Service=[service()], EndpointSlice=[slice_of()]), "n")


@pytest.mark.parametrize(
    "objects",
    [
        {"Pod": [pod("a", ready=False)]},
        {"Pod": [pod("a", deletionTimestamp="2026-11-24T08:00:00Z")]},
        {"Pod": [pod("a", ready=False, reason="ContainerCreating")]},
        {"Pod": [pod("a", ready=False, reason="CrashLoopBackOff")]},
        {"Pod": [pod("a")], "Service": [service()], "EndpointSlice": []},
        {"Pod": [pod("a")], "Service": [service()], "EndpointSlice": [slice_of(a=False)]},
        {"Pod": [pod("a")], "Service": [service()], "EndpointSlice": [slice_of(a=True, gone=True)]},
        {"Deployment": [{"metadata": {"name": "back", "generation": 1}, "spec": {"replicas": 1}, "status": {}}]},
    ],
)
def test_on_its_way(objects: dict[str, Any]) -> None:
    assert not at_rest(Fake(**objects), "n")


def test_an_image_that_never_comes_is_final_with_its_deployment() -> None:
    stuck = pod("back-1-x", ready=False, reason="ErrImageNeverPull", labels={"pod-template-hash": "1"})
    stuck["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "back-1"}]
    deployment = {"metadata": {"name": "back", "generation": 1}, "spec": {"replicas": 1}, "status": {}}
    assert at_rest(Fake(Pod=[stuck], Deployment=[deployment]), "n")


def test_a_pod_that_is_meant_never_to_be_ready() -> None:
    assert at_rest(Fake(Pod=[pod("a", ready=False, annotations={NEVER_READY: "true"})]), "n")


def test_gives_up_early_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TICK", 0.05)
    monkeypatch.setattr(waiting, "STILL", 0.3)
    begun = time.monotonic()

    def never() -> None:
        raise AssertionError("nobody answers")

    with pytest.raises(AssertionError, match="nobody answers"):
        eventually(never, 30, at_rest=lambda: True)
    assert 0.3 <= time.monotonic() - begun < 5


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("TICK", 0.02), ("STILL", 0.05), ("_WRITTEN_AGAIN", 0.02)):
        monkeypatch.setattr(waiting, name, seconds)


@pytest.mark.usefixtures("quick")
def test_at_rest_means_that_the_nodes_rules_are_written_too() -> None:
    """A busy machine's kube-proxy is seconds behind the EndpointSlices: a right answer failed by it."""
    asked: list[float] = []

    def written(since: float) -> bool:
        asked.append(since)
        return len(asked) > 2

    def never() -> None:
        raise AssertionError("refused")

    begun = time.time()
    with pytest.raises(AssertionError):
        eventually(never, 30, at_rest=lambda: True, written=written)
    assert len(asked) == 3 and begun <= asked[0] == asked[2] <= time.time()


@pytest.mark.usefixtures("quick")
def test_what_came_while_it_was_asked_whether_it_had_counts() -> None:
    come: list[bool] = []

    def comes() -> str:
        assert come, "refused"
        return "answer"

    def written(since: float) -> bool:
        come.append(True)
        return True

    assert eventually(comes, 30, at_rest=lambda: True, written=written) == "answer"


def test_rules_are_asked_only_where_something_could_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    class Rules:
        def __init__(self, *_: object) -> None:
            pass

        def say(self, since: float) -> bool:
            asked.append(since)
            return False

    monkeypatch.setattr(final, "Rules", Rules)
    cluster = SimpleNamespace(engine=None, nodes=list)
    for slices in ([], [slice_of()], [slice_of(a=False)]):
        assert final.rules_say(cluster, Fake(EndpointSlice=slices), "n")(7.0)  # type: ignore[arg-type]
    assert asked == []
    assert not final.rules_say(cluster, Fake(EndpointSlice=[slice_of(a=True)]), "n")(7.0)  # type: ignore[arg-type]
    assert asked == [7.0]


def test_without_a_cluster_the_place_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a place among busy neighbours would look late, and pass where alone they fail."""
    given = []

    class Busy(waiting.Place):
        @contextmanager
        def given_back(self) -> Iterator[None]:
            given.append(True)
            yield

    monkeypatch.setattr(waiting, "PLACE", Busy())
    for api in (None, Fake()):
        tries = iter([False, False, True])
        assert eventually(lambda tries=tries: next(tries), 5, api, "web")  # type: ignore[arg-type]
        assert bool(given) is (api is not None)


def test_waits_on_while_something_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TICK", 0.02)
    monkeypatch.setattr(waiting, "STILL", 0.1)
    resting = iter([True, False] * 100)
    tries = []

    def at_the_tenth() -> int:
        tries.append(1)
        assert len(tries) >= 10
        return len(tries)

    assert eventually(at_the_tenth, 30, at_rest=lambda: next(resting)) == 10
