"""Where a secret may stay in an image; that it was found is told, never what it is."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from hello_k8s.errors import EngineError
from hello_k8s.grading import searching
from hello_k8s.machine.engine import Engine

PATTERN = "token-[0-9a-f]{8}"
TOKEN = "token-0badcafe"


def image(config=None, history=(), engine=None):
    return SimpleNamespace(
        config=config or {},
        history=list(history),
        tag="lab:1",
        engine=engine or Engine(("true", "docker"), "nested"),
    )


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"Env": ["PATH=/bin", f"TOKEN={TOKEN}"]}, "ENV TOKEN"),
        ({"Labels": {"by": TOKEN}}, "LABEL by"),
        ({"Cmd": ["sh", "-c", f"curl -H {TOKEN}"]}, "Cmd"),
        ({"Entrypoint": [f"/app-{TOKEN}"]}, "Entrypoint"),
    ],
)
def test_configuration(config, where):
    assert searching._in_config(config, PATTERN) == [where]


def test_history_tells_the_step_but_not_the_secret():
    step = f"RUN |1 TOKEN={TOKEN} /bin/sh -c ./fetch # buildkit"
    (told,) = searching._in_history([{"created_by": "COPY . ."}, {"created_by": step}, {}], PATTERN)
    assert told.startswith("history: RUN |1 TOKEN=…") and TOKEN not in told


def test_nothing_is_found_in_a_clean_image():
    assert searching._in_config({"Env": ["PATH=/bin"], "Labels": None, "Cmd": None}, PATTERN) == []
    assert searching._in_history([{"created_by": "RUN make"}], PATTERN) == []


def test_files_are_told_with_their_layer(monkeypatch):
    said = json.dumps([{"layer": 1, "path": "/etc/key"}, {"layer": 3, "path": "/src/token.txt"}])
    monkeypatch.setattr(searching, "run", lambda *words, **options: SimpleNamespace(code=0, stdout=said, stderr=""))
    assert searching._in_layers(image(), PATTERN) == ["layer 1: /etc/key", "layer 3: /src/token.txt"]


def test_what_cannot_be_searched_is_our_error():
    with pytest.raises(EngineError):
        searching._in_layers(image(engine=Engine(("true", "docker"))), PATTERN)
    with pytest.raises(EngineError):
        searching._in_layers(image(engine=Engine(("false", "docker"), "nested")), PATTERN)
