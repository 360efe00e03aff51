"""Questions over HTTP, to a container or inside the cluster, and what they got as an answer."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hello_k8s.errors import ClusterError
from hello_k8s.grading.encodable import encodable
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both, t

if TYPE_CHECKING:
    from hello_k8s.grading.containers import Container
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.kubeapi import KubeApi
    from hello_k8s.machine.nested import Nested

#: Seconds that a container may take until it listens.
LISTEN_SECONDS = 10.0
#: Questions that the probe Pod asks at the same time.
_PROBE_AT_ONCE = 16

#: Characters of an error that are kept: it may quote what the other side sent.
_ERROR = 300
#: How deep an answer may be nested: what is deeper can be read, perhaps, but neither compared nor shown.
_DEEP = 50


@dataclass(frozen=True)
class Answer:
    """One answer. `status` is 0 where nothing answered; `error` then says why, in the probe's words."""

    status: int
    text: str = ""
    error: str = ""
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Answer:
        """From what `probe fetch` prints."""
        return cls(item["status"], item["body"], item["error"][:_ERROR], item["seconds"], item["headers"] or {})

    def json(self) -> Any:
        """The body as JSON; Unmet where there is no answer, or it is no JSON, or nested too deep to be looked at."""
        if self.error:
            raise Unmet(self.error)
        try:
            found = json.loads(self.text)
            readable = not _is_deep(found)
        except (ValueError, RecursionError):
            readable = False
        if not readable:
            raise Unmet(both("grading.no_json", status=self.status, body=self.text[:200]))
        # an escape may name half a character, which no file can hold
        return json.loads(encodable(json.dumps(found, ensure_ascii=False)))


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEP):
        lists = [
            list(each.values()) if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)
        ]
        level = [inner for each in lists for inner in each]
        if not level:
            return False
    return True


def container(nested: Nested, target: Container, path: str, n: int, timeout: float, port: int) -> list[Answer]:
    """Ask `target`, which runs in `nested`, `n` times for `path` on `port`; as soon as it listens.

    `timeout` in seconds, for each. Raises Unmet where it has ended, EngineError where the engine is gone.
    """
    deadline = time.monotonic() + LISTEN_SECONDS
    while True:
        address = target.address
        if address:
            answers = [Answer.of(item) for item in nested.fetch(f"http://{address}:{port}{path}", n, timeout)]
            if any(answer.status for answer in answers) or time.monotonic() > deadline:
                return answers
        if not target.running:
            raise target.ended()
        time.sleep(0.1)  # a port that begins to be listened on is nothing that could be watched


def inside(cluster: Cluster, api: KubeApi, url: str, n: int, timeout: float) -> list[Answer]:
    """Ask `url` `n` times from inside `cluster`, through the probe Pod; `timeout` in seconds, for each.

    Raises ClusterError where that doesn't work.
    """
    from hello_k8s.machine.cluster import PROBE_POD, SYSTEM_NAMESPACE

    limit = math.ceil(n / _PROBE_AT_ONCE) * timeout + 10
    query = {"url": url, "n": n, "timeout": timeout}
    response = api.pod_proxy(SYSTEM_NAMESPACE, PROBE_POD, 8080, "/fetch", query, limit)
    if response.status_code in (404, 502, 503):
        cluster.probe()
        response = api.pod_proxy(SYSTEM_NAMESPACE, PROBE_POD, 8080, "/fetch", query, limit)
    if response.status_code != 200:
        raise ClusterError(
            t("grading.probe_failed", status=response.status_code),
            why=response.text[:500],
            next=t("grading.probe_next"),
        )
    return [Answer.of(item) for item in response.json()]
