"""Manifests that want out of their namespace, or more than their share: the verdict, what is told, and who notices.

What they aim at are this machine's own nodes, Pods and addresses, in bounded loops.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import paths
from hello_k8s.catalog import Lab, read_lab
from hello_k8s.grading import Result, grade
from hello_k8s.grading.waiting import eventually
from hello_k8s.machine.cluster import PROBE_POD, SYSTEM_NAMESPACE, Cluster
from hello_k8s.machine.isolation import REPLAY_LABEL
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.ready import is_ready
from tests.cluster.conftest import APP, SHELL, wait_for_submissions_to_go

pytestmark = pytest.mark.cluster

LAB = "ch2/service"
#: Seconds that no submission may take here, on a busy machine.
PATIENCE = 90


@pytest.fixture
def lab(settled: Cluster, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("HELLO_K8S_CLUSTER", settled.name)
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    return read_lab(paths.LABS / LAB, paths.LABS)


def graded(lab: Lab, tmp_path: Path, *more: str, back: str = "", front: str = "", patience: float = PATIENCE) -> Result:
    """The solution with other files in place of its own, and documents added to back.yaml."""
    for name, text in (("back.yaml", back), ("front.yaml", front)):
        (tmp_path / name).write_text(text or (lab.solution / name).read_text())
    with (tmp_path / "back.yaml").open("a") as file:
        file.writelines(f"\n---\n{document}" for document in more)
    result = grade(lab, tmp_path, kind="submission")
    assert all(check.verdict in ("passed", "failed") for check in result.checks), result.to_json()
    assert result.seconds < patience
    return result


def told(result: Result, language: str = "en") -> str:
    return "\n".join(text[language] for check in result.checks for text in (check.message, *check.diagnosis))


def pod(name: str, spec: str = "", container: str = "", image: str = APP) -> str:
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n"
        f"{spec}  containers: [{{name: c, image: {image}, imagePullPolicy: IfNotPresent{container}}}]\n"
    )


#: No other Pod on the same node.
ALONE = (
    "  affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: "
    "[{{{}labelSelector: {{}}, topologyKey: kubernetes.io/hostname}}]}}}}\n"
)
OUT_OF_THE_NAMESPACE = {
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: kube-system}}": "says namespace `kube-system`",
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: evil},"
    " roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin},"
    " subjects: [{kind: ServiceAccount, name: default, namespace: ch2-service}]}": "`ClusterRoleBinding/evil` is",
    "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: as.b.c}, spec: {}}":
        "`CustomResourceDefinition/as.b.c` is an object of the whole cluster",
    "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: w}}":
        "`ValidatingWebhookConfiguration/w` is an object of the whole cluster",
    "{apiVersion: v1, kind: Namespace, metadata: {name: mine}}": "`Namespace/mine` is an object of the whole cluster",
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}, rules: []}": "may not create `Role/r`",
    "{apiVersion: v1, kind: ResourceQuota, metadata: {name: hello-k8s}, spec: {hard: {pods: 9k}}}": "may not create `",
    "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: ExternalName, externalName: a.kube-system}}":
        "type ExternalName is refused",
    "{apiVersion: v1, kind: Service, metadata: {name: t}, spec: {ports: [{port: 80}], externalIPs: [10.96.0.10]}}":
        "take other people's traffic",
    "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e}, addressType: IPv4, ports: [],"
    " endpoints: [{addresses: [10.96.0.1]}]}": "may not create `EndpointSlice/e`",
    "{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: []}": "may not create `Endpoints/e`",
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: b, finalizers: [evil.example/never]}}": "never be deleted",
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, finalizers: [kubernetes.io/pvc-protection]}}":
        "never be deleted",
    "{apiVersion: v1, kind: Service, metadata: {name: u, finalizers: [service.kubernetes.io/load-balancer-cleanup]},"
    " spec: {ports: [{port: 80}]}}": "never be deleted",
    "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: d}, spec: {accessModes: [ReadWriteOnce],"
    " resources: {requests: {storage: 1Gi}}}}": "none needs a disk of its own",
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: $(reboot)}}": "a lowercase RFC 1123 subdomain",
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: -o}}": "a lowercase RFC 1123 subdomain",
}  # fmt: skip
OFF_THE_NODE = {
    pod("p1", container=", securityContext: {privileged: true}"): "violates PodSecurity",
    pod("p2", "  volumes: [{name: root, hostPath: {path: /}}]\n"): "violates PodSecurity",
    pod("p3", "  hostNetwork: true\n"): "violates PodSecurity",
    pod("p4", container=", ports: [{containerPort: 80, hostPort: 80}]"): "violates PodSecurity",
    pod("p5", container=", livenessProbe: {httpGet: {host: 127.0.0.1, port: 10248}}"): "violates PodSecurity",
    pod("p6", "  tolerations: [{operator: Exists}]\n"): "may not tolerate the control plane's taint",
    pod("p7", "  nodeName: hello-k8s-control-plane\n"): "`nodeName` is refused",
    pod("p8", "  priorityClassName: system-node-critical\n"): "for the cluster's own Pods",
    pod("p12", "  terminationGracePeriodSeconds: 999999\n"): "is refused above 120",
    pod("p9", "  volumes: [{name: n, nfs: {server: 127.0.0.1, path: /}}]\n"): "only these volumes are allowed",
    pod("p10", container=", resources: {requests: {cpu: 1001m}}"): "at most 1 CPU and 1Gi",
    pod("p11", container=", resources: {limits: {memory: 2Gi}}"): "at most 1 CPU and 1Gi",
    pod("p13", container=", resources: {requests: {memory: 1Mi}, limits: {memory: 2Gi}}"): "may be at most 1Gi here",
    pod("p14", container=", resources: {limits: {ephemeral-storage: 2Gi}}"): "may be at most 1Gi here",
    pod("p15", "  volumes: [{name: d, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce],"
        " resources: {requests: {storage: 1Gi}}}}}}]\n"): "none needs a disk of its own",
    pod("p16", ALONE.format("namespaceSelector: {}, ")): "other people's Pods off a node",
    pod("p17", ALONE.format("namespaces: [kube-system], ")): "other people's Pods off a node",
    pod("p18").replace("name: p18", "name: p18, finalizers: [batch.kubernetes.io/job-tracking]"): "never be deleted",
    "{apiVersion: batch/v1, kind: Job, metadata: {name: many}, spec: {parallelism: 60, completions: 60, template:"
    " {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}": "at most 20 Pods at a time",
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: many}, spec: {replicas: 1000, selector: {matchLabels:"
    " {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}}": "at most 20 rep",
    "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: all}, spec: {selector: {matchLabels: {a: b}}, template:"
    " {metadata: {labels: {a: b}, finalizers: [evil.example/x]}, spec: {containers: [{name: c, image: x}]}}}}":
        "could never be deleted",
}  # fmt: skip


@pytest.mark.parametrize("attacks", [OUT_OF_THE_NAMESPACE, OFF_THE_NODE], ids=["out of the namespace", "off the node"])
def test_an_attack_is_refused_and_says_why(lab: Lab, tmp_path: Path, running: Cluster, attacks: dict[str, str]) -> None:
    first, *others = attacks
    shell = "{apiVersion: v1, kind: ConfigMap, metadata: {name: '; rm -rf /'}}"
    result = graded(lab, tmp_path, *others, back=first, front=shell)
    assert result.earned == 0 and "'; rm -rf /' can't be the name of an object" in told(result)
    for document, said in attacks.items():
        assert said in told(result), (document, told(result))
    assert "거절했습니다" in told(result, "ko")


def test_what_would_collide_or_be_too_greedy_doesnt_hurt_who_is_right(
    lab: Lab, tmp_path: Path, running: Cluster, namespace: str
) -> None:
    """A node port that is taken, a log without end, a fork bomb, a hog: beside a right answer, which stays right."""
    taken = {"name": "taken", "namespace": namespace}
    ports = [{"port": 80, "nodePort": 30777}]
    running.api().apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": taken, "spec": {"type": "NodePort", "ports": ports}}
    )
    back = (lab.solution / "back.yaml").read_text().replace("- port: 80", "- nodePort: 30777\n      port: 80")
    greedy = {
        "flood": "yes | head -c 200000000",
        "bomb": "for i in {1..2000}; do sleep 60 & done; wait",
        "hog": "head -c 3000000000 /dev/zero | tail -c 2999999999 | wc -c",
    }
    pods = [
        pod(name, "  terminationGracePeriodSeconds: 0\n", f', command: ["bash", "-c", "{script}"]', SHELL)
        for name, script in greedy.items()
    ]
    back = back.replace("spec:", "spec:\n  type: NodePort", 1)
    result = graded(lab, tmp_path, *pods, back=back, patience=2 * PATIENCE)  # they keep the machine busy themselves
    assert result.passed, result.to_json()
    assert any("nodePort: 30777 → —" in line for line in result.rewrites)


def test_affinities_to_ones_own_pods_and_jobs_are_as_ever(lab: Lab, tmp_path: Path) -> None:
    job = (
        "{apiVersion: batch/v1, kind: Job, metadata: {name: once}, spec: {template: {spec: {restartPolicy: Never,"
        f" containers: [{{name: c, image: {SHELL}, command: ['true']}}]}}}}}}}}"
    )
    own = pod("near", ALONE.format("namespaces: [ch2-service], ").replace("podAnti", "pod"))
    result = graded(lab, tmp_path, job, own)
    assert result.passed and "refuses" not in told(result), result.to_json()


IMPOSTOR = """
use IO::Socket::INET;
my $name = `hostname`; chomp $name;
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 50, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    while (<$client>) { last if /^\\r?$/ }
    my $body = "hello, k8s! version 1.0.0 on $name\\n";
    print $client "HTTP/1.0 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\n\\r\\n$body";
    close $client;
}
"""


def test_what_answers_like_the_app_isnt_the_app(lab: Lab, tmp_path: Path) -> None:
    """Pods of one's own with the lab's labels and the very text that is looked for."""
    deployment: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "back-two"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "imp"}},
            "template": {
                "metadata": {"labels": {"app": "imp"}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "c", "image": SHELL, "command": ["perl", "-e", IMPOSTOR]}],
                },
            },
        },
    }
    back = (lab.solution / "back.yaml").read_text()
    back = re.sub(r"selector:\n(    .*\n)+", "selector: {app: imp}\n", back)
    result = graded(lab, tmp_path, json.dumps(deployment), back=back)
    wrong = {check.id for check in result.checks if not check.passed}
    assert {"every_ready_pod", "no_other_pod"} <= wrong, result.to_json()


def test_a_service_without_a_selector_leads_nowhere(lab: Lab, tmp_path: Path) -> None:
    slice = (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n"
        "metadata: {name: back-1, labels: {kubernetes.io/service-name: back}}\n"
        "ports: [{port: 6443}]\nendpoints: [{addresses: [127.0.0.1]}]\n"
    )
    back = "apiVersion: v1\nkind: Service\nmetadata: {name: back}\nspec: {ports: [{port: 80, targetPort: 8080}]}\n"
    result = graded(lab, tmp_path, slice, back=back)
    assert result.earned < result.possible / 2 and "may not create `EndpointSlice/back-1`" in told(result)


# -- what Pods reach


class Door:
    """Something that listens on this machine, at the nodes' gateway."""

    def __init__(self, address: str) -> None:
        self.socket = socket.create_server((address, 0))
        self.address, self.port = self.socket.getsockname()[:2]
        self.knocks = 0
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.knocks += 1


@pytest.fixture
def door(running: Cluster) -> Iterator[Door]:
    found = running.engine.container(running.nodes()[0])
    assert found is not None
    networks = found["NetworkSettings"]["Networks"]
    made = Door(next(iter(networks.values()))["Gateway"])
    yield made
    made.socket.close()


def start(api: KubeApi, namespace: str, name: str, node: str, image: str, *command: str) -> None:
    container = {"name": "c", "image": image, **({"command": command} if command else {})}
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def ended(api: KubeApi, namespace: str, name: str) -> str:
    """The log of a Pod that runs to its end; a submission's on a tenth of a processor, if it computes for long."""
    api.wait("Pod", name, namespace, lambda p: p["status"].get("phase") in ("Succeeded", "Failed"), 180)
    return api.logs(namespace, name, tail=500)


@pytest.fixture
def two(running: Cluster) -> Iterator[tuple[str, str]]:
    """The namespaces of two submissions, with an app on each worker and a Service in each."""
    api = running.api()
    names = ("ch2-service-aaaa1111", "ch2-service-aaab1111")  # alike in all but one digit
    try:
        for namespace in names:
            running.prepare_namespace(namespace, labels={REPLAY_LABEL: "true"})
            for number, node in enumerate(running.nodes()[1:]):
                start(api, namespace, f"app-{number}", node, APP)
            api.create(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "app", "namespace": namespace},
                    "spec": {
                        "type": "NodePort",
                        "selector": {"app": "app-1"},
                        "ports": [{"port": 80, "targetPort": 8080}],
                    },
                }
            )
        for namespace in names:
            for number in (0, 1):
                api.wait("Pod", f"app-{number}", namespace, is_ready, 120)
            wait_for_endpoints(api, namespace, "app")
        yield names
    finally:
        for namespace in names:
            api.delete("Namespace", namespace)
        wait_for_submissions_to_go(api)


def wait_for_endpoints(api: KubeApi, namespace: str, service: str) -> None:
    def leads_somewhere() -> bool:
        slices = api.list("EndpointSlice", namespace, {"kubernetes.io/service-name": service})
        return any(each["conditions"].get("ready") for found in slices for each in found.get("endpoints") or ())

    eventually(leads_somewhere, 60, api, namespace, ("EndpointSlice",))


def ip_of(api: KubeApi, namespace: str, name: str) -> str:
    found = api.read("Pod", name, namespace)
    assert found is not None
    return str(found["status"]["podIP"])


def targets(running: Cluster, mine: str, theirs: str, door: Door) -> tuple[dict[str, str], dict[str, str]]:
    """`name → host port`: what the Pods of `mine` may reach, and what they may not."""
    api = running.api()
    service = api.read("Service", "app", theirs)
    assert service is not None
    addresses = {node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in api.list("Node")}
    control_plane, one, two = (addresses[name] for name in running.nodes())
    gateways = [node["spec"]["podCIDR"].replace("0/24", "1") for node in api.list("Node")]
    open_ = {
        "own Pod, same node": f"{ip_of(api, mine, 'app-0')} 8080",
        "own Pod, other node": f"{ip_of(api, mine, 'app-1')} 8080",
        "own Service": "app 80",
        "API server": "kubernetes.default 443",
    }
    closed = {
        "their Pod, same node": f"{ip_of(api, theirs, 'app-0')} 8080",
        "their Pod, other node": f"{ip_of(api, theirs, 'app-1')} 8080",
        "their Service": f"{service['spec']['clusterIP']} 80",
        "their Service by name": f"app.{theirs} 80",
        **{f"their node port at {a}": f"{a} {service['spec']['ports'][0]['nodePort']}" for a in (one, two)},
        **{f"kubelet at {a}": f"{a} 10250" for a in (control_plane, one, two, *gateways)},
        "API server past its Service": f"{control_plane} 6443",
        "probe": f"{ip_of(api, SYSTEM_NAMESPACE, PROBE_POD)} 8080",
        "host": f"{door.address} {door.port}",
    }
    return open_, closed


def knock(open_: dict[str, str], closed: dict[str, str] | None = None) -> str:
    """A script that tries every target at the same time and says which opened: those that should are given the time
    that kube-proxy takes to write a new Service into the node's rules.
    """
    script = ""
    for tries, group in ((30, open_), (3, closed or {})):
        for name, host in group.items():
            once = f"timeout 2 bash -c '</dev/tcp/{host.replace(' ', '/')}' 2>/dev/null && echo '{name}' && break"
            script += f"(for i in {{1..{tries}}}; do {once}; sleep 1; done) &\n"
    return f"{script}wait\n"


def test_pods_reach_their_own_the_dns_and_the_api_server_only(
    running: Cluster, two: tuple[str, str], namespace: str, door: Door
) -> None:
    api = running.api()
    mine, theirs = two
    open_, closed = targets(running, mine, theirs, door)
    worker = running.nodes()[1]
    start(api, mine, "spy", worker, SHELL, "bash", "-c", knock(open_, closed))
    assert set(ended(api, mine, "spy").splitlines()) == set(open_)
    assert door.knocks == 0
    # They are all there: a Pod of the live namespace, whose network is nobody's business here, reaches every one.
    start(api, namespace, "guest", worker, SHELL, "bash", "-c", knock(closed))
    assert set(ended(api, namespace, "guest").splitlines()) == set(closed)


def test_a_pod_takes_its_share_and_no_more(running: Cluster, two: tuple[str, str]) -> None:
    api = running.api()
    mine, worker = two[0], running.nodes()[1]
    # bash counts without forking, and gives up when it can't fork any more
    forks = "trap 'set -- /proc/[0-9]*; echo $# processes' EXIT; for i in {1..1000}; do sleep 20 & done"
    start(api, mine, "bomb", worker, SHELL, "bash", "-c", forks)
    start(api, mine, "hog", worker, SHELL, "bash", "-c", "head -c 2000000000 /dev/zero | tail -c 1999999999 | wc -c")
    said = re.search(r"(\d+) processes", ended(api, mine, "bomb"))
    assert said is not None and int(said[1]) <= 513
    ended(api, mine, "hog")
    assert "1999999999" not in api.logs(mine, "hog")


def test_nothing_is_left(running: Cluster) -> None:
    """No namespace of a submission hangs in Terminating: runs last."""
    api = running.api()
    wait_for_submissions_to_go(api)
    assert api.list("Namespace", labels=f"{REPLAY_LABEL}=true") == []
