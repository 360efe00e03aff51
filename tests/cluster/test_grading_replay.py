"""A cluster lab replayed: what a hostile or careless manifest can't do, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hello_k8s.catalog import Lab
from hello_k8s.grading import Result, grade
from hello_k8s.machine.cluster import Cluster
from tests.cluster.conftest import APP, LAB_TOML

pytestmark = pytest.mark.cluster

TOML = f"""{LAB_TOML}check = "look"
[replay]
given = ["given.yaml"]
apply = ["web.yaml"]
settle = 60
[checks.answers]
points = 1
question = {{ ko = "답하는가?", en = "Does it answer?" }}
[checks.limited]
points = 1
question = {{ ko = "자기 네임스페이스에만?", en = "Only in its namespace?" }}
"""
CHECKS = """
def test_answers(http, eventually):
    def answered():
        answer = http("web")[0]
        assert answer.status == 200, answer.error
    eventually(answered, within=15)

def test_limited(objects, namespace):
    labels = objects.api.read("Namespace", namespace.name)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert objects.get("ConfigMap", "given")["data"]["by"] == "the lab"
"""
GIVEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: given}\ndata: {by: the lab}\n"
GIVEN_FLOW = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, "
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: IMAGE
      imagePullPolicy: IfNotPresent
      readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ch9-web}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30777}]
"""
SOLUTION = POD.replace("IMAGE", APP) + SERVICE


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab(
        {
            "lab.toml": TOML,
            "checks.py": CHECKS,
            "given.yaml": GIVEN,
            "start/web.yaml": "___\n",
            "solution/web.yaml": SOLUTION,
        }
    )


def graded(lab: Lab, tmp_path: Path, manifest: str) -> Result:
    (tmp_path / "web.yaml").write_text(manifest)
    return grade(lab, tmp_path, kind="submission")


def causes(result: Result) -> str:
    return "\n".join(text["en"] for check in result.checks for text in (check.message, *check.diagnosis))


def test_the_solution_passes_and_its_namespace_goes(lab: Lab, running: Cluster) -> None:
    result = grade(lab, lab.solution, kind="solution")
    assert result.passed, result.to_json()
    for told in ("namespace: ch9-web → ch9-web-", "nodePort: 30777 → —", "loadBalancerClass"):
        assert any(told in line for line in result.rewrites), result.rewrites
    (name,) = [line.split(" → ")[1] for line in result.rewrites if line.startswith("namespace: ")]
    running.api().wait("Namespace", name, None, lambda _: False, 90, gone=True)


HOSTILE = {
    "a privileged Pod": (
        POD.replace("IMAGE", "x:1\n      securityContext: {privileged: true}"),
        "violates PodSecurity",
    ),
    "the host's files": (
        POD.replace("IMAGE", "x:1") + "  volumes: [{name: root, hostPath: {path: /}}]\n",
        "violates PodSecurity",
    ),
    "rights over the cluster": (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: evil}\n"
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n"
        "subjects: [{kind: ServiceAccount, name: default, namespace: ch9-web}]\n",
        "an object of the whole cluster",
    ),
    "rights in the namespace": (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: evil}\n"
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}\n"
        "subjects: [{kind: ServiceAccount, name: default, namespace: ch9-web}]\n",
        "may not create `RoleBinding/evil`",
    ),
    "another namespace": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: kube-system}\n",
        "says namespace `kube-system`",
    ),
    "weaker Pod Security": (
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ch9-web\n"
        "  labels: {pod-security.kubernetes.io/enforce: privileged}\n",
        "an object of the whole cluster",
    ),
    "a larger quota": (
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: hello-k8s}\nspec: {hard: {pods: '999'}}\n",
        "may not create `ResourceQuota/hello-k8s`",
    ),
    "the lab's own object": (GIVEN.replace("the lab", "me"), "belongs to the lab"),
    "no such kind": ("apiVersion: v1\nkind: Sevice\nmetadata: {name: a}\n", 'no matches for kind "Sevice"'),
    "no such field": ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {contaners: []}\n", "contaners"),
}  # fmt: skip


@pytest.mark.parametrize("attempt", HOSTILE)
def test_a_submission_stays_in_its_namespace(lab: Lab, tmp_path: Path, attempt: str) -> None:
    manifest, said = HOSTILE[attempt]
    result = graded(lab, tmp_path, manifest)
    assert result.graded and not result.passed, result.to_json()
    assert said in causes(result), causes(result)


def test_more_objects_than_a_person_writes(lab: Lab, tmp_path: Path) -> None:
    many = "".join(f"---\nkind: List\nitems: [{GIVEN_FLOW * 150}]\n" for _ in range(2))
    assert "more than 200 objects" in causes(graded(lab, tmp_path, many))


def test_what_is_refused_doesnt_hold_up_the_rest(lab: Lab, tmp_path: Path) -> None:
    result = graded(lab, tmp_path, SOLUTION + "---\n" + HOSTILE["another namespace"][0])
    assert result.passed, result.to_json()


def test_an_image_that_is_on_no_node(lab: Lab, tmp_path: Path) -> None:
    result = graded(lab, tmp_path, POD.replace("IMAGE", "hello-k8s/not-there:1") + SERVICE)
    assert [check.verdict for check in result.checks] == ["failed", "passed"]
    assert "hello-k8s/not-there:1` of Pod `web` isn't on the node" in causes(result), causes(result)


def test_a_cluster_that_is_gone_never_counts(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_CLUSTER", "hello-k8s-not-there")
    result = grade(lab, lab.solution, kind="submission")
    assert not result.graded and {check.verdict for check in result.checks} == {"errored"}
    assert "start" in result.checks[0].message["en"]
