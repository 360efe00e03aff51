"""When a cluster that was made, started or thawed is really ready: what kubelets say since, not what was stored."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hello_k8s.errors import ClusterError
from hello_k8s.language import t
from hello_k8s.machine.kubeapi import ApiError, KubeApi, NotYet
from hello_k8s.progress import SILENT, Progress

_API_SECONDS = 90
_NODES_SECONDS = 120
_PODS_SECONDS = 180
_LEASES = "kube-node-lease"
_SYSTEM = "kube-system"
_DNS = {"k8s-app": "kube-dns"}
_PROXY = {"k8s-app": "kube-proxy"}
_MIRROR = "kubernetes.io/config.mirror"
#: A kubelet holds its runtime's last word for 30 s (maxWaitForContainerRuntime in pkg/kubelet).
_FORGETS_SECONDS = 25
_SPEAKS_UP_SECONDS = 2
_LATE_WORDS_SECONDS = 1
#: Pods that served before a stop are waited for this long; who takes longer has a trouble of their own.
_SERVED_SECONDS = 30
#: The EndpointSlice controller gathers changes for a moment before it writes them.
_SLICES_SECONDS = 2
_LATE_MARKS_SECONDS = 0.5
#: What an API server answers that can't do it at that moment, and what it gets until the next try.
_NOT_NOW, _BREATH_SECONDS = {429, 500, 503, 504}, 0.1
#: Kubelets renew their leases every 10 s, a quarter of nodeLeaseDurationSeconds.
_LEASE_ROUND_SECONDS = 12

T = TypeVar("T")


@dataclass(frozen=True)
class Start:
    """`nodes` (names) were started at `at` (seconds since the epoch): what ran on them before has ended."""

    at: float
    nodes: frozenset[str]

    def ended(self, pod: Mapping[str, Any]) -> bool:
        """Whether what is known of this Pod's containers is of before."""
        return pod["spec"].get("nodeName") in self.nodes and not _runs_since(pod, self.at)


def wait(
    api: KubeApi, nodes: int, progress: Progress = SILENT, *, start: Start | None = None, quick: bool = False
) -> None:
    """Until the API answers, `nodes` Nodes are Ready and cluster DNS serves.

    With `start` only what a kubelet has said after it counts: a stopped cluster's objects still say Ready. `quick`
    looks once first. Raises ClusterError with what is still missing.
    """
    wait_for_api(api)
    if quick and all(is_ready(node) for node in api.list("Node")) and _all_serve(api.list("Pod", _SYSTEM, _DNS), None):
        return
    if start is not None:
        _unbroken(api, lambda: _drop_old_leaders(api, start))
    progress.line(t("cluster.waiting_nodes"))
    _until(
        api, "Node", None, {},
        lambda found: len(found) >= nodes and all(is_ready(node) for node in found.values()), _NODES_SECONDS,
    )  # fmt: skip
    if start is not None:
        _until(
            api, "Lease", _LEASES, {}, lambda found: all(_renewed(x, start.at) for x in found.values()), _NODES_SECONDS
        )
        _until(api, "Pod", _SYSTEM, _PROXY, lambda found: not any(map(start.ended, found.values())), _PODS_SECONDS)
        _unbroken(api, lambda: _renew_dns(api))
    progress.line(t("cluster.waiting_dns"))
    _until(api, "Pod", _SYSTEM, _DNS, lambda found: _all_serve(found.values(), start), _PODS_SECONDS)
    if start is not None:
        _wait_for_what_served(api, start)


def _wait_for_what_served(api: KubeApi, start: Start) -> None:
    """Until no Pod counts as ready by what was true before `start`, and Services send to the addresses of now.

    Every Pod gets a new address when its node starts again: until its kubelet has said so, a Service sends to
    the old one. A Pod that doesn't come back isn't ready; it is its owner's matter, and no error here.
    """
    pods: dict[str, dict[str, Any]] = {}
    _happens(
        api, "Pod", None, {}, lambda found: not any(_remembered(pod, start) for pod in found.values()),
        _SERVED_SECONDS, pods,
    )  # fmt: skip
    now = {name: {each["ip"] for each in pod["status"].get("podIPs", ())} for name, pod in pods.items()}
    _happens(api, "EndpointSlice", None, {}, lambda found: not _stale(found.values(), now), _SLICES_SECONDS)


def _remembered(pod: Mapping[str, Any], start: Start) -> bool:
    """Whether it says Ready though what was ready ended with the stop (static Pods serve behind no Service)."""
    return is_ready(pod) and start.ended(pod) and _MIRROR not in pod["metadata"].get("annotations", {})


def _stale(slices: Iterable[Mapping[str, Any]], addresses: Mapping[str, set[str]]) -> bool:
    """Whether a Service still sends to an address that its Pod (namespace/name → addresses) no longer has."""
    for one in slices:
        for endpoint in one.get("endpoints") or []:
            now = addresses.get(_target(endpoint))
            if now and endpoint["conditions"].get("ready") and not now.issuperset(endpoint["addresses"]):
                return True
    return False


def _target(endpoint: Mapping[str, Any]) -> str:
    target = endpoint.get("targetRef") or {}
    return f"{target.get('namespace')}/{target.get('name')}"


def _drop_old_leaders(api: KubeApi, start: Start) -> None:
    """Forget leaders that ended with the stop; their successors would wait for these leases to run out."""
    for name in ("kube-controller-manager", "kube-scheduler"):
        lease = api.read("Lease", name, _SYSTEM)
        # who leads is called by the node's name and an ID
        if (
            lease is not None
            and (lease["spec"].get("holderIdentity") or "").rpartition("_")[0] in start.nodes
            and not _renewed(lease, start.at)
        ):
            api.delete("Lease", name, _SYSTEM)


def _renew_dns(api: KubeApi) -> None:
    """Replace CoreDNS Pods that came up before the Services' rules: they would wait out a back-off of half a minute."""
    for pod in api.list("Pod", _SYSTEM, _DNS):
        if not is_ready(pod):
            api.delete("Pod", pod["metadata"]["name"], _SYSTEM)


def _all_serve(pods: Iterable[Mapping[str, Any]], start: Start | None) -> bool:
    staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return bool(staying) and all(is_ready(pod) and not (start and start.ended(pod)) for pod in staying)


def wait_for_api(api: KubeApi, seconds: float = _API_SECONDS) -> None:
    """Until /readyz says ok. Raises ClusterError after `seconds`."""
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            answer = api.request("GET", "/readyz", accept="*/*", timeout=2)
            if answer.status_code == 200:
                return
            last = ApiError(answer.status_code, "", answer.text)
        except ClusterError as silent:
            last = silent
        # Nothing can be watched where nothing answers yet.
        time.sleep(0.05)
    raise ClusterError(t("cluster.api_silent"), why=str(last or ""), next=t("cluster.not_created_next"))


Objects = Mapping[str, dict[str, Any]]


def _until(
    api: KubeApi,
    kind: str,
    namespace: str | None,
    labels: Mapping[str, str],
    done: Callable[[Objects], bool],
    seconds: float,
) -> None:
    """`_happens`, or a ClusterError that names what is missing."""
    found: dict[str, dict[str, Any]] = {}
    if not _happens(api, kind, namespace, labels, done, seconds, found):
        missing = ", ".join(name for name, obj in found.items() if "status" in obj and not is_ready(obj)) or "-"
        raise ClusterError(
            t("cluster.not_ready", kind=kind, names=missing), why=_why(found), next=t("cluster.not_created_next")
        )


def _happens(
    api: KubeApi,
    kind: str,
    namespace: str | None,
    labels: Mapping[str, str],
    done: Callable[[Objects], bool],
    seconds: float,
    found: dict[str, dict[str, Any]] | None = None,
) -> bool:
    """Keep `name → object` on a watch until `done` of it (True) or `seconds` are over (False).

    The name is `namespace/name` where the object has one.
    """
    seen = {} if found is None else found
    deadline = time.monotonic() + seconds
    return _unbroken(api, lambda: _watched(api, kind, namespace, labels, done, deadline, seen), seconds)


def _unbroken(api: KubeApi, do: Callable[[], T], seconds: float = _API_SECONDS) -> T:
    """What `do` returns. It is called anew, for `seconds`, where a control plane that has just come up drops the
    connection, or can't do it yet.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return do()
        except (ClusterError, ApiError) as broken:
            left = deadline - time.monotonic()
            if left <= 0 or (isinstance(broken, ApiError) and broken.status not in _NOT_NOW):
                raise
            time.sleep(_BREATH_SECONDS)
            wait_for_api(api, left)


def _watched(
    api: KubeApi,
    kind: str,
    namespace: str | None,
    labels: Mapping[str, str],
    done: Callable[[Objects], bool],
    deadline: float,
    found: dict[str, dict[str, Any]],
) -> bool:
    found.clear()
    found.update((_name(obj), obj) for obj in api.list(kind, namespace, labels))
    if done(found):
        return True
    with api.watch(kind, namespace, labels, timeout=deadline - time.monotonic()) as events:
        for event, obj in events:
            if event == "DELETED":
                found.pop(_name(obj), None)
            else:
                found[_name(obj)] = obj
            if done(found):
                return True
    return False


def _name(obj: Mapping[str, Any]) -> str:
    metadata = obj["metadata"]
    return "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)


def _why(found: Objects) -> str:
    lines = []
    for name, obj in found.items():
        for condition in obj.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] != "True":
                lines.append(f"{name}: {condition.get('reason', '')} {condition.get('message', '')}")
    return "\n".join(lines)


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Whether a Node's or a Pod's Ready condition is True."""
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _runs_since(pod: Mapping[str, Any], since: float) -> bool:
    running = [status.get("state", {}).get("running") for status in pod["status"].get("containerStatuses", [])]
    # startedAt has whole seconds
    return bool(running) and all(one and seconds_of(one["startedAt"]) >= since - 1 for one in running)


def _renewed(lease: Mapping[str, Any], since: float) -> bool:
    return seconds_of(lease["spec"].get("renewTime", "")) >= since


def seconds_of(moment: str) -> float:
    """A time as the API and the engine write it (RFC 3339), in seconds since the epoch; 0 for an empty one."""
    return datetime.datetime.fromisoformat(moment).timestamp() if moment else 0.0


def wait_for_pod(api: KubeApi, namespace: str, name: str, seconds: float = 60) -> None:
    """Until this Pod is Ready. Raises ClusterError with its own reasons."""
    try:
        api.wait("Pod", name, namespace, is_ready, seconds)
    except NotYet as late:
        events = api.events(namespace, name)
        why = "\n".join(str(event.get("message", "")) for event in events[-5:]) or _why({name: late.last or {}})
        raise ClusterError(
            t("cluster.not_ready", kind="Pod", names=f"{namespace}/{name}"), why=why, next=t("cluster.not_created_next")
        ) from late


def after_pause(api: KubeApi, since: float, paused: float | None, let_go: Callable[[], None]) -> None:
    """Until Nodes are Ready and endpoints complete after thawing at `since`, by what kubelets say after that.

    `paused` is when it was frozen (seconds since the epoch), None where nobody knows. A kubelet first finds its
    own runtime's state too old and reports NotReady, then corrects itself; nothing is waited for after a pause
    too short for that. `let_go` is called when the controller manager may look again. Raises ClusterError with
    what is still missing.
    """
    wait_for_api(api)
    if paused is not None and since - paused < _FORGETS_SECONDS:
        let_go()
        return
    # A lease as young as this is one of a kubelet that was frozen for a moment only, or not at all.
    fresh = since - _LEASE_ROUND_SECONDS
    _until(api, "Lease", _LEASES, {}, lambda found: all(_renewed(x, fresh) for x in found.values()), _NODES_SECONDS)
    # Whoever hasn't spoken up after these seconds had nothing to correct; where leases took longer than that (a busy
    # machine), what is stored may still be of before.
    quiet = max(since + _SPEAKS_UP_SECONDS - time.time(), _LATE_WORDS_SECONDS)
    heard = _happens(
        api, "Node", None, {}, lambda nodes: all(is_ready(n) and _spoke(n, since) for n in nodes.values()), quiet
    )
    if not heard:
        _until(api, "Node", None, {}, lambda nodes: all(is_ready(n) for n in nodes.values()), _NODES_SECONDS)
    let_go()
    _mend_for_a_moment(api)


def _mend_for_a_moment(api: KubeApi) -> None:
    """Mend marked Pods until no new mark comes: the controller manager may look a moment after the kubelets spoke."""
    until = time.monotonic() + _LATE_MARKS_SECONDS
    tried: set[str] = set()

    def newly_marked(pods: Objects) -> bool:
        return any(_marked(pod) for name, pod in pods.items() if name not in tried)

    while True:
        tried.update(_mend(api))
        left = until - time.monotonic()
        if left <= 0 or not _happens(api, "Pod", None, {}, newly_marked, left):
            return


def _marked(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod counts as not ready only because its Node did (reason NodeNotReady)."""
    conditions = pod["status"].get("conditions", [])
    marks = [c for c in conditions if c["type"] == "Ready" and c["status"] == "False"]
    return any(mark.get("reason") == "NodeNotReady" for mark in marks)


def _mend(api: KubeApi) -> set[str]:
    """Give marked Pods their Ready back, until the Services send to them again. Returns all that were marked."""
    marked = {_name(pod) for pod in api.list("Pod") if _marked(pod)}
    restored = set(restore_pods(api)) if marked else set()
    if restored:
        _happens(
            api, "EndpointSlice", None, {}, lambda slices: not _missing(slices.values(), restored), _SLICES_SECONDS
        )
    return marked


def _missing(slices: Iterable[Mapping[str, Any]], pods: set[str]) -> bool:
    """Whether one of `pods` (namespace/name) still counts as not ready behind a Service."""
    for one in slices:
        for endpoint in one.get("endpoints") or []:
            if _target(endpoint) in pods and not endpoint["conditions"].get("ready"):
                return True
    return False


def _spoke(node: Mapping[str, Any], since: float) -> bool:
    """Whether this node's kubelet has reported its state after `since` (heartbeats have whole seconds)."""
    times = [c.get("lastHeartbeatTime", "") for c in node["status"].get("conditions", []) if c["type"] == "Ready"]
    return any(seconds_of(moment) >= since - 1 for moment in times)


def restore_pods(api: KubeApi) -> list[str]:
    """Give Pods back their Ready that only their Node's silence took; returns them as `namespace/name`.

    Where the controller manager looked before a kubelet had renewed its lease, it marked that node's Pods
    (reason NodeNotReady, pkg/controller/util/node of Kubernetes). The kubelet mends it at its next round, up to
    10 s later; it is asked here for what it says itself: every container is ready.
    """
    alive = {node["metadata"]["name"] for node in api.list("Node") if is_ready(node)}
    restored = []
    for pod in api.list("Pod"):
        containers = pod["status"].get("containerStatuses", [])
        if (
            _marked(pod)
            and pod["spec"].get("nodeName") in alive
            and containers
            and all(container["ready"] for container in containers)
            and not pod["spec"].get("readinessGates")
        ):
            metadata = pod["metadata"]
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
            condition = {"type": "Ready", "status": "True", "reason": None, "lastTransitionTime": _now()}
            api.request(
                "PATCH", path, body={"status": {"conditions": [condition]}},
                content_type="application/strategic-merge-patch+json",
            )  # fmt: skip
            restored.append(_name(pod))
    return restored


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
