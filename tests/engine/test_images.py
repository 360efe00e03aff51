"""An image made present in each of the four ways; builds killed, built twice at once, kept for the next engine.

The image is a tiny one with the same machinery as the real ones; a registry container of Debian's own package
stands for the internet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hello_k8s import paths
from hello_k8s.machine import bundle, debian, images, recipe, registry
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.progress import SILENT, Progress
from tests.conftest import cannot_run

pytestmark = pytest.mark.docker

NAME = "hello-k8s-test/tiny:1"
REGISTRY = "hello-k8s-test-registry"
IMAGE_TOML = f"""
name = "{NAME}"
upstream = "UPSTREAM"
aliases = ["hello-k8s-test/upstream:1"]
kind = "packages"
usual_seconds = 1
[title]
ko = "아주 작은 이미지"
en = "A tiny image"
"""
ENSURE = """
import sys
from pathlib import Path
from hello_k8s import paths
paths.IMAGES = Path(sys.argv[1])
from hello_k8s.machine import images
from hello_k8s.machine.engine import user_engine
from hello_k8s.progress import SILENT
print(images.ensure(["tiny"], user_engine(), SILENT, upstream_names=False))
"""


class Notes(Progress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Tiny:
    """The test's image folder: its steps write a line to `log` each time that they run."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "images"
        self.log = folder / "log"
        self.reached = folder / "reached"
        steps = self.root / "tiny" / "steps"
        steps.mkdir(parents=True)
        (self.root / "tiny" / "Dockerfile").write_text('FROM scratch\nCOPY file /\nCMD ["/file"]\n')
        self.describe("")
        (steps / "10-first.sh").write_text(f'set -eu\necho first >>{self.log}\necho one >"$OUT/file"\n')
        self.second("")

    def describe(self, upstream: str) -> None:
        (self.root / "tiny" / "image.toml").write_text(IMAGE_TOML.replace("UPSTREAM", upstream))
        # the catalog remembers what it read
        from hello_k8s import catalog

        catalog._images.cache_clear()

    def second(self, extra: str) -> None:
        """Make the second step do `extra` before it is done."""
        script = f'set -eu\n# after: 10-first\necho second >>{self.log}\n{extra}\ncp "$OUT_FIRST/file" "$OUT/file"\n'
        (self.root / "tiny" / "steps" / "20-second.sh").write_text(script)

    def ran(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def ensuring(self) -> subprocess.Popen[str]:
        """Another process that makes it present."""
        return subprocess.Popen(
            [sys.executable, "-c", ENSURE, str(self.root)],
            cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def until_reached(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 60
        while not self.reached.exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="session")
def engine() -> Engine:
    found = user_engine()
    if not found.answers():
        cannot_run("no Docker engine answers")
    return found


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Iterator[Tiny]:
    if debian.system() != "debian" or os.geteuid() != 0:
        cannot_run("building from packages needs Debian and root")
    monkeypatch.setenv("HELLO_K8S_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HELLO_K8S_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HELLO_K8S_REGISTRY", "127.0.0.1:1")
    monkeypatch.delenv("HELLO_K8S_BUNDLE", raising=False)
    made = Tiny(tmp_path)
    monkeypatch.setattr(paths, "IMAGES", made.root)
    registry._answers.cache_clear()
    forget(engine)  # what a run that was killed left
    yield made
    forget(engine)


def forget(engine: Engine) -> None:
    engine.run("image", "rm", "--force", NAME, "hello-k8s-test/upstream:1", check=False)


def ensure(engine: Engine, progress: Progress = SILENT) -> str:
    return images.ensure(["tiny"], engine, progress, upstream_names=False)["tiny"]


def test_built_then_here_then_kept(tiny: Tiny, engine: Engine) -> None:
    assert images.plan(["tiny"], engine)[0].way == "build"
    said = Notes()
    assert ensure(engine, said) == NAME
    assert tiny.ran() == ["first", "second"]
    assert any("A tiny image" in note or "아주 작은" in note for note in said.notes)
    found = engine.image(NAME)
    assert found is not None
    labels = found["Config"]["Labels"]
    assert labels[recipe.LABEL] == images.recipe_of("tiny") and labels[recipe.STAND_IN] == "true"
    assert engine.image("hello-k8s-test/upstream:1") is None, "an upstream name only where we installed the engine"

    assert images.plan(["tiny"], engine)[0].way == "here"
    ensure(engine)
    forget(engine)  # as a fresh engine, or a second checkout on this machine
    assert images.plan(["tiny"], engine)[0].way == "kept", "nobody is told that it takes a build"
    ensure(engine)
    again = engine.image(NAME)
    assert again is not None and again["Id"] == found["Id"]
    assert tiny.ran() == ["first", "second"], "nothing was built twice"


def test_the_upstream_name_where_we_may(tiny: Tiny, engine: Engine) -> None:
    images.ensure(["tiny"], engine, SILENT, upstream_names=True)
    assert engine.image("hello-k8s-test/upstream:1") is not None


def test_a_changed_recipe_builds_only_what_changed(tiny: Tiny, engine: Engine) -> None:
    ensure(engine)
    tiny.second("echo changed")
    assert images.plan(["tiny"], engine)[0].way == "build"
    ensure(engine)
    assert tiny.ran() == ["first", "second", "second"]


def test_a_bundle_is_made_and_loaded(
    tiny: Tiny, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "class.tar"
    images.bundle(file, ["tiny"], engine, SILENT)
    forget(engine)
    monkeypatch.setenv("HELLO_K8S_CACHE", str(tmp_path / "another-machine"))
    monkeypatch.setenv("HELLO_K8S_BUNDLE", str(file))
    assert images.plan(["tiny"], engine)[0].way == "bundle"
    ensure(engine)
    assert tiny.ran() == ["first", "second"]
    forget(engine)
    assert images.load_bundle(file, engine, SILENT) == [NAME]
    assert images.plan(["tiny"], engine)[0].way == "here"


def test_a_bundle_of_another_version_is_named_and_passed_over(
    tiny: Tiny, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "class.tar"
    images.bundle(file, ["tiny"], engine, SILENT)
    monkeypatch.setenv("HELLO_K8S_BUNDLE", str(file))
    tiny.second("echo newer")
    said = Notes()
    ensure(engine, said)
    assert any(str(file) in note for note in said.notes)
    assert tiny.ran() == ["first", "second", "second"]


def test_a_damaged_kept_image_is_made_anew(tiny: Tiny, engine: Engine, tmp_path: Path) -> None:
    ensure(engine)
    forget(engine)
    (kept,) = (tmp_path / "cache" / "images").glob("tiny-*.tar")
    kept.write_bytes(kept.read_bytes()[:1000])
    ensure(engine)
    assert bundle.contents(kept) == {NAME: images.recipe_of("tiny")}


@pytest.fixture(scope="module")
def internet(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a registry made of Debian's package; it stands for the internet."""
    debian_image = images.ensure(["debian"], engine, SILENT, upstream_names=False)["debian"]
    context = tmp_path_factory.mktemp("registry")
    (context / "config.yml").write_text(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /data\nhttp:\n  addr: 0.0.0.0:5000\n"
    )
    (context / "Dockerfile").write_text(
        f"FROM {debian_image}\n"
        # a mirror frozen for a class may be older than its lists allow
        "RUN apt-get -o Acquire::Check-Valid-Until=false update"
        " && apt-get install --yes --no-install-recommends docker-registry\n"
        "COPY config.yml /config.yml\n"
        'CMD ["docker-registry", "serve", "/config.yml"]\n'
    )
    engine.build(context, f"{REGISTRY}:1")
    engine.remove(REGISTRY)
    engine.run("run", "--detach", f"--name={REGISTRY}", "--publish=127.0.0.1::5000", f"{REGISTRY}:1")
    address = engine.run("port", REGISTRY, "5000/tcp").stdout.split()[0]
    deadline = time.monotonic() + 30
    while not registry._answers.__wrapped__(address):
        assert time.monotonic() < deadline, engine.run("logs", REGISTRY, check=False).stderr
        time.sleep(0.1)
    yield address
    engine.remove(REGISTRY)
    engine.run("image", "rm", "--force", f"{REGISTRY}:1", check=False)


def test_pulled_by_digest_from_a_registry(
    tiny: Tiny, engine: Engine, internet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = f"{internet}/hello/official"
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text('FROM scratch\nLABEL from=registry\nCMD ["/x"]\n')
    engine.build(tmp_path / "context", f"{official}:1")
    pushed = engine.run("push", f"{official}:1").stdout
    digest = next(word for word in pushed.split() if word.startswith("sha256:"))
    engine.run("image", "rm", "--force", f"{official}:1")
    tiny.describe(f"hello/official:1@{digest}")
    monkeypatch.setenv("HELLO_K8S_REGISTRY", internet)

    planned = images.plan(["tiny"], engine)[0]
    assert planned.way == "pull" and digest in planned.reason
    ensure(engine)
    found = engine.image(NAME)
    assert found is not None and found["Config"]["Labels"] == {"from": "registry"}
    assert tiny.ran() == []
    assert images.plan(["tiny"], engine)[0].way == "here"
    engine.run("image", "rm", "--force", found["Id"], check=False)


def test_a_registry_that_hasnt_got_it_is_not_the_end(
    tiny: Tiny, engine: Engine, internet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.describe("hello/nowhere:1")
    monkeypatch.setenv("HELLO_K8S_REGISTRY", internet)
    said = Notes()
    ensure(engine, said)
    assert any("hello/nowhere:1" in note for note in said.notes)
    assert tiny.ran() == ["first", "second"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_goes_on_where_it_was(tiny: Tiny, engine: Engine, how: signal.Signals) -> None:
    tiny.second(f"[ -e {tiny.reached} ] || {{ touch {tiny.reached}; sleep 3; }}")
    first = tiny.ensuring()
    tiny.until_reached(first)
    first.send_signal(how)
    assert first.wait(20) != 0
    assert engine.image(NAME) is None
    ensure(engine)
    assert engine.image(NAME) is not None
    # a kill that nobody can catch leaves the step running; it finishes by itself and isn't run a second time
    assert tiny.ran() == (["first", "second", "second"] if how == signal.SIGINT else ["first", "second"])


def test_two_processes_at_once_build_once(tiny: Tiny, engine: Engine) -> None:
    tiny.second(f"touch {tiny.reached}; sleep 1")
    first = tiny.ensuring()
    tiny.until_reached(first)
    second = tiny.ensuring()
    for process in (first, second):
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and NAME in out, out
    assert tiny.ran() == ["first", "second"]
