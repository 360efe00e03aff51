"""Programs that would harm once they run: each is a verdict with a reason, in bounded time, and leaves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hello_k8s.machine.nested import Nested
from tests.engine.conftest import Outcome

pytestmark = pytest.mark.docker

#: Answers as its argument says, on the port of the app that was asked for; bounded in what it sends.
SERVER = """FROM golang:1.26 AS builder
WORKDIR /src
COPY <<'GO' other.go
package main

import (
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch os.Args[1] {
		case "text":
			w.Write([]byte("hello from pod, version 1.0.0\\n"))
		case "never":
			time.Sleep(20 * time.Second)
		case "endless":
			for range 10_000 {
				if _, err := w.Write([]byte(strings.Repeat("x", 64<<10))); err != nil {
					return
				}
			}
		case "headers":
			for range 100 {
				w.Header().Add("X-Large", strings.Repeat("\\x01", 64<<10))
			}
			w.Write([]byte("ok"))
		}
	}))
}
GO
RUN CGO_ENABLED=0 go build -o /go-app other.go
FROM scratch
COPY --from=builder /go-app /go-app
USER 65534:65534
ENTRYPOINT ["/go-app", "MODE"]
"""
SHELL = 'FROM debian:trixie-slim\nUSER 65534:65534\nCMD ["bash", "-c", "COMMAND"]\n'


@pytest.mark.parametrize(
    ("mode", "said"),
    [("text", "∌"), ("never", "timeout"), ("endless", "∌"), ("headers", "malformed MIME header")],
)
def test_not_the_app_that_was_asked_for(hostile: Callable[..., Outcome], mode: str, said: str) -> None:
    found = hostile(SERVER.replace("MODE", mode))
    assert found.verdict("small") == "passed" and found.verdict("answers") == "failed"
    assert said in found.message("answers"), found.message("answers")
    assert len(found.message("answers")) < 2000


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (":(){ :|:& };:; sleep 100", "refused"),
        ("trap '' TERM; while :; do sleep 1; done", "refused"),
        ("head -c 2G /dev/zero | tail; sleep 1; exit 5", "more memory"),
        ("head -c 1G /dev/zero | tr '\\\\\\\\0' x; exit 6", "exit code 6|refused"),
        ("fallocate -l 2G /tmp/x && sleep 100", r"wrote more than a container may \(1 GiB\)"),
    ],
    ids=["forks", "deaf", "memory", "output", "disk"],
)
def test_what_a_program_takes_is_its_own_loss(
    hostile: Callable[..., Outcome], nested: Nested, command: str, said: str
) -> None:
    found = hostile(SHELL.replace("COMMAND", command), beside=True)
    assert found.verdict("non_root") == "passed" and found.verdict("answers") == "failed"
    assert re.search(said, found.message("answers")), found.message("answers")
    assert nested.engine.answers()
