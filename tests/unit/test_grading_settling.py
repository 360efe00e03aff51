"""How long a replay waits for Pods, and whose namespaces it removes: whatever the clock says."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hello_k8s.grading import replay, waiting

HOUR = 3600.0
POD = {"kind": "Pod", "metadata": {"name": "front"}}
FAST = {"readinessProbe": {"periodSeconds": 1}}


class Fake:
    """A namespace with the Pod `front`, running since the clock's `started` and ready `after` seconds."""

    def __init__(self, after: float, container: dict[str, Any], started: float | None = None) -> None:
        self.begun = time.monotonic()
        self.after = after
        self.container = container
        self.started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if started is None else started))
        self.deleted: list[str] = []

    def list(self, kind: str, namespace: str = "", labels: str = "") -> list[dict[str, Any]]:
        ready = time.monotonic() - self.begun > self.after
        status = {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"state": {"running": {"startedAt": self.started}}}],
        }
        return [{**POD, "spec": {"containers": [self.container]}, "status": status}]

    def watch(self, kind: str, namespace: str, timeout: float) -> Any:
        class Quiet:
            def __iter__(self) -> Any:
                return iter(())

            def close(self) -> None:
                pass

        return Quiet()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TICK", 0.02)
    monkeypatch.setattr(replay, "_RUNNING_ENOUGH", 0.2)


def settled(api: Fake, **options: bool) -> bool:
    """Whether `front` was ready when nobody waited for it any longer."""
    replay.settle(api, "n", [POD], 5, **options)  # type: ignore[arg-type]
    return api.list("Pod")[0]["status"]["conditions"][0]["status"] == "True"


def test_a_probe_that_is_slow_is_waited_for() -> None:
    assert not settled(Fake(3, {}), fresh=True)
    assert settled(Fake(0.5, FAST), fresh=True)
    assert settled(Fake(0.5, {"readinessProbe": {"httpGet": {}}}), fresh=True)
    assert settled(Fake(1.5, {"startupProbe": {"periodSeconds": 1}, **FAST}), fresh=True)


@pytest.mark.parametrize("jump", [2 * HOUR, -2 * HOUR])
def test_a_clock_that_jumps_ends_no_wait_and_prolongs_none(jump: float) -> None:
    assert settled(Fake(0.1, FAST, started=time.time() - jump), fresh=True)
    begun = time.monotonic()
    assert not settled(Fake(4, FAST, started=time.time() - jump), fresh=True)
    assert time.monotonic() - begun < 3


def test_a_look_asks_how_long_the_pod_has_been_running() -> None:
    begun = time.monotonic()
    assert not settled(Fake(4, FAST, started=time.time() - HOUR))
    assert time.monotonic() - begun < 1


class Namespaces:
    """Three of killed gradings, by the API server's clock, which may not be ours; the last is the one just made."""

    def __init__(self) -> None:
        self.asked = ""
        self.made = {"old": "2031-05-01T08:00:00Z", "young": "2031-05-01T09:30:00Z", "own": "2031-05-01T09:31:00Z"}

    def read(self, kind: str, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "creationTimestamp": self.made[name]}}

    def list(self, kind: str, labels: str = "") -> list[dict[str, Any]]:
        self.asked = labels
        return [self.read(kind, name) for name in self.made]

    def delete(self, kind: str, name: str) -> None:
        del self.made[name]


def test_a_class_keeps_its_namespaces_however_long_it_lasts() -> None:
    api = Namespaces()
    replay.remove_leftovers(api, "own")  # type: ignore[arg-type]
    assert api.asked == "hello-k8s.org/replay=true,!hello-k8s.org/class"


@pytest.mark.parametrize("jump", [0, 100 * 365 * 86_400, -100 * 365 * 86_400])
def test_what_is_left_over_is_told_by_the_servers_clock(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time() + jump
    monkeypatch.setattr(time, "time", lambda: now)
    api = Namespaces()
    replay.remove_leftovers(api, "own")  # type: ignore[arg-type]
    assert sorted(api.made) == ["own", "young"]
