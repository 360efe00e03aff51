"""ch1/containers: right answers that aren't the solution pass; strange ones fail, and never as our own error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade

LAB = catalog.lab("ch1/containers")
HEAD = "services:\n  web:\n    image: hello-k8s/go-app:1.0.0\n"
ALL = {check.id for check in LAB.checks}

RIGHT = {
    "below deploy": f"{HEAD}    environment: [PORT=80]\n    user: '1000'\n    read_only: true\n    memswap_limit: 64m\n"
    "    deploy:\n      resources:\n        limits: {cpus: '0.5', memory: 64M, pids: 50}\n",
    "a quota, less of everything": f"{HEAD}    environment:\n      PORT: 80\n    user: 65534:65534\n"
    "    read_only: yes\n"
    "    mem_limit: 33554432\n    memswap_limit: 33554432\n    cpu_quota: 10000\n    cpu_period: 50000\n"
    "    pids_limit: 30\n    cap_drop: [ALL]\n    init: true\n",
    "an anchor, and much that isn't graded": "name: mine\nx-limits: &limits\n  mem_limit: 64mb\n  memswap_limit: 64mb\n"
    f"  cpus: '.5'\n  pids_limit: 50\n{HEAD}    <<: *limits\n    container_name: web\n    restart: unless-stopped\n"
    "    ports: ['127.0.0.1:8080:80']\n    environment: {PORT: '80'}\n    user: '65534'\n    read_only: true\n"
    "    tmpfs: /tmp\n    security_opt: ['no-new-privileges:true']\n",
}
WRONG = {
    "nothing set": (HEAD, {"answers", "memory", "no_swap", "cpu", "pids", "read_only"}),
    "swap without end": (
        f"{HEAD}    environment: {{PORT: 80}}\n    read_only: true\n    mem_limit: 64m\n    memswap_limit: -1\n"
        "    cpus: 0.5\n    pids_limit: -1\n",
        {"no_swap", "pids"},
    ),
    "it ends at once": (
        f"{HEAD}    command: version\n    mem_limit: 64m\n    memswap_limit: 64m\n    cpus: 0.5\n    pids_limit: 50\n",
        ALL,
    ),
    "no such program": (f"{HEAD}    entrypoint: sleep infinity\n", ALL),
    "too little to start with": (f"{HEAD}    mem_limit: 1m\n    memswap_limit: 1m\n", ALL),
    "the host": (f"{HEAD}    privileged: true\n    pid: host\n", ALL),
    "another image": ("services:\n  web:\n    image: debian\n", ALL),
    "another name": (HEAD.replace("web", "app"), ALL),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_answer_passes(tmp_path: Path, name: str) -> None:
    (tmp_path / "compose.yaml").write_text(RIGHT[name], "utf-8")
    result = grade(LAB, tmp_path, mode="replay", kind="submission")
    assert result.passed, result.to_json()


@pytest.mark.parametrize("name", WRONG)
def test_a_strange_answer_fails_what_it_should(tmp_path: Path, name: str) -> None:
    text, fails = WRONG[name]
    (tmp_path / "compose.yaml").write_text(text, "utf-8")
    result = grade(LAB, tmp_path, mode="replay", kind="submission")
    assert {check.id for check in result.checks if check.verdict == "failed"} == fails, result.to_json()
    assert result.graded
