"""It works; an edit of the source doesn't fetch the modules anew; the token is nowhere in the image."""

import re

#: Every token that there is looks like this: the one that the grader planted, and the one in start/.
TOKEN = "hello-k8s-token-[0-9a-f]{8}"


def version(http, container):
    """What the running program says of itself: its version, and which fetch of the modules it was built with (empty
    where it doesn't say); and its answer, for a message.
    """
    answer = http(container, "/version")[0]
    found = re.fullmatch(r"version (\S+)\nmodules (\S+)\s*", answer.text) if answer.status == 200 else None
    said = f"/version: {answer.error or f'HTTP {answer.status} {answer.text.strip()[:80]}'}"
    return (*(found.groups() if found else ("", "")), said)


def test_answers(container, http, submission):
    page = http(container)[0]
    assert page.status == 200 and "<h1>" in page.text, f"HTTP {page.status} {page.error or page.text.strip()[:80]}"
    built, _, said = version(http, container)
    assert built == submission.nonce, f"{said} ∌ {submission.nonce}"


def test_cached(container, http, edited):
    first = version(http, container)[1]
    again, nonce = edited("main.go")
    built, second, said = version(http, again)
    assert built == nonce, f"main.go: version {nonce}; {said}"
    assert second == first, f"get-modules.sh: {first} → {second}"


def test_no_secret(image):
    found = image.holding(TOKEN)
    assert not found, " · ".join(found[:3])
