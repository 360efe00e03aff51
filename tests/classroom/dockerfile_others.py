"""What else comes in for ch1/multi-stage: as it was given, none, one that can't be built, one that means harm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hello_k8s.catalog import Lab
from tests.classroom import planted
from tests.classroom.case import Case, Sort, all_failed, nothing_submitted, verdicts
from tests.classroom.dockerfiles import Recipe


def cases(lab: Lab, sort: Sort) -> list[Case]:
    """Every case of `sort`. A lab with one deliverable has no half answers but the one that it was given."""
    return {"partial": partial, "broken": broken, "empty": empty, "hostile": hostile}[sort](lab)


def _case(
    lab: Lab,
    sort: Sort,
    name: str,
    text: str,
    fails: Iterable[str] | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Case:
    expected = all_failed(lab) if fails is None else verdicts(lab, fails)
    return Case(lab.id, sort, name, {"Dockerfile": text.encode()}, expected, more or {})


def _changed(old: str, new: str) -> str:
    text = Recipe().text()
    assert old in text, old
    return text.replace(old, new)


def partial(lab: Lab) -> list[Case]:
    return [
        _case(lab, "partial", "as it was given", (lab.start / "Dockerfile").read_text("utf-8")),
        _case(lab, "partial", "no program to start", _changed('ENTRYPOINT ["/go-app"]\n', ""), ["answers"]),
        _case(lab, "partial", "another program to start", _changed('["/go-app"]', '["/app"]'), ["answers"]),
        _case(lab, "partial", "a shell that isn't there", _changed('["/go-app"]', "/go-app"), ["answers"]),
        _case(lab, "partial", "user 0", _changed("USER 65534:65534", "USER 0:0"), ["non_root"]),
    ]


def broken(lab: Lab) -> list[Case]:
    return [
        _case(lab, "broken", "no FROM", "RUN echo hello\n"),
        _case(lab, "broken", "an instruction that isn't one", _changed("WORKDIR", "WORKDIRS")),
        _case(lab, "broken", "a program that doesn't compile", _changed("main.go\n\nFROM", "mian.go\n\nFROM")),
        _case(lab, "broken", "a stage that isn't there", _changed("--from=builder", "--from=bulider")),
        _case(lab, "broken", "a shell command", "docker build -t multi-stage:lab .\n"),
        _case(lab, "broken", "a file that isn't there", _changed("COPY main.go", "COPY mian.go")),
    ]


def empty(lab: Lab) -> list[Case]:
    elsewhere = {"dockerfile.txt": Recipe().text().encode(), "old/Dockerfile": b"FROM scratch\n"}
    return [
        Case(lab.id, "empty", "no folder", {}, nothing_submitted(lab)),
        Case(lab.id, "empty", "other names", elsewhere, nothing_submitted(lab)),
        _case(lab, "empty", "an empty file", ""),
        _case(lab, "empty", "comments only", "# Dockerfile\n\n"),
    ]


def hostile(lab: Lab) -> list[Case]:
    """Nothing of these may succeed, and none may cost the others more than a moment."""
    right = Recipe().text()
    evil = "# syntax=hello-k8s.invalid/evil/frontend:1\n"
    program = "RUN echo 'package main; func main() { println(\"hello, k8s! version 1.0.0\") }' > main.go\nRUN CGO"
    return [
        _case(lab, "hostile", "another base", _changed("golang:1.26", "hello-k8s.invalid/golang:1.26")),
        _case(lab, "hostile", "a question to the host", _changed("COPY main", "ADD http://127.0.0.1:9/main")),
        _case(lab, "hostile", "another frontend", evil + right, ()),
        _case(lab, "hostile", "another program", _changed("RUN CGO", program), ["answers"]),
        _case(lab, "hostile", "out of the context", _changed("main.go ./", "../../../etc/hostname main.go")),
        _case(lab, "hostile", "host's network", _changed("RUN CGO", "RUN --network=host CGO")),
        _case(lab, "hostile", "a privileged build", _changed("RUN CGO", "RUN --security=insecure CGO")),
        _case(lab, "hostile", "its own checks, right answer", right, (), planted.FILES),
        _case(lab, "hostile", "its own checks, no answer", "FROM scratch\n", None, planted.FILES),
        *planted.archives(lab, {"Dockerfile": right.encode()}),
    ]  # fmt: skip


def sleeping(lab: Lab) -> Case:
    """A build that never ends: it costs its whole limit of time, and so is no part of the class by default."""
    case = _case(lab, "hostile", "a build that sleeps", _changed("RUN CGO", "RUN sleep infinity && CGO"))
    return Case(case.lab, "hostile", case.name, case.files, dict.fromkeys(case.verdicts, "timed_out"))
