"""Dockerfiles that would harm: each is a verdict with a reason, and an honest build beside it is unharmed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hello_k8s.grading import attempt, building
from hello_k8s.grading.verdict import Unmet
from hello_k8s.grading.waiting import eventually
from hello_k8s.machine.nested import Nested
from tests.engine.conftest import Outcome

pytestmark = pytest.mark.docker

CHECKS = ("small", "no_compiler", "non_root", "answers")
DEBIAN = "FROM debian:trixie-slim\n"


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ("FROM nginx:1.27\n", "`nginx:1.27`, which can't be used in this lab. These can: scratch, golang:1.26"),
        ("# syntax=docker/dockerfile:1\nFROM nginx\n", "`nginx`, which can't be used"),
        ("// syntax=example.org/frontend\nFROM golang:1.26\n", "another builder than Docker's own"),
        (DEBIAN + "COPY --from=multi-stage:lab /go-app /\n", "`multi-stage:lab`, which can't be used"),
        (DEBIAN + "RUN --mount=from=hello-k8s/probe:1,target=/x ls /x\n", "probe:1`, which can't be used"),
        (DEBIAN + "ADD http://127.0.0.1:2375/info /\n", "fetches `http://127.0.0.1:2375/info`"),
        (DEBIAN + "ADD http://172.17.0.2:8080/ /x\n", "no network here"),
        (DEBIAN + "ADD git://127.0.0.1/x.git /\n", "fetches `git://127.0.0.1/x.git`"),
        (DEBIAN + "RUN --network=host id\n", "the network of the host"),
        (DEBIAN + "RUN --security=insecure id\n", "unknown flag: --security"),
        (DEBIAN + "RUN test -z \"$(grep -v -e lo: -e '|' /proc/net/dev)\" && exit 7\n", "exit code: 7"),
        (DEBIAN + "RUN --mount=type=secret,id=x,required=true true\n", "secret x: not found"),
    ],
    ids=[
        "pull",
        "syntax",
        "frontend",
        "other-image",
        "mounted-image",
        "loopback",
        "bridge",
        "git",
        "host-network",
        "insecure",
        "no-network",
        "secret",
    ],
)
def test_what_a_build_cannot_have(hostile: Callable[..., Outcome], dockerfile: str, said: str) -> None:
    found = hostile(dockerfile)
    assert {found.verdict(check) for check in CHECKS} == {"failed"}
    assert said in found.message("small"), found.message("small")


FORKS = "RUN bash -c ':(){ :|:& };:; sleep 100'\n"
#: A step is told from others by its hosts file.
HIDDEN = "RUN --mount=type=bind,source=Dockerfile,target=/etc/hosts "
CHILDREN = "RUN for i in $(seq 2000); do sleep 300 & done; wait\n"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (FORKS, "more processes"),
        (CHILDREN, "more processes"),
        ("RUN head -c 5G /dev/zero | tail\n", "more memory"),
        ("RUN head -c 8G /dev/zero >/x\n", "writes more"),
        ("RUN --mount=type=cache,target=/c fallocate -l 2500M /c/x; sleep 60\n", "writes more"),
        ("RUN head -c 1G /dev/zero | tr '\\0' x; exit 9\n", "doesn't build: x"),
        ("RUN truncate -s 3G /x\n", "writes more"),
        ("RUN --mount=type=bind,rw,source=Dockerfile,target=/y fallocate -l 2500M /y; sleep 60\n", "writes more"),
        (f"{HIDDEN}{FORKS.removeprefix('RUN ')}", "an /etc/hosts of its own"),
        ("RUN echo no space left on device; exit 3\n", "no space left on device"),
        (f"RUN sleep 100; touch /a\n{DEBIAN}RUN sleep 1; exit 137\nCOPY --from=0 /a /\n", "exit code: 137"),
    ],
    ids=[
        "forks",
        "children",
        "memory",
        "disk",
        "cache",
        "output",
        "holes",
        "mount",
        "hidden",
        "no-space-said",
        "killed",
    ],
)
def test_what_a_build_takes_is_its_own_loss(hostile: Callable[..., Outcome], steps: str, said: str) -> None:
    found = hostile(DEBIAN + steps, beside=True)
    assert {found.verdict(check) for check in CHECKS} == {"failed"}
    assert said in found.message("small"), found.message("small")
    assert sum(len(line) for line in found.result.checks[0].evidence) < 100_000


def test_a_step_that_another_build_began_has_its_limits_too(
    nested: Nested, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """BuildKit goes on with an ended build's step where another one waits for it: there nobody would watch it."""

    def graded(name: str) -> str:
        folder = tmp_path_factory.mktemp(name)
        (folder / "Dockerfile").write_text(DEBIAN + "RUN fallocate -l 2500M /x; sleep 60\n")
        with pytest.raises(Unmet) as found:
            building.build(nested, folder, name, "Dockerfile", images=["debian"], seconds=180, owner=name)
        return found.value.texts["en"]

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(graded, ["one", "two"]))
    said += [graded("three"), graded("four")]  # of which BuildKit hasn't forgotten the step yet
    assert all("writes more" in text for text in said), said


def test_whose_step_fails_for_what_another_build_wrote_has_it_run_again(
    nested: Nested, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An equal step is run once, for whoever came first: here for one who takes nearly all of his share elsewhere."""
    shared = "RUN sleep 4; head -c 30M /dev/zero >/y\n"

    def built(name: str, rest: str) -> None:
        folder = tmp_path_factory.mktemp(name)
        (folder / "Dockerfile").write_text(f"{DEBIAN}{shared}{DEBIAN}{rest}COPY --from=0 /y /y\n")
        building.build(nested, folder, name, "Dockerfile", images=["debian"], seconds=180, owner=name)
        nested.engine.run("image", "rm", "--force", name)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(built, "greedy", "RUN fallocate -l 2040M /x\n")
        eventually(lambda: ".folders" in nested.inside("ls", "/run/confine").stdout, 30)
        second = pool.submit(built, "honest", "")
        with pytest.raises(Unmet, match="writes more"):
            first.result()
        second.result()


def test_a_step_that_sleeps_is_ended_alone(
    hostile: Callable[..., Outcome], nested: Nested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "IDLE_SECONDS", 8.0)
    found = hostile(DEBIAN + "RUN sleep 3600\n", beside=True)
    assert {found.verdict(check) for check in CHECKS} == {"timed_out"}
    assert "did nothing for 8 s" in found.message("small")
    assert "sleep 3600" not in nested.outer.run("top", nested.name).stdout


def test_a_step_that_never_stops_is_ended_at_the_deadline(
    hostile: Callable[..., Outcome], nested: Nested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "BUILD_SECONDS", 6.0)
    monkeypatch.setattr("hello_k8s.grading.run.confirmed", lambda result, lab: result)
    found = hostile(DEBIAN + "RUN trap '' TERM INT; while :; do :; done\n")
    assert {found.verdict(check) for check in CHECKS} == {"timed_out"}
    assert "within 6 s" in found.message("small")
    assert "while :" not in nested.outer.run("top", nested.name).stdout


def test_a_full_disk_is_only_the_last_ones_doing(
    hostile: Callable[..., Outcome], nested: Nested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a share of its own a build may fill it; what it left is cleared, and the next one has room."""
    monkeypatch.setattr(building, "DISK", 1 << 40)
    monkeypatch.setattr(building, "_ROOM", -1 << 40)
    fill = "RUN for i in $(seq 64); do fallocate -l 500M /x$i || exit 1; done\n"
    found = hostile(DEBIAN + fill)
    assert {found.verdict(check) for check in CHECKS} == {"failed"} and "writes more" in found.message("small")
    assert nested.engine.answers()


def test_a_cache_is_its_owners(nested: Nested, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = DEBIAN + "RUN --mount=type=cache,id=shared,target=/c ls /c; touch /c/mine; test $(ls /c | wc -l) = 1\n"
    steps = [text, text + "RUN --mount=type=cache,id=shared,target=/c test -e /c/mine\n"]
    for owner in ("one", "two"):
        for step in steps:
            folder = tmp_path_factory.mktemp("cache")
            (folder / "Dockerfile").write_text(step)
            building.build(nested, folder, "cached", "Dockerfile", images=["debian"], seconds=180, owner=owner)
    other = DEBIAN + "RUN --mount=type=cache,id=shared,target=/c test ! -e /c/mine\n"
    folder = tmp_path_factory.mktemp("cache")
    (folder / "Dockerfile").write_text(other)
    building.build(nested, folder, "cached", "Dockerfile", images=["debian"], seconds=180, owner="three")
    nested.engine.run("image", "rm", "--force", "cached")


def test_equal_builds_run_once(nested: Nested, tmp_path_factory: pytest.TempPathFactory) -> None:
    ids = set()
    for owner in ("one", "two"):
        folder = tmp_path_factory.mktemp("equal")
        (folder / "Dockerfile").write_text(DEBIAN + "RUN head -c 16 /dev/urandom | od -An -tx1 >/once\n")
        building.build(nested, folder, f"equal-{owner}", "Dockerfile", images=["debian"], seconds=180, owner=owner)
        found = nested.engine.image(f"equal-{owner}")
        assert found is not None
        ids.add(found["Id"])
        nested.engine.run("image", "rm", "--force", f"equal-{owner}")
    assert len(ids) == 1
