"""A class as grading leaves it, without grading: results of real labs, built as the graders build them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hello_k8s import catalog
from hello_k8s.catalog import Lab
from hello_k8s.classroom.model import ClassReport, Row, State, Unmapped
from hello_k8s.grading.verdict import CheckResult, Result, Texts, Verdict
from hello_k8s.language import both

STARTED = "2026-11-24T09:00:00+00:00"
#: What was observed when a check failed, as the diagnosis says it.
_SEEN: dict[str, list[Texts]] = {
    "small": [
        {"ko": "이미지의 레이어를 모두 더하면 912.4 MB입니다.", "en": "All layers of the image together are 912.4 MB."}
    ],
    "no_compiler": [
        {
            "ko": "컴파일러 `/usr/local/go/bin/go`가 이미지의 2번째 레이어에 있습니다.",
            "en": "The compiler `/usr/local/go/bin/go` is in layer 2 of the image.",
        }
    ],
    "non_root": [{"ko": "`USER`가 비어 있어 root로 실행됩니다.", "en": "`USER` is empty, so it runs as root."}],
    "answers": [both("grading.ended", code=127, log="exec /app: no such file or directory")],
}
_EVIDENCE = {
    "no_compiler": ("layer 2: sha256:9c1f… 871.2 MB  COPY /usr/local/go /usr/local/go",),
    "answers": ("exit code 127", "exec /app: no such file or directory"),
    "port": ("endpointslice back-7xk2p: 10.244.1.7:80, 10.244.2.4:80, 10.244.2.5:80", "GET http://back/ → refused"),
}


def two_labs() -> list[Lab]:
    """One of Docker, one of the cluster."""
    return [lab for lab in catalog.labs() if lab.id in ("ch1/multi-stage", "ch2/service")]


def outcome(
    check: catalog.Check,
    verdict: Verdict,
    *,
    message: Texts | None = None,
    diagnosis: Sequence[Texts] = (),
    evidence: Sequence[str] = (),
    output: str = "",
) -> CheckResult:
    """One check of a result."""
    said = message or {"ko": "", "en": ""}
    return CheckResult(
        check.id,
        check.question,
        check.points,
        verdict,
        said,
        tuple(diagnosis),
        tuple(evidence),
        check.hints,
        output,
        0.4,
    )


def result(lab: Lab, checks: Iterable[CheckResult]) -> Result:
    """A submission's result, as a replay in a class makes it."""
    return Result(
        lab=lab.id,
        kind="submission",
        mode="replay",
        started=STARTED,
        checks=tuple(checks),
        seconds=4.2,
        version="1.0.0",
        files={name: f"sha256:{'ab' * 32}" for name in lab.deliverables},
        rewrites=("namespace ch2-service → s-4f1c", "Service/back: nodePort dropped") if lab.on_cluster else (),
    )


def row(learner: str, lab: Lab, state: State = "graded", fails: Iterable[str] = (), **other: object) -> Row:
    """A row: everything passed but `fails`; in an ungraded one these are errored and the rest is as it was."""
    failing = set(fails) or ({lab.checks[-1].id} if state == "ungraded" else set())
    source = f"{learner}/{lab.id.replace('/', '-')}.zip"
    if state == "not_submitted":
        text = both("grading.not_submitted", files=", ".join(lab.deliverables))
        checks = [outcome(check, "not_submitted", message=text) for check in lab.checks]
        return replace(Row(learner, lab.id, "", state, result(lab, checks)), **other)  # type: ignore[arg-type]
    checks = [_fails(lab, check, state) if check.id in failing else outcome(check, "passed") for check in lab.checks]
    reason = {"ko": "API 서버가 응답하지 않았습니다.", "en": "The API server didn't answer."}
    made = Row(learner, lab.id, source, state, result(lab, checks), reason if state == "ungraded" else None)
    return replace(made, **other)  # type: ignore[arg-type]


def _fails(lab: Lab, check: catalog.Check, state: State) -> CheckResult:
    if state == "ungraded":
        text = "GET /api/v1/namespaces: connection refused"
        return outcome(check, "errored", message={"ko": text, "en": text})
    seen = _SEEN.get(check.id) or [
        both(
            "grading.selects_nothing",
            service="back",
            selector="app=back",
            namespace="s-4f1c",
            near="app=hello,tier=back",
        )
    ]
    said = {"ko": "응답 20개 가운데 0개가 기대와 같습니다.", "en": "0 of 20 answers were as expected."}
    return outcome(
        check, "failed", message=said, diagnosis=seen, evidence=_EVIDENCE.get(check.id, ()), output="asked 20 times\n"
    )


def report(rows: Sequence[Row], labs: Sequence[Lab], unmapped: Sequence[Unmapped] = ()) -> ClassReport:
    """The rows as a class."""
    possible = {lab.id: lab.points for lab in labs}
    return ClassReport(
        STARTED, "2026-11-24T09:01:40+00:00", tuple(labs), tuple(rows), tuple(unmapped), 100.0, "1.0.0", possible
    )


FAMILY = "김이박최정강조윤장임한오서신권황안송류홍"
GIVEN = ["민준", "서연", "도윤", "지우", "하준", "서현", "은우", "수아", "시우", "지민", "예준", "다은", "건우", "채원"]


def realistic(count: int = 30, labs: Sequence[Lab] | None = None, seed: int = 7) -> ClassReport:
    """`count` learners with Korean and English names: right, wrong in the mutants' ways, absent, a few ungraded."""
    chance, labs = random.Random(seed), labs or two_labs()
    rows = []
    for number in range(count):
        name = f"{FAMILY[number % 20]}{GIVEN[(number * 5) % 14]}" if number % 3 else f"student-{number + 1:03d}"
        name = name if count <= 40 else f"{name}-{number + 1}"
        for lab in labs:
            drawn = chance.random()
            if drawn < 0.06:
                rows.append(row(name, lab, "not_submitted"))
            elif drawn < 0.10:
                rows.append(row(name, lab, "ungraded"))
            else:
                fails = chance.choice(lab.mutants).fails if drawn > 0.52 else ()
                rows.append(row(name, lab, fails=fails))
    lost = Unmapped(
        "submission(1).zip", {"ko": "`learner.toml`이 없습니다.", "en": "There is no `learner.toml` in it."}
    )
    return report(rows, labs, [lost])
