"""Whether the nodes' own routes and rules are those of now: by them Pods and Services are reached."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from hello_k8s.errors import ClusterError
from hello_k8s.language import t
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.nodes import Node

_ROUTES_SECONDS = 60
_RULES_SECONDS = 15
_LOOK_SECONDS = 0.2
#: When a change of Services was last queued, and when rules were last written (pkg/proxy/metrics of Kubernetes); a
#: node that hasn't kube-proxy, or isn't reached in a second, says nothing.
_METRICS = (
    "curl --silent --max-time 1 http://127.0.0.1:10249/metrics"
    " | grep '^kubeproxy_sync_proxy_rules_last\\(_queued\\)\\?_timestamp_seconds'"
)
_METRIC = re.compile(r"rules_last(_queued)?_timestamp_seconds(\{[^}]*\})? (\S+)")
#: Nothing tells of a route that comes: looked at ten times a second.
_UNTIL_ROUTED = 'for way in "$@"; do until ip route | grep -qF "$way "; do sleep 0.1; done; done'


def wait(api: KubeApi, engine: Engine, nodes: Sequence[Node]) -> None:
    """Until nodes that were started send as the API says now. Raises ClusterError where a route doesn't come."""
    wait_for_routes(api, engine, nodes)
    wait_for_rules(engine, nodes)


def wait_for_routes(api: KubeApi, engine: Engine, nodes: Sequence[Node]) -> None:
    """Until every node has a route to every other's Pods, by its address of now: a node that was started may have
    got another. Nothing to wait for where the Pod network isn't ours. Raises ClusterError where one doesn't come.
    """
    if api.request("GET", "/apis/apps/v1/namespaces/kube-system/daemonsets/hello-k8s-network").status_code == 404:
        return
    addresses = _addresses(engine, nodes)
    ways = {
        node["metadata"]["name"]: f"{node['spec']['podCIDR']} via {addresses[node['metadata']['name']]}"
        for node in api.list("Node")
        if node["spec"].get("podCIDR") and node["metadata"]["name"] in addresses
    }
    for node in nodes:
        others = [way for name, way in ways.items() if name != node.name]
        waited = engine.run(
            "exec", node.name, "timeout", str(_ROUTES_SECONDS), "bash", "-c", _UNTIL_ROUTED, "until-routed", *others,
            check=False, timeout=_ROUTES_SECONDS + 30,
        )  # fmt: skip
        if waited.code:
            raise ClusterError(
                t("cluster.not_ready", kind="Node", names=node.name),
                why=f"no route {' · '.join(others)}\n{waited.stderr}".strip(),
                next=t("cluster.not_created_next"),
            )


def _addresses(engine: Engine, nodes: Sequence[Node]) -> dict[str, str]:
    """name → IPv4 address on the cluster's network."""
    template = "{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    printed = engine.run("container", "inspect", "--format", template, *(node.name for node in nodes)).stdout
    words = [line.split() for line in printed.splitlines()]
    return {name.lstrip("/"): address for name, address, *_ in words}


def rules_are_written(engine: Engine, nodes: Sequence[Node]) -> bool:
    """Whether no node's kube-proxy has a change yet to write; it writes once a second, later where much goes on.

    Nodes that can't say count as done.
    """
    for node in nodes:
        printed = engine.run("exec", node.name, "bash", "-c", _METRICS, check=False, timeout=30).stdout
        moments: dict[str, dict[str, float]] = {}
        for queued, family, value in _METRIC.findall(printed):
            moments.setdefault(family, {})[queued] = float(value)
        if any(each.get("_queued", 0.0) > each.get("", 0.0) for each in moments.values()):
            return False
    return True


def wait_for_rules(engine: Engine, nodes: Sequence[Node]) -> None:
    """Until `rules_are_written`, for some seconds: where Services change all the time, one is always behind."""
    until = time.monotonic() + _RULES_SECONDS
    while not rules_are_written(engine, nodes) and time.monotonic() < until:
        # Nothing tells of it.
        time.sleep(_LOOK_SECONDS)
