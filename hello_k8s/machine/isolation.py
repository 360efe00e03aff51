"""What keeps a submission in its namespace: admission policies, and rules of the nodes for its Pods. Once a cluster."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hello_k8s.errors import ClusterError
from hello_k8s.language import both, t
from hello_k8s.machine import kindconfig
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.kubeapi import ApiError, KubeApi, NotYet
from hello_k8s.machine.nodes import Node
from hello_k8s.machine.traffic import network_is_ours

Object = dict[str, Any]

#: On every namespace of a lab, the learner's and those of replays (data/namespace.yaml).
LAB_LABEL = "hello-k8s.org/lab"
#: On the throw-away namespace of a submission.
REPLAY_LABEL = "hello-k8s.org/replay"
#: Who applies a submission's manifests: the user `submitter(namespace)`, in this group, by data/admission.yaml.
SUBMISSIONS = "hello-k8s.org:submissions"
_NAMESPACE = "hello-k8s-system"
_MARK = "isolation"
_ACTIVE_SECONDS = 30
_FILES = {
    "opt/cni/bin/hello-k8s-isolation": ("cni-isolation.sh", 0o755),
    "etc/cni/hello-k8s.nft": ("isolation.nft", 0o644),
    "kind/hello-k8s-kubelet.yaml": ("kind.yaml", 0o644),
    # the node's rules are gone when it is started again: it brings them back itself
    "kind/hello-k8s-isolate.sh": ("isolate-node.sh", 0o755),
    "etc/systemd/system/hello-k8s-isolation.service": ("isolate-node.service", 0o644),
    "kind/hello-k8s-share-processor.sh": ("share-processor.sh", 0o755),
    "etc/systemd/system/hello-k8s-share-processor.service": ("share-processor.service", 0o644),
}
_REFUSED = re.compile(r"\[hello-k8s: (\w+)\]")


def submitter(namespace: str) -> str:
    """The user as whom a submission is applied in `namespace`."""
    return f"system:serviceaccount:{namespace}:submission"


def refusal(message: str) -> dict[str, str] | None:
    """What one of our policies said in `message` (the API server's, or an event's), in both languages."""
    found = _REFUSED.search(message)
    return both(f"isolation.policy.{found[1]}") if found else None


@functools.cache
def policies() -> list[Object]:
    """The objects of data/admission.yaml with their messages put in, and a binding for each policy."""
    found: list[Object] = []
    for obj in kindconfig.objects("admission.yaml"):
        found.append(obj)
        if obj["kind"] != "ValidatingAdmissionPolicy":
            continue
        for rule in obj["spec"]["validations"]:
            key = rule["message"]
            rule["message"] = f"{both(f'isolation.policy.{key}')['en']} [hello-k8s: {key}]"
        found.append(
            {
                "apiVersion": obj["apiVersion"],
                "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": obj["metadata"]["name"]},
                "spec": {"policyName": obj["metadata"]["name"], "validationActions": ["Deny"]},
            }
        )
    return found


def version() -> str:
    """Changes with everything that `ensure` would bring onto a cluster."""
    digest = hashlib.sha256(json.dumps(policies(), sort_keys=True).encode())
    for name, _ in _FILES.values():
        digest.update((kindconfig.DATA / name).read_bytes())
    return digest.hexdigest()[:16]


def ensure(api: KubeApi, engine: Engine, nodes: Sequence[Node]) -> str:
    """Bring policies and rules onto a cluster that hasn't this version's; one request where it has.

    Returns the API server's address where the Pod network enforces NetworkPolicy and replay namespaces need one,
    else nothing. Raises ClusterError where the policies don't take effect, CommandFailed for a node that refuses.
    """
    mark = api.read("ConfigMap", _MARK, _NAMESPACE)
    wanted = {"version": version(), "nodes": ",".join(node.id[:12] for node in nodes)}
    if mark is not None and wanted.items() <= mark["data"].items():
        return str(mark["data"]["api"])
    for obj in policies():
        api.apply(obj)
    api.apply(kindconfig.objects("probe.yaml")[0])  # the namespace of what is ours
    address = "" if _isolate_nodes(api, engine, nodes) else _api_address(api)
    _wait_until_active(api)
    api.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _MARK}, "data": {**wanted, "api": address}},
        _NAMESPACE,
    )
    return address


def _isolate_nodes(api: KubeApi, engine: Engine, nodes: Sequence[Node]) -> bool:
    """Install the plugin and its rules on every node; False where the Pod network isn't ours."""
    if not network_is_ours(api):
        return False
    words = {"POD_SUBNET": _pod_subnet(api), "DNS": _service(api, "kube-dns", "kube-system")}
    words["API"] = _service(api, "kubernetes", "default")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for target, (name, mode) in _FILES.items():
            text = kubelet_bounds() if name == "kind.yaml" else kindconfig.text(name, **words if mode == 0o644 else {})
            info = tarfile.TarInfo(target)
            info.mode, info.size = mode, len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    for node in nodes:
        # `docker cp` wouldn't follow /opt/cni/bin, which is a link on our nodes
        engine.run(
            "exec", "-i", node.name, "tar", "-C", "/", "--keep-directory-symlink", "-x", input=archive.getvalue()
        )
        engine.run("exec", node.name, "bash", "/kind/hello-k8s-isolate.sh")
        services = [f"hello-k8s-{name}.service" for name in ("isolation", "share-processor")]
        engine.run("exec", node.name, "systemctl", "enable", "--quiet", *services)
        engine.run("exec", node.name, "systemctl", "restart", services[-1])
    return True


def kubelet_bounds() -> str:
    """The bounds on a Pod in data/kind.yaml, as lines of a kubelet's configuration."""
    lines = (kindconfig.DATA / "kind.yaml").read_text().splitlines()
    return "".join(f"{line.strip()}\n" for line in lines if re.match(r"\s+(podPidsLimit|containerLog\w+):", line))


def _pod_subnet(api: KubeApi) -> str:
    import yaml

    found = api.read("ConfigMap", "kubeadm-config", "kube-system") or {"data": {"ClusterConfiguration": "{}"}}
    configuration = yaml.safe_load(found["data"]["ClusterConfiguration"])
    return str(configuration["networking"]["podSubnet"])


def _service(api: KubeApi, name: str, namespace: str) -> str:
    return str(api.get(f"/api/v1/namespaces/{namespace}/services/{name}")["spec"]["clusterIP"])


def _api_address(api: KubeApi) -> str:
    slices = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
    return str(slices["endpoints"][0]["addresses"][0])


def wait_for_quota(api: KubeApi, namespace: str) -> None:
    """Until the quota of `namespace` binds: the API server enforces what is in its status, which its controller writes
    a moment later (ResourceQuota v1), and lets everything in until then. Raises ClusterError.
    """

    def binds(quota: Mapping[str, Any]) -> bool:
        return quota["spec"]["hard"].keys() <= quota.get("status", {}).get("hard", {}).keys()

    try:
        api.wait("ResourceQuota", "hello-k8s", namespace, binds, _ACTIVE_SECONDS)
    except NotYet as late:
        raise ClusterError(
            t("isolation.not_active", seconds=_ACTIVE_SECONDS), why=str(late), next=t("cluster.not_created_next")
        ) from late


def _wait_until_active(api: KubeApi) -> None:
    """Until the API server refuses what no submission may do: it takes a new policy into use a moment later."""
    stranger = api.as_user(submitter("nowhere"), SUBMISSIONS)
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello-k8s-stranger"}}
    deadline = time.monotonic() + _ACTIVE_SECONDS
    while time.monotonic() < deadline:
        try:
            stranger.create(probe, "default", dry_run=True)
        except ApiError as refused:
            if refusal(refused.message) is not None:
                return
        time.sleep(0.1)  # nothing tells that a policy is in use
    raise ClusterError(t("isolation.not_active", seconds=_ACTIVE_SECONDS), next=t("cluster.not_created_next"))
