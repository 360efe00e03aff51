"""A cluster that was stopped is up when Services send to the Pods of now, not to what was stored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hello_k8s.machine import ready

Events = Mapping[str, list[tuple[str, dict[str, Any]]]]
START = ready.Start(ready.seconds_of("2026-05-01T10:00:00Z"), frozenset({"worker"}))
BEFORE, AFTER = "2026-05-01T09:00:00Z", "2026-05-01T10:00:07Z"


class Api:
    """Lists what there is first, then tells of one change of the kind after the other."""

    def __init__(self, first: Mapping[str, list[dict[str, Any]]], then: Events) -> None:
        self.first, self.then = first, then
        self.told: list[str] = []

    def list(self, kind: str, *_: object) -> list[dict[str, Any]]:
        return self.first[kind]

    @contextlib.contextmanager
    def watch(self, kind: str, *_: object, timeout: float) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        def events() -> Iterator[tuple[str, dict[str, Any]]]:
            for event in self.then.get(kind, []):
                self.told.append(kind)
                yield event

        yield events()


def pod(
    name: str, started: str | None, address: str, *, is_ready: bool = True, node: str = "worker", **metadata: Any
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ns", "name": name, **metadata},
        "spec": {"nodeName": node},
        "status": {
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": str(is_ready)}],
            "containerStatuses": [{"state": {"running": {"startedAt": started}} if started else {"waiting": {}}}],
        },
    }


def slice_of(*targets: tuple[str, str], is_ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ns", "name": "web-x"},
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": is_ready},
                "targetRef": {"namespace": "ns", "name": name},
            }
            for name, address in targets
        ],
    }


def waited(api: Api) -> list[str]:
    ready._wait_for_what_served(api, START)  # type: ignore[arg-type]
    return api.told


def test_a_pod_that_says_ready_of_before_the_stop_is_waited_for_and_so_are_its_addresses() -> None:
    api = Api(
        {"Pod": [pod("a", BEFORE, "10.0.0.1")], "EndpointSlice": [slice_of(("a", "10.0.0.1"))]},
        {
            "Pod": [
                ("MODIFIED", pod("a", None, "10.0.0.1")),  # the container ended; Ready isn't taken back yet
                ("MODIFIED", pod("a", AFTER, "10.0.0.9")),
                ("MODIFIED", pod("b", AFTER, "10.0.0.8")),
            ],
            "EndpointSlice": [("MODIFIED", slice_of(("a", "10.0.0.9"))), ("MODIFIED", slice_of(("a", "10.0.0.9")))],
        },
    )
    assert waited(api) == ["Pod", "Pod", "EndpointSlice"]


@pytest.mark.parametrize(
    ("other", "ends"),
    [
        (pod("crashes", None, "10.0.0.1", is_ready=False), slice_of(("crashes", "10.0.0.1"), is_ready=False)),
        (pod("etcd", BEFORE, "172.18.0.2", annotations={"kubernetes.io/config.mirror": "x"}), slice_of()),
        (pod("stayed", BEFORE, "10.0.0.1", node="worker2"), slice_of(("stayed", "10.0.0.1"))),
        (pod("back", AFTER, "10.0.0.1"), slice_of(("back", "10.0.0.1"), ("gone", "10.0.0.7"))),
        (pod("back", AFTER, "10.0.0.1"), {"metadata": {"namespace": "ns", "name": "own-x"}, "endpoints": None}),
    ],
)
def test_who_serves_nothing_or_is_back_is_not_waited_for(other: dict[str, Any], ends: dict[str, Any]) -> None:
    assert waited(Api({"Pod": [other], "EndpointSlice": [ends]}, {})) == []


def test_a_pod_that_never_comes_back_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "_SERVED_SECONDS", 0)
    assert (
        waited(Api({"Pod": [pod("a", BEFORE, "10.0.0.1")], "EndpointSlice": [slice_of(("a", "10.0.0.1"))]}, {})) == []
    )


def lease(holder: str, renewed: str) -> dict[str, Any]:
    return {"spec": {"holderIdentity": holder, "renewTime": renewed}}


@pytest.mark.parametrize(
    ("found", "dropped"),
    [
        (lease("worker_1f", BEFORE), True),
        (lease("worker_1f", AFTER), False),
        # one node of several was started: who leads elsewhere leads on
        (lease("control-plane_1f", BEFORE), False),
        ({"spec": {}}, False),
    ],
)
def test_only_leaders_that_ended_are_forgotten(found: dict[str, Any], dropped: bool) -> None:
    deleted: list[str] = []

    class Leases:
        def read(self, *_: object) -> dict[str, Any]:
            return found

        def delete(self, _: str, name: str, __: str) -> None:
            deleted.append(name)

    ready._drop_old_leaders(Leases(), START)  # type: ignore[arg-type]
    assert bool(deleted) is dropped


@pytest.mark.parametrize("node, serves", [("worker", False), ("worker2", True)])
def test_dns_on_a_node_that_never_stopped_serves(node: str, serves: bool) -> None:
    assert ready._all_serve([pod("dns", BEFORE, "10.0.0.2", node=node)], START) is serves


def test_a_word_of_before_a_pause_is_not_believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thawed on a busy machine: the leases took longer than a kubelet's word, and the Nodes stored were Ready."""
    looked: list[float] = []
    monkeypatch.setattr(ready, "wait_for_api", lambda api: None)
    monkeypatch.setattr(ready, "_until", lambda *_: None)
    monkeypatch.setattr(ready, "_mend_for_a_moment", lambda api: None)
    monkeypatch.setattr(ready, "_happens", lambda *args: looked.append(args[5]) or True)
    ready.after_pause(object(), ready.time.time() - 10, None, lambda: None)  # type: ignore[arg-type]
    assert looked == [ready._LATE_WORDS_SECONDS]
