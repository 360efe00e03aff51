"""Whether a namespace is at rest: what is seen in it now is what will be seen, however long one waits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hello_k8s.grading.replay import NEVER_READY, STUCK, is_rolled_out, owner_of
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.ready import is_ready
from hello_k8s.machine.traffic import Rules

if TYPE_CHECKING:
    from hello_k8s.machine.cluster import Cluster

Object = Mapping[str, Any]
#: A crashed container is started again: it may come up yet. The other reasons are about what is written down.
_FINAL_REASONS = STUCK - {"CrashLoopBackOff", "RunContainerError", "StartError", "ImagePullBackOff", "ErrImagePull"}


def at_rest(api: KubeApi, namespace: str) -> bool:
    """Whether every Pod is ready (or can't become it), every workload rolled out, every EndpointSlice complete.

    Says nothing of the nodes' own rules: see `rules_say`. Raises ApiError or ClusterError where it can't look.
    """
    pods = api.list("Pod", namespace)
    if not all(map(_is_final, pods)):
        return False
    final = {owner_of(pod) for pod in pods if not is_ready(pod)}
    for kind in ("Deployment", "StatefulSet"):
        for workload in api.list(kind, namespace):
            if not is_rolled_out(workload) and f"{kind}/{workload['metadata']['name']}" not in final:
                return False
    return _complete(api.list("Service", namespace), pods, api.list("EndpointSlice", namespace))


def rules_say(cluster: Cluster, api: KubeApi, namespace: str) -> Callable[[float], bool]:
    """Whether the nodes' own rules say what the EndpointSlices of `namespace` said at a moment (seconds since the
    epoch), by which to ask it: they follow within a second, on a busy machine within seconds. Where nothing could be
    sent to, they make no difference. The answer raises what asking the engine and the API does.
    """
    rules = functools.cache(lambda: Rules(cluster.engine, cluster.nodes()))

    def say(since: float) -> bool:
        slices = api.list("EndpointSlice", namespace)
        if not any(end.get("conditions", {}).get("ready") for one in slices for end in one.get("endpoints") or ()):
            return True
        return rules().say(since)

    return say


def _is_final(pod: Object) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    if is_ready(pod) or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return True
    statuses = pod["status"].get("containerStatuses", ())
    if NEVER_READY in pod["metadata"].get("annotations", {}):
        return bool(statuses) and all("running" in status.get("state", {}) for status in statuses)
    return any(status.get("state", {}).get("waiting", {}).get("reason") in _FINAL_REASONS for status in statuses)


def _complete(services: Iterable[Object], pods: Sequence[Object], slices: Iterable[Object]) -> bool:
    """Whether the EndpointSlices of every Service say what its selector and the Pods say."""
    listed: dict[str, dict[str, bool]] = {}
    for piece in slices:
        service = piece["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
        for endpoint in piece.get("endpoints") or ():
            name = (endpoint.get("targetRef") or {}).get("name", "")
            listed.setdefault(service, {})[name] = endpoint.get("conditions", {}).get("ready", True)
    for service in services:
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("type") == "ExternalName":
            continue
        tolerant = service["spec"].get("publishNotReadyAddresses", False)
        chosen = {
            pod["metadata"]["name"]: tolerant or is_ready(pod)
            for pod in pods
            if selector.items() <= pod["metadata"].get("labels", {}).items() and pod["status"].get("podIP")
            and pod["status"].get("phase") not in ("Succeeded", "Failed")
        }  # fmt: skip
        if listed.get(service["metadata"]["name"], {}) != chosen:
            return False
    return True
