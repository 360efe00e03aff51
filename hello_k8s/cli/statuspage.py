"""What `status` shows: a row each for engine, cluster, nested engine, learner, labs and book. It only looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hello_k8s import book, catalog, paths, refusal, workspace
from hello_k8s.errors import HelloError
from hello_k8s.language import t
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.engine import user_engine
from hello_k8s.machine.nested import learner_engine
from hello_k8s.workspace.identity import learner, learner_file

Row = tuple[str, str, str]


def rows() -> Iterator[Row]:
    """Each row: what, how it is, what to do next (empty where nothing is)."""
    answers = user_engine().answers()
    yield _row(t("cli.status.engine"), _engine if answers else _silent)
    if answers:
        yield _row(t("cli.status.cluster", name=Cluster().name), _cluster)
        yield _row(t("cli.status.nested"), _nested)
    yield _row(t("cli.status.learner"), _learner)
    yield _row(t("cli.status.labs"), _labs)
    yield _row(t("cli.status.book"), _book)


def _row(what: str, look: Callable[[], tuple[str, str]]) -> Row:
    """One row; what can't be looked at doesn't take the others along: then one most wants to see them."""
    try:
        return what, *look()
    except (HelloError, OSError) as error:
        told = refusal.ordinary(error)
        if told is None:
            raise
        return what, "\n".join([told.what, *told.why.splitlines()[-1:]]), told.next


def _engine() -> tuple[str, str]:
    version = user_engine().run("version", "--format", "{{.Server.Version}}").stdout.strip()
    return t("cli.status.answers", version=version), ""


def _silent() -> tuple[str, str]:
    return t("cli.status.silent"), t("cli.status.start_next")


def _cluster() -> tuple[str, str]:
    cluster = Cluster()
    status = cluster.status()
    word = t(f"cli.status.state.{status}")
    if status != "absent":
        word = t("cli.status.nodes", status=word, nodes=len(cluster.nodes()))
    return word, "" if status == "running" else t("cli.status.start_next")


def _nested() -> tuple[str, str]:
    state = learner_engine().status()
    if state == "absent":
        return t("cli.status.down"), t("cli.status.down_next")
    return t(f"cli.status.state.{state}"), "" if state == "running" else t("cli.status.again_next")


def _learner() -> tuple[str, str]:
    if not learner_file().exists():
        return t("cli.status.no_learner"), t("cli.status.start_lab")
    return f"{learner().id} ({workspace.shown(paths.workspace())})", ""


def _labs() -> tuple[str, str]:
    labs = catalog.labs()
    done = sum(workspace.finished(lab) for lab in labs)
    return t("cli.status.labs_done", done=done, all=len(labs)), "./hello-k8s lab list"


def _book() -> tuple[str, str]:
    if book.stale():
        return t("cli.status.book_stale"), "./hello-k8s book build"
    return t("cli.status.book_current"), "./hello-k8s book serve"
