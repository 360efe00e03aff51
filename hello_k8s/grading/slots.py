"""A throw-away namespace with the lab's own objects in it, handed from one submission of a class to the next.

The lab's own Pods are the same for everybody, and starting them is most of what a grading costs. So they stay, and
what a submission brought goes, until everything in the namespace is as it was before: the same objects, the same
Pods, not one restart. A namespace that isn't is given up. (What can't be seen, a program talked into a bad state, is
the caller's to find out: whoever fails in a used namespace is only believed once somebody else passes there.)
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError
from hello_k8s.grading.waiting import eventually
from hello_k8s.machine.kubeapi import KubeApi

#: What the ClusterRole `edit` lets a submission make, and what controllers make of it.
KINDS = (
    "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "ReplicationController", "ReplicaSet", "Pod",
    "Service", "EndpointSlice", "Ingress", "NetworkPolicy", "HorizontalPodAutoscaler", "PodDisruptionBudget",
    "ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim", "Lease",
)  # fmt: skip
#: Seconds that what a submission brought may take to go; a namespace that takes longer is given up.
_CLEAN_SECONDS = 15.0
#: What takes a moment to go, owners first; and what is gone as soon as it is deleted.
_SLOW = ("ReplicaSet", "Pod", "EndpointSlice")
_AT_ONCE = ("Deployment", "Service", "ConfigMap", "Secret")
#: Seconds between two looks: a Pod takes two to end, and says so in many events.
_LOOK_SECONDS = 0.4
#: How often is looked for what came while the rest was being removed.
_ROUNDS = 4
#: Seconds that a Pod is given to end. Its end is waited for: a Pod that is only forgotten still answers.
_GRACE_SECONDS = 1

Snapshot = Mapping[tuple[str, str], tuple[Any, ...]]


class Slot:
    """One such namespace, called `name`. `user` is the API as a submission in it may use it."""

    def __init__(self, lab: Lab, api: KubeApi) -> None:
        self.lab = lab
        self.api = api
        self.name = f"{lab.namespace}-{secrets.token_hex(4)}"
        self.user: KubeApi | None = None
        self._before: Snapshot = {}

    def remember(self, user: KubeApi) -> None:
        """What is in it now is how it has to be found again."""
        self.user = user
        self._before = self._snapshot()

    def clean(self, brought: Iterable[Mapping[str, Any]] = ()) -> bool:
        """Remove what isn't the lab's, `brought` first; whether everything is as it was. Never raises."""
        new = {(obj["kind"], obj["metadata"]["name"]) for obj in brought} - self._before.keys()
        deleted: set[tuple[str, str]] = set()
        try:
            for _ in range(_ROUNDS):
                self._remove(new, deleted)
                self._wait_until_gone((*_SLOW, *sorted({kind for kind, _ in new} - {*_SLOW, *_AT_ONCE})), deleted)
                now = self._snapshot()
                if now == self._before:
                    return True
                new = now.keys() - self._before.keys()
        except (AssertionError, HelloError):
            pass
        return False

    def _wait_until_gone(self, kinds: Sequence[str], deleted: set[tuple[str, str]]) -> None:
        """Until there is no object of `kinds` that wasn't there before. Raises AssertionError if one stays."""

        def gone() -> None:
            there = {(kind, obj["metadata"]["name"]) for kind in kinds for obj in self.api.list(kind, self.name)}
            new = there - self._before.keys()
            self._remove(new, deleted)
            assert not new

        eventually(gone, _CLEAN_SECONDS, self.api, self.name, kinds, rest=_LOOK_SECONDS)

    def _remove(self, objects: Iterable[tuple[str, str]], deleted: set[tuple[str, str]]) -> None:
        """Delete those to which no controller sees, owners before what they own, each once."""
        for kind in KINDS:
            for each in {each for each in objects if each[0] == kind and kind != "EndpointSlice"} - deleted:
                self._delete(*each)
                deleted.add(each)

    def _delete(self, kind: str, name: str) -> None:
        body: dict[str, Any] = {"propagationPolicy": "Background"}
        if kind == "Pod":
            body["gracePeriodSeconds"] = _GRACE_SECONDS
        self.api.request("DELETE", self.api.resource(kind).path(self.name, name), body=body)

    def _snapshot(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        found = ((kind, obj) for kind in KINDS for obj in self.api.list(kind, self.name))
        return {(kind, obj["metadata"]["name"]): _state(kind, obj) for kind, obj in found if not _is_the_clusters(obj)}

    def discard(self) -> None:
        """Delete the namespace; goes on by itself."""
        with contextlib.suppress(HelloError):
            self.api.delete("Namespace", self.name)


def _is_the_clusters(obj: Mapping[str, Any]) -> bool:
    """Whether the cluster puts it into every namespace, a moment after it was made."""
    return bool(obj["metadata"]["name"] == "kube-root-ca.crt")


def _state(kind: str, obj: Mapping[str, Any]) -> tuple[Any, ...]:
    """What of an object mustn't have changed: who it is, what is asked of it, and of a Pod that nothing befell it."""
    metadata = obj["metadata"]
    labels = tuple(sorted((metadata.get("labels") or {}).items()))
    if kind == "Pod":
        statuses = obj["status"].get("containerStatuses", ())
        restarts = tuple((s["containerID"], s["restartCount"], s["ready"]) for s in statuses if "containerID" in s)
        return metadata["uid"], labels, restarts, "deletionTimestamp" in metadata
    if kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "EndpointSlice"):
        return metadata["uid"], labels, metadata.get("generation")
    return metadata["uid"], labels, metadata.get("resourceVersion")


def keeps(lab: Lab) -> bool:
    """Whether the lab's own objects are the same for every submission: not where they run what was just built."""
    return lab.on_cluster and not (lab.replay.build and lab.replay.given)
