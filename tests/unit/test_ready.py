"""A cluster that was stopped is up when Services send to the Pods of now, not to what was stored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hello_k8s.machine import ready

Events = Mapping[str, list[tuple[str, dict[str, Any]]]]
SINCE = ready.seconds_of("2026-05-01T10:00:00Z")
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


def pod(name: str, started: str | None, address: str, *, is_ready: bool = True, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ns", "name": name, **metadata},
        "status": {
            "podIP": address,
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
    ready._wait_for_what_served(api, SINCE)  # type: ignore[arg-type]
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
