"""One concern a container, nothing written but where it is meant to be, no tools, nothing to tamper with, not root."""

import re

#: Paths of a Go tool chain or a C compiler, wherever it was put.
COMPILER = re.compile(r"pkg/tool/[^/]+/compile$|(^|/)go/bin/go$|(^|/)bin/(gcc|g\+\+|clang|tcc)(-\d+)?$|(^|/)cc1$")
#: A root file system that can't be written to, as `readOnlyRootFilesystem: true` makes it, with an empty /tmp.
READ_ONLY = ("--read-only", "--tmpfs=/tmp")
#: Seconds after which a container whose program has died should have ended.
END = 5


def told(path, answer):
    """What came back, in a line."""
    return f"GET {path} → HTTP {answer.status} {answer.text.strip()[:200]} {answer.error}".strip()


def test_ends_with_the_app(container, http, eventually):
    answer = http(container, "/crash")[0]

    def ended():
        what = container.inspect()
        started = " ".join([what["Path"], *what["Args"]])
        state = "running" if what["State"]["Running"] else "ended"
        assert answer.status == 200 and state == "ended", (
            f"{told('/crash', answer)} → {END} s → “{state}” · PID 1: {started}"
        )

    eventually(ended, within=END)


def test_read_only(run, http, submission):
    container = run(options=READ_ONLY)
    for number in (1, 2):
        answer = http(container, "/")[0]
        seen = f"visitor {number}!" in answer.text and submission.nonce in answer.text
        assert answer.status == 200 and seen, told("/", answer)


def test_no_compiler(image):
    found = sorted({path for layer in image.layers for path in layer.entries if COMPILER.search(path)})
    assert not found, ", ".join(f"/{path}" for path in found[:3])


def test_sealed(container, http):
    answer = http(container, "/tamper")[0]
    assert answer.status == 403, f"GET /tamper → {answer.text.strip() or answer.error}"


def test_non_root(container, http):
    answer = http(container, "/whoami")[0]
    assert answer.status == 200 and '"user": 0,' not in answer.text, told("/whoami", answer)
