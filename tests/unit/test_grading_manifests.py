"""A submission's manifests: mistakes with line and column, attacks refused, and only what must be rewritten."""

import copy
import itertools
import json
import time
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hello_k8s.grading import replay
from hello_k8s.grading.manifests import NO_LOAD_BALANCER, read_manifests, rewrite, title
from hello_k8s.grading.replay import stamp, without_syntax
from hello_k8s.grading.verdict import Unmet


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "back"}}


def read(tmp_path, text):
    file = tmp_path / "back.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifests(file, "back.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Service\nspec:\n  ports:\n  - port: 80\n   targetPort: 8080\n", "line 5, column 4"),
        ("a: b: c\n", "line 1, column 5"),
        ("a:\n\t- b\n", "line 2, column 1"),
        ("a: [1, 2\n", "line 2, column 1"),
        (b"a: \xff\xfe", "isn't UTF-8 text (byte 3)"),
        ("", "holds no object"),
        ("---\n---\n", "holds no object"),
        ("- a\n- b\n", "found list"),
        ("3\n", "found int"),
        ("kind: Service\n", "without `apiVersion`"),
        ("apiVersion: v1\nkind: Service\n", "without `metadata.name`"),
        ("apiVersion: v1\nkind: 3\n", "without `kind`"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: 5}\n", "without `metadata.name`"),
        ("a: &a [*a]\n", "line 1, column 8: `*a` stands inside `&a`"),
        ("a: &a {b: 1}\nc: {<<: &c [*a, *c]}\n", "`*c` stands inside `&c`"),
        ("a: &a {b: 1}\n" + "".join(
            f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi")
        ), "far too many values"),
        ("kind: A\nspec: {a: 1}\nkind: B\n", "line 3, column 1: the key `kind` is already there"),
        ("spec:\n  ports:\n  - {port: 1, name: a, port: 2}\n", "line 3, column 24: the key `port` is already there"),
        ('spec: {a: 1, "a": 2}\n', "the key `a` is already there"),
        ("---\na: 1\n" * 10_000, "more than 200 documents"),
        ("{a: " * 101, "line 1, column 401: nested more than 100 levels"),
        ("- " * 500_000, "nested more than 100 levels"),
        ("[" * 500_000, "nested more than 100 levels"),
        ("a: !!int " + "1:" * 400_000 + "1\n", "line 1, column 4: not valid YAML"),
        ("a: !!float " + "1:" * 400_000 + "1.0\n", "line 1, column 4: not valid YAML"),
        ("a: " + "1:" * 400_000 + "1\n", "without `apiVersion`"),
        ("a: 0x" + "f" * 900_000 + "\n", "not valid YAML: int"),
        ("a: -9223372036854775809\n", "not valid YAML: int"),
        ("a: " + "x" * 1_000_000 + "\n", "without `apiVersion`"),
        ("a: 1e400\n", "not valid YAML: float inf"),
        ("x" * 1_000_000, "found str"),
        ("a,b: [" * 150_000, "nested more than 100 levels"),
        ("? " * 400_000, "nested more than 100 levels"),
        ("&a " * 300_000, "line 1, column 4"),
        *((f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {json.dumps(bad)}}}\n", "can't be the name") for bad in (
            "", "..", "../../nodes/a", "a%2fb", "a b", "a\nb", "$(rm -rf /)", "a\u2028b", "a" * 254, "\u0000",
        )),
        ("a: &a [1,1,1,1,1,1,1,1]\n" + "".join(
            f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi")
        ), "far too many values"),
        ("[" * 5000, "`back.yaml`"),
        ("a: &a " + "x" * 900_000 + "\nb: [" + "*a," * 20_000 + "]\n", "far too many values"),
        ("a: &a {b: &b " + "x" * 9000 + ", *b : c}\nb: [" + "*a," * 20_000 + "]\n", "far too many values"),
        ("---\na: &a [1,1,1,1,1,1,1,1,1,1]\nb: [" + "*a," * 1000 + "]\n" + ("---\na: &a [1,1,1,1,1,1,1,1,1,1]\nb: ["
            + "*a," * 1000 + "]\n") * 100, "far too many values"),
        ("- &a {apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\nkind: List\nitems: [" + ", ".join(
            ["{apiVersion: v1, kind: Pod, metadata: {name: a}}"] * 201) + "]\n", "found list"),
        ("apiVersion: v1\nkind: List\nx: &a {apiVersion: v1, kind: Pod, metadata: {name: a}}\nitems: ["
            + "*a, " * 201 + "]\n", "more than 200 objects"),
        ("".join(f"---\nkind: List\nitems: [{'{apiVersion: v1, kind: Pod, metadata: {name: a}}, ' * 101}]\n"
            for _ in "ab"), "more than 200 objects"),
        ("kind: List\nitems: [&a {kind: List, items: []}" + ", *a" * 9_000 + "]\n", "holds no object"),
        ("#" * (1 << 20) + "\n", "larger than"),
        ("!!python/object/apply:os.system ['true']\n", "not valid YAML"),
        *((f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {value}\n", "not valid YAML") for value in (
            "0x_", "9" * 5000, "!!bool x", "!!int x", "!!timestamp 2001-13-01", "!!timestamp 2001-01-01",
            "!!binary aGk=", "!!set {x}", ".nan", "-.inf", "{? !!binary aGk= : b}", "!!pairs [a: b]",
        )),
    ],
    ids=map(str, itertools.count()),  # a megabyte is no name
)  # fmt: skip
def test_a_mistake_says_where(tmp_path, text, said):
    begun = time.process_time()
    with pytest.raises(Unmet) as wrong:
        read(tmp_path, text)
    assert time.process_time() - begun < 0.5
    assert said in wrong.value.texts["en"] and "back.yaml" in wrong.value.texts["ko"]


def test_a_missing_file(tmp_path):
    with pytest.raises(Unmet, match="missing"):
        read_manifests(tmp_path / "none.yaml", "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(Unmet, match="missing"):
        read_manifests(tmp_path / "folder.yaml", "folder.yaml")


def test_values_are_what_kubernetes_takes_them_for(tmp_path):
    """go-yaml, which kubectl reads with, knows no sexagesimal numbers, and takes 1e3 for a number."""
    texts = ("1:30", "2026-11-24", "1e3", "0x1F", "010", "1_000", "yes", "~", "0b11", "-.5", "08", "9.", "1.2.3")
    (found,) = read(tmp_path, f"{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: [{', '.join(texts)}]}}\n")
    assert found["spec"] == ["1:30", "2026-11-24", 1000.0, 31, 8, 1000, True, None, 3, -0.5, 8.0, 9.0, "1.2.3"]


def test_keys_that_are_only_alike_are_no_duplicates(tmp_path):
    (found,) = read(
        tmp_path,
        "base: &base {kind: Other}\n<<: *base\napiVersion: v1\nkind: Pod\n"
        "metadata: {name: kind, labels: {kind: name}}\n"
        "spec: [{kind: 1}, {kind: 2}]\n",
    )
    assert title(found) == "Pod/kind"


def test_documents_lists_and_dates(tmp_path):
    found = read(
        tmp_path,
        "\ufeff---\napiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: a}}\n"
        "---\n{apiVersion: v1, kind: Pod, metadata: {name: b, labels: {since: 2026-11-24}}}\n",
    )
    assert [title(obj) for obj in found] == ["Service/a", "Pod/b"]
    assert found[1]["metadata"]["labels"]["since"] == "2026-11-24"


def test_json_objects_one_after_another_are_as_good_as_a_list(tmp_path):
    text = json.dumps({**SERVICE, "spec": {"selector": {"app": "{"}}}, indent="\t") + "\n" + json.dumps(SERVICE)
    assert [title(obj) for obj in read(tmp_path, f"\ufeff\n{text}\n")] == ["Service/back", "Service/back"]
    with pytest.raises(Unmet):
        read(tmp_path, text + "}")
    assert title(read(tmp_path, "{apiVersion: v1, kind: Pod, metadata: {name: flow}}\n")[0]) == "Pod/flow"


def test_what_the_server_wrote_into_an_exported_object_is_no_part_of_the_answer(tmp_path):
    """`kubectl get service back -o yaml > back.yaml`: the API refuses the first of these fields with a 500."""
    own = {
        "resourceVersion": "4711",
        "uid": "2f0b9a4e",
        "creationTimestamp": None,
        "generation": 1,
        "managedFields": [],
    }
    (found,) = read(tmp_path, yaml.safe_dump({**SERVICE, "metadata": {"name": "back", "labels": {"uid": "1"}, **own}}))
    assert found["metadata"] == {"name": "back", "labels": {"uid": "1"}}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4),
    max_leaves=12,
)
NAMES = ["back", "ch2-service", "x.ch2-service.svc", "http://back.ch2-service:80", "ch2-service-1a2b3c4d", "mine:lab"]
FIELDS = st.sampled_from(
    ["name", "namespace", "image", "clusterIP", "type", "ports", "nodePort", "value", "externalIPs"]
)
SPEC = st.recursive(
    st.sampled_from([*NAMES, "None", "LoadBalancer", "10.96.0.9"]) | st.integers(0, 40000) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=15,
)
OBJECTS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.sampled_from(["Service", "Pod", "Deployment"]),
        "metadata": st.fixed_dictionaries(
            {"name": st.sampled_from(NAMES)},
            optional={"namespace": st.none() | st.sampled_from([*NAMES, "kube-system"]) | SPEC, "labels": SPEC},
        ),
    },
    optional={"spec": SPEC, "data": SPEC},
)


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text("ab:-[]{}&*\n \t'\"|>#!%<?,0.", max_size=100).map(str.encode)
    | st.lists(OBJECTS | ANY, max_size=3).map(lambda found: yaml.safe_dump_all(found, allow_unicode=True).encode())
)
def test_whatever_is_in_the_file_it_is_objects_or_unmet(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    try:
        for obj in read_manifests(file, "any.yaml"):
            changed, _ = rewrite(obj, "ch2-service", "ch2-service-1a2b3c4d", {"mine:lab": "mine:lab-1a2b"})
            json.dumps(changed, allow_nan=False).encode()
    except Unmet:
        pass


def paths_of(value, path=()):
    """Every path in `value` that leads to a plain value or to something empty, with what is there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = {leaf: found for key, item in items for leaf, found in paths_of(item, (*path, key)).items()}
    return inner or {path: value}


def without_addresses(paths):
    own = {"clusterIP", "clusterIPs", "loadBalancerIP", "healthCheckNodePort"}
    return {
        p: v for p, v in paths.items() if not (p[:1] == ("spec",) and ((p[1:2] and p[1] in own) or "nodePort" in p))
    }


@settings(max_examples=100, deadline=None)
@given(OBJECTS)
def test_a_rewrite_touches_nothing_else_and_done_twice_changes_nothing(obj):
    before = copy.deepcopy(obj)
    try:
        changed, notes = rewrite(obj, "ch2-service", "ch2-service-1a2b3c4d", {"mine:lab": "mine:lab-1a2b"})
    except Unmet:
        assert obj["metadata"]["namespace"] not in (None, "ch2-service", "ch2-service-1a2b3c4d")
        return
    assert obj == before
    assert rewrite(changed, "ch2-service", "ch2-service-1a2b3c4d", {"mine:lab": "mine:lab-1a2b"}) == (changed, [])
    assert changed["metadata"].pop("namespace") == "ch2-service-1a2b3c4d"
    obj["metadata"].pop("namespace", None)
    balancer = (
        obj["kind"] == "Service" and isinstance(obj.get("spec"), dict) and obj["spec"].get("type") == "LoadBalancer"
    )
    if balancer:
        assert changed["spec"].pop("loadBalancerClass") == NO_LOAD_BALANCER
        assert changed["spec"].pop("allocateLoadBalancerNodePorts") is False
    was, now = paths_of(obj), paths_of(changed)
    if obj["kind"] == "Service":  # what lost its only field may be empty now: compare the values that are there
        was, now = without_addresses(was), {p: v for p, v in without_addresses(now).items() if p in was}
    for path in was.keys() | now.keys():
        if was.get(path) != now.get(path):
            assert isinstance(was[path], str) and any(f": {was[path]} → {now[path]}" in note for note in notes)
            assert (
                now[path] == "mine:lab-1a2b"
                if path[-1] == "image"
                else ".ch2-service" in was[path] or path[-1] == "namespace"
            )


def test_only_what_must_not_collide_is_rewritten():
    obj = {
        **SERVICE,
        "metadata": {"name": "back", "namespace": "ch2-service"},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.96.0.50",
            "selector": {"app": "ch2-service", "tier": "back"},
            "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}, {"port": 81}],
        },
    }
    changed, notes = rewrite(obj, "ch2-service", "ch2-service-1a2b")
    assert changed["metadata"]["namespace"] == "ch2-service-1a2b"
    assert changed["spec"] == {
        "type": "LoadBalancer",
        "loadBalancerClass": NO_LOAD_BALANCER,
        "allocateLoadBalancerNodePorts": False,
        "selector": {"app": "ch2-service", "tier": "back"},
        "ports": [{"port": 80, "targetPort": 8080}, {"port": 81}],
    }
    assert obj["spec"]["ports"][0]["nodePort"] == 30080  # the submission itself is left alone
    assert "Service/back.spec.ports[0].nodePort: 30080 → —" in notes
    assert "Service/back.spec.clusterIP: 10.96.0.50 → —" in notes
    assert any(NO_LOAD_BALANCER in note for note in notes)


def test_a_headless_service_stays_headless():
    changed, _ = rewrite({**SERVICE, "spec": {"clusterIP": "None"}}, "live", "other")
    assert changed["spec"]["clusterIP"] == "None"


def test_names_of_the_live_namespace_are_rewritten_wherever_they_stand():
    env = [
        {"name": "A", "value": "http://back.ch2-service.svc.cluster.local:80/call"},
        {"name": "B", "value": "http://back.ch2-service"},
        {"name": "C", "value": "http://back.ch2-service-two"},
        {"name": "D", "value": "ch2-service"},
        {"name": "E", "value": "http://back"},
    ]
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "front"},
        "spec": {"template": {"spec": {"containers": [{"image": "mine:lab", "env": env}]}}},
        "subjects": [{"namespace": "ch2-service"}],
    }
    changed, notes = rewrite(obj, "ch2-service", "x", {"mine:lab": "mine:lab-1a2b"})
    container = changed["spec"]["template"]["spec"]["containers"][0]
    assert [entry["value"] for entry in container["env"]] == [
        "http://back.x.svc.cluster.local:80/call",
        "http://back.x",
        "http://back.ch2-service-two",
        "ch2-service",
        "http://back",
    ]
    assert container["image"] == "mine:lab-1a2b" and changed["subjects"][0]["namespace"] == "x"
    assert "Deployment/front.spec.template.spec.containers[0].image: mine:lab → mine:lab-1a2b" in notes


def test_another_namespace_is_refused():
    with pytest.raises(Unmet, match="kube-system"):
        rewrite({**SERVICE, "metadata": {"name": "a", "namespace": "kube-system"}}, "ch2-service", "x")


@pytest.mark.parametrize("spec", [None, [], "text", {"ports": None}, {"ports": "x"}, {"ports": [None, 3]}])
def test_nonsense_is_left_to_the_api_server(spec):
    changed, _ = rewrite({**SERVICE, "spec": spec}, "live", "other")
    assert changed["spec"] == spec


def test_a_list_of_namespaces_is_rewritten_too():
    term = {"namespaces": ["live", "other"], "topologyKey": "live"}
    changed, _ = rewrite({**SERVICE, "spec": {"terms": [term]}}, "live", "ns")
    assert changed["spec"]["terms"] == [{"namespaces": ["ns", "other"], "topologyKey": "live"}]


def test_the_nonce_goes_where_the_lab_says():
    data = b'package main\n\nconst version = "1.0.0"\n'
    assert stamp(data, 'const version = "(.*)"', "1a2b", "main.go") == b'package main\n\nconst version = "1a2b"\n'
    with pytest.raises(Unmet, match=r"main\.go"):
        stamp(b"package main\n", 'const version = "(.*)"', "1a2b", "main.go")


@pytest.mark.parametrize(
    ("text", "left", "gone"),
    [
        (b"# syntax=docker/dockerfile:1\nFROM scratch\n", b"#\nFROM scratch\n", ["# syntax=docker/dockerfile:1"]),
        (b"# a\n#syntax = x\n\nFROM scratch\n", b"# a\n#\n\nFROM scratch\n", ["#syntax = x"]),
        (b"FROM scratch\n# syntax=x\n", b"FROM scratch\n# syntax=x\n", []),
        (b"", b"", []),
        (b"\xef\xbb\xbf# syntax=x\nFROM scratch\n", b"#\nFROM scratch\n", ["# syntax=x"]),
    ],
    ids=["first", "after a comment", "too late", "empty", "byte order mark"],
)
def test_a_frontend_from_a_registry_isnt_asked_for(text, left, gone):
    assert without_syntax(text) == (left, gone)


def test_the_starts_own_file_is_no_answer(tmp_path):
    for name in ("given.yaml", "front.yaml", "back.yaml"):
        (tmp_path / name).write_text("___")
    files = {PurePosixPath(name): tmp_path / name for name in ("given.yaml", "front.yaml", "back.yaml")}
    lab = SimpleNamespace(
        files=lambda: files,
        deliverables=("front.yaml", "back.yaml"),
        replay=SimpleNamespace(stamp={}, build={}),
    )
    target = tmp_path / "laid"
    replay.lay_out(lab, {PurePosixPath("back.yaml"): tmp_path / "back.yaml"}, "1a2b", target)
    assert sorted(file.name for file in target.iterdir()) == ["back.yaml", "given.yaml"]
