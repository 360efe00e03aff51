"""From a kind to its path in the API: the usual kinds are known, others are asked for once and remembered."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# kind:plural, `*` behind the cluster-scoped ones. What an API server says at /api/v1 and /apis/<group>/<version>.
_KNOWN = {
    "v1": "Pod:pods Service:services ConfigMap:configmaps Secret:secrets ServiceAccount:serviceaccounts Event:events "
    "PersistentVolumeClaim:persistentvolumeclaims ReplicationController:replicationcontrollers "
    "ResourceQuota:resourcequotas LimitRange:limitranges Endpoints:endpoints PodTemplate:podtemplates "
    "Namespace:namespaces* Node:nodes* PersistentVolume:persistentvolumes*",
    "apps/v1": "Deployment:deployments ReplicaSet:replicasets DaemonSet:daemonsets StatefulSet:statefulsets",
    "batch/v1": "Job:jobs CronJob:cronjobs",
    "discovery.k8s.io/v1": "EndpointSlice:endpointslices",
    "networking.k8s.io/v1": "Ingress:ingresses NetworkPolicy:networkpolicies IngressClass:ingressclasses*",
    "rbac.authorization.k8s.io/v1": "Role:roles RoleBinding:rolebindings ClusterRole:clusterroles* "
    "ClusterRoleBinding:clusterrolebindings*",
    "autoscaling/v2": "HorizontalPodAutoscaler:horizontalpodautoscalers",
    "policy/v1": "PodDisruptionBudget:poddisruptionbudgets",
    "storage.k8s.io/v1": "StorageClass:storageclasses*",
    "scheduling.k8s.io/v1": "PriorityClass:priorityclasses*",
    "coordination.k8s.io/v1": "Lease:leases",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition:customresourcedefinitions*",
}
#: Seconds for which what a server said of its kinds is still true: a manifest may name any number that it hasn't.
_ASK_AGAIN = 5.0
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Resource:
    """Where the objects of one kind live."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """The URL path of the collection (in all namespaces without one), or of the object called `name`."""
        base = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{base}{within}/{self.plural}" + (f"/{name}" if name else "")


def _known() -> list[Resource]:
    found = []
    for version, kinds in _KNOWN.items():
        for entry in kinds.split():
            kind, plural = entry.split(":")
            found.append(Resource(version, kind, plural.rstrip("*"), not plural.endswith("*")))
    return found


class Kinds:
    """What kinds one server has. `get(path, accept=…)` asks it; `cache` is the folder that remembers its answer."""

    def __init__(self, get: Callable[..., Any], server: str, cache: Path | None) -> None:
        self._get = get
        digest = hashlib.sha256(server.encode()).hexdigest()[:12]
        self._file = cache / f"discovery-{digest}.json" if cache else None
        self._resources = _known()
        self._asked_at: float | None = None

    def find(self, kind: str, api_version: str | None = None) -> Resource | None:
        """The resource of `kind` (in `api_version`), None where the server has (or, seconds ago, had) no such kind."""
        for more in (self._remembered, self._asked):
            if found := self._among(kind, api_version):
                return found
            self._resources += [resource for resource in more() if resource not in self._resources]
        return self._among(kind, api_version)

    def _among(self, kind: str, api_version: str | None) -> Resource | None:
        fits = (r for r in self._resources if r.kind == kind and api_version in (None, r.api_version))
        return next(fits, None)

    def _remembered(self) -> list[Resource]:
        try:
            return [Resource(*entry) for entry in json.loads(self._file.read_text())] if self._file else []
        except (OSError, ValueError, TypeError):
            return []

    def _asked(self) -> list[Resource]:
        if self._asked_at is not None and time.monotonic() - self._asked_at < _ASK_AGAIN:
            return []
        found = []
        for path in ("/api", "/apis"):
            for group in self._get(path, accept=_DISCOVERY).get("items", ()):
                for version in group["versions"]:
                    name = group["metadata"].get("name")
                    api_version = f"{name}/{version['version']}" if name else version["version"]
                    for entry in version.get("resources", ()):
                        kind = entry.get("responseKind", {}).get("kind")
                        if kind:
                            scoped = entry.get("scope") == "Namespaced"
                            found.append(Resource(api_version, kind, entry["resource"], scoped))
        self._asked_at = time.monotonic()
        if self._file:
            self._file.write_text(json.dumps([[r.api_version, r.kind, r.plural, r.namespaced] for r in found]))
        return found
