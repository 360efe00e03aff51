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
from fractions import Fraction
from typing import Any

from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError
from hello_k8s.grading.verdict import Unmet
from hello_k8s.grading.waiting import eventually
from hello_k8s.language import both
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.quantity import amount

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
#: What a controller takes for its own where the labels fit and nobody else owns it.
_ADOPTED = ("Pod", "ReplicaSet")
#: What of an object isn't what was asked for, and what the cluster itself may fill in later.
_BESIDE_THE_POINT = ("apiVersion", "kind", "metadata", "status")
_FILLED_IN = ("nodeName", "volumeName")

Snapshot = Mapping[tuple[str, str], tuple[Any, ...]]


class Slot:
    """One such namespace, called `name`. `user` is the API as a submission in it may use it."""

    def __init__(self, lab: Lab, api: KubeApi) -> None:
        self.lab = lab
        self.api = api
        self.name = f"{lab.namespace}-{secrets.token_hex(4)}"
        self.user: KubeApi | None = None
        self._before: Snapshot = {}
        self._given: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._used: dict[str, Fraction] = {}

    def remember(self, user: KubeApi, given: Iterable[Mapping[str, Any]] = ()) -> None:
        """What is in it now is how it has to be found again; `given` of it are the lab's own objects."""
        self.user = user
        self._before = self._snapshot()
        titles = {(obj["kind"], obj["metadata"]["name"]) for obj in given}
        self._given = {key: obj for key, obj in self._there({kind for kind, _ in titles}).items() if key in titles}
        self._used = self._quota()

    @property
    def own_pods(self) -> set[str]:
        """The names of the Pods that were in it before any submission."""
        return {name for kind, name in self._before if kind == "Pod"}

    @property
    def made_of_given(self) -> set[str]:
        """The titles of what controllers have made of the lab's own objects: their names follow from what is given."""
        return {f"{kind}/{name}" for kind, name in self._before if kind in (*_ADOPTED, "Job")}

    def tampered(self, brought: Iterable[Mapping[str, Any]]) -> Exception | None:
        """The Unmet that says which of the lab's own objects `brought` has changed since they were applied, directly
        or through a controller; None where it hasn't, the HelloError that kept us from seeing it.
        """
        try:
            changed = self._changed(brought)
        except HelloError as unseen:
            return unseen
        if not changed:
            return None
        evidence = [f"{title}: {what}" for title, what in changed.items()]
        return Unmet(both("grading.given_changed", objects=", ".join(f"`{title}`" for title in changed)), (), evidence)

    def _changed(self, brought: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Only what nothing but a submission does: a Pod of a workload that a node lost is none of it."""
        if not self._given:
            return {}
        keys = {(obj["kind"], obj["metadata"]["name"]) for obj in brought if obj["kind"] in _ADOPTED}
        now = self._there({kind for kind, _ in self._given.keys() | keys})
        found = {}
        for key, before in self._given.items():
            if what := _difference(before, now.get(key)):
                found["/".join(key)] = what
        titles = {state[0]: "/".join(key) for key, state in self._before.items()}
        for key in (keys & now.keys()) - self._given.keys():
            for uid in titles.keys() & set(_owners(now[key])):
                found[titles[uid]] = f"owns {'/'.join(key)}"
        return found

    def _there(self, kinds: Iterable[str]) -> dict[tuple[str, str], dict[str, Any]]:
        return {(kind, obj["metadata"]["name"]): obj for kind in kinds for obj in self.api.list(kind, self.name)}

    def _quota(self) -> dict[str, Fraction]:
        """What counts as used in this namespace."""
        return {
            f"{quota['metadata']['name']} {what}": amount(used)
            for quota in self.api.list("ResourceQuota", self.name)
            for what, used in quota.get("status", {}).get("used", {}).items()
        }

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
                    self._wait_for_quota()
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

    def _wait_for_quota(self) -> None:
        """Until what is gone doesn't count any more: the next submission would be refused for it."""

        def counted() -> None:
            assert all(used <= self._used.get(what, used) for what, used in self._quota().items())

        eventually(counted, _CLEAN_SECONDS, self.api, self.name, ("ResourceQuota",), rest=_LOOK_SECONDS)

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
    labels = (tuple(sorted((metadata.get("labels") or {}).items())), _owners(obj))
    if kind == "Pod":
        statuses = obj["status"].get("containerStatuses", ())
        restarts = tuple((s["containerID"], s["restartCount"], s["ready"]) for s in statuses if "containerID" in s)
        return metadata["uid"], labels, restarts, "deletionTimestamp" in metadata
    if kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "EndpointSlice"):
        return metadata["uid"], labels, metadata.get("generation")
    return metadata["uid"], labels, metadata.get("resourceVersion")


def _owners(obj: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(owner.get("uid", "") for owner in obj["metadata"].get("ownerReferences") or ()))


def _difference(before: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    """What of an object was changed that only a person or a controller of somebody's changes; empty if nothing was."""
    if now is None:
        return "deleted"
    if now["metadata"]["uid"] != before["metadata"]["uid"]:
        return "replaced"
    if _owners(now) != _owners(before):
        owners = now["metadata"].get("ownerReferences") or ()
        return "owned by " + (", ".join(f"{owner['kind']}/{owner['name']}" for owner in owners) or "nobody")
    was, is_ = _asked(before), _asked(now)
    return ", ".join(sorted(field for field in was.keys() | is_.keys() if was.get(field) != is_.get(field)))


def _asked(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of an object, field by field."""
    found = {key: value for key, value in obj.items() if key not in (*_BESIDE_THE_POINT, "spec")}
    spec = obj.get("spec") or {}
    return {**found, **{f"spec.{key}": value for key, value in spec.items() if key not in _FILLED_IN}}


def keeps(lab: Lab) -> bool:
    """Whether the lab's own objects are the same for every submission: not where they run what was just built."""
    return lab.on_cluster and not (lab.replay.build and lab.replay.given)
