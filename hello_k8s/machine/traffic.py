"""Whether the nodes' own routes and rules are those of now: by them Pods and Services are reached."""

from __future__ import annotations

import json
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
#: What kube-proxy has been told and has written (pkg/proxy/metrics of Kubernetes). Ends with curl's own code: 28 where
#: it took too long, 7 where nothing listens.
_METRICS = (
    "curl --silent --max-time 5 http://127.0.0.1:10249/metrics | grep '^kubeproxy_sync_proxy_rules_';"
    ' echo "curl ${PIPESTATUS[0]}"'
)
_PENDING = re.compile(r"^kubeproxy_sync_proxy_rules_(?:service|endpoint)_changes_pending\S* [^0]", re.MULTILINE)
_MOMENT = re.compile(r"^kubeproxy_sync_proxy_rules_last(_queued)?_timestamp_seconds(\{[^}]*\})? (\S+)$", re.MULTILINE)
_TOO_BUSY = "curl 28"
#: Nothing tells of a route that comes: looked at ten times a second.
_UNTIL_ROUTED = 'for way in "$@"; do until ip route | grep -qF "$way "; do sleep 0.1; done; done'


def wait(api: KubeApi, engine: Engine, nodes: Sequence[Node], network: str) -> None:
    """Until nodes that were started send as the API says now. Raises ClusterError where a route doesn't come."""
    wait_for_routes(api, engine, nodes, network)
    wait_for_rules(engine, nodes)


def network_is_ours(api: KubeApi) -> bool:
    """Whether the Pod network is that of the image built here (images/node), not kind's or another."""
    return api.request("GET", "/apis/apps/v1/namespaces/kube-system/daemonsets/hello-k8s-network").status_code != 404


def wait_for_routes(api: KubeApi, engine: Engine, nodes: Sequence[Node], network: str) -> None:
    """Until every node has a route to every other's Pods, by its address of now on `network` (docker's): a node that
    was started may have got another. Nothing to wait for where the Pod network isn't ours. Raises ClusterError where
    one doesn't come.
    """
    if not network_is_ours(api):
        return
    addresses = _addresses(engine, nodes, network)
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


def _addresses(engine: Engine, nodes: Sequence[Node], network: str) -> dict[str, str]:
    """name → IPv4 address on `network`, of the nodes that have one."""
    names = [node.name for node in nodes]
    template = "{{.Name}} {{json .NetworkSettings.Networks}}"
    found = {}
    for line in engine.run("container", "inspect", "--format", template, *names).stdout.splitlines():
        name, _, networks = line.partition(" ")
        found[name.lstrip("/")] = json.loads(networks).get(network, {}).get("IPAddress", "")
    return {name: address for name, address in found.items() if address}


class Rules:
    """What the kube-proxies of `nodes` (names) have written into the nodes' rules of what they were told."""

    def __init__(self, engine: Engine, nodes: Sequence[str]) -> None:
        self._engine = engine
        self._nodes = nodes
        self._written: dict[str, set[str]] = {}

    def say(self, since: float) -> bool:
        """Whether every node's rules say what Services said at `since` (seconds since the epoch): nothing waits there
        to be written, or writing has ended twice since then, as it does all the time where others change Services.

        A node without a kube-proxy that tells counts as one whose do; one too busy to tell doesn't.
        """
        return all([self._node_says(node, since) for node in self._nodes])

    def _node_says(self, node: str, since: float) -> bool:
        told = self._engine.run("exec", node, "bash", "-c", _METRICS, check=False, timeout=30).stdout
        if _TOO_BUSY in told:
            return False
        moments: dict[str, dict[str, float]] = {}
        for queued, family, value in _MOMENT.findall(told):
            moments.setdefault(family, {})[queued] = float(value)
            if not queued and float(value) > since:
                self._written.setdefault(f"{node} {family}", set()).add(value)
        waiting = _PENDING.search(told) is not None
        return all(
            not (waiting or each.get("_queued", 0.0) > each.get("", 0.0))
            or len(self._written.get(f"{node} {family}", ())) > 1
            for family, each in moments.items()
        )


def wait_for_rules(engine: Engine, nodes: Sequence[Node]) -> None:
    """Until the nodes' rules say what Services say now, for some seconds."""
    rules, now = Rules(engine, [node.name for node in nodes]), time.time()
    until = time.monotonic() + _RULES_SECONDS
    while not rules.say(now) and time.monotonic() < until:
        # Nothing tells of it.
        time.sleep(_LOOK_SECONDS)
