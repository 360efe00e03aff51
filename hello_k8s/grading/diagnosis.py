"""The cause of a failed check as it can be *observed* in the namespace: never the solution, never a guess.

`observe` looks at the cluster; everything else works on the objects that it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hello_k8s.grading.manifests import title
from hello_k8s.grading.replay import given_objects, in_both, owner_of
from hello_k8s.grading.verdict import Texts
from hello_k8s.language import LANGUAGES, both
from hello_k8s.machine.isolation import refusal
from hello_k8s.machine.ready import is_ready

if TYPE_CHECKING:
    from hello_k8s.grading.attempt import Attempt

Object = Mapping[str, Any]
_NO_IMAGE = ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName")
#: Causes shown at most: the first is nearly always the one that matters.
_MANY = 4


@dataclass(frozen=True)
class Seen:
    """What was there when a check failed.

    `given` are the titles of the lab's own objects: what is odd about them is the lab's intention. `asked` are the
    Services that checks called. `refuses(ip, port)` tells whether a connection there is refused, None where
    unknown; `log(pod, container)` gives last words.
    """

    namespace: str
    services: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()
    workloads: Sequence[Object] = ()
    given: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    refuses: Callable[[str, int], bool | None] = field(default=lambda ip, port: None)
    log: Callable[[str, str], str] = field(default=lambda pod, container: "")


def observe(attempt: Attempt) -> list[Texts]:
    """Look at the attempt's namespace and tell the causes. Raises ApiError or ClusterError where it can't look."""
    api, namespace = attempt.api, attempt.live().name

    def refuses(ip: str, port: int) -> bool | None:
        answer = attempt.fetch(f"http://{ip}:{port}/", 1, 2)[0]
        return "connection refused" in answer.error

    seen = Seen(
        namespace=namespace,
        services=api.list("Service", namespace),
        pods=[pod for pod in api.list("Pod", namespace) if "deletionTimestamp" not in pod["metadata"]],
        events=api.events(namespace),
        workloads=[obj for kind in ("Deployment", "ReplicaSet") for obj in api.list(kind, namespace)],
        given=frozenset(title(obj) for obj in given_objects(attempt.lab)),
        asked=frozenset(attempt.asked),
        refuses=refuses,
        log=lambda pod, container: api.logs(namespace, pod, container, tail=3) or "",
    )
    return diagnose(seen)


def diagnose(seen: Seen) -> list[Texts]:
    """The causes that can be seen, the nearest to the question first."""
    found: dict[str, Texts] = {}
    for text in (*_services(seen), *_workloads(seen), *_pods(seen)):
        found.setdefault(text["en"], text)
    return list(found.values())[:_MANY]


# -- Services


def _services(seen: Seen) -> Iterator[Texts]:
    names = {service["metadata"]["name"] for service in seen.services}
    for name in sorted(seen.asked - names):
        have = ", ".join(sorted(names)) or "—"
        yield both("grading.no_service", service=name, namespace=seen.namespace, have=have)
    for service in seen.services:
        if title(service) in seen.given or not service["spec"].get("selector"):
            continue
        yield from _service(service, seen)


def _service(service: Object, seen: Seen) -> Iterator[Texts]:
    name, selector = service["metadata"]["name"], service["spec"]["selector"]
    chosen = [pod for pod in seen.pods if selector.items() <= labels_of(pod).items()]
    if not chosen:
        near = nearest(selector, seen.pods)
        shown = "; ".join(f"{pod_labels} ({', '.join(pods)})" for pod_labels, pods in near) or "—"
        yield both(
            "grading.selects_nothing", service=name, selector=pairs(selector), namespace=seen.namespace, near=shown
        )
        return
    ready = [pod for pod in chosen if is_ready(pod)]
    if not ready:
        yield both("grading.selects_none_ready", service=name, pods=_names(chosen))
        for pod in chosen:
            yield from _pod(pod, seen)
        return
    for port in service["spec"].get("ports", ()):
        if port.get("protocol", "TCP") != "TCP":
            continue  # nobody refuses there
        target = port.get("targetPort", port["port"])
        if isinstance(target, str) and not target.isdigit():
            if number := _named_port(ready[0], target):
                target = number
            else:
                yield both("grading.no_named_port", service=name, port=target, pods=_names(ready))
                continue
        if seen.refuses(ready[0]["status"].get("podIP", ""), int(target)):
            open_ports = ", ".join(str(p) for p in _declared(ready[0])) or "—"
            yield both(
                "grading.nothing_listens",
                service=name,
                target=target,
                pod=ready[0]["metadata"]["name"],
                ports=open_ports,
            )


def labels_of(pod: Object) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}


def pairs(labels: Mapping[str, str]) -> str:
    """`app=hello,tier=back`, without the labels that controllers add."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "pod-template-hash")


def nearest(selector: Mapping[str, str], pods: Sequence[Object], many: int = 3) -> list[tuple[str, list[str]]]:
    """The Pods' sets of labels that are most like `selector`, best first: (labels, the Pods that carry them)."""
    groups: dict[str, list[str]] = {}
    likeness: dict[str, float] = {}
    for pod in pods:
        shown = pairs(labels_of(pod))
        if not shown:
            continue
        groups.setdefault(shown, []).append(pod["metadata"]["name"])
        likeness[shown] = _likeness(selector, labels_of(pod))
    best = sorted(groups, key=lambda shown: (-likeness[shown], shown))
    return [(shown, sorted(groups[shown])) for shown in best[:many]]


def _likeness(selector: Mapping[str, str], labels: Mapping[str, str]) -> float:
    import difflib

    same = sum(labels.get(key) == value for key, value in selector.items())
    spelling = difflib.SequenceMatcher(None, pairs(selector), pairs(labels)).ratio()
    return same + spelling


def _named_port(pod: Object, name: str) -> int | None:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", ()):
            if port.get("name") == name:
                return int(port["containerPort"])
    return None


def _declared(pod: Object) -> list[int]:
    return [port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports", ())]


# -- workloads and Pods


def _workloads(seen: Seen) -> Iterator[Texts]:
    for workload in seen.workloads:
        if title(workload) in seen.given or any(
            f"{owner['kind']}/{owner['name']}" in seen.given
            for owner in workload["metadata"].get("ownerReferences", ())
        ):
            continue
        for condition in workload.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                message = condition.get("message", "")
                told = refusal(message) or dict.fromkeys(LANGUAGES, message)
                yield in_both("grading.no_pods", told, workload=title(workload))


def _pods(seen: Seen) -> Iterator[Texts]:
    for pod in seen.pods:
        if owner_of(pod) not in seen.given:
            yield from _pod(pod, seen)


def _pod(pod: Object, seen: Seen) -> Iterator[Texts]:
    """Why this Pod isn't ready; nothing for one that is."""
    name, status = pod["metadata"]["name"], pod["status"]
    if is_ready(pod) or status.get("phase") == "Succeeded":
        return
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield both("grading.not_scheduled", pod=name, message=condition.get("message", ""))
            return
    told = False
    begun = [each for each in status.get("initContainerStatuses", ()) if not _has_done_its_work(each)]
    for container in (*begun, *status.get("containerStatuses", ())):
        for text in _container(pod, container, seen):
            told = True
            yield text
    if not told:
        yield both("grading.pod_not_ready", pod=name, why=_last_warning(pod, seen) or status.get("phase", "?"))


def _has_done_its_work(init: Object) -> bool:
    return bool(init.get("state", {}).get("terminated", {}).get("exitCode") == 0)


def _container(pod: Object, status: Object, seen: Seen) -> Iterator[Texts]:
    name, container = pod["metadata"]["name"], status["name"]
    waiting = status.get("state", {}).get("waiting", {})
    ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
    reason = waiting.get("reason", "")
    if reason in _NO_IMAGE:
        node = pod["spec"].get("nodeName", "?")
        yield both("grading.no_image", pod=name, image=status["image"], node=node, reason=reason)
    elif ended and ended.get("reason") == "OOMKilled":
        yield both("grading.oom_killed", pod=name, container=container, limit=_memory(pod, container))
    elif ended and (reason == "CrashLoopBackOff" or "terminated" in status.get("state", {})):
        words = seen.log(name, container).strip() or ended.get("message", "").strip() or "—"
        yield both("grading.crashes", pod=name, container=container, code=ended.get("exitCode", "?"), log=words)
    elif reason and reason not in ("ContainerCreating", "PodInitializing"):
        yield both("grading.waits", pod=name, container=container, reason=reason, message=waiting.get("message", "—"))


def _memory(pod: Object, container: str) -> str:
    for spec in pod["spec"]["containers"]:
        if spec["name"] == container:
            return str(spec.get("resources", {}).get("limits", {}).get("memory", "—"))
    return "—"


def _last_warning(pod: Object, seen: Seen) -> str:
    """What the kubelet said last about the Pod: a failed probe, a volume that isn't there."""
    uid = pod["metadata"].get("uid")  # its name may have been somebody else's before
    said = [e for e in seen.events if e.get("involvedObject", {}).get("uid") == uid and e.get("type") == "Warning"]
    return f"{said[-1].get('reason')}: {said[-1].get('message', '')}" if said else ""


def _names(pods: Sequence[Object]) -> str:
    return ", ".join(sorted(pod["metadata"]["name"] for pod in pods))
