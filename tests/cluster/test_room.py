"""Room on the nodes: one submission doesn't take it from the others, and where others have it nobody is blamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from hello_k8s.catalog import Lab
from hello_k8s.grading import Result, grade
from hello_k8s.grading.waiting import eventually
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.isolation import REPLAY_LABEL
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.quantity import amount
from tests.cluster.conftest import APP, LAB_TOML, SHELL, wait_for_submissions_to_go

pytestmark = pytest.mark.cluster

TOML = f"""{LAB_TOML}check = "replay"
[replay]
apply = ["web.yaml"]
settle = SETTLE
[checks.runs]
points = 1
question = {{ ko = "실행 중인가?", en = "Does it run?" }}
"""
CHECKS = """
def test_runs(objects, eventually):
    def ready():
        status = objects.get("Deployment", "web").get("status", {})
        assert status.get("readyReplicas") == 2
    eventually(ready, within=WITHIN)
"""
#: What SETTLE and WITHIN are where the Pods will run, on however busy a machine, and where they never will.
PATIENT, HASTY = ("60", "30"), ("5", "5")
#: The CPUs that others may ask for on each node, however many the machine has: one Pod may ask for 1, so that a node is
#: full after two, and two Pods of 1 have no room on one node.
NARROW = Fraction("1.5")


def container(cpu: str) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}}
    return {"name": "c", "image": APP, "imagePullPolicy": "IfNotPresent", "resources": resources}


def deployment(name: str, replicas: int, cpu: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container(cpu)]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def made(make_lab: Callable[..., Lab], seconds: tuple[str, str]) -> Lab:
    answer = yaml.safe_dump(deployment("web", 2, "100m"))
    toml, checks = TOML.replace("SETTLE", seconds[0]), CHECKS.replace("WITHIN", seconds[1])
    return make_lab({"lab.toml": toml, "checks.py": checks, "start/web.yaml": answer, "solution/web.yaml": answer})


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return made(make_lab, PATIENT)


@pytest.fixture
def hasty_lab(make_lab: Callable[..., Lab]) -> Lab:
    return made(make_lab, HASTY)


def graded(lab: Lab) -> Result:
    return grade(lab, lab.solution, kind="submission")


@pytest.fixture
def beside(running: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Another submission's namespace (parameter True), or a learner's own; of those before it none has any room."""
    wait_for_submissions_to_go(running.api())
    replay = request.param
    name = "ch9-web-aaaa1111" if replay else "ch9-beside"
    running.prepare_namespace(name, labels={REPLAY_LABEL: "true"} if replay else {})
    yield name
    running.api().delete("Namespace", name, wait=True)


@pytest.fixture
def narrow(running: Cluster, beside: str) -> Iterator[None]:
    """No node has more than NARROW CPUs: the rest is asked for by Pods in no lab's namespace, as the cluster's own."""
    api = running.api()
    rest = {f"narrow-{node}": (node, free - NARROW) for node, free in rooms(api).items() if free > NARROW}
    try:
        for name, (node, cpus) in rest.items():
            take(api, "default", name, node, int(cpus * 1000))
        yield
    finally:
        for name in rest:
            api.delete("Pod", name, "default", wait=True)


@pytest.mark.parametrize("beside", [True], indirect=True)
def test_one_submission_leaves_room_for_the_others(lab: Lab, running: Cluster, beside: str) -> None:
    api = running.api()
    api.apply(deployment("greedy", 20, "1"), beside)

    def refused(found: Any) -> bool:
        conditions = {each["type"]: each.get("message", "") for each in found.get("status", {}).get("conditions", ())}
        return "exceeded quota" in conditions.get("ReplicaFailure", "")

    api.wait("Deployment", "greedy", beside, refused, 30)
    assert len(api.list("Pod", beside)) == 2
    result = graded(lab)
    assert result.passed, result.to_json()


@pytest.mark.parametrize("beside", [True], indirect=True)
def test_who_computes_without_end_leaves_the_processors_to_the_others(lab: Lab, running: Cluster, beside: str) -> None:
    api = running.api()
    spinning = deployment("spinning", 8, "200m")
    (container,) = spinning["spec"]["template"]["spec"]["containers"]
    container |= {"image": SHELL, "command": ["bash", "-c", "while :; do :; done"]}
    api.apply(deployment("given", 1, "10m"), beside)  # the lab's own, which the next submission will find there
    eventually(lambda: placed(api, beside, 1), 120)
    api.apply(spinning, beside)
    pods = eventually(lambda: placed(api, beside, 9), 120)
    spin = {pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"]["app"] == "spinning"}
    eventually(lambda: slowed(running, pods) == spin, 180)
    result = graded(lab)
    assert result.passed, result.to_json()


def placed(api: KubeApi, namespace: str, count: int) -> list[dict[str, Any]]:
    found = api.list("Pod", namespace)
    assert len(found) == count and all(pod["status"].get("phase") == "Running" for pod in found)
    return found


def slowed(cluster: Cluster, pods: list[dict[str, Any]]) -> set[str]:
    """The names of those whose cgroup may use only a part of a processor."""
    found = set()
    for node in {pod["spec"]["nodeName"] for pod in pods}:
        slices = {f"-pod{p['metadata']['uid'].replace('-', '_')}.slice": p["metadata"]["name"] for p in pods}
        shown = ("systemctl", "show", "--property=Id,CPUQuotaPerSecUSec", *(f"*{each}" for each in slices))
        for unit in cluster.engine.run("exec", node, *shown).stdout.split("\n\n"):
            properties = dict(line.partition("=")[::2] for line in unit.splitlines())
            if properties.get("CPUQuotaPerSecUSec", "infinity") != "infinity":
                found |= {name for each, name in slices.items() if properties.get("Id", "").endswith(each)}
    return found


@pytest.mark.parametrize("beside", [True], indirect=True)
def test_who_can_never_have_room_fails(
    hasty_lab: Lab, running: Cluster, beside: str, narrow: None, tmp_path: Path
) -> None:
    """Two Pods of a whole CPU on the one node that they ask for: whoever else is there has nothing to do with it."""
    running.api().apply(deployment("other", 1, "10m"), beside)
    nodes = rooms(running.api())
    assert max(nodes.values()) < 2
    wanted = deployment("web", 2, "1")
    wanted["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": min(nodes, key=lambda n: nodes[n])}
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(wanted))
    result = grade(hasty_lab, tmp_path, kind="submission")
    assert [check.verdict for check in result.checks] == ["failed"], result.to_json()


@pytest.mark.parametrize("beside", [True], indirect=True)
def test_who_asks_for_nothing_stays_best_effort(running: Cluster, beside: str) -> None:
    """The quota wants a request to see; the one that is put in must change nothing."""
    metadata = {"name": "plain", "namespace": beside}
    plain = {"name": "c", "image": APP, "imagePullPolicy": "IfNotPresent"}
    made = running.api().create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [plain]}}
    )
    assert made["status"]["qosClass"] == "BestEffort", made["spec"]["containers"][0]["resources"]


@pytest.mark.parametrize("beside", [False], indirect=True)
def test_what_has_no_room_is_no_point_either(
    hasty_lab: Lab, running: Cluster, beside: str, narrow: None, tmp_path: Path
) -> None:
    """A Pod that would have been found fault with, and is only waiting while others have the nodes."""
    api = running.api()
    for node, free in rooms(api).items():
        fill(api, beside, node, free - Fraction("0.3"))
    wanted = [deployment("web", 2, "100m"), deployment("wrong", 1, "1")]
    (tmp_path / "web.yaml").write_text(yaml.safe_dump_all(wanted))
    result = grade(hasty_lab, tmp_path, kind="submission")
    assert not result.graded and "had taken the room" in result.checks[0].message["en"], result.to_json()


@pytest.mark.parametrize("beside", [False], indirect=True)
def test_where_others_have_the_room_nobody_is_blamed(
    hasty_lab: Lab, running: Cluster, beside: str, narrow: None, make_lab: Callable[..., Lab]
) -> None:
    api = running.api()
    for node, free in rooms(api).items():
        fill(api, beside, node, free)
    result = graded(hasty_lab)
    assert not result.graded and result.checks[0].verdict == "errored", result.to_json()
    assert "had taken the room" in result.checks[0].message["en"]
    assert "Insufficient cpu" in result.checks[0].evidence[0]
    api.delete("Namespace", beside, wait=True)
    result = graded(made(make_lab, PATIENT))
    assert result.passed, result.to_json()


def rooms(api: KubeApi) -> dict[str, Fraction]:
    """The CPUs that no Pod has asked for yet, of each node that takes Pods."""
    free = {
        node["metadata"]["name"]: amount(node["status"]["allocatable"]["cpu"])
        for node in api.list("Node")
        if not node["spec"].get("taints")
    }
    for pod in api.list("Pod"):
        if pod["spec"].get("nodeName") in free and pod["status"].get("phase") in ("Pending", "Running"):
            for each in pod["spec"]["containers"]:
                requests = each.get("resources", {}).get("requests", {})
                free[pod["spec"]["nodeName"]] -= amount(requests.get("cpu", "0"))
    return free


def fill(api: KubeApi, namespace: str, node: str, free: Fraction) -> None:
    """Pods that ask for all of `free` CPUs of `node`, no single one for more than may be asked."""
    number, left = 0, int(free * 1000)
    while left > 0:
        part = min(left, 1000)
        take(api, namespace, f"fill-{node}-{number}", node, part)
        number, left = number + 1, left - part


def take(api: KubeApi, namespace: str, name: str, node: str, millis: int) -> None:
    """A Pod that has these thousandths of a CPU of `node`."""
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "terminationGracePeriodSeconds": 0,
        "containers": [container(f"{millis}m")],
    }
    metadata = {"name": name, "namespace": namespace}
    api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    api.wait("Pod", name, namespace, lambda pod: bool(pod["spec"].get("nodeName")), 30)
