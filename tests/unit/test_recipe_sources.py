"""Where an image comes from, without an engine: references, registries, bundles, the plan."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.errors import MachineError
from hello_k8s.machine import bundle, images, recipe, registry
from hello_k8s.machine.engine import Engine


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("golang:1.26", "docker.io/library/golang:1.26"),
        ("golang", "docker.io/library/golang:latest"),
        ("kindest/node:v1.37.0@sha256:aa", "docker.io/kindest/node@sha256:aa"),
        ("registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10.2"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("docker.io/library/debian:trixie-slim", "docker.io/library/debian:trixie-slim"),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(ref: str, expected: str) -> None:
    assert str(registry.parse(ref)) == expected


def test_the_mirror_takes_the_registrys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_REGISTRY", "127.0.0.1:5000")
    assert str(registry.source("kindest/node:v1@sha256:aa")) == "127.0.0.1:5000/kindest/node@sha256:aa"


def test_a_registry_that_is_not_there_is_found_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_REGISTRY", "127.0.0.1:1")
    start = time.monotonic()
    assert not registry.reachable("golang:1.26", Engine())
    assert time.monotonic() - start < 5


def write_bundle(file: Path, names: dict[str, str | None]) -> None:
    """A file such as `docker save` writes: image name → the label of its recipe, or None."""
    with tarfile.open(file, "w") as tar:
        manifest = []
        for number, (name, label) in enumerate(names.items()):
            labels = {recipe.LABEL: label} if label else None
            add(tar, f"{number}.json", {"config": {"Labels": labels}})
            manifest.append({"Config": f"{number}.json", "RepoTags": [name]})
        add(tar, "manifest.json", manifest)


def add(tar: tarfile.TarFile, name: str, content: object) -> None:
    data = json.dumps(content).encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def test_a_bundle_says_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar"
    write_bundle(file, {"official:1": None, "ours:1": "abc"})
    assert bundle.contents(file) == {"official:1": None, "ours:1": "abc"}
    assert bundle.holds(file, "official:1", "anything")
    assert bundle.holds(file, "ours:1", "abc")
    assert not bundle.holds(file, "ours:1", "abd")
    assert not bundle.holds(file, "other:1", "abc")
    assert not bundle.holds(tmp_path / "none.tar", "ours:1", "abc")


def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar"
    file.write_text("not a tar")
    for wrong in (file, tmp_path / "missing.tar"):
        with pytest.raises(MachineError) as told:
            bundle.contents(wrong)
        assert str(wrong) in told.value.what and "images bundle" in told.value.next


class FakeEngine(Engine):
    """An engine that has the images of `has`: name → labels."""

    has: dict[str, dict[str, str]] = {}  # noqa: RUF012 - set anew by each test

    def image(self, ref: str) -> dict[str, object] | None:  # type: ignore[override]
        return {"Config": {"Labels": self.has[ref]}} if ref in self.has else None


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.setenv("HELLO_K8S_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELLO_K8S_BUNDLE", str(tmp_path / "bundle.tar"))
    monkeypatch.setattr(FakeEngine, "has", {})
    monkeypatch.setattr(registry, "reachable", lambda *_: False)
    monkeypatch.setattr(recipe, "why_not", lambda image: None)
    return FakeEngine()


def way(engine: Engine) -> str:
    (found,) = images.plan(["node"], engine)
    assert found.reason
    return found.way


def test_the_plan_takes_the_first_way_that_is_open(
    nothing_here: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, today = catalog.image("node"), images.recipe_of("node")
    monkeypatch.setattr(recipe, "why_not", lambda image: ("no root", "sudo"))
    assert way(nothing_here) == "impossible"
    monkeypatch.setattr(recipe, "why_not", lambda image: None)
    assert way(nothing_here) == "build"
    monkeypatch.setattr(registry, "reachable", lambda *_: True)
    assert way(nothing_here) == "pull"
    write_bundle(tmp_path / "bundle.tar", {node.name: today})
    assert way(nothing_here) == "bundle"
    monkeypatch.setattr(FakeEngine, "has", {node.name: {recipe.LABEL: "of another version"}})
    assert way(nothing_here) == "bundle"
    monkeypatch.setattr(FakeEngine, "has", {node.name: {recipe.LABEL: today}})
    assert way(nothing_here) == "here"


def test_an_official_image_under_our_name_is_here(nothing_here: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeEngine, "has", {catalog.image("node").name: {}})
    assert way(nothing_here) == "here"
