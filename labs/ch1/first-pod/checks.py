"""The Pod `hello`: ready, not root, and greeting k8s with what was just built."""

import re

POD = "hello"
#: Seconds. The replay has waited before, for as long as waiting may help.
SOON = 3
GREETING = re.compile(r"hello, (\S+)! version (\S+), uid (\d+), on ")


def greeting(http):
    """Whom the Pod greets, its version, and the user that it runs as: told by the program itself."""
    answer = http(f"pod/{POD}")[0]
    found = GREETING.match(answer.text)
    assert answer.status == 200 and found, answer.error or f"HTTP {answer.status} {answer.text.strip()[:80]}"
    return found.groups()


def test_ready(objects, eventually):
    def ready():
        status = objects.get("Pod", POD)["status"]
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        assert conditions.get("Ready") == "True", f"{status.get('phase')}, Ready={conditions.get('Ready')}"

    eventually(ready, within=SOON)


def test_non_root(http, eventually):
    uid = eventually(lambda: greeting(http), within=SOON)[2]
    assert uid != "0", f"uid {uid}"


def test_answers(http, submission, eventually):
    to, version, _ = eventually(lambda: greeting(http), within=SOON)
    assert version == submission.nonce, f"version {version} ≠ {submission.nonce}"
    assert to == "k8s", f"hello, {to}!"
