"""Answers to ch2/service: right ones in many shapes, wrong ones in every mutant's way, and what else comes in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hello_k8s.catalog import Lab
from tests.classroom.case import Case, verdicts
from tests.classroom.dresses import DRESSES, Object

APP = "hello-k8s/go-app:1.0.0"
#: deliverable → its objects, in order
Objects = dict[str, list[Object]]
Edit = Callable[[Objects], None]


@dataclass(frozen=True)
class Answer:
    """What an answer says, before it is written down. The defaults are the lab's solution."""

    name: str = "back"
    selector: Mapping[str, str] = field(default_factory=lambda: {"app": "hello", "tier": "back"})
    port: int = 80
    target: int | str = 8080
    spec: Mapping[str, Any] = field(default_factory=dict)
    upstream: str = "http://back"
    front_port: Mapping[str, int] = field(default_factory=lambda: {"port": 80, "targetPort": 8080})

    def objects(self) -> Objects:
        port = {"port": self.port, "targetPort": self.target}
        return {
            "back.yaml": [service(self.name, self.selector, [port], self.spec)],
            "front.yaml": [
                front(self.upstream),
                service("front", {"app": "front"}, [dict(self.front_port)]),
            ],
        }


def service(name: str, selector: Mapping[str, str], ports: list[Any], spec: Mapping[str, Any] | None = None) -> Object:
    whole = {**(spec or {}), "selector": dict(selector), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": whole}


def front(upstream: str) -> Object:
    container = {
        "name": "go-app",
        "image": APP,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "env": [{"name": "UPSTREAM", "value": upstream}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "front"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "front"}},
            "template": {"metadata": {"labels": {"app": "front"}}, "spec": {"containers": [container]}},
        },
    }


@dataclass(frozen=True)
class Shape:
    """Another way to say the same: fields of the answer, or what is done to its objects. `against`: mutants that it
    would change into something else.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    against: frozenset[str] = frozenset()

    def fits(self, mutant: str) -> bool:
        return mutant not in self.against and not set(self.fields) & set(MUTANTS[mutant])


def _back(objects: Objects) -> Object:
    return objects["back.yaml"][0]


def _workload(objects: Objects) -> Object:
    return objects["front.yaml"][0]


def _pod(objects: Objects) -> Any:
    return _workload(objects)["spec"]["template"]["spec"]


def _container(objects: Objects) -> Any:
    return _pod(objects)["containers"][0]


def _spec(**values: Any) -> Edit:
    def edit(objects: Objects) -> None:
        _back(objects)["spec"] |= values

    return edit


def _pod_spec(**values: Any) -> Edit:
    def edit(objects: Objects) -> None:
        _pod(objects).update(values)

    return edit


def _in_container(**values: Any) -> Edit:
    def edit(objects: Objects) -> None:
        _container(objects).update(values)

    return edit


def _metadata(objects: Objects) -> None:
    for obj in (obj for file in objects.values() for obj in file):
        obj["metadata"]["labels"] = {"app.kubernetes.io/part-of": "hello", "course": "2026"}
        obj["metadata"]["annotations"] = {"hello-k8s.test/note": "내 답안 ✓", "reviewed": "true"}


def _namespaces(objects: Objects) -> None:
    for obj in (obj for file in objects.values() for obj in file):
        obj["metadata"]["namespace"] = "ch2-service"


def _port_in_full(objects: Objects) -> None:
    _back(objects)["spec"]["ports"][0] |= {"name": "http", "protocol": "TCP", "appProtocol": "http"}


def _one_port_more(objects: Objects) -> None:
    ports = _back(objects)["spec"]["ports"]
    ports[0]["name"] = "http"
    ports.insert(0, {"name": "direct", "port": 8080})  # the target is the same where none is given


def _two_services_more(objects: Objects) -> None:
    objects["back.yaml"] += [
        service("back-direct", {"app": "hello", "tier": "back"}, [{"port": 8080}]),
        service("jobs", {"tier": "batch"}, [{"name": "http", "port": 80, "targetPort": "http"}]),
    ]


def _services_first(objects: Objects) -> None:
    """Both Services in the one file, the Deployment in the other."""
    objects["back.yaml"].append(objects["front.yaml"].pop())


def _config_map(objects: Objects) -> None:
    value = _container(objects)["env"][0].pop("value")
    _container(objects)["env"][0]["valueFrom"] = {"configMapKeyRef": {"name": "front", "key": "upstream"}}
    objects["front.yaml"].insert(0, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "front"},
                                     "data": {"upstream": value}})  # fmt: skip


def _secret(objects: Objects) -> None:
    value = _container(objects).pop("env")[0]["value"]
    _container(objects)["envFrom"] = [{"secretRef": {"name": "front"}}]
    objects["front.yaml"].append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "front"},
                                  "stringData": {"UPSTREAM": value}})  # fmt: skip


def _composed_value(objects: Objects) -> None:
    value = _container(objects)["env"][0]["value"]
    _container(objects)["env"] = [
        {"name": "NAME", "value": value.removeprefix("http://")},
        {"name": "UPSTREAM", "value": "http://$(NAME)"},
    ]


def _expressions(objects: Objects) -> None:
    _workload(objects)["spec"]["selector"] = {
        "matchExpressions": [{"key": "app", "operator": "In", "values": ["front", "vorne"]}]
    }


def _numbers_as_text(objects: Objects) -> None:
    """Quoted where the API takes text, bare where it takes a quantity."""
    _container(objects)["env"].append({"name": "PORT", "value": "8080"})
    _container(objects)["resources"] = {"requests": {"cpu": 0.01, "memory": 16777216}, "limits": {"memory": "64M"}}
    labels = {"app": "front", "version": "1"}
    _workload(objects)["spec"]["template"]["metadata"]["labels"] = labels
    objects["front.yaml"][1]["spec"]["selector"] = dict(labels)


def _bare(objects: Objects) -> None:
    """What must be there and nothing else."""
    del _workload(objects)["spec"]["replicas"]
    for key in ("imagePullPolicy", "securityContext", "readinessProbe", "resources"):
        del _container(objects)[key]


def _on_port_80(objects: Objects) -> None:
    """The program on the Service's own port, so that there is no target port to say."""
    _container(objects)["env"].append({"name": "PORT", "value": "80"})
    _container(objects)["readinessProbe"]["httpGet"]["port"] = 80
    _pod(objects)["securityContext"] = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}
    del objects["front.yaml"][1]["spec"]["ports"][0]["targetPort"]


def _named_port(objects: Objects) -> None:
    _container(objects)["ports"] = [{"name": "web", "containerPort": 8080}]
    _container(objects)["readinessProbe"]["httpGet"]["port"] = "web"
    objects["front.yaml"][1]["spec"]["ports"] = [{"name": "http", "port": 80, "targetPort": "web"}]


def _two_containers(objects: Objects) -> None:
    sidecar = {**_container(objects), "name": "beside", "env": [{"name": "PORT", "value": "8081"}]}
    sidecar["readinessProbe"] = {"tcpSocket": {"port": 8081}, "periodSeconds": 1}
    _pod(objects)["containers"].append(sidecar)


def _slow_probe(objects: Objects) -> None:
    _container(objects)["readinessProbe"] |= {"initialDelaySeconds": 8, "periodSeconds": 5}
    _container(objects)["startupProbe"] = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2}


def _default_probe(objects: Objects) -> None:
    _container(objects)["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": 8080}}


def _kind(kind: str) -> Edit:
    def edit(objects: Objects) -> None:
        workload = _workload(objects)
        workload["kind"] = kind
        if kind == "DaemonSet":
            del workload["spec"]["replicas"]
        if kind == "StatefulSet":
            workload["spec"]["serviceName"] = "front"

    return edit


def _as_pod(objects: Objects) -> None:
    template = _workload(objects)["spec"]["template"]
    template["metadata"]["name"] = "front"
    objects["front.yaml"][0] = {"apiVersion": "v1", "kind": "Pod", **template}


def _replicas(objects: Objects) -> None:
    _workload(objects)["spec"] |= {"replicas": 2, "strategy": {"type": "Recreate"}, "revisionHistoryLimit": 2}


_PORTS = frozenset({"swapped-ports", "pod-port"})
SHAPES: dict[str, Shape] = {
    "plain": Shape(),
    "target port by name": Shape({"target": "http"}),
    "one label": Shape({"selector": {"tier": "back"}}),
    "NodePort": Shape(edit=_spec(type="NodePort")),
    "LoadBalancer with an address": Shape(edit=_spec(type="LoadBalancer", clusterIP="10.96.0.77")),
    "defaults in full": Shape(
        edit=_spec(
            type="ClusterIP",
            sessionAffinity="None",
            internalTrafficPolicy="Cluster",
            publishNotReadyAddresses=False,
            ipFamilyPolicy="SingleStack",
            ipFamilies=["IPv4"],
        ),
        against=frozenset({"sticky", "not-ready-too"}),
    ),
    "prefer close": Shape(edit=_spec(trafficDistribution="PreferClose")),
    "port in full": Shape(edit=_port_in_full),
    "one port more": Shape(edit=_one_port_more, against=_PORTS),
    "labels and annotations": Shape(edit=_metadata),
    "namespaces": Shape(edit=_namespaces),
    "two Services more": Shape(edit=_two_services_more),
    "both Services in back.yaml": Shape(edit=_services_first),
    "bare name": Shape({"upstream": "back"}),
    "name with port": Shape({"upstream": "http://back:80/"}),
    "name with namespace": Shape({"upstream": "http://back.ch2-service"}),
    "name with svc": Shape({"upstream": "http://back.ch2-service.svc/"}),
    "full name": Shape({"upstream": "http://back.ch2-service.svc.cluster.local"}),
    "full name with a dot": Shape({"upstream": "http://back.ch2-service.svc.cluster.local.:80/"}),
    "capital letters": Shape({"upstream": "HTTP://Back/"}),
    "with a query": Shape({"upstream": "http://back/?from=front#top"}),
    "from a ConfigMap": Shape(edit=_config_map),
    "from a Secret": Shape(edit=_secret),
    "composed value": Shape(edit=_composed_value),
    "match expressions": Shape(edit=_expressions),
    "numbers as text": Shape(edit=_numbers_as_text),
    "bare": Shape(edit=_bare),
    "front on port 80": Shape(edit=_on_port_80, against=frozenset({"front-port"})),
    "front's port by name": Shape(edit=_named_port, against=frozenset({"front-port"})),
    "two containers": Shape(edit=_two_containers),
    "two fronts": Shape(edit=_replicas),
    "command written out": Shape(edit=_in_container(command=["/go-app"], args=[])),
    "no links, no token": Shape(edit=_pod_spec(enableServiceLinks=False, automountServiceAccountToken=False)),
    "slow to be ready": Shape(edit=_slow_probe),
    "the probe's defaults": Shape(edit=_default_probe),
    "front is a StatefulSet": Shape(edit=_kind("StatefulSet")),
    "front is a ReplicaSet": Shape(edit=_kind("ReplicaSet")),
    "front is a DaemonSet": Shape(edit=_kind("DaemonSet")),
    "front is a Pod": Shape(edit=_as_pod),
}

#: The lab's own mutants, as what they change. tests/unit/test_class_generator.py holds them to labs/ch2/service.
MUTANTS: dict[str, Mapping[str, Any]] = {
    "other-name": {"name": "back-svc"},
    "swapped-ports": {"port": 8080, "target": 80},
    "deployment-label": {"selector": {"app": "hello-back"}},
    "too-broad": {"selector": {"app": "hello"}},
    "not-ready-too": {"spec": {"publishNotReadyAddresses": True}},
    "sticky": {"spec": {"sessionAffinity": "ClientIP"}},
    "wrong-upstream": {"upstream": "http://hello-back"},
    "pod-port": {"upstream": "http://back:8080"},
    "localhost": {"upstream": "http://localhost:8080"},
    "env-address": {"upstream": "http://$(BACK_SERVICE_HOST)"},
    "front-port": {"front_port": {"port": 80}},
}
REACHES = ("front_reaches_back",)


def written(answer: Answer, shape: str, dress: str) -> dict[str, bytes]:
    objects = answer.objects()
    edit = SHAPES[shape].edit
    if edit is not None:
        edit(objects)
    return {name: DRESSES[dress](listed) for name, listed in objects.items()}


def right(lab: Lab, shape: str, dress: str) -> Case:
    answer = replace(Answer(), **SHAPES[shape].fields)
    return Case(lab.id, "right", f"{shape} · {dress}", written(answer, shape, dress), verdicts(lab, ()))


def wrong(lab: Lab, mutant: str, shape: str, dress: str, replicas: int = 3) -> Case:
    (told,) = [each for each in lab.mutants if each.name == mutant]
    # With one back, one Pod is all of them: then a Service that always picks the same isn't wrong.
    fails = told.fails if (mutant, replicas) != ("sticky", 1) else ()
    answer = replace(Answer(), **{**SHAPES[shape].fields, **MUTANTS[mutant]})
    name = f"{mutant} · {shape} · {dress}"
    return Case(lab.id, "wrong", name, written(answer, shape, dress), verdicts(lab, fails))


def rights(lab: Lab, chance: random.Random) -> Iterator[Case]:
    """Right answers without end: every shape and every dress comes up before one comes again."""
    yield right(lab, "plain", "block")
    yield from (right(lab, shape, dress) for shape, dress in pairs(SHAPES, DRESSES, chance))


def wrongs(lab: Lab, chance: random.Random, replicas: int = 3) -> Iterator[Case]:
    """Wrong answers without end: the mutants in turn, each time in another shape and dress."""
    names = [mutant for mutant in MUTANTS if (mutant, replicas) != ("sticky", 1)]
    while True:
        for mutant in names:
            shape = chance.choice([shape for shape, how in SHAPES.items() if how.fits(mutant)])
            yield wrong(lab, mutant, shape, chance.choice(list(DRESSES)), replicas)


def pairs(first: Mapping[str, Any], second: Mapping[str, Any], chance: random.Random) -> Iterator[tuple[str, str]]:
    """Pairs of names without end; each of both comes up as often as the others."""
    decks: tuple[list[str], list[str]] = ([], [])
    while True:
        for deck, names in zip(decks, (first, second), strict=True):
            if not deck:
                deck += chance.sample(list(names), len(names))
        yield decks[0].pop(), decks[1].pop()
