"""Behaviour only: who answers on http://back, and whom front hears."""

import ipaddress
import re
from collections import Counter
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


@pytest.fixture
def answering(http, objects):
    """Ask `REQUESTS` times; returns (how often each Pod answered, the ready back Pods)."""

    def ask() -> tuple[Counter, set[str]]:
        answers = http("back", n=REQUESTS)
        count = Counter(host(answer.text) for answer in answers if answer.status == 200)
        assert count, answers[0].error or f"HTTP {answers[0].status}"
        return count, ready_backs(objects)

    return ask


def shown(count: Counter) -> str:
    return " · ".join(f"{name or '?'} {times}/{REQUESTS}" for name, times in sorted(count.items()))


def test_name(http):
    answer = http("back")[0]
    assert "no such host" not in answer.error, answer.error


def test_port(http, eventually):
    def answered():
        answer = http("back")[0]
        assert answer.status == 200, answer.error or f"HTTP {answer.status}"

    eventually(answered, within=SOON)


def test_every_ready_pod(answering, eventually):
    def spread():
        count, ready = answering()
        assert ready and ready <= set(count), shown(Counter({name: count[name] for name in ready | set(count)}))

    eventually(spread, within=SOON)


def test_no_other_pod(answering, eventually):
    def only_ready():
        count, ready = answering()
        others = Counter({name: times for name, times in count.items() if name not in ready})
        assert not others, shown(others)

    eventually(only_ready, within=SOON)


def test_front_reaches_back(http, objects, eventually):
    fronts = {pod["metadata"]["name"] for pod in objects.list("Pod") if pod["metadata"]["name"].startswith("front-")}

    def heard():
        answer = http("front", "/call")[0]
        assert answer.status in (200, 502), answer.error or f"HTTP {answer.status}"
        said = answer.json()
        assert said["status"] == 200, f"{said['upstream']}: {said['error'] or said['status']}"
        assert host(said["body"]) and host(said["body"]) not in fronts, f"{said['upstream']}: {said['body']}"
        assert not is_address(said["upstream"]), said["upstream"]

    eventually(heard, within=SOON)


def is_address(url: str) -> bool:
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True
