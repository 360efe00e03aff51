"""What nodes say of their own routes and rules: whether a Service is sent to as the API says."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from hello_k8s.errors import ClusterError
from hello_k8s.machine import traffic
from hello_k8s.machine.nodes import Node

NODES = [Node(f"id-{name}", name, "worker", "running", ("hello-k8s",)) for name in ("one", "two")]


def metrics(queued: str, written: str, family: str = '{ip_family="IPv4"}', pending: str = "0") -> str:
    start = "kubeproxy_sync_proxy_rules"
    return (
        f"{start}_endpoint_changes_pending {pending}\n{start}_endpoint_changes_total 77\n"
        f"{start}_last_queued_timestamp_seconds{family} {queued}\n{start}_last_timestamp_seconds{family} {written}\n"
        f"{start}_service_changes_pending 0\ncurl 0\n"
    )


class Engine:
    """Nodes that print these texts, one after the other; remembers what they were told."""

    def __init__(self, *printed: str, code: int = 0) -> None:
        self.printed, self.code = list(printed), code
        self.told: list[tuple[str, ...]] = []
        self.networks = {
            "one": {"bridge": {"IPAddress": "172.17.0.2"}, "hello-k8s": {"IPAddress": "172.18.0.3"}},
            "two": {"hello-k8s": {"IPAddress": "172.18.0.9"}},
        }

    def run(self, *words: str, **_: Any) -> Any:
        if words[0] == "container":
            return SimpleNamespace(stdout="".join(f"/{n} {json.dumps(x)}\n" for n, x in self.networks.items()))
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


NO_PROXY = "curl 7\n"


@pytest.mark.parametrize(
    ("printed", "say"),
    [
        ([metrics("1.7e+09", "1.700000001e+09"), NO_PROXY], True),
        ([metrics("1.7959337669093966e+09", "1.7959337669093967e+09"), metrics("2e+09", "1.9e+09")], False),
        ([metrics("3", "2"), NO_PROXY], False),
        ([metrics("1", "2", pending="1"), NO_PROXY], False),  # told while it was writing
        ([metrics("1", "2") + metrics("3", "2", '{ip_family="IPv6"}'), NO_PROXY], False),
        ([metrics("3", "4", ""), metrics("0", "0")], True),  # without families, as before 1.31
        ([metrics("1", "2"), "curl 28\n"], False),  # too busy to say
        (["", ""], True),  # no node that can be asked
    ],
)
def test_rules(printed: list[str], say: bool) -> None:
    assert traffic.Rules(Engine(*printed), ["one", "two"]).say(0) is say  # type: ignore[arg-type]


def test_where_others_change_services_all_the_time_two_writings_are_enough() -> None:
    """The second began after the first had ended: what was so before that is in it."""
    busy = [metrics(f"{moment + 0.5}", f"{moment}", pending="2") for moment in (9, 11, 11, 12)]
    rules = traffic.Rules(Engine(*busy), ["one"])  # type: ignore[arg-type]
    assert [rules.say(10) for _ in busy] == [False, False, False, True]


def test_rules_are_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "_LOOK_SECONDS", 0)
    engine = Engine(metrics("3", "2"), metrics("3", "4"), metrics("3", "4"), metrics("3", "4"))
    traffic.wait_for_rules(engine, NODES)  # type: ignore[arg-type]
    assert len(engine.told) == 4
    monkeypatch.setattr(traffic, "_RULES_SECONDS", 0)
    traffic.wait_for_rules(Engine(*[metrics("3", "2")] * 9), NODES)  # type: ignore[arg-type]


def test_every_node_needs_the_ways_to_the_others_by_their_addresses_of_now() -> None:
    engine = Engine()
    traffic.wait_for_routes(Api(), engine, NODES, "hello-k8s")  # type: ignore[arg-type]
    assert [(words[1], words[-1]) for words in engine.told] == [
        ("one", "10.244.1.0/24 via 172.18.0.9"),
        ("two", "10.244.0.0/24 via 172.18.0.3"),
    ]
    with pytest.raises(ClusterError) as failed:
        traffic.wait_for_routes(Api(), Engine(code=124), NODES, "hello-k8s")  # type: ignore[arg-type]
    assert "10.244.1.0/24 via 172.18.0.9" in failed.value.why and failed.value.next


def test_a_node_without_an_address_is_no_bug() -> None:
    """It ended again just now."""
    engine = Engine()
    engine.networks["two"] = {}
    traffic.wait_for_routes(Api(), engine, NODES, "hello-k8s")  # type: ignore[arg-type]
    assert [words[-1] for words in engine.told] == ["until-routed", "10.244.0.0/24 via 172.18.0.3"]


def test_another_pod_network_has_ways_of_its_own() -> None:
    engine = Engine(code=124)
    traffic.wait_for_routes(Api(404), engine, NODES, "hello-k8s")  # type: ignore[arg-type]
    assert engine.told == []
