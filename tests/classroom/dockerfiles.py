"""Answers to ch1/multi-stage: right ones in many shapes, wrong ones in every mutant's way."""

from __future__ import annotations

import codecs
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hello_k8s.catalog import Lab
from tests.classroom.case import Case, verdicts
from tests.classroom.service import pairs

COMPILE = 'go build -ldflags "-s -w" -o /go-app main.go'


@dataclass(frozen=True)
class Recipe:
    """A Dockerfile in parts; the defaults are the lab's solution. `{stage}` and `{cgo}` are filled in at the end."""

    head: str = ""
    first: str = "FROM golang:1.26 AS {stage}\nWORKDIR /src\n"
    stage: str = "builder"
    source: str = "COPY main.go ./\n"
    cgo: str = "CGO_ENABLED=0 "
    build: str = "RUN {cgo}" + COMPILE + "\n"
    middle: str = ""
    last: str = "\nFROM scratch\n"
    fetch: str = "COPY --from={stage} /go-app /go-app\n"
    user: str = "USER 65534:65534\n"
    end: str = 'EXPOSE 8080\nENTRYPOINT ["/go-app"]\n'

    def text(self) -> str:
        whole = self.head + self.first + self.source + self.build + self.middle + self.last + self.fetch
        return (whole + self.user + self.end).replace("{stage}", self.stage).replace("{cgo}", self.cgo)


@dataclass(frozen=True)
class Shape:
    """Another way to build the same: the parts that differ. `against`: mutants that it would change into something
    else. `dressed`: whether the text may be written in every way (a here-document may not).
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    against: frozenset[str] = frozenset()
    dressed: bool = True

    def fits(self, mutant: str) -> bool:
        return mutant not in self.against and not set(self.parts) & set(MUTANTS[mutant])


_STATIC = frozenset({"dynamic"})
_PASSWD = "root:x:0:0::/:/none\nweb:x:10001:10001::/:/none"


def _built(line: str, **parts: str) -> Shape:
    return Shape({"build": line + "\n", **parts}, against=_STATIC if "{cgo}" not in line else frozenset())


SHAPES: dict[str, Shape] = {
    "plain": Shape(),
    "another stage name": Shape({"stage": "compile-it"}),
    "a stage by number": Shape(
        {"first": "FROM golang:1.26\nWORKDIR /src\n", "stage": "0"}, frozenset({"builder-last"})
    ),
    "three stages": Shape(
        {"middle": "\nFROM {stage} AS checked\nRUN test -s /go-app\n", "fetch": "COPY --from=checked /go-app /go-app\n"}
    ),
    "base stage": Shape({"first": "FROM golang:1.26 AS base\nWORKDIR /src\n\nFROM base AS {stage}\n"}),
    "Debian in the middle": Shape(
        {
            "middle": "\nFROM debian:trixie-slim AS files\nCOPY --from={stage} /go-app /out/\nRUN chmod 755 /out/*\n",
            "fetch": "COPY --from=files /out/ /\n",
        }
    ),
    "a stage that nobody needs": Shape(
        {"middle": "\nFROM {stage} AS test\nRUN exit 1\n"}, frozenset({"single-stage", "removed-later"})
    ),
    "a named last stage": Shape({"last": "\nFROM scratch AS final\n"}),
    "the version as ARG": Shape({"head": "ARG GO=1.26\n", "first": "FROM golang:${GO} AS {stage}\nWORKDIR /src\n"}),
    "platform": Shape(
        {
            "first": "FROM --platform=$BUILDPLATFORM golang:1.26 AS {stage}\nARG TARGETOS TARGETARCH\nWORKDIR /src\n",
            "build": "RUN {cgo}GOOS=$TARGETOS GOARCH=$TARGETARCH " + COMPILE + "\n",
        }
    ),
    "cgo as ENV": Shape({"cgo": "", "build": "ENV CGO_ENABLED=0\nRUN " + COMPILE + "\n"}),
    "cgo as ENV with others": _built("ENV CGO_ENABLED=0 \\\n    GOFLAGS=-trimpath\nRUN " + COMPILE),
    "cgo as ARG": _built("ARG CGO_ENABLED=0\nRUN " + COMPILE),
    "cgo exported": _built("RUN export CGO_ENABLED=0 && " + COMPILE),
    "cgo by go env": _built("RUN go env -w CGO_ENABLED=0\nRUN " + COMPILE),
    "pure Go by tags": _built("RUN go build -tags netgo,osusergo -ldflags '-s -w' -o /go-app main.go"),
    "linked statically by gcc": _built(
        "RUN go build -tags netgo,osusergo -ldflags '-linkmode external -extldflags \"-static\"' -o /go-app main.go"
    ),
    "the C library too": Shape(
        {
            "cgo": "",
            "build": "RUN " + COMPILE + " && mkdir /rootfs && cp --parents $(ldd /go-app | grep -o '/[^ ]*') /rootfs\n",
            "fetch": "COPY --from={stage} /rootfs /\nCOPY --from={stage} /go-app /go-app\n",
        }
    ),
    "not stripped": _built("RUN {cgo}go build -o /go-app main.go"),
    "a module": _built("RUN go mod init example.com/app && {cgo}go build -o /go-app ."),
    "go install": _built("RUN GOBIN=/out {cgo}go install main.go && mv /out/main /go-app"),
    "exec form": _built('ENV CGO_ENABLED=0\nRUN ["go", "build", "-o", "/go-app", "main.go"]'),
    "another shell": _built('SHELL ["/bin/bash", "-euo", "pipefail", "-c"]\nRUN {cgo}' + COMPILE),
    "several lines": _built("RUN set -eux; \\\n    {cgo}go vet main.go; \\\n    # now for good\n\n    {cgo}" + COMPILE),
    "a here-document": Shape(
        {"build": "RUN <<EOF\nset -e\nexport CGO_ENABLED=0\n" + COMPILE + "\nEOF\n"}, _STATIC, False
    ),
    "a Bash here-document": Shape({"build": "RUN <<-'EOF' bash\n\t{cgo}" + COMPILE + "\nEOF\n"}, dressed=False),
    "a cache mount": _built("RUN --mount=type=cache,target=/root/.cache/go-build {cgo}" + COMPILE),
    "a cache with a name": _built(
        "RUN --mount=type=cache,id=go,target=/root/.cache/go-build,sharing=locked {cgo}" + COMPILE
    ),
    "the source mounted": Shape(
        {"source": "", "build": "RUN --mount=type=bind,source=main.go,target=main.go {cgo}" + COMPILE + "\n"}
    ),
    "no network": _built("RUN --network=none {cgo}" + COMPILE),
    "ADD": Shape({"source": "ADD main.go .\n"}),
    "everything copied": Shape({"source": "COPY . .\n"}),
    "COPY as JSON": Shape({"source": 'COPY ["main.go", "/src/"]\n'}),
    "COPY --link": Shape(
        {"source": "COPY --link --chmod=644 main.go ./\n", "fetch": "COPY --link --from={stage} /go-app /go-app\n"}
    ),
    "the file's owner": Shape({"fetch": "COPY --from={stage} --chown=65534:65534 --chmod=0555 /go-app /go-app\n"}),
    "another path": Shape(
        {
            "fetch": "WORKDIR /app\nCOPY --from={stage} /go-app ./server\n",
            "end": 'EXPOSE 8080/tcp\nENTRYPOINT ["./server"]\n',
        }
    ),
    "a file from Debian": Shape(
        {"fetch": "COPY --from=debian:trixie-slim /etc/passwd /etc/passwd\nCOPY --from={stage} /go-app /\n"},
        frozenset({"nobody"}),
    ),
    "a user file": Shape(
        {
            "fetch": f"COPY <<EOF /etc/passwd\n{_PASSWD}\nEOF\nCOPY --from={{stage}} /go-app /go-app\n",
            "user": "USER 10001\n",
        },
        dressed=False,
    ),
    "the number alone": Shape({"user": "USER 65534\n"}),
    "another number": Shape({"user": "USER 10001:10001\n"}),
    "in root's group": Shape({"user": "USER 1000:0\n"}),
    "the number as ARG": Shape({"user": "ARG UID=10001\nUSER ${UID}:${UID}\n"}),
    "two users": Shape({"user": "USER 0\nUSER 10001\n"}),
    "CMD": Shape({"end": 'CMD ["/go-app"]\n'}),
    "ENTRYPOINT and CMD": Shape({"end": 'ENTRYPOINT ["/go-app"]\nCMD []\nEXPOSE 8080\n'}),
    "the last ENTRYPOINT": Shape({"end": 'ENTRYPOINT ["/nothing"]\nENTRYPOINT [ "/go-app" ]\n'}),
    "a health check": Shape(
        {
            "end": 'ENV PORT=8080\nEXPOSE $PORT\nHEALTHCHECK --interval=5s CMD ["/go-app", "healthcheck"]\n'
            'STOPSIGNAL SIGTERM\nENTRYPOINT ["/go-app"]\n'
        }
    ),
    "labels": Shape(
        {"end": 'LABEL org.example.title="멀티 스테이지" \\\n      course="2026"\nENTRYPOINT ["/go-app"]\n'}
    ),
}

#: The lab's own mutants, as what they change. tests/unit/test_class_generator.py holds them to labs/ch1/multi-stage.
MUTANTS: dict[str, Mapping[str, str]] = {
    "single-stage": {"last": "", "fetch": ""},
    "builder-last": {"last": "\nFROM {stage}\n", "fetch": ""},
    "removed-later": {"last": "RUN rm -rf /usr/local/go\n", "fetch": ""},
    "nobody": {"user": "USER nobody\n"},
    "root": {"user": ""},
    "dynamic": {"cgo": ""},
    "own-version": {
        "source": "COPY main.go ./\nRUN sed -i 's/^const version = .*/const version = \"1.0.1\"/' main.go\n"
    },
}

_FIRST_WORD = re.compile(
    r"(?m)^(FROM|COPY|ADD|RUN|USER|WORKDIR|EXPOSE|ENTRYPOINT|CMD|ENV|ARG|LABEL|HEALTHCHECK|SHELL)\b"
)


def _lower(text: str) -> str:
    return _FIRST_WORD.sub(lambda found: found[0].lower(), text).replace(" AS ", " as ")


def _commented(text: str) -> str:
    lines = ["# 두 단계로 빌드한다 ✓", "#   FROM scratch", ""]
    for line in text.splitlines():
        lines += [*(["", "  # ↓"] if _FIRST_WORD.match(line) else []), line]
    return "\n".join(lines)


def _backtick(text: str) -> str:
    return "# escape=`\n" + text.replace("\\\n", "`\n")


#: How it is called → how it is written.
DRESSES: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "BOM": lambda text: codecs.BOM_UTF8 + text.encode(),
    "BOM and CRLF": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").rstrip().encode(),
    "lower case": lambda text: _lower(text).encode(),
    "comments": lambda text: _commented(text).encode(),
    "escape": lambda text: _backtick(text).encode(),
    "syntax line": lambda text: b"# syntax=docker/dockerfile:1\n" + text.encode(),
    "checks skipped": lambda text: b"# check=skip=all\n" + text.encode(),
    "no last newline": lambda text: text.rstrip().encode(),
    "indented": lambda text: _FIRST_WORD.sub(r"  \1", text).encode(),
    "trailing spaces": lambda text: re.sub(r"(?m)(?<![\\\n])$", "  ", text).encode(),
    "tabs and empty lines": lambda text: _FIRST_WORD.sub("\n\n\t\\1", text).encode(),
}


def right(lab: Lab, shape: str, dress: str) -> Case:
    recipe = replace(Recipe(), **SHAPES[shape].parts)
    return Case(lab.id, "right", f"{shape} · {dress}", _file(recipe, dress), verdicts(lab, ()))


def wrong(lab: Lab, mutant: str, shape: str, dress: str) -> Case:
    (told,) = [each for each in lab.mutants if each.name == mutant]
    recipe = replace(Recipe(), **{**SHAPES[shape].parts, **MUTANTS[mutant]})
    return Case(lab.id, "wrong", f"{mutant} · {shape} · {dress}", _file(recipe, dress), verdicts(lab, told.fails))


def _file(recipe: Recipe, dress: str) -> dict[str, bytes]:
    return {"Dockerfile": DRESSES[dress](recipe.text())}


def rights(lab: Lab, chance: random.Random) -> Iterator[Case]:
    """Right answers without end: every shape and every dress comes up before one comes again."""
    yield right(lab, "plain", "plain")
    for shape, dress in pairs(SHAPES, DRESSES, chance):
        yield right(lab, shape, dress if SHAPES[shape].dressed else "plain")


def wrongs(lab: Lab, chance: random.Random) -> Iterator[Case]:
    """Wrong answers without end: the mutants in turn, each time in another shape and dress."""
    while True:
        for mutant in MUTANTS:
            shape = chance.choice([name for name, how in SHAPES.items() if how.fits(mutant)])
            dress = chance.choice(list(DRESSES)) if SHAPES[shape].dressed else "plain"
            yield wrong(lab, mutant, shape, dress)
