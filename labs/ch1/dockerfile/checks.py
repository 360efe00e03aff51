"""Arguments by default and of one's own, an orderly end on SIGTERM, a user by number."""

import re
import secrets

#: Seconds that docker waits between SIGTERM and SIGKILL.
GRACE = 2
#: 128 + 9: ended by SIGKILL.
KILLED = 137


def greeting(container, eventually, *words):
    """What the container has printed, once all `words` are in it. One that has ended will print no more."""

    def look():
        running = container.running
        log = container.logs()
        missing = [word for word in words if word not in log]
        if missing and not running:
            return container.ended()
        assert not missing, f"{log.strip()[-300:] or '–'} ∌ {', '.join(missing)}"
        return log

    seen = eventually(look, within=5)
    if isinstance(seen, AssertionError):
        raise seen
    return seen


def test_default_arguments(run, submission, eventually):
    greeting(run(), eventually, f"version {submission.nonce}", "hello, k8s")


def test_own_arguments(run, submission, eventually):
    name = f"you-{secrets.token_hex(3)}"
    log = greeting(run("-to", name), eventually, f"version {submission.nonce}", "hello, ")
    assert f"hello, {name}" in log and "hello, k8s" not in log, f"-to {name}: {log.strip()}"


def test_stops(run, eventually):
    container = _any_that_greets(run, eventually)
    container.stop(timeout=GRACE)
    what = container.inspect()
    code, log = container.exit_code, container.logs()
    started = " ".join([what["Path"], *what["Args"]])
    assert "bye" in log and code != KILLED, f"PID 1: {started} · SIGTERM → {GRACE} s → exit code {code}, no “bye”"


def _any_that_greets(run, eventually):
    """Wrong arguments are another check's: where the image's own don't work, some are given."""
    try:
        container = run()
        greeting(container, eventually, "hello, ")
    except AssertionError:
        container = run("-to", "k8s")
        greeting(container, eventually, "hello, ")
    return container


def test_numeric_user(image):
    user = image.user.split(":")[0]
    assert re.fullmatch(r"[0-9]+", user) and int(user) > 0, f'USER "{image.user}"'
