"""An image goes to every node at once, and never waits for ever: with a docker command that is a script."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hello_k8s import process
from hello_k8s.errors import ClusterError
from hello_k8s.machine import loading
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.nodes import Node
from hello_k8s.progress import SILENT

NODES = [Node(f"id{name}", name, "worker", "running", ("hello-k8s",)) for name in ("quick", "slow")]
#: More than a pipe holds, and no multiple of anything.
IMAGE = bytes(range(256)) * 20_000 + b"end"


@pytest.fixture
def docker(tmp_path: Path, home: Path) -> Engine:
    """A docker command: `save` runs what is in `save`, an import on a node what is in the file of its name."""
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in\n"image inspect"*) echo \'[{{"Id": "sha256:00"}}]\';;\n*"images ls") ;;\n'
        f"save*) . {tmp_path}/save;;\nexec*) node=$3; . {tmp_path}/$node;;\nesac\n"
    )
    program.chmod(0o755)
    (tmp_path / "image").write_bytes(IMAGE)
    (tmp_path / "save").write_text(f"exec cat {tmp_path}/image\n")
    for node in NODES:
        (tmp_path / node.name).write_text(f"exec cat > {tmp_path}/$node.got\n")
    return Engine((str(program),))


def load(docker: Engine) -> list[str]:
    return loading.load(["web:1"], docker, docker, NODES, SILENT)


def test_every_node_gets_every_byte(docker: Engine, tmp_path: Path) -> None:
    assert load(docker) == ["web:1"]
    assert [(tmp_path / f"{node.name}.got").read_bytes() == IMAGE for node in NODES] == [True, True]
    assert not process._running


def test_a_node_that_refuses_is_named_and_the_others_get_it(docker: Engine, tmp_path: Path) -> None:
    (tmp_path / "slow").write_text("echo no space left >&2; exit 1\n")
    with pytest.raises(ClusterError, match="exec -i slow") as failed:
        load(docker)
    assert "no space left" in failed.value.why
    assert (tmp_path / "quick.got").read_bytes() == IMAGE


@pytest.mark.parametrize(
    ("file", "does", "named"),
    [
        ("slow", "exec sleep 60", "exec -i slow"),
        ("slow", "head -c 300000 >&2; exec sleep 60", "exec -i slow"),
        ("slow", "cat > /dev/null; exec sleep 60", "exec -i slow"),
        ("save", "exec sleep 60", "save web:1"),
        ("save", "head -c 300000 /dev/zero; exec sleep 60", "save web:1"),
    ],
)
def test_where_nothing_moves_it_ends_and_names_who_stands_still(
    docker: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, does: str, named: str
) -> None:
    # long enough for the others, who need a moment of a busy processor
    monkeypatch.setattr(loading, "_STALLED_SECONDS", 2)
    (tmp_path / file).write_text(f"{does}\n")
    began = time.monotonic()
    with pytest.raises(ClusterError) as failed:
        load(docker)
    assert time.monotonic() - began < 20 and not process._running
    assert named in failed.value.why and "in time" in failed.value.why


def test_what_moves_slowly_has_its_time(docker: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_STALLED_SECONDS", 2)
    (tmp_path / "save").write_text("for piece in 1 2 3 4 5 6; do echo $piece; sleep 0.5; done\n")
    load(docker)
    assert (tmp_path / "slow.got").read_text() == "1\n2\n3\n4\n5\n6\n"


def test_when_somebody_ends_it_all_no_node_is_waited_for(docker: Engine, tmp_path: Path) -> None:
    (tmp_path / "slow").write_text(f"touch {tmp_path}/begun; exec sleep 60\n")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load, docker)
        while not (tmp_path / "begun").exists():
            assert not running.done()
        process.end_all()
        with pytest.raises(ClusterError):
            running.result(20)
    assert not process._running


# -- removing

MADE = "import-2026-11-28@sha256:aa"
LISTED = f"""REF TYPE DIGEST SIZE PLATFORMS LABELS
docker.io/library/web:1 application/vnd.oci sha256:aa 9.9 MiB linux/amd64 org.hello-k8s.id=sha256:00
{MADE} application/vnd.oci sha256:aa 9.9 MiB linux/amd64 -
sha256:ff application/vnd.oci sha256:aa 9.9 MiB linux/amd64 io.cri-containerd.image=managed
docker.io/library/other:1 application/vnd.oci sha256:bb 9.9 MiB linux/amd64 -
"""


@pytest.mark.parametrize(
    ("more", "removed"),
    [
        ("", f"docker.io/library/web:1 {MADE} sha256:ff"),
        # somebody's image with the same content, such as the base that a Dockerfile adds nothing to
        ("docker.io/hello-k8s/go-app:1 application/vnd.oci sha256:aa 9 MiB linux/amd64 -\n", "docker.io/library/web:1"),
    ],
    ids=["alone", "shared"],
)
def test_what_was_brought_for_one_grading_goes(tmp_path: Path, home: Path, more: str, removed: str) -> None:
    program = tmp_path / "docker"
    (tmp_path / "listed").write_text(LISTED + more)
    program.write_text(
        f'#!/bin/sh\ncase "$*" in\n*"images ls") test $2 != gone || exit 1; cat {tmp_path}/listed;;\n'
        f'*"images rm "*) echo "$@" >> {tmp_path}/removed;;\nesac\n'
    )
    program.chmod(0o755)
    loading.remove("web:1", Engine((str(program),)), ["gone", "quick", "slow"])
    loading.remove("never-there:1", Engine((str(program),)), ["quick"])
    assert (tmp_path / "removed").read_text().splitlines() == [
        f"exec {node} ctr -n k8s.io images rm {removed}" for node in ("quick", "slow")
    ]
