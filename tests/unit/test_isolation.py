"""What is brought onto a cluster to keep submissions apart: complete, in both languages, and the same for everyone."""

import re

import pytest
import yaml

from hello_k8s.errors import ClusterError
from hello_k8s.grading.diagnosis import Seen, diagnose
from hello_k8s.grading.replay import prepare_account, refused_by_server
from hello_k8s.language import both
from hello_k8s.machine import isolation, kindconfig
from hello_k8s.machine.kubeapi import ApiError, KubeApi, NotYet

KEYS = re.findall(r"- message: (\w+)", kindconfig.text("admission.yaml"))


@pytest.mark.parametrize("key", sorted(set(KEYS)))
def test_what_a_policy_says_is_told_in_both_languages(key):
    said = [
        rule["message"]
        for obj in isolation.policies()
        if obj["kind"] == "ValidatingAdmissionPolicy"
        for rule in obj["spec"]["validations"]
        if rule["message"].endswith(f"[hello-k8s: {key}]")
    ]  # fmt: skip
    assert said
    message = f"deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'x' denied request: {said[0]}"
    refused = refused_by_server(ApiError(422, "Invalid", message), "a.yaml", "Deployment/a", "ns")
    texts = both(f"isolation.policy.{key}")
    assert texts["en"] in said[0] and texts["ko"] != texts["en"]
    assert all(refused.texts[x].endswith(texts[x]) and "`Deployment/a`" in refused.texts[x] for x in ("ko", "en"))


def test_every_policy_is_in_force_and_fails_closed():
    objects = isolation.policies()
    policies = [obj for obj in objects if obj["kind"] == "ValidatingAdmissionPolicy"]
    bindings = [obj["spec"] for obj in objects if obj["kind"] == "ValidatingAdmissionPolicyBinding"]
    bound = {spec["policyName"]: spec["validationActions"] for spec in bindings}
    for policy in policies:
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert bound[policy["metadata"]["name"]] == ["Deny"]


def test_what_a_controller_is_refused_is_told_in_both_languages_too():
    message = "pods \"a-x\" is forbidden: ValidatingAdmissionPolicy 'hello-k8s-pods' denied: no [hello-k8s: requests]"
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": message}]
    workload = {"kind": "Deployment", "metadata": {"name": "a"}, "status": {"conditions": conditions}}
    (found,) = diagnose(Seen("ns", workloads=[workload]))
    for language, sentence in both("isolation.policy.requests").items():
        assert sentence in found[language] and "Deployment/a" in found[language]


def test_another_message_is_no_refusal_of_ours():
    assert isolation.refusal('pods "a" is forbidden: violates PodSecurity "baseline:latest": privileged') is None


def test_an_older_clusters_kubelets_get_the_bounds_of_a_new_ones():
    bounds = yaml.safe_load(isolation.kubelet_bounds())
    patch = yaml.safe_load(yaml.safe_load(kindconfig.kind_config(1))["kubeadmConfigPatches"][0])
    assert set(bounds) == {
        "podPidsLimit", "containerLogMaxSize", "containerLogMaxFiles", "containerLogMonitorInterval",
    }  # fmt: skip
    assert bounds.items() <= patch.items()


def test_the_version_tells_every_change(monkeypatch, tmp_path):
    assert isolation.version() == isolation.version()
    for file in kindconfig.DATA.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = isolation.version()
    monkeypatch.setattr(kindconfig, "DATA", tmp_path)
    assert isolation.version() == before
    (tmp_path / "isolation.nft").write_text("table inet hello-k8s {}\n")
    assert isolation.version() != before


def test_words_are_put_in_whole():
    rules = kindconfig.text("isolation.nft", POD_SUBNET="10.244.0.0/16", DNS="10.96.0.10", API="10.96.0.1")
    code = [line for line in rules.splitlines() if not line.startswith("#")]
    assert "iifname @identities ct original ip daddr 10.96.0.1 ct original proto-dst 443" in rules
    assert not re.search(r"POD_SUBNET|\bDNS\b|\bAPI\b", "\n".join(code)) and "GATEWAY" in rules


def test_a_submission_is_applied_as_itself():
    user = prepare_account(KubeApi("http://127.0.0.1:1"), "ch2-service-1a2b3c4d")
    assert user._headers == {
        "Impersonate-User": "system:serviceaccount:ch2-service-1a2b3c4d:submission",
        "Impersonate-Group": "hello-k8s.org:submissions",
    }


@pytest.mark.parametrize(
    ("status", "binds"),
    [
        ({}, False),  # its controller hasn't seen it yet: everything would be let in
        ({"status": {"hard": {"pods": "30"}}}, False),  # the replay's own limits came after the first look
        ({"status": {"hard": {"pods": "30", "requests.cpu": "2"}}}, True),
    ],
)
def test_a_quota_binds_once_it_is_in_its_status(status, binds):
    class Api:
        def wait(self, kind, name, namespace, condition, timeout):
            if not condition({"spec": {"hard": {"pods": "30", "requests.cpu": "2"}}, **status}):
                raise NotYet(None, f"{kind} {namespace}/{name}")

    if binds:
        isolation.wait_for_quota(Api(), "ns")
    else:
        with pytest.raises(ClusterError) as late:
            isolation.wait_for_quota(Api(), "ns")
        assert "ResourceQuota ns/hello-k8s" in late.value.why
