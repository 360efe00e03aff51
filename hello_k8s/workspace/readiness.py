"""What a lab needs of the machine, made ready: its images, and for a cluster lab its cluster and namespace."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hello_k8s import files, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import ClusterError, MachineError
from hello_k8s.language import t
from hello_k8s.progress import Progress

#: An image that usually takes longer to build (seconds) is left to `./hello-k8s start`.
QUICK = 120
#: What a submission may not make, but the learner can at the live cluster.
_LIVE_ONLY = ("Role", "RoleBinding", "LimitRange", "ResourceQuota")
#: What in an object's metadata the API server alone writes; with it an object can't be made again.
_SERVERS = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip
#: The labels by which a Job finds its Pods: the server writes them, and refuses another Job's.
_JOB_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")

if TYPE_CHECKING:
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.engine import Engine
    from hello_k8s.machine.kubeapi import KubeApi


def wake(lab: Lab, progress: Progress) -> None:
    """Before a check: resume a paused cluster. Raises MachineError, with the next command, where there is none."""
    if not lab.on_cluster:
        return
    from hello_k8s.machine.cluster import Cluster

    cluster = Cluster()
    status = cluster.attach()
    if status == "paused":
        with progress.step(t("lab.step_resume"), 2):
            cluster.resume()
    elif status != "running":
        raise MachineError(t("lab.no_cluster", status=t(f"lab.cluster.{status}")), next=t("lab.no_cluster_next"))


def prepare(lab: Lab, progress: Progress) -> None:
    """After `lab start`: images present; cluster up, namespace made, the lab's own manifests applied.

    Brings the cluster up only where its images are here already; building them is `./hello-k8s start`'s work.
    Raises MachineError, EngineError or ClusterError.
    """
    cluster = machine(lab, progress)
    if cluster:
        _make_namespace(lab, cluster, progress)


def machine(lab: Lab, progress: Progress) -> Cluster | None:
    """What grading `lab` needs: its images, and for a cluster lab the cluster (returned) with them on its nodes."""
    from hello_k8s.machine import images, install
    from hello_k8s.machine.engine import user_engine

    engine = user_engine()
    if not engine.answers():
        raise MachineError(t("lab.no_engine"), next=t("lab.no_engine_next"))
    _refuse_to_build(["node", "probe", *lab.images] if lab.on_cluster else ["engine", *lab.images], engine)
    refs = images.ensure(lab.images, engine, progress, upstream_names=install.installed_by_us())
    if not lab.on_cluster:
        return None
    cluster = _running_cluster(engine, progress)
    if "docker" not in lab.needs:  # else it builds from them, and its own image goes to the nodes
        cluster.load(refs.values(), engine, progress)
    return cluster


def _refuse_to_build(names: Sequence[str], engine: Engine) -> None:
    from hello_k8s.machine import images

    def far(plan: images.Plan) -> bool:
        return plan.way == "impossible" or (plan.way == "build" and plan.image.usual_seconds > QUICK)

    missing = [plan.image.id for plan in images.plan(names, engine) if far(plan)]
    if missing:
        raise MachineError(t("lab.images_missing", names=", ".join(missing)), next=t("lab.no_engine_next"))


def _running_cluster(engine: Engine, progress: Progress) -> Cluster:
    from hello_k8s.machine import images, install
    from hello_k8s.machine.cluster import Cluster

    cluster = Cluster()
    if cluster.attach() != "running":
        own = install.installed_by_us()
        cluster.up(progress, images.ensure(["node", "probe"], engine, progress, upstream_names=own)["node"])
    return cluster


def _make_namespace(lab: Lab, cluster: Cluster, progress: Progress) -> None:
    from hello_k8s.grading.replay import apply_given
    from hello_k8s.process import run

    with progress.step(t("lab.step_namespace", namespace=lab.namespace), 5):
        cluster.prepare_namespace(lab.namespace, labels={})
        apply_given(lab, cluster.api(), lab.namespace)
        current = ["kubectl", "config", "set-context", cluster.context, f"--namespace={lab.namespace}"]
        run(current, env=cluster.environment(), timeout=30)


def refresh(lab: Lab, progress: Progress) -> Path | None:
    """After `lab reset`: delete the lab's namespace and make it anew; returns where its objects were written first.

    Where there is no cluster there is nothing to do: `lab start` makes the namespace. Raises MachineError where there
    is one that doesn't run, since the old namespace is in it still; ApiError, ClusterError or OSError, having deleted
    nothing, where an object can't be read or written.
    """
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.kubeapi import NotYet

    cluster = Cluster()
    if cluster.status() == "paused":
        cluster.resume()
    status = cluster.attach()
    if status == "absent":
        return None
    if status != "running":
        raise MachineError(t("lab.reset_halfway", status=t(f"lab.cluster.{status}")), next=t("lab.reset_halfway_next"))
    kept = _keep_live(lab, cluster.api())
    try:
        with progress.step(t("lab.step_delete_namespace", namespace=lab.namespace), 15):
            cluster.api().delete("Namespace", lab.namespace, None, wait=True)
    except NotYet as late:
        raise ClusterError(
            t("lab.still_deleting", namespace=lab.namespace), next=t("lab.still_deleting_next", lab=lab.id)
        ) from late
    _make_namespace(lab, cluster, progress)
    return kept


def _keep_live(lab: Lab, api: KubeApi) -> Path:
    import yaml

    from hello_k8s.grading.slots import KINDS

    found = [obj for kind in (*KINDS, *_LIVE_ONLY) for obj in api.list(kind, lab.namespace) if not _is_owned(obj)]
    items = [_appliable(obj) for obj in found]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}, allow_unicode=True, sort_keys=False)
    kept = paths.workspace() / ".kept" / time.strftime("%Y%m%d-%H%M%S") / lab.id / "live.yaml"
    return files.write(kept, text, mode=0o600)  # there are Secrets in it


def _appliable(obj: Mapping[str, Any]) -> dict[str, Any]:
    """`obj` as `kubectl apply` takes it in a new namespace: without what only the server can have written."""
    kept = copy.deepcopy({key: value for key, value in obj.items() if key != "status"})
    for name in _SERVERS:
        kept["metadata"].pop(name, None)
    if obj["kind"] == "Job" and not kept.get("spec", {}).get("manualSelector"):
        spec = kept.get("spec", {})
        spec.pop("selector", None)
        for metadata in (kept["metadata"], spec.get("template", {}).get("metadata") or {}):
            for name in _JOB_LABELS:
                (metadata.get("labels") or {}).pop(name, None)
    return kept


def _is_owned(obj: Mapping[str, Any]) -> bool:
    """Whether a controller makes it, out of another object that is kept."""
    return any(owner.get("controller") for owner in obj["metadata"].get("ownerReferences", ()))
