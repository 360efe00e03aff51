"""The observed cause, from objects as a cluster gave them, and from builders' own words."""

from pathlib import Path

import pytest

from hello_k8s.grading.buildlog import build_failure
from hello_k8s.grading.diagnosis import Seen, diagnose
from hello_k8s.grading.look import differences, drift
from hello_k8s.grading.replay import is_rolled_out, owner_of
from hello_k8s.machine.kubeapi import ApiError


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


LOGS = Path(__file__).parent / "data" / "buildlogs"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("compile", "line 3 (`RUN go build -o /go-app main.go`) doesn't build: ./main.go:461:17: undefined: undefined"),
        ("apk", "line 2 (`RUN apk add curl`) doesn't build: /bin/sh: 1: apk: not found"),
        ("copy", 'line 2 (`COPY nothere.go ./`) doesn\'t build: failed to compute cache key'),
        ("base", "asks for the image `alpine:3.20`, which can't be used in this lab. These can: scratch"),
        ("from", "asks for the image `builder`"),
        ("empty", "doesn't build: the Dockerfile cannot be empty"),
        ("unknown", "line 2 (`FOO bar`) doesn't build: dockerfile parse error on line 2: unknown instruction: FOO"),
    ],
)  # fmt: skip
def test_a_build_fails_in_the_builders_words(log, said):
    failure = build_failure((LOGS / f"{log}.txt").read_text(), "Dockerfile", [])
    assert said in failure.texts["en"]
    assert failure.evidence[-1].startswith("ERROR: ")


def pod(name="web-1", labels=None, ready=True, ip="10.0.0.1", owner=None, container=None, **more):
    statuses = [container] if container else []
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "uid": name,
            "labels": labels or {"app": "web"},
            **({"ownerReferences": [owner]} if owner else {}),
        },
        "spec": {
            "nodeName": "worker",
            "containers": [{"name": "c", "image": "a:1", "ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}, *more.get("conditions", ())],
            "containerStatuses": statuses,
            "phase": more.get("phase", "Running"),
        },
    }


def service(name="back", selector=None, **port):
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector or {"app": "web"}, "ports": [{"port": 80, **port}]},
    }


def said(**seen):
    return "\n".join(text["en"] for text in diagnose(Seen(namespace="ns", **seen)))


def test_a_selector_that_matches_nothing_names_the_nearest_labels():
    pods = [
        pod("a", {"app": "hello", "tier": "back", "pod-template-hash": "x"}),
        pod("b", {"app": "hello", "tier": "back"}),
        pod("c", {"app": "other"}),
    ]
    text = said(services=[service(selector={"app": "hello-back"})], pods=pods)
    assert "selects `app=hello-back`, which no Pod in `ns` carries" in text
    assert text.index("app=hello,tier=back (a, b)") < text.index("app=other (c)")


def test_a_service_that_isnt_there_names_those_that_are():
    assert "no Service `back`" in said(services=[service("back-svc")], pods=[pod()], asked={"back"})
    assert "There are: back-svc" in said(services=[service("back-svc")], pods=[pod()], asked={"back"})


def test_nothing_listens_on_the_target_port():
    refused = {"refuses": lambda ip, port: port == 80}
    text = said(services=[service(targetPort=80)], pods=[pod()], **refused)
    assert "Nothing listens on port 80 of Pod `web-1`" in text and "declares: 8080" in text
    assert said(services=[service(targetPort=8080)], pods=[pod()], **refused) == ""
    assert said(services=[service(targetPort="http")], pods=[pod()], **refused) == ""
    assert "Nothing listens on port 80" in said(services=[service()], pods=[pod()], **refused)
    assert "has a port called `web`" in said(services=[service(targetPort="web")], pods=[pod()], **refused)


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (
            {"name": "c", "image": "mine:1", "state": {"waiting": {"reason": "ErrImageNeverPull"}}},
            "image `mine:1` of Pod `web-1` isn't on the node `worker`",
        ),
        (
            {
                "name": "c",
                "image": "a",
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
            },
            "exit code 2. The end of its log: panic",
        ),
        (
            {
                "name": "c",
                "image": "a",
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
            "more memory than its limit",
        ),
        (
            {
                "name": "c",
                "image": "a",
                "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "no map"}},
            },
            "CreateContainerConfigError: no map",
        ),
    ],
)
def test_why_a_pod_isnt_ready(container, words):
    text = said(pods=[pod(ready=False, container=container)], log=lambda pod, container: "panic")
    assert words in text


def test_a_pod_that_isnt_ready_or_on_no_node():
    event = {
        "type": "Warning",
        "reason": "Unhealthy",
        "message": "Readiness probe failed: 503",
        "involvedObject": {"name": "web-1", "uid": "web-1"},
    }
    running = {"name": "c", "image": "a", "state": {"running": {}}}
    waits = pod(ready=False, container=running)
    assert "isn't ready: Unhealthy: Readiness probe failed: 503" in said(pods=[waits], events=[event])
    assert "no endpoint" in said(services=[service()], pods=[waits], events=[event])
    done = {"name": "wait", "image": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    waits["status"]["initContainerStatuses"] = [done]
    assert "Readiness probe failed: 503" in (text := said(pods=[waits], events=[event])) and "wait" not in text
    nowhere = pod(ready=False, conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}])
    assert "wasn't scheduled onto any node: 0/3 nodes" in said(pods=[nowhere])


def test_a_workload_without_pods_and_the_labs_own_oddities():
    failed = {
        "kind": "Deployment",
        "metadata": {"name": "front"},
        "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "violates PodSecurity"}]},
    }
    assert "`Deployment/front` can't create its Pods: violates PodSecurity" in said(workloads=[failed])
    decoy = pod("decoy", ready=False)
    assert said(pods=[decoy]) != ""
    assert said(pods=[decoy], given={"Pod/decoy"}) == ""
    assert said(workloads=[failed], given={"Deployment/front"}) == ""


# -- drift


def test_differences_leave_out_what_the_cluster_allocates():
    wanted = {
        "metadata": {"name": "x", "labels": {"a": "b"}},
        "spec": {"clusterIP": "1", "ports": [{"port": 80, "nodePort": 1}], "sessionAffinity": "None"},
    }
    live = {
        "metadata": {"name": "back", "labels": {"a": "b", "more": "c"}},
        "spec": {"clusterIP": "2", "ports": [{"port": 8080, "nodePort": 2}], "sessionAffinity": "ClientIP"},
    }
    assert list(differences("Service", wanted, live)) == [
        "spec.ports[0].port: live 8080, file 80",
        "spec.sessionAffinity: live ClientIP, file None",
    ]
    assert list(differences("Service", live, live)) == []


class FakeLab:
    namespace = "ns"

    class replay:
        apply = ("back.yaml",)


class FakeApi:
    def __init__(self, live, refused=None):
        self.live, self.refused = live, refused

    def read(self, kind, name, namespace):
        return self.live

    def create(self, obj, namespace, *, dry_run):
        assert dry_run
        if self.refused:
            raise self.refused
        return obj


MANIFEST = "apiVersion: v1\nkind: Service\nmetadata:\n  name: back\nspec:\n  type: ClusterIP\n"


def test_drift(tmp_path):
    from pathlib import PurePosixPath

    (tmp_path / "back.yaml").write_text(MANIFEST)
    files = {PurePosixPath("back.yaml"): tmp_path / "back.yaml"}

    def of(api, given=files):
        return "\n".join(text["en"] for text in drift(FakeLab, given, api))

    live = {"kind": "Service", "metadata": {"name": "back"}, "spec": {"type": "ClusterIP"}}
    assert of(FakeApi(live)) == ""
    assert "spec.type: live NodePort, file ClusterIP" in of(FakeApi({**live, "spec": {"type": "NodePort"}}))
    assert "kubectl apply -n ns -f back.yaml" in of(FakeApi(None))
    refused = of(FakeApi(live, ApiError(422, "Invalid", 'Service "hello-k8s-drift" is invalid')))
    assert 'Service "back" is invalid' in refused
    assert of(FakeApi(live), {}) == "`back.yaml` is missing."  # made by a command alone: nothing to hand in
    (tmp_path / "back.yaml").write_text("a: b: c")
    assert "line 1, column 5" in of(FakeApi(live))


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, True),
        (
            {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1},
            False,
        ),  # the new Pod isn't ready
        ({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, False),  # both answer
        ({"replicas": 1, "availableReplicas": 1}, False),
        ({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}, False),
        ({}, False),
    ],
)
def test_old_pods_that_still_answer_are_no_roll_out(tmp_path, status, done):
    from pathlib import PurePosixPath

    (tmp_path / "back.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: front}\n")
    live = {
        "kind": "Deployment",
        "metadata": {"name": "front", "generation": 2},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, **status},
    }
    assert is_rolled_out(live) is done
    said = drift(FakeLab, {PurePosixPath("back.yaml"): tmp_path / "back.yaml"}, FakeApi(live))
    assert any("isn't rolled out yet" in text["en"] for text in said) is not done


@pytest.mark.parametrize(
    ("kind", "spec", "status", "done"),
    [
        ("ReplicaSet", {"replicas": 2}, {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}, True),
        ("ReplicaSet", {"replicas": 2}, {"replicas": 2, "availableReplicas": 1}, False),
        ("DaemonSet", {}, {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}, True),
        ("DaemonSet", {}, {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}, False),
        ("DaemonSet", {}, {"observedGeneration": 0}, False),
    ],
)
def test_a_front_of_another_kind_is_waited_for_too(kind, spec, status, done):
    status = {"observedGeneration": 1, **status}
    assert is_rolled_out({"kind": kind, "metadata": {"generation": 1}, "spec": spec, "status": status}) is done


def test_whose_pod_it_is():
    def of(owner, **labels):
        return owner_of(pod("a", labels=labels or None, owner=owner))

    assert of({"kind": "ReplicaSet", "name": "my-front-5d9c"}, **{"pod-template-hash": "5d9c"}) == "Deployment/my-front"
    assert of({"kind": "ReplicaSet", "name": "my-front"}) == "ReplicaSet/my-front"
    assert of({"kind": "DaemonSet", "name": "front"}) == "DaemonSet/front"
    assert of(None) == "Pod/a"
