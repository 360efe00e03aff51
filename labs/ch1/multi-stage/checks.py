"""A small image, without the tools that made it, that serves what was just compiled and isn't root."""

import re

from hello_k8s.grading import MB

#: Paths of a Go tool chain or a C compiler, wherever it was put. A program that is merely called "go" is fine.
COMPILER = re.compile(r"pkg/tool/[^/]+/compile$|(^|/)go/bin/go$|(^|/)bin/(gcc|g\+\+|clang|tcc)(-\d+)?$|(^|/)cc1$")


def test_small(image):
    assert image.size < 20 * MB, f"{image.size / MB:.1f} MB ≥ 20 MB"


def test_no_compiler(image):
    # what a later layer deletes is still carried, pushed and pulled with the image
    found = sorted({path for layer in image.layers for path in layer.entries if COMPILER.search(path)})
    assert not found, ", ".join(f"/{path}" for path in found[:3])


def test_non_root(image):
    user = image.user.split(":")[0]
    assert re.fullmatch(r"[0-9]+", user) and int(user) > 0, f'USER "{image.user}"'


def test_answers(container, http, submission):
    answer = http(container)[0]
    said = answer.error or f'HTTP {answer.status} "{answer.text.strip()[:80]}"'
    assert answer.status == 200 and submission.nonce in answer.text, f'{said} ∌ "{submission.nonce}"'
