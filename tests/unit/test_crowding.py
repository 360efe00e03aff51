"""Who finds no room because others took it isn't to blame; who takes it alone is."""

from __future__ import annotations

from typing import Any

import pytest

from hello_k8s.grading.crowding import crowded_out

NO_CPU = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: no victims."
TAINT = "0/3 nodes are available: 3 node(s) had untolerated taint(s)."


def pod(
    name: str, namespace: str = "mine", *, node: str = "", cpu: str = "", waited: int | None = 0, **spec: Any
) -> Any:
    """A Pod that got its node after `waited` seconds; None: it has none."""
    scheduled = {"type": "PodScheduled", "status": "False" if waited is None else "True"}
    scheduled["lastTransitionTime"] = f"2026-01-01T00:00:{waited or 0:02}Z"
    requests = {"cpu": cpu} if cpu else {}
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"resources": {"requests": requests}}], "nodeName": node, **spec},
        "status": {"conditions": [scheduled], "phase": "Running"},
    }


class Api:
    """Two labs' namespaces and the system's, on a control plane and two workers of 2 CPUs and 3 Pods each."""

    def __init__(self, pods: list[Any], said: dict[str, str]) -> None:
        self._pods, self._said = pods, said

    def list(self, kind: str, namespace: str | None = None, labels: Any = None) -> list[Any]:
        if kind == "Namespace":
            assert labels == {"hello-k8s.org/lab": "true"}
            return [{"metadata": {"name": name}} for name in ("mine", "other")]
        if kind == "Node":
            taint = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
            return [
                {
                    "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
                    "spec": {"taints": taint} if name == "boss" else {},
                    "status": {"allocatable": {"cpu": "2", "memory": "2Gi", "pods": "3"}},
                }
                for name in ("boss", "one", "two")
            ]
        return [each for each in self._pods if namespace in (None, each["metadata"]["namespace"])]

    def events(self, namespace: str) -> list[Any]:
        assert namespace == "mine"
        return [
            {"reason": "FailedScheduling", "message": message, "involvedObject": {"uid": uid}}
            for uid, message in self._said.items()
        ]


OTHER = pod("theirs", "other", node="one", cpu="1500m")
DNS = pod("dns", "kube-system", node="two", cpu="100m")
ON_ONE = {"nodeSelector": {"kubernetes.io/hostname": "one"}}


def required(operator: str, *values: str) -> dict[str, Any]:
    expression = {"key": "kubernetes.io/hostname", "operator": operator, "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def asked(pods: list[Any], said: dict[str, str], before: tuple[str, ...] = ()) -> str:
    return crowded_out(Api(pods, said), "mine", before)  # type: ignore[arg-type]


@pytest.mark.parametrize("waited", [None, 9])
@pytest.mark.parametrize("others", [[OTHER], []], ids=["there", "gone"])
def test_no_room_since_others_have_it_or_had_it(waited: int | None, others: list[Any]) -> None:
    pods = [pod("a", cpu="1", waited=waited), *others, DNS]
    assert asked(pods, {"a": NO_CPU}) == NO_CPU


def test_too_many_pods_on_the_nodes() -> None:
    said = "0/3 nodes are available: 3 Too many pods."
    many = [pod(f"b{number}", "other", node="one") for number in range(3)]
    assert asked([pod("a", waited=None), *many], {"a": said}) == said


@pytest.mark.parametrize(
    "spec", [ON_ONE, required("In", "one", "nowhere"), required("NotIn", "two"), required("Exists")]
)
def test_it_might_have_had_the_node_that_it_wants(spec: dict[str, Any]) -> None:
    assert asked([pod("a", cpu="1", waited=None, **spec), OTHER], {"a": NO_CPU}) == NO_CPU


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([pod("a", cpu="3", waited=None), OTHER], NO_CPU),  # no node is so large
        ([pod("a", cpu="1", waited=None, **ON_ONE), pod("b", node="one", cpu="1500m"), OTHER], NO_CPU),  # has it itself
        ([pod("a", cpu="2", waited=None, **required("In", "two")), OTHER, DNS], NO_CPU),  # the cluster has it
        ([pod("a", cpu="1", waited=None, **required("In", "boss")), OTHER], NO_CPU),
        ([pod("a", cpu="1", waited=None, **required("DoesNotExist")), OTHER], NO_CPU),
        ([*(pod(f"a{n}", cpu="1500m", waited=None) for n in range(3)), OTHER], NO_CPU),  # two of the three would fit
        ([pod("a", waited=None), OTHER], TAINT),
        ([pod("a", cpu="1", waited=1), OTHER], NO_CPU),  # an earlier Pod's event, say
        ([OTHER], NO_CPU),
    ],
)  # fmt: skip
def test_everything_else_is_the_submissions_own(pods: list[Any], said: str) -> None:
    assert asked(pods, {each["metadata"]["name"]: said for each in pods}) == ""


def test_a_greater_container_that_runs_before_the_others_counts() -> None:
    first = [{"resources": {"requests": {"cpu": "3"}}}]
    assert asked([pod("a", waited=None, initContainers=first), OTHER], {"a": NO_CPU}) == ""
    assert asked([pod("a", cpu="1", waited=None, initContainers=[{}]), OTHER], {"a": NO_CPU}) == NO_CPU


def test_what_the_labs_own_pods_waited_for_long_ago_is_over() -> None:
    assert asked([pod("given", cpu="1", waited=9), OTHER], {"given": NO_CPU}, ("given",)) == ""
    assert asked([pod("given", cpu="1", waited=None), OTHER], {"given": NO_CPU}, ("given",)) == NO_CPU
