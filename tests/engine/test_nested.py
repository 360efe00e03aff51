"""The nested engine: its limits hold, nothing gets out of it, and it survives what happens to containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hello_k8s import process
from hello_k8s.errors import CommandFailed, EngineError
from hello_k8s.grading.waiting import eventually
from hello_k8s.machine import images
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.nested import Nested

pytestmark = pytest.mark.docker

NAME = "hello-k8s-test-nested"
MEMORY = 512 * 1024 * 1024


@pytest.fixture(scope="module")
def outer() -> Engine:
    found = user_engine()
    if not found.answers():
        from tests.conftest import cannot_run

        cannot_run("no Docker engine answers")
    return found


@pytest.fixture(scope="module")
def nested(outer: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nested]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELLO_K8S_STATE", str(tmp_path_factory.mktemp("state")))
        made = Nested(NAME, memory="512m", cpus=1, pids=300, disk="2g")
        made.down()
        made.up(["debian"])
        yield made
        made.down()
        made.down()
        assert not made.exists()
        assert NAME not in outer.run("volume", "ls", "--quiet").stdout.split()


def build(nested: Nested, dockerfile: str, *options: str) -> str:
    done = nested.up(["debian"]).run("build", "--progress=plain", "--tag=t", *options, "-", input=dockerfile.encode())
    return done.stdout + done.stderr


def test_up_again_is_quick(nested: Nested, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program started is what costs time: it is one, and it only looks."""
    nested.up(["debian"])
    begin, started = process._begin, []

    def counted(argv, *args, **options):  # type: ignore[no-untyped-def]
        started.append(list(argv))
        return begin(argv, *args, **options)

    monkeypatch.setattr(process, "_begin", counted)
    nested.up(["debian"])
    assert started == [[*nested.outer.prefix, "container", "inspect", NAME]]


def test_upstream_names_are_inside(nested: Nested) -> None:
    assert nested.engine.image("debian:trixie-slim") is not None
    assert nested.engine.name == "nested"


def test_limits_are_set(nested: Nested, outer: Engine) -> None:
    found = outer.container(NAME)
    assert found is not None
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (MEMORY, MEMORY, 10**9, 300)
    assert host["NetworkMode"] == "none"
    size = outer.run("exec", NAME, "df", "--output=size", "-B1", "/var/lib/docker").stdout.split()[-1]
    assert int(size) < 2 * 1024**3


def test_memory_holds_in_a_build(nested: Nested) -> None:
    with pytest.raises(CommandFailed) as failed:
        build(nested, "FROM debian:trixie-slim\nRUN head -c 700M /dev/zero | tail >/dev/null\n", "--no-cache")
    assert not isinstance(failed.value, EngineError), failed.value
    assert nested.engine.answers(timeout=30), "the build is killed, not the engine"


def test_processes_are_counted(nested: Nested) -> None:
    with pytest.raises(CommandFailed) as failed:
        build(nested, "FROM debian:trixie-slim\nRUN for i in $(seq 400); do sleep 60 & done; wait\n", "--no-cache")
    assert not isinstance(failed.value, EngineError), failed.value
    assert "fork" in failed.value.output.lower() or "resource" in failed.value.output.lower()
    assert nested.engine.answers(timeout=30)


def test_the_disk_is_limited(nested: Nested) -> None:
    with pytest.raises(CommandFailed) as failed:
        build(nested, "FROM debian:trixie-slim\nRUN head -c 3G /dev/zero >/big\n", "--no-cache")
    assert "No space left on device" in failed.value.output
    nested.engine.run("builder", "prune", "--all", "--force")
    assert "ok" in build(nested, "FROM debian:trixie-slim\nRUN echo o''k\n", "--no-cache")


def test_nothing_outside_is_reached(nested: Nested) -> None:
    for url in ("http://127.0.0.1:9/", "http://192.0.2.1/"):
        with pytest.raises(CommandFailed) as failed:
            build(nested, f"FROM debian:trixie-slim\nADD {url} /x\n", "--no-cache")
        assert not isinstance(failed.value, EngineError)
    with pytest.raises(CommandFailed):
        build(nested, "FROM nowhere.example/image:1\n")


def test_a_published_port_is_asked_from_inside(nested: Nested) -> None:
    engine = nested.up(["probe"])
    engine.run("run", "--detach", "--name=asked", "--publish=127.0.0.1:8080:8080", "hello-k8s/probe:1", "serve")
    try:
        url = "http://127.0.0.1:8080/healthz"
        eventually(lambda: nested.fetch(url)[0]["status"] == 200, 30)  # it has only just been started
        answers = nested.fetch(url, 3)
        assert [answer["status"] for answer in answers] == [200] * 3
        (refused,) = nested.fetch("http://127.0.0.1:9/")
        assert refused["status"] == 0 and "refused" in refused["error"]
    finally:
        engine.remove("asked")


def test_survives_pause_stop_and_kill(nested: Nested, outer: Engine) -> None:
    nested.pause()
    nested.pause()
    with pytest.raises(EngineError):
        nested.engine.run("ps")
    nested.resume()
    nested.pause()
    assert nested.up(["debian"]).answers()
    nested.stop()
    assert nested.up(["debian"]).image("debian:trixie-slim") is not None
    outer.run("kill", NAME)
    assert nested.up(["debian"]).image("debian:trixie-slim") is not None


def test_other_settings_are_another_engine(nested: Nested) -> None:
    Nested(NAME, memory="512m", cpus=1, pids=300, disk="2g", experimental=True).up(["debian"])
    outer = nested.outer
    text = b"FROM debian:trixie-slim\nRUN echo 1 >/a\nRUN echo 2 >/b\n"
    squash = ("exec", "-i", "-e", "DOCKER_BUILDKIT=0", NAME, "docker", "build", "--squash", "--tag=s", "-")
    outer.run(*squash, input=text)
    base, squashed = nested.engine.image("debian:trixie-slim"), nested.engine.image("s")
    assert base is not None and squashed is not None
    assert len(squashed["RootFS"]["Layers"]) == len(base["RootFS"]["Layers"]) + 1


def test_a_newer_engine_image_is_another_engine(nested: Nested, monkeypatch: pytest.MonkeyPatch) -> None:
    before = nested.outer.container(NAME)
    recipe_of = images.recipe_of
    with monkeypatch.context() as patch:
        patch.setattr(images, "recipe_of", lambda name: "newer" if name == "engine" else recipe_of(name))
        assert nested.up().answers()
        after = nested.outer.container(NAME)
    assert before is not None and after is not None and before["Id"] != after["Id"]
