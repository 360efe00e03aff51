"""ch1/inspect: the image that own.py writes is what a real engine reads, and other spellings of its answers pass."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hello_k8s import catalog
from hello_k8s.grading import grade, own
from hello_k8s.grading.answers import written
from hello_k8s.machine.nested import learner_engine

LAB = catalog.lab("ch1/inspect")
SEED = 20_241_124
RIGHT: dict[str, Any] = dict(own.answers(LAB, SEED, "submission"))


@pytest.mark.parametrize("seed", [SEED, 1, 2**31 - 1])
def test_an_engine_reads_what_own_py_answers(seed: int) -> None:
    engine = learner_engine().up()
    (archive,) = own.files(LAB, seed).values()
    subprocess.run([*engine.prefix, "load"], input=archive, check=True, stdout=subprocess.PIPE)
    try:
        image = engine.image("inspect:lab")
        assert image
        config, right = image["Config"], own.answers(LAB, seed, "submission")
        assert (config["Entrypoint"], config["Cmd"], config["User"]) == (
            right["entrypoint"],
            right["cmd"],
            right["user"],
        )
        assert list(config["ExposedPorts"]) == [right["port"]]
        assert len(image["RootFS"]["Layers"]) == right["layers"]
        assert set(config["Env"][1:]) == {f"{name}={value}" for name, value in right["env"].items()}
        lines = engine.run("history", "--format", "{{.CreatedBy}}", "inspect:lab").stdout.splitlines()
        module = own.module(LAB)
        assert module and len(lines) == module.wrong(seed)["history-lines"]["layers"] > right["layers"]
    finally:
        engine.run("image", "rm", "--force", "inspect:lab", check=False)


def handed_in(folder: Path, **changed: Any) -> Path:
    (folder / "learner.toml").write_text(f'id = "a"\nseed = {SEED}\n', "utf-8")
    (folder / "answers.toml").write_text(written({**RIGHT, **changed}), "utf-8")
    return folder


SPELLINGS = {
    "as they are": {},
    "lists as text": {"entrypoint": " ".join(RIGHT["entrypoint"]), "cmd": json.dumps(RIGHT["cmd"])},
    "a bare port, layers in quotes": {"port": int(RIGHT["port"].split("/")[0]), "layers": str(RIGHT["layers"])},
    "the port in a list, layers listed": {"port": [RIGHT["port"]], "layers": ["sha256:…"] * RIGHT["layers"]},
    "variables as inspect prints them": {
        "env": ["PATH=/usr/bin:/bin", *(f"{name}={value}" for name, value in reversed(RIGHT["env"].items()))]
    },
}
WRONG = {
    "somebody else's answers": (dict(own.answers(LAB, SEED + 1, "submission")), {"user", "port", "cmd"}),
    "the user without its group": ({"user": RIGHT["user"].split(":")[0]}, {"user"}),
    "another protocol": ({"port": RIGHT["port"].replace("tcp", "udp")}, {"port"}),
    "the list in another order": ({"entrypoint": RIGHT["entrypoint"][::-1]}, {"entrypoint"}),
    "one variable too many": ({"env": {**RIGHT["env"], "HOME": "/root"}}, {"env"}),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_another_spelling_passes(tmp_path: Path, name: str) -> None:
    result = grade(LAB, handed_in(tmp_path, **SPELLINGS[name]), mode="replay", kind="submission")
    assert result.passed, result.to_json()


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_fails_its_check_and_learns_nothing(tmp_path: Path, name: str) -> None:
    changed, fails = WRONG[name]
    result = grade(LAB, handed_in(tmp_path, **changed), mode="replay", kind="submission")
    failed = {check.id for check in result.checks if check.verdict == "failed"}
    assert fails <= failed and result.graded, result.to_json()
    if len(fails) == 1:
        (check,) = (check for check in result.checks if check.id in fails)
        assert failed == fails and str(RIGHT[check.id]) not in check.message["en"]
