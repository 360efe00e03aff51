"""What nodes say of their own routes and rules: whether a Service is sent to as the API says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hello_k8s.errors import ClusterError
from hello_k8s.machine import traffic
from hello_k8s.machine.nodes import Node

NODES = [Node(f"id-{name}", name, "worker", "running", ("hello-k8s",)) for name in ("one", "two")]


def metrics(queued: str, written: str, family: str = '{ip_family="IPv4"}') -> str:
    start = "kubeproxy_sync_proxy_rules_last"
    return f"{start}_queued_timestamp_seconds{family} {queued}\n{start}_timestamp_seconds{family} {written}\n"


class Engine:
    """Nodes that print these texts, one after the other; remembers what they were told."""

    def __init__(self, *printed: str, code: int = 0) -> None:
        self.printed, self.code = list(printed), code
        self.told: list[tuple[str, ...]] = []

    def run(self, *words: str, **_: Any) -> Any:
        if words[0] == "container":
            return SimpleNamespace(stdout="/one 172.18.0.3 \n/two 172.18.0.9 \n")
        self.told.append(words)
        return SimpleNamespace(stdout=self.printed.pop(0) if self.printed else "", stderr="", code=self.code)


class Api:
    def __init__(self, status: int = 200) -> None:
        self.status = status

    def request(self, *_: object) -> Any:
        return SimpleNamespace(status_code=self.status)

    def list(self, *_: object) -> list[dict[str, Any]]:
        return [
            {"metadata": {"name": "one"}, "spec": {"podCIDR": "10.244.0.0/24"}},
            {"metadata": {"name": "two"}, "spec": {"podCIDR": "10.244.1.0/24"}},
            {"metadata": {"name": "new"}, "spec": {}},
        ]


@pytest.mark.parametrize(
    ("printed", "written"),
    [
        ([metrics("1.7e+09", "1.700000001e+09"), ""], True),  # the second says nothing
        ([metrics("1.7959337669093966e+09", "1.7959337669093967e+09"), metrics("2e+09", "1.9e+09")], False),
        ([metrics("3", "2"), ""], False),
        ([metrics("1", "2") + metrics("3", "2", '{ip_family="IPv6"}'), ""], False),
        ([metrics("3", "4", ""), metrics("0", "0")], True),  # without families, as before 1.31
    ],
)
def test_rules(printed: list[str], written: bool) -> None:
    assert traffic.rules_are_written(Engine(*printed), NODES) is written  # type: ignore[arg-type]


def test_rules_are_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "_LOOK_SECONDS", 0)
    engine = Engine(metrics("3", "2"), metrics("3", "2"), metrics("3", "4"), metrics("3", "4"))
    traffic.wait_for_rules(engine, NODES)  # type: ignore[arg-type]
    assert len(engine.told) == 4
    monkeypatch.setattr(traffic, "_RULES_SECONDS", 0)
    traffic.wait_for_rules(Engine(*[metrics("3", "2")] * 9), NODES)  # type: ignore[arg-type]


def test_every_node_needs_the_ways_to_the_others_by_their_addresses_of_now() -> None:
    engine = Engine()
    traffic.wait_for_routes(Api(), engine, NODES)  # type: ignore[arg-type]
    assert [(words[1], words[-1]) for words in engine.told] == [
        ("one", "10.244.1.0/24 via 172.18.0.9"),
        ("two", "10.244.0.0/24 via 172.18.0.3"),
    ]
    with pytest.raises(ClusterError) as failed:
        traffic.wait_for_routes(Api(), Engine(code=124), NODES)  # type: ignore[arg-type]
    assert "10.244.1.0/24 via 172.18.0.9" in failed.value.why and failed.value.next


def test_another_pod_network_has_ways_of_its_own() -> None:
    engine = Engine(code=124)
    traffic.wait_for_routes(Api(404), engine, NODES)  # type: ignore[arg-type]
    assert engine.told == []
