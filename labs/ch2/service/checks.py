"""Behaviour only: who answers on http://back, and whom front hears."""

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

#: kube-proxy picks a Pod by chance for each connection. That one of three gets none of 60 happens once in
#: 10^10 runs (3 · (2/3)^60); that one of four does, as with a selector that is too broad, once in 10^7.
REQUESTS = 60
#: Seconds until the rules of a Service that was just applied are on every node.
SOON = 3

HELLO = re.compile(r"hello, k8s! version \S+ on (\S+)")


def host(body: str) -> str:
    """The Pod that said hello in `body`; empty if none did."""
    found = HELLO.search(body)
    return found[1] if found else ""


@dataclass
class Traffic:
    """What `REQUESTS` questions to http://back brought. `error`: of the first one without an answer."""

    count: Counter = field(default_factory=Counter)
    ready: set[str] = field(default_factory=set)
    error: str = ""
    unmet: AssertionError | None = None

    def shown(self) -> str:
        names = self.ready | set(self.count)
        return " · ".join(f"{name or '?'} {self.count[name]}/{REQUESTS}" for name in sorted(names))

    @property
    def as_wanted(self) -> bool:
        return bool(self.ready) and set(self.count) == self.ready and not self.error


def ready_backs(objects) -> set[str]:
    """The ready Pods of the Deployment back, by their owner: the learner's own Pods may carry any label."""
    names = set()
    for pod in objects.list("Pod"):
        meta = pod["metadata"]
        owners = [owner["name"] for owner in meta.get("ownerReferences", ()) if owner["kind"] == "ReplicaSet"]
        conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
        ready = conditions.get("Ready") == "True" and "deletionTimestamp" not in meta
        if ready and any(owner.startswith("back-") for owner in owners):
            names.add(meta["name"])
    return names


@pytest.fixture(scope="module")
def seen():
    """What was found by namespace: several checks judge the same answers."""
    return {}


@pytest.fixture
def traffic(seen, namespace, http, objects, eventually):
    """Who answers; asked again for a moment where it isn't as wanted, since a new rule takes one to arrive."""

    def ask():
        answers = http("back", n=REQUESTS)
        failed = [answer for answer in answers if answer.status != 200]
        seen[namespace.name] = Traffic(
            count=Counter(host(answer.text) for answer in answers if answer.status == 200),
            ready=ready_backs(objects),
            error=(failed[0].error or f"HTTP {failed[0].status}") if failed else "",
        )
        assert seen[namespace.name].as_wanted

    if namespace.name not in seen:
        try:
            eventually(ask, within=SOON)
        except AssertionError as error:
            seen.setdefault(namespace.name, Traffic(unmet=error))
    found = seen[namespace.name]
    if found.unmet:
        raise found.unmet
    return found


def test_name(traffic):
    assert "no such host" not in traffic.error, traffic.error


def test_port(traffic):
    assert traffic.count, traffic.error


def test_every_ready_pod(traffic):
    assert traffic.count, traffic.error
    assert traffic.ready and traffic.ready <= set(traffic.count), traffic.shown()


def test_no_other_pod(traffic):
    assert traffic.count, traffic.error
    assert set(traffic.count) <= traffic.ready, traffic.shown()


def test_front_reaches_back(http, eventually):
    def heard():
        answer = http("front", "/call")[0]
        assert answer.status in (200, 502), answer.error or f"HTTP {answer.status}"
        said = answer.json()
        assert said["status"] == 200, f"{said['upstream']}: {said['error'] or said['status']}"
        assert host(said["body"]), f"{said['upstream']}: {said['body']}"
        assert not host(said["body"]).startswith("front-"), f"{said['upstream']}: {said['body']}"
        assert not is_address(said["upstream"]), said["upstream"]

    eventually(heard, within=SOON)


def is_address(url: str) -> bool:
    """Whether a URL names an address where a name was asked for."""
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True
