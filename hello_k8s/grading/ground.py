"""What a grading stands on: the cluster and its API, the nested engine, the lab's images on the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hello_k8s.catalog import Lab
from hello_k8s.errors import ClusterError
from hello_k8s.grading.slots import Slot, keeps
from hello_k8s.language import t
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.kubeapi import KubeApi
    from hello_k8s.machine.nested import Nested


class Ground:
    """Found when it is first needed. A class keeps one for many gradings, and takes a new one after a failure of ours:
    what was true of the machine then isn't any more.
    """

    def __init__(self, nested: Nested | None = None, progress: Progress = SILENT, *, slots: bool = False) -> None:
        """`slots`: a lab's throw-away namespace is kept for its next submission."""
        self.progress = progress
        self._nested = nested
        self._on_nodes: set[str] = set()
        self._keep = slots
        self._slots: dict[str, Slot] = {}

    @property
    def nested(self) -> Nested:
        if self._nested is None:
            from hello_k8s.machine.nested import learner_engine

            self._nested = learner_engine()
        return self._nested

    @cached_property
    def cluster(self) -> Cluster:
        from hello_k8s.machine.cluster import Cluster

        return Cluster()

    @cached_property
    def api(self) -> KubeApi:
        """The cluster's API; a paused cluster is resumed. Raises ClusterError where there is none."""
        status = self.cluster.status()
        if status == "paused":
            self.cluster.resume()
        elif status != "running":
            raise ClusterError(t("grading.no_cluster", status=status), next=t("grading.no_cluster_next"))
        return self.cluster.api()

    def load_images(self, lab: Lab) -> None:
        """The images that the lab's own manifests name, on every node."""
        from hello_k8s.machine import images, install

        missing = [name for name in lab.images if name not in self._on_nodes]
        if not missing:
            return
        own = install.installed_by_us()
        refs = images.ensure(missing, self.cluster.engine, self.progress, upstream_names=own)
        self.cluster.load(refs.values(), self.cluster.engine, self.progress)
        self._on_nodes.update(missing)

    # -- namespaces

    def slot(self, lab: Lab) -> Slot | None:
        """The namespace that the lab's last submission left as it had found it."""
        return self._slots.get(lab.id)

    def keep(self, slot: Slot, brought: Iterable[Mapping[str, Any]]) -> None:
        """Use `slot` again if all that was `brought` into it can be removed, or delete it."""
        if self._keep and keeps(slot.lab) and slot.clean(brought):
            self._slots[slot.lab.id] = slot
        else:
            self.discard(slot)

    def discard(self, slot: Slot) -> None:
        """Never use `slot` again."""
        self._slots.pop(slot.lab.id, None)
        slot.discard()

    def close(self) -> None:
        """Delete every namespace that is kept."""
        for slot in list(self._slots.values()):
            self.discard(slot)
