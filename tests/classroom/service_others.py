"""What else comes in for ch2/service: half an answer, none, one that can't be read, one that means harm."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hello_k8s.catalog import Lab
from tests.classroom import planted
from tests.classroom.case import Case, Sort, all_failed, nothing_submitted, verdicts
from tests.classroom.dresses import Object, block
from tests.classroom.service import APP, Answer, service

REACHES = ("front_reaches_back",)


def cases(lab: Lab, sort: Sort) -> list[Case]:
    """Every case of `sort`."""
    return {"partial": partial, "broken": broken, "empty": empty, "hostile": hostile}[sort](lab)


def _right() -> tuple[bytes, bytes]:
    objects = Answer().objects()
    return block(objects["back.yaml"]), block(objects["front.yaml"])


def _case(
    lab: Lab,
    sort: Sort,
    name: str,
    back: bytes | None,
    front: bytes | None,
    fails: Iterable[str] | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Case:
    """An answer of two files. `fails`: the checks that fail, None for all."""
    expected = all_failed(lab) if fails is None else verdicts(lab, fails)
    files = {file: data for file, data in (("back.yaml", back), ("front.yaml", front)) if data is not None}
    return Case(lab.id, sort, name, files, expected, more or {})


def partial(lab: Lab) -> list[Case]:
    back, front = _right()
    blank = (lab.start / "front.yaml").read_bytes()
    deployment = block(Answer().objects()["front.yaml"][:1])
    return [
        _case(lab, "partial", "back only", back, None, REACHES),
        _case(lab, "partial", "front only", None, front),
        _case(lab, "partial", "front as it was given", back, blank, REACHES),
        _case(lab, "partial", "back as it was given", (lab.start / "back.yaml").read_bytes(), front),
        _case(lab, "partial", "front without its Service", back, deployment, REACHES),
        _case(lab, "partial", "an empty front.yaml", back, b"", REACHES),
    ]


def broken(lab: Lab) -> list[Case]:
    back, front = _right()
    return [
        _case(lab, "broken", "no YAML in back.yaml", b"{{{", front),
        _case(lab, "broken", "no YAML in front.yaml", back, front.replace(b"spec:", b"spec: }", 1), REACHES),
        _case(lab, "broken", "a tab as indentation", back.replace(b"  name:", b"\tname:"), front),
        _case(lab, "broken", "a quote that isn't closed", back.replace(b"name: back", b'name: "back'), front),
        _case(lab, "broken", "no UTF-8", back.replace(b"back", b"\xb9\xe9"), front),
        _case(lab, "broken", "a shell command", b"kubectl expose deployment back --port=80\n", front),
        _case(lab, "broken", "a port in quotes", back.replace(b"port: 80\n", b'port: "80"\n'), front),
        _case(lab, "broken", "a field that isn't there", back.replace(b"selector:", b"selectors:"), front),
        _case(lab, "broken", "no kind", back.replace(b"kind: Service\n", b""), front),
        _case(lab, "broken", "half a file", back, front[: len(front) // 2] + b'\n"', REACHES),
    ]  # fmt: skip


def empty(lab: Lab) -> list[Case]:
    back, front = _right()
    elsewhere = {"old/back.yaml": back, "front.yml": front, "readme.txt": "다음에 하겠습니다.\n".encode()}
    return [
        Case(lab.id, "empty", "no folder", {}, nothing_submitted(lab)),
        Case(lab.id, "empty", "other names", elsewhere, nothing_submitted(lab)),
        _case(lab, "empty", "empty files", b"", b"\n"),
        _case(lab, "empty", "comments only", b"# back\n---\n", b"---\n...\n"),
    ]


def hostile(lab: Lab) -> list[Case]:
    """Nothing of these may succeed, and none may cost the others more than a moment."""
    back, front = _right()
    found = [
        _case(lab, "hostile", name, data, front)
        for name, data in {
            "exploding aliases": _aliases(),
            "deep nesting": b"[" * 5000,
            "another namespace": block([_in_namespace("kube-system")]),
            "a ClusterRoleBinding": block([_cluster_admin()]),
            "a name for a shell": block([service("back; rm -rf $HOME", {"tier": "back"}, [{"port": 80}])]),
        }.items()
    ]
    changes: dict[str, dict[str, Any]] = {
        "a privileged front": {"container": {"securityContext": {"privileged": True}}},
        "a front on the host's network": {"pod": {"hostNetwork": True}},
        "a front with the host's disk": {
            "pod": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
            "container": {"volumeMounts": [{"name": "host", "mountPath": "/host"}]},
        },
        "a front that is another program": {"container": {"image": "hello-k8s/probe:1"}},
        "a front that crashes": {"container": {"args": ["nonsense"]}},
        "an image of nobody's": {"container": {"image": "hello-k8s.invalid/front:1"}},
    }
    for name, change in changes.items():
        found.append(_case(lab, "hostile", name, back, block(_changed_front(change)), REACHES))
    found.append(_case(lab, "hostile", "its own checks, right answer", back, front, (), planted.FILES))
    found.append(_case(lab, "hostile", "its own checks, no Service", _ignored(), front, None, planted.FILES))
    return [*found, *planted.archives(lab, {"back.yaml": back, "front.yaml": front})]


def _ignored() -> bytes:
    return block([service("mine", {"tier": "back"}, [{"port": 80, "targetPort": 8080}])])


def _aliases() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return ("\n".join(lines) + "\n").encode()


def _in_namespace(namespace: str) -> Object:
    obj = service("back", {"app": "hello", "tier": "back"}, [{"port": 80, "targetPort": 8080}])
    obj["metadata"]["namespace"] = namespace
    return obj


def _cluster_admin() -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "hello-k8s-class-admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "ch2-service"}],
    }


def _changed_front(change: Mapping[str, Any]) -> list[Object]:
    deployment, front_service = copy.deepcopy(Answer().objects()["front.yaml"])
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == APP, json.dumps(pod)
    pod["containers"][0].update(change.get("container", {}))
    pod.update(change.get("pod", {}))
    return [deployment, front_service]
