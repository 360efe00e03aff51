"""The fixtures that a checks.py may ask for. Each belongs to the lab of the check that asks.

Everything that the submission causes comes out as `Unmet`; EngineError and ClusterError stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import pytest

from hello_k8s.grading import own as own_questions
from hello_k8s.grading.answers import Answers
from hello_k8s.grading.asking import Answer
from hello_k8s.grading.attempt import Attempt
from hello_k8s.grading.built import BuiltImage
from hello_k8s.grading.composed import Composed
from hello_k8s.grading.containers import Container
from hello_k8s.grading.parts import Namespace, Objects, Submission

T = TypeVar("T")

#: Where a check's item keeps the attempt that it belongs to.
ATTEMPT = pytest.StashKey[Attempt]()


class Http(Protocol):
    """`http(target, path="/", n=1, timeout=5)`: see the fixture."""

    def __call__(
        self, target: Container | str, path: str = "/", n: int = 1, timeout: float = 5, *, port: int = 8080
    ) -> list[Answer]: ...


class Run(Protocol):
    """`run(*arguments, options=())`: see the fixture."""

    def __call__(self, *arguments: str, options: tuple[str, ...] = ()) -> Container: ...


class Edited(Protocol):
    """`edited(file)`: see the fixture."""

    def __call__(self, file: str) -> tuple[Container, str]: ...


class Eventually(Protocol):
    """`eventually(fn, within=10, on=(…))`: see the fixture."""

    def __call__(
        self, fn: Callable[[], T], within: float = 10, on: tuple[str, ...] = ("Pod", "EndpointSlice")
    ) -> T: ...


@pytest.fixture
def attempt(request: pytest.FixtureRequest) -> Attempt:
    """What all fixtures of one lab share; a check has no use for it."""
    return request.node.stash[ATTEMPT]


@pytest.fixture
def submission(attempt: Attempt) -> Submission:
    """The learner's files: `.folder`, `.text(name)`, `.manifests(name)` (a list of objects; no YAML → Unmet with line
    and column) and `.nonce`, what the grader put into the source by `replay.stamp`.
    """
    return attempt.submission


@pytest.fixture
def answers(attempt: Attempt) -> Answers:
    """The submission's answers.toml, read as data: `.string(key)`, `.integer(key)`, `.count(key)`, `.strings(key)`,
    `.port(key)`, `.variables(key)`, `.choice(key, allowed)`; a missing key, a blank or another kind of value is
    Unmet. `.said(key)` is the answer as it was written, for a check's message.
    """
    return attempt.once("answers", lambda: Answers.of(attempt.submission))


@pytest.fixture
def own(attempt: Attempt) -> Mapping[str, Any]:
    """The right answers to this learner's own questions, as the lab's own.py says for the seed in learner.toml."""
    return attempt.once("own", lambda: own_questions.answers(attempt.lab, attempt.seed, attempt.kind))


@pytest.fixture
def images(attempt: Attempt) -> Mapping[str, BuiltImage]:
    """Every image of `replay.build`, by its tag in lab.toml, freshly built in the nested engine."""
    return attempt.images()


@pytest.fixture
def image(images: Mapping[str, BuiltImage]) -> BuiltImage:
    """The one image of `replay.build`: `.size` (bytes, the sum of its uncompressed layers), `.config`, `.user`,
    `.layers`, `.history`, `.files()`, `.find("usr/local/go/bin/go")`. A build that fails is Unmet.
    """
    (only,) = images.values()
    return only


@pytest.fixture
def container(attempt: Attempt, image: BuiltImage) -> Container:
    """`image` running in the nested engine, with limits on memory, processors and processes: `.inspect()`, `.logs()`,
    `.stop(timeout)`, `.exit_code`. One per check; removed after it. An image that can't be started is Unmet.
    """
    return attempt.run(image)


@pytest.fixture
def run(attempt: Attempt, image: BuiltImage) -> Run:
    """`run(*arguments, options=())`: as `container`, but started as often as asked, with `arguments` after the image's
    name and `options` before it (`"--read-only"`), as `docker run` has them. The options are the lab's, never the
    submission's.
    """
    return partial(attempt.run, image)


@pytest.fixture
def compose(attempt: Attempt) -> Composed:
    """The submission's compose.yaml, read as data (grading/compose.py says with which keys): `.start(service)`, a
    container as with `run`; `.inside(service)`, what the kernel says of one: `.limits` (`.memory`, `.swap`, `.cpus`,
    `.pids`, `.said(name)`), `.user`, `.read_only`. What the file can't say is Unmet, with the key and why.
    """
    return Composed(attempt)


@pytest.fixture
def edited(attempt: Attempt) -> Edited:
    """`edited(file)`: `image` built a second time after an edit of `file` that nobody has built before (`replay.stamp`
    says where: another nonce), running as `container` is; and that nonce. What the second build found in the cache,
    the first one of this grading may have put there: nothing older knows the edit.
    """

    def start(file: str) -> tuple[Container, str]:
        image, nonce = attempt.rebuild(file)
        return attempt.run(image), nonce

    return start


@pytest.fixture
def namespace(attempt: Attempt) -> Namespace:
    """Where the submission lives: the learner's own namespace (look), or one made for this grading (replay).
    `.name`.
    """
    return attempt.live()


@pytest.fixture
def objects(attempt: Attempt, namespace: Namespace) -> Objects:
    """The namespace's objects: `.get(kind, name)` (Unmet if there is none), `.list(kind, labels)`, `.api`."""
    return attempt.objects()


@pytest.fixture
def http(attempt: Attempt) -> Http:
    """`http(target, path="/", n=1, timeout=5)`: ask `n` times, each time on a new connection; a list of `Answer`:
    `.status` (0 where nothing answered, then `.error` says why), `.text`, `.json()`, `.headers`, `.seconds`.

    `target` is the container (`port=8080`; waits until it listens, Unmet with its last words if it has ended), or
    the name of a Service of the namespace (`"back"` is port 80, `"back:8080"`): asked from inside the cluster, so
    that DNS, the ClusterIP and the spreading are real; or a Pod (`"pod/hello"`, `port=8080`), ready or not.
    """
    return attempt.http


@pytest.fixture
def eventually(attempt: Attempt) -> Eventually:
    """`eventually(fn, within=10, on=("Pod", "EndpointSlice"))`: call `fn` until it raises no AssertionError, again
    whenever an object of these kinds changes in the namespace (and twice a second: answers over HTTP aren't
    watched). Returns what `fn` returned; after `within` seconds its last AssertionError is the check's.
    """
    return attempt.eventually
