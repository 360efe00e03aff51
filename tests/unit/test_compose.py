"""compose.yaml: read as data; every spelling that says the same is the same, what reaches further is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hello_k8s.grading import Unmet
from hello_k8s.grading.cgroup import Inside, Limits, limits_of
from hello_k8s.grading.compose import Service, read_compose

IMAGE = "hello-k8s/go-app:1.0.0"
HEAD = f"services:\n  web:\n    image: {IMAGE}\n"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


def read(tmp_path: Path, text: str) -> Service:
    file = tmp_path / "compose.yaml"
    file.write_text(text, "utf-8")
    return read_compose(file, images=[IMAGE])["web"]


def web(tmp_path: Path, lines: str) -> Service:
    return read(tmp_path, HEAD + "".join(f"    {line}\n" for line in lines.splitlines()))


@pytest.mark.parametrize(
    "lines",
    [
        "mem_limit: 64m\nmemswap_limit: 64m\ncpus: 0.5\npids_limit: 50\nuser: 65534:65534\nread_only: true",
        'mem_limit: 67108864\nmemswap_limit: "64MB"\ncpus: "0.50"\npids_limit: "50"\nuser: "65534:65534"\n'
        'read_only: "true"',
        "memswap_limit: 0.0625g\nuser: 65534:65534\nread_only: True\ndeploy:\n  resources:\n    limits:\n"
        '      cpus: "0.5"\n      memory: 64M\n      pids: 50',
        "mem_limit: 65536kb\nmemswap_limit: 64mib\ncpu_quota: 25000\ncpu_period: 50000\npids_limit: 50\n"
        "user: 65534:65534\nread_only: yes",
        "mem_limit: 64m\nmemswap_limit: 64m\ncpu_quota: 50000\npids_limit: 5e1\nuser: 65534:65534\nread_only: true\n"
        "deploy: {resources: {limits: {memory: 64m}, reservations: {cpus: '0.1'}}}",
    ],
)
def test_spellings_of_the_same(tmp_path: Path, lines: str) -> None:
    service = web(tmp_path, lines)
    assert not service.unlimited
    assert service.options() == (
        f"--memory={64 << 20}", f"--memory-swap={64 << 20}", "--pids-limit=50", "--cpus=0.5", "--user=65534:65534",
        "--read-only",
    )  # fmt: skip


def test_what_is_run_and_how(tmp_path: Path) -> None:
    service = web(
        tmp_path,
        'entrypoint: /go-app\ncommand: [healthcheck]\nenvironment:\n  PORT: 80\n  PRICE: "$$5"\n  DEBUG: true\n'
        "tmpfs: [/tmp, '/run:size=1m,mode=1777']\ncap_drop: [ALL]\nsecurity_opt: [no-new-privileges:true]\ninit: true\n"
        "stop_signal: SIGINT\nstop_grace_period: 1m30s\ncpu_shares: 512\nmem_reservation: 32m",
    )
    assert service.arguments == ("healthcheck",)
    assert service.options()[4:] == (
        "--env=PORT=80", "--env=PRICE=$5", "--env=DEBUG=true", "--tmpfs=/tmp", "--tmpfs=/run:size=1m,mode=1777",
        "--cap-drop=ALL", f"--memory-reservation={32 << 20}", "--cpu-shares=512", "--stop-signal=SIGINT",
        "--stop-timeout=60", "--init", "--entrypoint=/go-app",
    )  # fmt: skip
    text = web(tmp_path, "entrypoint: /go-app health\ncommand: check 'a b'\nenvironment: [A=1=2, B=]")
    assert text.arguments == ("health", "check", "a b")
    assert text.environment == {"A": "1=2", "B": ""}


@pytest.mark.parametrize(
    ("lines", "memory", "swap", "pids", "cpus"),
    [
        ("user: '1'", 256, 512, 100, "1"),
        ("mem_limit: 64m", 64, 0, 100, "1"),
        ("mem_limit: 64m\nmemswap_limit: -1", 64, 512, 100, "1"),
        ("mem_limit: 8g\nmemswap_limit: 9g\ncpus: 64\npids_limit: 100000", 256, 512, 100, "1"),
        ("mem_limit: 512m\nmemswap_limit: 512m", 256, 256, 100, "1"),
        ("mem_limit: 512m\nmemswap_limit: 576m", 256, 320, 100, "1"),
        ("mem_limit: 64m\nmemswap_limit: 4g", 64, 320, 100, "1"),
        ("mem_limit: 8g", 256, 0, 100, "1"),
        ("mem_limit: -1\nmemswap_limit: -1", 256, 512, 100, "1"),
        ("mem_limit: -1\nmemswap_limit: 64m\ncpus: -1", 256, 512, 100, "1"),
        ("memswap_limit: 64m\ncpus: 0\npids_limit: -1", 256, 512, 100, "1"),
    ],
)
def test_ours_hold_where_none_are_set(tmp_path: Path, lines: str, memory: int, swap: int, pids: int, cpus: str) -> None:
    assert web(tmp_path, lines).options()[:4] == (
        f"--memory={memory << 20}", f"--memory-swap={swap << 20}", f"--pids-limit={pids}", f"--cpus={cpus}",
    )  # fmt: skip


@pytest.mark.parametrize("swap", ["300m", "256m", "268435455b"])
def test_less_swap_than_memory_is_refused_by_docker_as_ever(tmp_path: Path, swap: str) -> None:
    """Not even ours makes it one of docker's words: 0 is "as much again", -1 is "no limit"."""
    said = web(tmp_path, f"mem_limit: 512m\nmemswap_limit: {swap}").options()[1]
    assert 0 < int(said.removeprefix("--memory-swap=")) < 256 << 20


@pytest.mark.parametrize(
    ("lines", "reservation"),
    [("mem_limit: 512m\nmem_reservation: 400m", 256), ("mem_limit: 64m\nmem_reservation: 32m", 32),
     ("mem_reservation: -1", None), ("mem_limit: 512m\nmem_reservation: 0", None)],
)  # fmt: skip
def test_a_reservation_fits_into_what_is_ours(tmp_path: Path, lines: str, reservation: int | None) -> None:
    """More than the limit, or -1, would be refused by docker."""
    said = [word for word in web(tmp_path, lines).options() if word.startswith("--memory-reservation")]
    assert said == ([] if reservation is None else [f"--memory-reservation={reservation << 20}"])


@pytest.mark.parametrize(
    ("lines", "swap"),
    [("mem_limit: 512m\nmemswap_limit: 512m", 0), ("mem_limit: 64m\nmemswap_limit: 96m", 32 << 20),
     ("mem_limit: 64m\nmemswap_limit: -1", None), ("mem_limit: 64m", None), ("memswap_limit: 64m", None),
     ("mem_limit: -1\nmemswap_limit: 64m", None)],
)  # fmt: skip
def test_the_swap_that_was_asked_for(tmp_path: Path, lines: str, swap: int | None) -> None:
    assert web(tmp_path, lines).swap == swap


@pytest.mark.parametrize(
    ("lines", "unlimited"),
    [("user: '1'", {"memory", "swap"}), ("mem_limit: -1\nmemswap_limit: 64m", {"memory", "swap"}),
     ("mem_limit: 64m\nmemswap_limit: -1", {"swap"}), ("mem_limit: 64m", set()), ("mem_limit: 8g", set())],
)  # fmt: skip
def test_a_check_sees_no_limit_where_ours_holds(tmp_path: Path, lines: str, unlimited: set[str]) -> None:
    assert web(tmp_path, f"{lines}\ncpus: 0.5\npids_limit: 50").unlimited == unlimited


def test_what_was_left_out_or_is_ours_is_told(tmp_path: Path) -> None:
    service = web(tmp_path, "ports: ['8080:80']\nrestart: always\nmem_limit: 64m\nx-note: mine")
    assert service.notes == (
        "compose.yaml: services.web.ports → —",
        "compose.yaml: services.web.restart → —",
        "compose.yaml: services.web: cpus — → 1",
        "compose.yaml: services.web: pids — → 100",
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("privileged: true", "`services.web.privileged` can't be used in this lab: it would reach beyond"),
        ("volumes: ['/:/host']", "services.web.volumes` can't be used"),
        ("network_mode: host", "services.web.network_mode` can't be used"),
        ("cap_add: [SYS_ADMIN]", "services.web.cap_add` can't be used"),
        ("devices: [/dev/kmsg]", "services.web.devices` can't be used"),
        ("pid: host", "services.web.pid` can't be used"),
        ("env_file: /etc/passwd", "nothing but this file"),
        ("build: .", "nothing but this file"),
        ("networks: [a]", "each container is on its own"),
        ("security_opt: [seccomp:unconfined]", "only `no-new-privileges:true` can"),
        ("security_opt: [no-new-privileges:false]", "only `no-new-privileges:true` can"),
        ("tmpfs: /proc", "nothing may be mounted over"),
        ("tmpfs: /sys/fs/cgroup", "nothing may be mounted over"),
        ("tmpfs: //sys", "nothing may be mounted over"),
        ("tmpfs: /tmp/../sys", "nothing may be mounted over"),
        ("memory_limit: 64m", "Did you mean `mem_limit`?"),
        ("deploy: {resources: {limits: {memry: 64m}}}", "Did you mean `memory`?"),
        ("mem_limit: 64 apples", "should be a size"),
        ("mem_limit: [64m]", "should be a text"),
        ("cpus: half", "should be a number"),
        ("cpus: .inf", "not valid YAML|should be a number"),
        ("pids_limit: 1.5", "should be a number"),
        ("read_only: maybe", "should be `true` or `false`"),
        ("user: ____", "is still blank"),
        ("____: 64m", "is still blank"),
        ("user: $UID", "Variables aren't filled in"),
        ("command: [version, '${HOME}']", r"`services.web.command\[1\]`.*Variables"),
        ("environment: [PORT]", "should be a text"),
        ("mem_limit: 64m\ndeploy: {resources: {limits: {memory: 32m}}}", "something else than another key"),
        ("user: 'a b'", "should be a text"),
        ('command: "it\'s"', "should be a command"),
    ],
)
def test_what_is_refused_and_why(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(Unmet, match=said):
        web(tmp_path, lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n  web:\n    image: debian\n", "`services.web.image` is debian"),
        ("services:\n  web: {}\n", "`services.web.image` is —"),
        ("services: []\n", "keys with values"),
        ("web:\n  image: x\n", "`web` isn't a key"),
        (f"{HEAD}volumes: {{a: null}}\n", "`volumes` can't be used"),
        (f"{HEAD}include: [other.yaml]\n", "`include` can't be used"),
        (f"{HEAD}    user: a\n    user: b\n", "line 5"),
        (f"{HEAD}---\n{HEAD}", "keys with values"),
        ("services: [\n", "not valid YAML"),
        ("", "keys with values"),
    ],
)
def test_files_that_describe_nothing(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unmet, match=said):
        read(tmp_path, text)


KEYS = (
    "image", "user", "deploy", "environment", "tmpfs", "cpus", "mem_limit", "command", "healthcheck", "pids_limit",
    "stop_grace_period", "security_opt",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=50)
@given(VALUES, st.sampled_from(KEYS))
def test_any_value_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: object, key: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any-compose.yaml"
    file.write_text(json.dumps({"services": {"web": {"image": IMAGE, key: value}}}), "utf-8")
    try:
        options = read_compose(file, images=[IMAGE])["web"].options()
    except Unmet:
        return
    assert all(option.startswith("--") and "\0" not in option for option in options)


V1 = {
    "memory/memory.limit_in_bytes": "67108864\n",
    "memory/memory.memsw.limit_in_bytes": "134217728\n",
    "cpu/cpu.cfs_quota_us": "50000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "pids/pids.max": "50\n",
}
V2 = {"memory.max": "67108864\n", "memory.swap.max": "67108864\n", "cpu.max": "50000 100000\n", "pids.max": "50\n"}


@pytest.mark.parametrize("files", [V1, V2], ids=["cgroup v1", "cgroup v2"])
def test_limits_are_the_same_in_both_versions(files: dict[str, str]) -> None:
    found = limits_of(files)
    assert (found.memory, found.swap, found.cpus, found.pids) == (64 << 20, 64 << 20, 0.5, 50)


def test_no_limit_in_either_version() -> None:
    none = str((1 << 63) - 4096)
    v1 = {**dict.fromkeys(list(V1)[:2], none), "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    v2 = {"memory.max": "max", "memory.swap.max": "max", "cpu.max": "max 100000", "pids.max": "max"}
    for files in ({**v1, "pids/pids.max": "max"}, v2, {}):
        found = limits_of(files)
        assert (found.memory, found.swap, found.cpus, found.pids) == (None, None, None, None)


def test_no_swap_is_no_swap() -> None:
    assert limits_of({**V1, "memory/memory.memsw.limit_in_bytes": "67108864"}).swap == 0
    assert limits_of({**V2, "memory.swap.max": "0"}).swap == 0


def test_what_is_ours_counts_as_no_limit() -> None:
    inside = Inside(limits_of(V2), 65534, ("ro", "relatime"))
    assert inside.read_only
    assert inside.limits.said("memory", "swap") == "memory.max = 67108864, memory.swap.max = 67108864"
    limits: Limits = inside.without({"cpus", "pids"}).limits
    assert (limits.memory, limits.cpus, limits.pids) == (64 << 20, None, None)
    assert limits.said("cpus") == ""
