"""Whether every assertion of a checks.py is needed: each one, removed or negated, has to change somebody's verdict.

One instrumented copy of checks.py holds all variants; a variable says which one is on. Solution, mutants and start are
brought to life once each, every check runs once as it is, and right after it, on the same containers and objects, with
those variants that could change its verdict: an assertion that held, negated; one that didn't, removed.
"""

from __future__ import annotations

import ast
import contextlib
import datetime
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from hello_k8s.authoring import answers, laid, lint
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError
from hello_k8s.grading.answers import FILE
from hello_k8s.grading.fixtures import ATTEMPT
from hello_k8s.grading.verdict import worst
from hello_k8s.language import t
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.grading.ground import Ground
    from hello_k8s.grading.verdict import Kind, Verdict

#: Seconds that a variant may wait: what it waits for settled before, when the check ran as it is.
PATIENCE = 2.0


@dataclass(frozen=True)
class Variant:
    """One assertion (its number in checks.py) `removed` or `negated`."""

    site: int
    how: str


@dataclass(frozen=True)
class Site:
    """One assertion: an `assert`, a `raise`, a `pytest.fail()`. `negatable`: a raise only where an `if` leads to it."""

    number: int
    line: int
    text: str
    negatable: bool

    def variants(self) -> tuple[Variant, ...]:
        removed = Variant(self.number, "removed")
        return (removed, Variant(self.number, "negated")) if self.negatable else (removed,)


@dataclass
class Switch:
    """What the instrumented checks.py asks: which variant is on, and what each assertion came to."""

    on: Variant | None = None
    held: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def holds(self, site: int, condition: Callable[[], Any]) -> bool:
        """For an assert: its condition, or what the variant makes of it."""
        if self.on == Variant(site, "removed"):
            return True
        try:
            value = bool(condition())
        except AssertionError:
            self.failed.add(site)
            raise
        (self.held if value else self.failed).add(site)
        return value is not (self.on == Variant(site, "negated"))

    def leads(self, site: int, condition: Callable[[], Any]) -> bool:
        """For the `if` before a raise: its condition, or the contrary."""
        value = bool(condition())
        if not value:
            self.held.add(site)
        return value is not (self.on == Variant(site, "negated"))

    def goes(self, site: int) -> bool:
        """For a raise: whether it does."""
        self.failed.add(site)
        return self.on != Variant(site, "removed")

    def could_change(self, site: Site) -> Iterator[Variant]:
        """The variants of `site` that could have changed what was just seen."""
        if site.number in self.failed:
            yield Variant(site.number, "removed")
        if site.negatable and site.number in self.held | self.failed:
            yield Variant(site.number, "negated")


#: The one switch of this process: an instrumented checks.py imports it.
SWITCH = Switch()


# -- checks.py, instrumented


class _Instrumenting(ast.NodeTransformer):
    def __init__(self, source: str) -> None:
        self.source = source
        self.sites: list[Site] = []

    def _site(self, node: ast.stmt, negatable: bool) -> int:
        text = (ast.get_source_segment(self.source, node) or "").split("\n")[0]
        self.sites.append(Site(len(self.sites), node.lineno, text, negatable))
        return len(self.sites) - 1

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        return ast.Assert(_asked("holds", self._site(node, True), node.test), node.msg)

    def visit_If(self, node: ast.If) -> ast.stmt:
        body: list[ast.stmt] = []
        for inner in node.body:
            if _raises(inner) and not body:
                number = self._site(inner, True)
                node.test = _asked("leads", number, node.test)
                body.append(_goes(inner, number))
            else:
                body += _listed(self.visit(inner))
        node.body = body
        node.orelse = [new for inner in node.orelse for new in _listed(self.visit(inner))]
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return _goes(node, self._site(node, False))

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return _goes(node, self._site(node, False)) if _raises(node) else node


def _listed(made: Any) -> list[ast.stmt]:
    return made if isinstance(made, list) else [made]


def _raises(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func) in ("pytest.fail", "fail")
    return isinstance(node, ast.Raise)


def _ask(what: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(ast.Name("_SWITCH", ast.Load()), what, ast.Load()), list(arguments), [])


def _goes(node: ast.stmt, number: int) -> ast.stmt:
    return ast.If(_ask("goes", ast.Constant(number)), [node], [])


def _asked(what: str, number: int, test: ast.expr) -> ast.expr:
    """`test` as a function that is called or not; where it binds a name (:=), it is computed right there."""
    nothing = ast.arguments([], [], None, [], [], None, [])
    if any(isinstance(node, ast.NamedExpr) for node in ast.walk(test)):
        value = ast.arguments([], [ast.arg("_value")], None, [], [], None, [test])
        return _ask(what, ast.Constant(number), ast.Lambda(value, ast.Name("_value", ast.Load())))
    return _ask(what, ast.Constant(number), ast.Lambda(nothing, test))


def instrumented(source: str) -> tuple[str, tuple[Site, ...]]:
    """`source`, a checks.py, with every assertion asking the switch; and the assertions."""
    work = _Instrumenting(source)
    tree = work.visit(ast.parse(source))
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    rest = [node for node in tree.body if node not in future]
    imported = ast.ImportFrom(__name__, [ast.alias("SWITCH", "_SWITCH")], 0)
    return ast.unparse(ast.fix_missing_locations(ast.Module([*future, imported, *rest], []))), tuple(work.sites)


@contextlib.contextmanager
def _copy(lab: Lab) -> Iterator[tuple[Lab, tuple[Site, ...]]]:
    """The lab in a folder of its own, its checks.py instrumented."""
    with tempfile.TemporaryDirectory(prefix="hello-k8s-assertions-") as temporary:
        folder = Path(temporary) / lab.id
        shutil.copytree(lab.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
        source, sites = instrumented((lab.folder / "checks.py").read_text("utf-8"))
        (folder / "checks.py").write_text(source, "utf-8")
        yield replace(lab, folder=folder), sites


# -- grading with it


class _Prober:
    """A pytest plugin: after each check, the same check with each variant of which nobody has noticed anything yet."""

    def __init__(self, sites: Sequence[Site], open_: set[Variant]) -> None:
        self.sites = sites
        self.open = open_
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        SWITCH.on, SWITCH.held, SWITCH.failed = None, set(), set()
        self._reports = []
        done = yield
        if ATTEMPT in item.stash:
            self._probe(item, _verdict(self._reports))
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    def _probe(self, item: pytest.Item, before: Verdict) -> None:
        if before not in ("passed", "failed"):
            return
        candidates = [v for site in self.sites for v in SWITCH.could_change(site) if v in self.open]
        attempt = item.stash[ATTEMPT]
        patient = attempt.eventually

        def hurried(fn: Any, within: float = 10, on: tuple[str, ...] = ("Pod", "EndpointSlice")) -> Any:
            return patient(fn, min(within, PATIENCE), on)

        attempt.eventually = hurried  # type: ignore[method-assign]
        try:
            for variant in candidates:
                SWITCH.on = variant
                if _verdict(runtestprotocol(item, log=False, nextitem=None)) != before:
                    self.open.discard(variant)
        finally:
            SWITCH.on = None
            attempt.eventually = patient  # type: ignore[method-assign]


def _verdict(reports: Sequence[pytest.TestReport]) -> Verdict:
    return worst([getattr(report, "verdict", "passed") for report in reports] or ["passed"])


@dataclass(frozen=True)
class Unnoticed:
    """A variant with which nobody's verdict changed."""

    site: Site
    how: str

    def __str__(self) -> str:
        return f"checks.py:{self.site.line}: {self.how}: {self.site.text}"


def due(labs: Sequence[Lab], today: int | None = None) -> tuple[Lab, ...]:
    """The lab whose turn it is today: all of them take minutes."""
    day = datetime.date.today().toordinal() if today is None else today
    return tuple(labs[day % len(labs) :][:1]) if labs else ()


def unnoticed(lab: Lab, progress: Progress = SILENT) -> tuple[Unnoticed, ...]:
    """The variants of the lab's assertions that neither solution nor mutants nor start notice.

    The machine must be ready, as for `verify`. Raises HelloError where the solution can't be graded.
    """
    from hello_k8s.grading.ground import Ground

    with _copy(lab) as (copy, sites):
        open_ = {variant for site in sites for variant in site.variants()}
        ground = Ground(progress=progress, slots=True)
        try:
            for name, folders, kind in _answers(copy):
                if open_:
                    with progress.step(f"{lab.id}: {name}", 10):
                        _grade(copy, folders, kind, ground, _Prober(sites, open_))
        finally:
            ground.close()
        return tuple(Unnoticed(sites[v.site], v.how) for v in sorted(open_, key=lambda v: (v.site, v.how)))


def _answers(lab: Lab) -> Iterator[tuple[str, list[Path], Kind]]:
    yield "solution", [lab.solution], "solution"
    for mutant in lab.mutants:
        yield mutant.name, [lab.solution, lint.folder_of(lab, mutant)], "mutant"
    for key, text in answers.wrong_ones(lab):
        with tempfile.TemporaryDirectory(prefix="hello-k8s-assertions-") as folder:
            (Path(folder) / FILE).write_text(text, "utf-8")
            yield key, [lab.solution, Path(folder)], "mutant"
    yield "start", [], "start"


def _grade(lab: Lab, folders: Sequence[Path], kind: Kind, ground: Ground, prober: _Prober) -> None:
    from hello_k8s.grading import grade

    with laid(folders, lab) as submission:
        result = grade(lab, submission, mode="replay", kind=kind, ground=ground, plugins=[prober], confirm=False)
    if not result.graded or (kind == "solution" and not result.passed):
        raise HelloError(t("lab.verify.got_ungraded", why=result.to_json()), next=t("lab.verify.not_graded"))
