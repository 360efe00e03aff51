"""One concern a container, nothing written but where it is meant to be, no tools, nothing to tamper with, not root."""

import re

#: Paths of a Go tool chain or a C compiler, wherever it was put.
COMPILER = re.compile(r"pkg/tool/[^/]+/compile$|(^|/)go/bin/go$|(^|/)bin/(gcc|g\+\+|clang|tcc)(-\d+)?$|(^|/)cc1$")
#: A root file system that can't be written to, as `readOnlyRootFilesystem: true` makes it, with an empty /tmp.
READ_ONLY = ("--read-only", "--tmpfs=/tmp")
#: Seconds after which a container whose program has died should have ended.
END = 5


def asked(http, container, path):
    """The text of the answer, which must be a good one."""
    answer = http(container, path)[0]
    assert answer.status == 200, f"GET {path} → HTTP {answer.status} {answer.text.strip()[:200]} {answer.error}".strip()
    return answer.text


def test_ends_with_the_app(container, http, eventually):
    asked(http, container, "/crash")

    def ended():
        what = container.inspect()
        started = " ".join([what["Path"], *what["Args"]])
        assert not what["State"]["Running"], f"GET /crash → {END} s → “running” · PID 1: {started}"

    eventually(ended, within=END)


def test_read_only(run, http, submission):
    container = run(options=READ_ONLY)
    for number in (1, 2):
        text = asked(http, container, "/")
        assert f"visitor {number}!" in text and submission.nonce in text, text.strip()


def test_no_compiler(image):
    found = sorted({path for layer in image.layers for path in layer.entries if COMPILER.search(path)})
    assert not found, ", ".join(f"/{path}" for path in found[:3])


def test_sealed(container, http):
    answer = http(container, "/tamper")[0]
    assert answer.status == 403, f"GET /tamper → {answer.text.strip() or answer.error}"


def test_non_root(container, http):
    text = asked(http, container, "/whoami")
    assert '"user": 0,' not in text, f"GET /whoami → {text.strip()}"
