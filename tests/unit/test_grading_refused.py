"""What the API server refuses: the submission's doing, unless the server says that it couldn't."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from hello_k8s.grading import replay
from hello_k8s.grading.manifests import title
from hello_k8s.grading.replay import plain, refused_by_server
from hello_k8s.machine.kubeapi import ApiError

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "back"}}


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


def test_what_the_server_refuses_is_the_submissions_doing():
    quota = refused_by_server(ApiError(403, "Forbidden", "exceeded quota"), "a.yaml", "Pod/a", "ns")
    assert "exceeded quota" in quota.texts["en"]
    user = 'User "system:serviceaccount:ns:submission" cannot create resource "roles"'
    role = refused_by_server(ApiError(403, "Forbidden", user), "a.yaml", "Role/a", "ns")
    assert "may not" in role.texts["en"] and "`Role/a`" in role.texts["en"]
    typed = refused_by_server(
        ApiError(500, "", "failed to create typed patch object: .spec.x: field not declared in schema"), "a", "b", "ns"
    )
    assert "field not declared" in typed.texts["en"]
    for status in (401, 429, 500, 503):
        with pytest.raises(ApiError):
            refused_by_server(ApiError(status, "", "ours"), "a.yaml", "Pod/a", "ns")


TERMINATING = "forbidden: unable to create new content in namespace ns because it is being terminated"
OURS = [
    (409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "hello-k8s": the object has been modified'),
    (403, "Forbidden", 'users "system:serviceaccount:ns:submission" is forbidden: User "kubernetes-admin" cannot '
        'impersonate resource "users" in API group "" at the cluster scope'),
    (403, "Forbidden", 'pods "a" is forbidden: not yet ready to handle request'),
    (403, "Forbidden", 'pods "a" is forbidden: status unknown for quota: hello-k8s, resources: pods'),
    (403, "Forbidden", f'pods "a" is {TERMINATING}'),
    (404, "NotFound", 'namespaces "ns" not found'),
]  # fmt: skip
THEIRS = [
    (409, "Conflict", "the thing exists, Operation cannot be fulfilled on it"),
    (403, "Forbidden", 'pods "a" is forbidden: exceeded quota: hello-k8s, requested: pods=1, used: pods=30'),
    (403, "Forbidden", 'pods "a" is forbidden: violates PodSecurity "baseline:latest": seLinuxOptions (pod set '
        'forbidden securityContext.seLinuxOptions: type "not yet ready to handle request")'),
    (403, "Forbidden", f'pods "a" is forbidden: violates PodSecurity: type "x is {TERMINATING}"'),
    (404, "NotFound", 'no matches for kind "namespaces" in version "ns not found"'),
    (404, "NotFound", 'namespaces "other" not found'),
]  # fmt: skip


class Server:
    """An API that refuses `answers`, one after the other, and then takes everything."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.created = []

    def resource(self, kind, api_version):
        return SimpleNamespace(namespaced=True)

    def create(self, obj, namespace):
        if self.answers:
            raise ApiError(*self.answers.pop(0))
        self.created.append(title(obj))

    apply = create


@pytest.fixture
def applied(tmp_path, monkeypatch):
    """What came of applying one Service: (titles that are there, problems)."""
    monkeypatch.setattr(replay, "_PAUSES", (0.001, 0.001))
    (tmp_path / "back.yaml").write_text(json.dumps(SERVICE))
    lab = SimpleNamespace(
        namespace="live",
        files=dict,
        folder=tmp_path,
        replay=SimpleNamespace(given=(), apply=("back.yaml",)),
    )

    def apply(server, kept=()):
        there, _, problems = replay.apply_submission(lab, tmp_path, server, "ns", {}, kept)
        assert [title(obj) for obj in there] == server.created
        return server.created, [problem["en"] for problem in problems]

    return apply


@pytest.mark.parametrize("answer", OURS)
def test_what_the_server_cant_do_is_tried_again_and_then_ours(applied, answer):
    assert applied(Server(answer, answer)) == (["Service/back"], [])
    with pytest.raises(ApiError):
        applied(Server(answer, answer, answer))
    with pytest.raises(ApiError):
        refused_by_server(ApiError(*answer), "a.yaml", "Pod/a", "ns")


@pytest.mark.parametrize("answer", OURS)
def test_what_is_given_is_tried_again_too(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(replay, "_PAUSES", (0.001, 0.001))
    monkeypatch.setattr(replay, "settle", lambda *_, **__: None)
    (tmp_path / "back.yaml").write_text(json.dumps(SERVICE))
    given = SimpleNamespace(given=("back.yaml",), settle=1)
    lab = SimpleNamespace(id="x", namespace="live", files=dict, folder=tmp_path, replay=given)
    server = Server(answer, answer)
    replay.apply_given(lab, server, "ns")
    assert server.created == ["Service/back"]
    with pytest.raises(ApiError):
        replay.apply_given(lab, Server(*[answer] * 3), "ns")


@pytest.mark.parametrize("answer", THEIRS)
def test_what_only_sounds_like_it_is_the_submissions(applied, answer):
    created, problems = applied(Server(answer))
    assert not created and "refuses `Service/back`" in problems[0]


def test_what_was_made_of_what_is_given_cant_be_replaced(applied):
    created, problems = applied(Server(), ["Service/back"])
    assert not created and "belongs to the lab" in problems[0]


def test_a_message_of_the_server_can_be_read():
    long = "must be 'x' (e.g. 'MyName',  or '123-abc', regex used for validation is '([A-Z])?[a-z]'), and " + "y" * 400
    assert "regex" not in plain(long) and len(plain(long)) == 300
