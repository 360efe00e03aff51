"""`start`: everything, in order, each step only when it is needed. Can be killed anywhere and run again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator

from hello_k8s import authoring, book, catalog, paths, sources
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError, MachineError
from hello_k8s.language import t
from hello_k8s.machine import images, install, nested
from hello_k8s.machine.cluster import Cluster
from hello_k8s.progress import SILENT, Progress

#: Asked before the engine is installed; None where nobody is there to answer.
Ask = Callable[[str], bool]


def prepare(progress: Progress, *, nodes: int = 3, ask: Ask | None = None) -> Cluster:
    """Engine, images, cluster, nested engine: what every lab and notebook needs. Idempotent.

    `ask` is called with a question before Docker is installed. Raises MachineError, EngineError or
    ClusterError, each with what to do next.
    """
    engine = install.ensure_engine(progress, ask)
    labs = catalog.labs()
    if engine.image(catalog.image("node").name) is None and not _begun():
        install.require_space_for_all(engine)
    refs = images.ensure(
        ["node", "engine", "probe", *_lab_images(labs)],
        engine,
        progress,
        upstream_names=install.installed_by_us(),
    )
    # Nodes that boot are mostly waited for: the nested engine takes its images meanwhile.
    nesting = _Background(lambda: nested.learner_engine().up(_build_images(labs)))
    cluster = Cluster(nodes=nodes)
    cluster.up(progress, refs["node"])
    with progress.step(t("start.step_load"), 5):
        cluster.load([refs[name] for name in _cluster_images(labs)], engine)
    with progress.step(t("start.step_engine"), 15):
        nesting.result()
    return cluster


def _begun() -> bool:
    """Whether a build left something in the cache: then part of the space is taken already, and it goes on."""
    return any(True for name in ("build", "images") for _ in (paths.cache() / name).glob("node*"))


def _lab_images(labs: tuple[Lab, ...]) -> list[str]:
    return sorted({name for lab in labs for name in lab.images})


def _cluster_images(labs: tuple[Lab, ...]) -> list[str]:
    # a lab with "docker" builds from its images; what runs on the nodes is what it has built
    return sorted({name for lab in labs if lab.on_cluster and "docker" not in lab.needs for name in lab.images})


def _build_images(labs: tuple[Lab, ...]) -> list[str]:
    return sorted({name for lab in labs if "docker" in lab.needs for name in lab.images})


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Two starts of one checkout would build the same things twice; the second says who is at work."""
    file = (paths.state() / "start.lock").open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            file.seek(0)
            pid = file.read().strip() or "?"
            raise MachineError(t("start.already", pid=pid), next=t("start.already_next", pid=pid)) from taken
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def start(
    progress: Progress,
    *,
    serve: bool = True,
    nodes: int = 3,
    port: int | None = None,
    ask: Ask | None = None,
) -> None:
    """Bring everything up, build the book, grade the solutions as a self-check, then serve until Ctrl-C.

    `port` is JupyterLab's. The book is built beside the machine's own work, since that is mostly waiting.
    """
    from hello_k8s import serve as serving

    began = time.monotonic()
    with _only_one():
        if serve and port is not None:
            serving.free_port(port, strict=True)
        building = _Background(lambda: book.build(SILENT) if book.stale() else None)
        cluster = prepare(progress, nodes=nodes, ask=ask)
        if building.working:
            with progress.step(t("start.step_book"), 25):
                building.result()
        else:
            building.result()
            progress.note(t("start.book_current"))
        self_check(progress, cluster)
        progress.note(t("start.ready", seconds=time.monotonic() - began))
    if serve:
        serving.serve(progress, cluster.environment(), book.output(), port)


class _Background:
    """A piece of work on a thread of its own; its error is raised where its result is asked for."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # raised again in result()
            self._error = error

    @property
    def working(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> None:
        self._thread.join()
        if self._error:
            raise self._error


def self_check(progress: Progress, cluster: Cluster) -> None:
    """Grade every lab's solution unless nothing that could change the outcome has changed since it passed.

    Raises HelloError for a solution without all its points, EngineError where no engine answers.
    """
    stamp = paths.state() / "self-check"
    now = _inputs(cluster)
    if stamp.exists() and stamp.read_text() == now:
        progress.note(t("start.check_current"))
        return
    for lab in catalog.labs():
        with progress.step(t("start.step_check", lab=lab.id), 5):
            result = authoring.grade_solution(lab)
        values = {"lab": lab.id, "earned": result.earned, "possible": result.possible}
        if not result.graded:
            raise HelloError(t("start.check_ungraded", **values), next=t("start.check_failed_next", **values))
        if result.earned < result.possible:
            raise HelloError(t("start.check_failed", **values), next=t("start.check_failed_next", **values))
        progress.note(t("start.check_passed", **values))
    stamp.write_text(now)


def _inputs(cluster: Cluster) -> str:
    """A hash of what the self-check's outcome depends on: labs, the grader, the app, the images' recipes, the engine's
    version, this very cluster.
    """
    folders = (paths.LABS, paths.PACKAGE, paths.ROOT / "go-app", paths.IMAGES)
    ours = (sources.digest(sources.written(folder)) for folder in folders)
    engine = cluster.engine.run("version", "--format", "{{.Server.Version}}").stdout.strip()
    return hashlib.sha256("\0".join((*ours, cluster.name, cluster.identity(), engine)).encode()).hexdigest()
