"""Answers about an image that was made for this learner. A message shows what was answered, never the right answer."""


def test_entrypoint(answers, own):
    assert answers.strings("entrypoint") == own["entrypoint"], answers.said("entrypoint")


def test_cmd(answers, own):
    assert answers.strings("cmd") == own["cmd"], answers.said("cmd")


def test_user(answers, own):
    assert answers.string("user") == own["user"], answers.said("user")


def test_port(answers, own):
    assert answers.port("port") == own["port"], answers.said("port")


def test_layers(answers, own):
    assert answers.count("layers") == own["layers"], answers.said("layers")


def test_env(answers, own):
    found = answers.variables("env")
    found.pop("PATH", None)
    assert found == own["env"], answers.said("env")
