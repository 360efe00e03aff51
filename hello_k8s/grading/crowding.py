"""Whether others had taken the room that a submission's Pods needed: what failed then says nothing of it.

A namespace may only ask for so much (namespace-replay.yaml), so that one submission alone crowds nobody out; several at
once may. Who has gone meanwhile can't be asked any more. So the question is the other way round: would these Pods have
had room if nobody but the cluster itself and their own namespace had been there?
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any

from hello_k8s.machine.isolation import LAB_LABEL
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.quantity import amount
from hello_k8s.machine.ready import seconds_of

Object = Mapping[str, Any]
Amounts = Mapping[str, Fraction]
#: What the scheduler says where a node has no room (pkg/scheduler/framework/plugins/noderesources of Kubernetes).
_NO_ROOM = re.compile(r"Insufficient [\w./-]*\w|Too many pods")
#: Seconds after which a Pod that has a node by now was kept waiting for one: the scheduler needs a few milliseconds.
_LATE_SECONDS = 1.0


def crowded_out(api: KubeApi, namespace: str, before: Collection[str]) -> str:
    """What the scheduler said of a Pod in `namespace` that had to wait for room, if there would have been room without
    the other labs' Pods; else empty.

    `before`: names of Pods that were there before the submission; of them only those count that have no node now.
    Raises ApiError or ClusterError where it can't look.
    """
    waited = {
        pod["metadata"]["uid"]: pod
        for pod in api.list("Pod", namespace)
        if _waited_for_a_node(pod, pod["metadata"]["name"] not in before)
    }
    if not waited:
        return ""
    said = {
        event["involvedObject"]["uid"]: event["message"]
        for event in api.events(namespace)
        if event.get("reason") == "FailedScheduling"
        and event["involvedObject"].get("uid") in waited
        and _NO_ROOM.search(event.get("message", ""))
    }
    crowded = [pod for uid, pod in waited.items() if uid in said]
    return next(reversed(said.values())) if crowded and _would_fit(api, namespace, crowded) else ""


def _waited_for_a_node(pod: Object, new: bool) -> bool:
    for condition in pod["status"].get("conditions", ()):
        if condition["type"] == "PodScheduled":
            created, scheduled = pod["metadata"]["creationTimestamp"], condition.get("lastTransitionTime")
            late = new and scheduled and seconds_of(scheduled) - seconds_of(created) > _LATE_SECONDS
            return bool(condition["status"] == "False" or late)
    return False


def _would_fit(api: KubeApi, namespace: str, pods: Iterable[Object]) -> bool:
    """Whether all of `pods` would have a node if there were no other lab's Pods."""
    wanted = {pod["metadata"]["uid"] for pod in pods}
    others = {each["metadata"]["name"] for each in api.list("Namespace", labels={LAB_LABEL: "true"})} - {namespace}
    nodes = [node for node in api.list("Node") if not _keeps_off(node)]
    free = {
        node["metadata"]["name"]: {what: amount(each) for what, each in node["status"]["allocatable"].items()}
        for node in nodes
    }
    for each in api.list("Pod"):
        at, metadata = each["spec"].get("nodeName"), each["metadata"]
        ended = each["status"].get("phase") in ("Succeeded", "Failed")
        if at in free and not ended and metadata["namespace"] not in others and metadata["uid"] not in wanted:
            _take(free[at], _asked(each))
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
        asked = _asked(pod)
        admitting = (free[node["metadata"]["name"]] for node in nodes if _admits(node, pod))
        room = [left for left in admitting if all(left.get(what, 0) >= each for what, each in asked.items())]
        if not room:
            return False
        _take(max(room, key=lambda left: left["cpu"]), asked)
    return True


def _take(left: dict[str, Fraction], asked: Amounts) -> None:
    for what, each in asked.items():
        left[what] = left.get(what, Fraction(0)) - each


def _keeps_off(node: Object) -> bool:
    return any(taint["effect"] != "PreferNoSchedule" for taint in node["spec"].get("taints", ()))


def _asked(pod: Object) -> Amounts:
    """What the scheduler counts of a Pod: all of its containers, or a greater one that runs before them."""
    early = pod["spec"].get("initContainers", ())
    beside = [each for each in early if each.get("restartPolicy") == "Always"]
    total = {"pods": Fraction(1)}
    for container in (*pod["spec"]["containers"], *beside):
        for what, each in _requests(container).items():
            total[what] = total.get(what, Fraction(0)) + each
    for container in early:
        for what, each in _requests(container).items():
            total[what] = max(total.get(what, Fraction(0)), each)
    return {what: each for what, each in total.items() if each}


def _requests(container: Object) -> Amounts:
    return {what: amount(each) for what, each in container.get("resources", {}).get("requests", {}).items()}


def _admits(node: Object, pod: Object) -> bool:
    """Whether the Pod may be put on the node, as far as its nodeSelector and required node affinity say."""
    labels: Mapping[str, str] = node["metadata"].get("labels", {})
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    fields = {"metadata.name": node["metadata"]["name"]}
    return terms is None or any(
        term
        and all(_matches(labels, each) for each in term.get("matchExpressions", ()))
        and all(_matches(fields, each) for each in term.get("matchFields", ()))
        for term in terms
    )


def _matches(labels: Mapping[str, str], expression: Object) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", ())
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    number = int(value) if value is not None and value.lstrip("-").isdecimal() else None
    if number is None:
        return False
    return number > int(values[0]) if expression["operator"] == "Gt" else number < int(values[0])
