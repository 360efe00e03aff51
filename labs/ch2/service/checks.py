"""Behaviour only: who answers on http://back, and whom front hears."""

import contextlib
import ipaddress
import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

#: kube-proxy picks a Pod by chance for each connection. That one of three gets none of 60 happens once in
#: 10^10 runs (3 · (2/3)^60); that one of four does, as with a selector that is too broad, once in 10^7.
REQUESTS = 60
#: Of these, so many first: where nobody answers, the others would only wait for their time-outs.
FIRST = 16
#: Seconds in which the rules of a Service that was just applied surely are on every node.
SOON = 5
#: Why a container that will start in a moment, or after the Pod's init containers, waits.
COMING = {"ContainerCreating", "PodInitializing"}

HELLO = re.compile(r"hello, k8s! version \S+ on (\S+)")


def host(body: str) -> str:
    """The Pod that said hello in `body`; empty if none did."""
    found = HELLO.search(body)
    return found[1] if found else ""


@dataclass(frozen=True)
class Traffic:
    """What `REQUESTS` questions to http://back brought: how often each Pod answered, what the first failure was."""

    count: Counter
    ready: set[str]
    error: str

    def shown(self) -> str:
        if not self.count:
            return self.error
        names = self.ready | set(self.count)
        return " · ".join(f"{name or '?'} {self.count[name]}/{REQUESTS}" for name in sorted(names))


def ready_backs(objects) -> set[str]:
    """The ready Pods of the Deployment back, by their owner's owner: the learner's own Pods may carry any label, and
    the learner's own ReplicaSets any name.
    """
    backs = {each["metadata"]["uid"] for each in objects.list("Deployment") if each["metadata"]["name"] == "back"}
    sets = {each["metadata"]["uid"] for each in objects.list("ReplicaSet") if controller(each) in backs}
    pods = [pod for pod in objects.list("Pod") if controller(pod) in sets and is_ready(pod)]
    return {pod["metadata"]["name"] for pod in pods}


def controller(obj) -> str:
    """The uid of whatever controller an object belongs to; empty where it belongs to none."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


def announced(objects, service: str, port: int = 80, *, ready: bool = True) -> set[str]:
    """The Pods to which this port of `service` leads as soon as EndpointSlices and the nodes' rules have followed: by
    its selector. Only to know whether to go on waiting. Without `ready`, also those that may become it in a moment.
    """
    (found,) = [s for s in objects.list("Service") if s["metadata"]["name"] == service] or [{"spec": {}}]
    spec = found["spec"]
    if not spec.get("selector") or port not in {each["port"] for each in spec.get("ports", ())}:
        return set()
    any_state = spec.get("publishNotReadyAddresses", False)
    selected = [pod for pod in objects.list("Pod") if spec["selector"].items() <= labels(pod).items()]
    counts = [pod for pod in selected if any_state or is_ready(pod) or (not ready and not is_stuck(pod))]
    return {pod["metadata"]["name"] for pod in counts}


def labels(pod) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def is_ready(pod) -> bool:
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def is_stuck(pod) -> bool:
    """Whether a container waits for more than being made: to be started again after a crash, for an image."""
    waiting = [status["state"].get("waiting", {}) for status in pod["status"].get("containerStatuses", ())]
    return any(state.get("reason", "ContainerCreating") not in COMING for state in waiting)


@pytest.fixture(scope="module")
def seen():
    """What was found, by namespace: several checks judge the same answers."""
    return {}


@pytest.fixture
def traffic(seen, namespace, http, objects, eventually):
    """Who answers, once the nodes do what the control plane says, or when they surely had the time."""

    def ask():
        answers = http("back", n=FIRST)
        if any(answer.status for answer in answers):
            answers += http("back", n=REQUESTS - FIRST)
        failed = [answer for answer in answers if answer.status != 200]
        count = Counter(host(answer.text) for answer in answers if answer.status == 200)
        error = (failed[0].error or f"HTTP {failed[0].status}") if failed else ""
        seen[namespace.name] = Traffic(count, ready_backs(objects), error)
        return set(count) == announced(objects, "back")

    if namespace.name not in seen:
        with contextlib.suppress(AssertionError):
            eventually(ask, within=SOON)
    return seen[namespace.name]


def test_name(traffic):
    assert "no such host" not in traffic.error, traffic.error


def test_port(traffic):
    assert traffic.count, traffic.error


def test_every_ready_pod(traffic):
    assert traffic.ready and traffic.ready <= set(traffic.count), traffic.shown()


def test_no_other_pod(traffic):
    assert traffic.count, traffic.error
    assert set(traffic.count) <= traffic.ready, traffic.shown()


@dataclass(frozen=True)
class Called:
    """What front's /call tells: whom it asked, and what it heard."""

    upstream: str
    status: int
    body: str
    error: str

    @classmethod
    def of(cls, answer) -> "Called":
        said = answer.json() if answer.status in (200, 502) else None
        told = isinstance(said, dict) and set(said) == {"upstream", "status", "body", "error"}
        assert told, answer.error or answer.text.strip() or f"HTTP {answer.status}"
        return cls(str(said["upstream"]), said["status"], str(said["body"]), str(said["error"]))

    @property
    def asked(self) -> tuple[str, int]:
        """Host and port of `upstream`; no host where it is no URL."""
        try:
            parts = urlsplit(self.upstream)
            return parts.hostname or "", parts.port or 80
        except ValueError:
            return "", 80

    def __str__(self) -> str:
        return f"{self.upstream}: {self.error or self.body.strip() or self.status}"


def test_front_reaches_back(http, objects, eventually):
    heard = []

    def settled():
        heard[:] = http("front", "/call")
        return not on_its_way(heard[0], objects)

    with contextlib.suppress(AssertionError):
        eventually(settled, within=SOON)
    called = Called.of(heard[0])
    # Which Pods stand behind the name back is another check's matter; any other name has to lead to back's Pods.
    assert called.status == 200 and host(called.body), str(called)
    name = called.asked[0]
    assert not is_address(name), str(called)
    assert name.split(".")[0] == "back" or host(called.body) in ready_backs(objects), str(called)


def on_its_way(answer, objects) -> bool:
    """Whether the nodes may still learn what the control plane says already: then a bad answer is none yet."""
    if answer.status not in (200, 502):
        return bool(announced(objects, "front", ready=False))
    called = Called.of(answer)
    name, port = called.asked
    return called.status != 200 and bool(announced(objects, name.split(".")[0], port))


def is_address(name: str) -> bool:
    """Whether a host is an address where a name was asked for."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
