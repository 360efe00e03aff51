"""What state a cluster is in, kind's configuration, names of images: without an engine."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from hello_k8s.errors import ClusterError, CommandFailed
from hello_k8s.machine import kindconfig, loading, nodes, ready, tools
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.nodes import Node, status_of


def some(*states: str, network: str = "hello-k8s") -> list[Node]:
    roles = ["control-plane"] + ["worker"] * (len(states) - 1)
    return [Node(f"id{i}", f"n{i}", role, state, (network,)) for i, (role, state) in enumerate(zip(roles, states))]


@pytest.mark.parametrize(
    ("states", "expected", "status"),
    [
        ((), None, "absent"),
        (("running", "running", "running"), 3, "running"),
        (("running", "running", "running"), None, "partial"),
        (("running", "running"), 3, "partial"),
        (("paused", "paused", "paused"), 3, "paused"),
        (("running", "paused", "paused"), 3, "paused"),
        (("exited", "exited", "exited"), 3, "stopped"),
        (("exited", "running", "running"), 3, "stopped"),
        (("paused", "exited", "paused"), 3, "stopped"),
        (("running", "restarting", "running"), 3, "stopped"),
        (("running", "restarting", "running"), None, "partial"),
        (("dead", "running", "running"), 3, "partial"),
        (("running", "running", "removing"), 3, "partial"),
        (("running",), 1, "running"),
    ],
)
def test_status(states: tuple[str, ...], expected: int | None, status: str) -> None:
    assert status_of(some(*states), expected) == status


def test_workers_alone_are_no_cluster() -> None:
    worker = Node("id", "n", "worker", "running", ("hello-k8s",))
    assert status_of([worker], 1) == "partial"


@pytest.fixture
def fake_docker(tmp_path: Path) -> Engine:
    """A docker command that prints what is in `ps` and `marker`, and writes down what it was asked.

    Where there is no `marker`, copying it fails as docker says it, or with what is in `broken`.
    """
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncase "$1" in\n'
        f"ps) cat {tmp_path}/ps;;\n"
        f"cp) cat {tmp_path}/marker 2>/dev/null || {{ cat {tmp_path}/broken >&2; exit 1; }};;\n"
        "version) echo 28.2;;\n"
        'container) echo \'[{"Image": "sha256:00", "State": {"Paused": false}}]\';;\nesac\n'
    )
    program.chmod(0o755)
    (tmp_path / "asked").touch()
    missing = "Error response from daemon: Could not find the file /kind/hello-k8s.json in container n0"
    (tmp_path / "broken").write_text(missing)
    return Engine((str(program),))


def lines(states: list[Node]) -> str:
    return "".join(f"{n.id}\t{n.name}\t{n.state}\t{','.join(n.networks)}\t{n.role}\n" for n in states)


def marker(count: int) -> bytes:
    data = json.dumps({"nodes": count}).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("hello-k8s.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_status_of_a_cluster_that_another_checkout_made(fake_docker: Engine, tmp_path: Path, home: Path) -> None:
    (tmp_path / "ps").write_text(lines(some("running", "running", "running")))
    (tmp_path / "marker").write_bytes(marker(3))
    cluster = Cluster("some", engine=fake_docker)
    assert cluster.status() == "running"
    (tmp_path / "marker").unlink()
    assert cluster.status() == "running", "remembered for these containers"
    others = [Node(f"new{n.id}", n.name, n.role, n.state, n.networks) for n in some("running", "running", "running")]
    (tmp_path / "ps").write_text(lines(others))
    assert cluster.status() == "partial"


def asked(tmp_path: Path) -> list[str]:
    """The verbs of what the fake docker was asked."""
    return [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()]


def test_only_a_cluster_that_was_never_completed_is_removed(
    fake_docker: Engine, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Made(Exception):
        pass

    def create(*_: object) -> None:
        raise Made

    monkeypatch.setattr(Cluster, "_create", create)
    (tmp_path / "ps").write_text(lines(some("running", "created")))
    with pytest.raises(Made):
        Cluster("some", engine=fake_docker).up()
    assert "rm" in asked(tmp_path)


def test_where_docker_cannot_say_whether_it_was_completed_nothing_is_removed(
    fake_docker: Engine, tmp_path: Path, home: Path
) -> None:
    """A full disk, an engine that is busy: each was once taken for a cluster that is half made."""
    (tmp_path / "ps").write_text(lines(some("running", "running", "running")))
    (tmp_path / "broken").write_text("Error response from daemon: no space left on device")
    cluster = Cluster("some", engine=fake_docker)
    for ask in (cluster.status, cluster.up):
        with pytest.raises(CommandFailed, match="no space left"):
            ask()
    assert "rm" not in asked(tmp_path)


@pytest.mark.parametrize("states", [("running", "running"), ("running",) * 4, ("running", "dead", "running")])
def test_a_whole_cluster_whose_nodes_have_changed_is_left_alone(
    fake_docker: Engine, tmp_path: Path, home: Path, states: tuple[str, ...]
) -> None:
    (tmp_path / "ps").write_text(lines(some(*states)))
    (tmp_path / "marker").write_bytes(marker(3))
    with pytest.raises(ClusterError, match="`some`") as refused:
        Cluster("some", engine=fake_docker).up()
    assert "n1" in refused.value.why and states[1] in refused.value.why
    assert "./hello-k8s delete" in refused.value.next
    assert "rm" not in asked(tmp_path)


def test_the_control_plane_comes_first(fake_docker: Engine, tmp_path: Path) -> None:
    (tmp_path / "ps").write_text(lines(list(reversed(some("running", "running", "running")))))
    assert [node.name for node in nodes.find_nodes(fake_docker, "some")] == ["n0", "n1", "n2"]


def test_a_cluster_of_somebody_else_is_left_alone(fake_docker: Engine, tmp_path: Path, home: Path) -> None:
    (tmp_path / "ps").write_text(lines(some("running", network="kind")))
    cluster = Cluster("theirs", engine=fake_docker)
    with pytest.raises(ClusterError, match="theirs"):
        cluster.up()
    with pytest.raises(ClusterError, match="theirs"):
        cluster.delete()
    assert "rm" not in asked(tmp_path)


def test_kind_config() -> None:
    config = yaml.safe_load(kindconfig.kind_config(3))
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    kubelet = yaml.safe_load(config["kubeadmConfigPatches"][0])
    assert kubelet["kind"] == "KubeletConfiguration" and kubelet["failCgroupV1"] is False
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"
    assert len(yaml.safe_load(kindconfig.kind_config(1))["nodes"]) == 1


def test_namespace_template() -> None:
    namespace, quota, *_ = kindconfig.objects("namespace.yaml", NAME="lab-x")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"
    assert quota["metadata"]["namespace"] == "lab-x"


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("probe", "docker.io/library/probe:latest"),
        ("multi-stage:lab", "docker.io/library/multi-stage:lab"),
        ("hello-k8s/probe:1", "docker.io/hello-k8s/probe:1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("localhost/a:1", "localhost/a:1"),
        ("a@sha256:00", "docker.io/library/a@sha256:00"),
    ],
)
def test_full_name(ref: str, name: str) -> None:
    assert loading.full_name(ref) == name


def test_seconds_of_a_lease() -> None:
    assert ready.seconds_of("1970-01-01T00:00:01.500000Z") == 1.5
    assert ready.seconds_of("") == 0


def test_environment_puts_our_programs_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    cluster = Cluster("some")
    environment = cluster.environment()
    assert environment["PATH"] == f"{tools.folder()}:/usr/bin"
    assert environment["KUBECONFIG"] == str(home / "state" / "kubeconfig-some")
    monkeypatch.setenv("PATH", environment["PATH"])
    assert cluster.environment()["PATH"] == environment["PATH"]


def test_stop_leaves_a_cluster_of_somebody_else_alone(fake_docker: Engine, tmp_path: Path, home: Path) -> None:
    (tmp_path / "ps").write_text(lines(some("running", network="kind")))
    with pytest.raises(ClusterError, match="theirs") as refused:
        Cluster("theirs", engine=fake_docker).stop()
    assert refused.value.next
    assert "stop" not in asked(tmp_path)


def test_a_lost_state_folder_is_filled_again(
    fake_docker: Engine, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubeconfig and kubectl come from the running cluster; where both are those of its nodes, nothing is run."""
    kind = tmp_path / "kind"
    kind.write_text(f"#!/bin/sh\necho kind >> {tmp_path}/kind-asked\necho 'kind: Config'\n")
    kind.chmod(0o755)
    monkeypatch.setattr(tools, "ensure_kind", lambda *_: kind)
    monkeypatch.setattr(tools, "ensure_kubectl", lambda *_: (tools.folder() / "kubectl").touch())
    (tmp_path / "ps").write_text(lines(some("running", "running", "running")))
    (tmp_path / "marker").write_bytes(marker(3))
    cluster = Cluster("some", engine=fake_docker)
    assert cluster.attach() == "running" and cluster.attach() == "running"
    assert cluster.kubeconfig.read_text() == "kind: Config\n" and cluster.kubeconfig.stat().st_mode & 0o077 == 0
    assert (tmp_path / "kind-asked").read_text() == "kind\n"
    for lost in (cluster.kubeconfig, tools.folder() / "kubectl"):
        lost.unlink()
        cluster.attach()
        assert lost.exists()
    (tmp_path / "ps").write_text(
        lines([Node(f"new{n.id}", n.name, n.role, n.state, n.networks) for n in some("running")])
    )
    (tmp_path / "marker").write_bytes(marker(1))
    cluster.kubeconfig.write_text("of the cluster before")
    assert cluster.attach() == "running" and cluster.kubeconfig.read_text() == "kind: Config\n"


def test_kubectl_remembers_in_our_folder(home: Path) -> None:
    assert Cluster("some").environment()["KUBECACHEDIR"] == str(home / "state" / "kube-cache")


def test_a_connection_lost_while_a_cluster_comes_up_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found while a cluster was made: the first watch was reset, and the whole cluster counted as not made."""
    import contextlib

    from hello_k8s.errors import ClusterError
    from hello_k8s.machine import ready

    asked: list[str] = []

    class Api:
        def list(self, *_: object) -> list[dict[str, object]]:
            return []

        @contextlib.contextmanager
        def watch(self, *_: object, timeout: float):  # type: ignore[no-untyped-def]
            asked.append("watch")
            if len(asked) == 1:
                raise ClusterError("reset by peer")
            yield iter([("ADDED", {"metadata": {"name": "node"}})])

    monkeypatch.setattr(ready, "wait_for_api", lambda api, seconds: asked.append("api"))
    assert ready._happens(Api(), "Node", None, {}, lambda found: "node" in found, 5)  # type: ignore[arg-type]
    assert asked == ["watch", "api", "watch"]
    asked.clear()
    with pytest.raises(ClusterError):
        ready._happens(Api(), "Node", None, {}, lambda found: False, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [403, 500, 503])
def test_what_an_api_server_cannot_do_yet_is_tried_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """ "etcdserver: request timed out", in the first seconds after a start on a busy disk."""
    from hello_k8s.machine import ready
    from hello_k8s.machine.kubeapi import ApiError

    monkeypatch.setattr(ready, "_BREATH_SECONDS", 0)
    monkeypatch.setattr(ready, "wait_for_api", lambda api, seconds: None)
    answers = [ApiError(status, "", "not now"), ApiError(status, "", "not now")]

    def do() -> str:
        if answers:
            raise answers.pop()
        return "done"

    if status == 403:
        with pytest.raises(ApiError):
            ready._unbroken(None, do)  # type: ignore[arg-type]
    else:
        assert ready._unbroken(None, do) == "done"  # type: ignore[arg-type]


class States:
    """An engine with nodes in these states, as `docker inspect` writes them."""

    def __init__(self, *states: tuple[str, str, str]) -> None:
        self._states = [
            {"Status": status, "StartedAt": started, "FinishedAt": finished} for status, started, finished in states
        ]

    def run(self, *words: str, **_: Any) -> Any:
        lines = (
            [f"id{number}\tnode{number}\trunning\tkind\tworker" for number, _ in enumerate(self._states)]
            if words[0] == "ps"
            else map(json.dumps, self._states)
        )
        return SimpleNamespace(stdout="".join(f"{line}\n" for line in lines))


NEVER, NINE, TEN, HALF_PAST = (
    "0001-01-01T00:00:00Z", "2026-05-01T09:00:00.123456789Z", "2026-05-01T10:00:00Z", "2026-05-01T10:30:00Z",
)  # fmt: skip


@pytest.mark.parametrize(
    ("state", "up"),
    [
        (("running", NINE, NEVER), True),
        (("exited", NINE, TEN), False),
        (("paused", NINE, NEVER), False),
        # down before and up again in time, or not yet settled
        (("running", "2026-05-01T10:15:00Z", NINE), True),
        (("running", "2026-05-01T10:29:50Z", NINE), False),
        # down in the middle, and after the end
        (("running", "2026-05-01T10:30:20Z", "2026-05-01T10:30:10Z"), False),
        (("running", "2026-05-01T10:50:00Z", "2026-05-01T10:40:00Z"), True),
        (("exited", NINE, "2026-05-01T10:40:00Z"), True),
    ],
)
def test_whether_the_nodes_were_up_for_a_minute_from_half_past_ten(state: tuple[str, str, str], up: bool) -> None:
    begun = ready.seconds_of(HALF_PAST)
    engine = States(("running", NINE, NEVER), state)
    assert nodes.were_up(engine, "kind", begun, begun + 60, settled=30) is up  # type: ignore[arg-type]


def test_where_there_are_no_nodes_none_was_down() -> None:
    assert nodes.were_up(States(), "kind", 0, 1)  # type: ignore[arg-type]


def test_a_pause_that_fails_leaves_no_cluster_that_does_nothing(
    fake_docker: Engine, tmp_path: Path, home: Path
) -> None:
    """Without its controller manager, which stands still for a pause, no Deployment would get a Pod."""
    (tmp_path / "ps").write_text(lines(some("running", "running")))
    (tmp_path / "marker").write_bytes(marker(2))
    (program,) = fake_docker.prefix
    Path(program).write_text(Path(program).read_text().replace("version)", "pause) exit 1;;\nversion)"))
    with pytest.raises(ClusterError):
        Cluster("some", engine=fake_docker).pause()
    signals = [line.split()[-1] for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("exec")]
    assert signals == ["STOP", "CONT"]


def test_what_cannot_be_frozen_just_then_is_tried_again(tmp_path: Path) -> None:
    """A node whose process waits for the disk: runc gives up on it, and the others are frozen already."""
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'if [ "$1" = container ]; then [ -e {tmp_path}/$3 ] && state=true || state=false;'
        ' echo "[{\\"State\\": {\\"Paused\\": $state}}]"; exit; fi\n'
        '[ "$1" = pause ] || exit 0\nshift\nfor node in "$@"; do\n'
        f"  if [ $node = busy ] && [ ! -e {tmp_path}/tried ]; then touch {tmp_path}/tried;"
        " echo 'Error response from daemon: OCI runtime pause failed: unable to freeze' >&2; bad=1\n"
        f"  else touch {tmp_path}/$node; fi\ndone\nexit ${{bad:-0}}\n"
    )
    program.chmod(0o755)
    Engine((str(program),)).pause("idle", "busy")
    pauses = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("pause")]
    assert pauses == ["pause idle busy", "pause busy"]
