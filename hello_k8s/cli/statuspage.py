"""What `status` shows: a row each for engine, cluster, nested engine, learner, labs and book. It only looks."""

from __future__ import annotations

from collections.abc import Iterator

from hello_k8s import book, catalog, paths, workspace
from hello_k8s.language import t
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.engine import user_engine
from hello_k8s.machine.nested import learner_engine
from hello_k8s.workspace.identity import learner, learner_file

Row = tuple[str, str, str]


def rows() -> Iterator[Row]:
    """Each row: what, how it is, what to do next (empty where nothing is)."""
    start = t("cli.status.start_next")
    engine = user_engine()
    if engine.answers():
        version = engine.run("version", "--format", "{{.Server.Version}}").stdout.strip()
        yield t("cli.status.engine"), t("cli.status.answers", version=version), ""
        yield _cluster(start)
        yield _nested()
    else:
        yield t("cli.status.engine"), t("cli.status.silent"), start
    yield _learner()
    yield _labs()
    if book.stale():
        yield t("cli.status.book"), t("cli.status.book_stale"), "./hello-k8s book build"
    else:
        yield t("cli.status.book"), t("cli.status.book_current"), "./hello-k8s book serve"


def _cluster(start: str) -> Row:
    cluster = Cluster()
    status = cluster.status()
    word = t(f"cli.status.state.{status}")
    if status != "absent":
        word = t("cli.status.nodes", status=word, nodes=len(cluster.nodes()))
    return t("cli.status.cluster", name=cluster.name), word, "" if status == "running" else start


def _nested() -> Row:
    if learner_engine().exists():
        return t("cli.status.nested"), t("cli.status.up"), ""
    return t("cli.status.nested"), t("cli.status.down"), t("cli.status.down_next")


def _learner() -> Row:
    if not learner_file().exists():
        return t("cli.status.learner"), t("cli.status.no_learner"), "./hello-k8s lab start"
    return t("cli.status.learner"), f"{learner().id} ({workspace.shown(paths.workspace())})", ""


def _labs() -> Row:
    labs = catalog.labs()
    done = sum(workspace.finished(lab) for lab in labs)
    return t("cli.status.labs"), t("cli.status.labs_done", done=done, all=len(labs)), "./hello-k8s lab list"
