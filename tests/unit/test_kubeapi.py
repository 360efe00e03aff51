"""The API client against a server that answers, lies, hangs up and stays silent."""

import base64
import json
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hello_k8s.errors import ClusterError
from hello_k8s.machine import kubeapi, kubekinds
from hello_k8s.machine.kubeapi import ApiError, KubeApi, NotYet


class Server(ThreadingHTTPServer):
    """Answers what the test puts into `answers`: (method, path) → (status, body); keeps every request it got."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.seen = []
        self.events = []
        self.peers = set()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        self.server.seen.append((self.command, path, query, body, dict(self.headers)))
        self.server.peers.add(self.client_address)
        if "watch=true" in query:
            return self.stream()
        status, content = self.server.answers.get(
            (self.command, path), (404, {"reason": "NotFound", "message": "none"})
        )
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return None

    def stream(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for delay, event in self.server.events:
            time.sleep(delay)
            data = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        time.sleep(5)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    yield server
    server.shutdown()


@pytest.fixture
def api(server, tmp_path):
    return KubeApi(server.url, timeout=2, cache=tmp_path)


def pod(name="web", version="1", **status):
    return {"metadata": {"name": name, "uid": "u", "resourceVersion": version}, "status": status}


def test_objects_of_a_list_carry_their_kind(api, server):
    server.answers["GET", "/api/v1/namespaces/ns/pods"] = 200, {"items": [pod()]}
    found = api.list("Pod", "ns", {"app": "web", "tier": "x"})
    assert found[0]["kind"] == "Pod" and found[0]["apiVersion"] == "v1"
    assert server.seen[0][2] == "labelSelector=app%3Dweb%2Ctier%3Dx"


def test_a_connection_is_kept_and_replaced_when_the_server_closed_it(api, server):
    server.answers["GET", "/api/v1/namespaces/ns/pods/web"] = 200, pod()
    for _ in range(3):
        assert api.read("Pod", "web", "ns")["metadata"]["name"] == "web"
    assert len(server.peers) == 1
    api._idle[0].sock.shutdown(socket.SHUT_RDWR)
    assert api.read("Pod", "web", "ns") is not None
    assert len(server.peers) == 2


def test_missing_is_none_and_refused_says_the_servers_words(api, server):
    assert api.read("Pod", "none", "ns") is None
    server.answers["POST", "/api/v1/namespaces/ns/services"] = (
        422,
        {"reason": "Invalid", "message": "spec.ports: Required"},
    )
    with pytest.raises(ApiError) as refused:
        api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "back"}}, "ns")
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    assert "spec.ports: Required" in str(refused.value)


def test_apply_is_server_side_apply_by_our_name(api, server):
    path = "/apis/apps/v1/namespaces/ns/deployments/web"
    server.answers["PATCH", path] = 200, {"metadata": {"name": "web"}}
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    api.apply(obj, "ns", dry_run=True)
    _, _, query, body, headers = server.seen[0]
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert "fieldManager=hello-k8s" in query and "dryRun=All" in query and json.loads(body) == obj


def test_another_user_is_impersonated_on_the_same_connection(api, server):
    server.answers["GET", "/api/v1/namespaces/ns/pods/web"] = 200, pod()
    api.read("Pod", "web", "ns")
    api.as_user("system:serviceaccount:ns:submission").read("Pod", "web", "ns")
    assert "Impersonate-User" not in server.seen[0][4]
    assert server.seen[1][4]["Impersonate-User"] == "system:serviceaccount:ns:submission"
    assert len(server.peers) == 1


def test_an_unusual_kind_is_discovered_once_and_remembered(api, server, tmp_path):
    server.answers["GET", "/api"] = 200, {"items": []}
    version = {
        "version": "v1",
        "resources": [{"resource": "widgets", "scope": "Namespaced", "responseKind": {"kind": "Widget"}}],
    }
    server.answers["GET", "/apis"] = 200, {"items": [{"metadata": {"name": "example.org"}, "versions": [version]}]}
    assert api.resource("Widget").path("ns", "a") == "/apis/example.org/v1/namespaces/ns/widgets/a"
    asked = len(server.seen)
    assert KubeApi(server.url, cache=tmp_path).resource("Widget", "example.org/v1").plural == "widgets"
    assert len(server.seen) == asked
    with pytest.raises(ApiError) as unknown:
        api.resource("Gadget")
    assert unknown.value.status == 404 and "Gadget" in unknown.value.message


def test_many_unknown_kinds_are_asked_for_once_and_again_later(api, server, monkeypatch):
    server.answers["GET", "/api"] = server.answers["GET", "/apis"] = 200, {"items": []}
    for number in range(50):
        with pytest.raises(ApiError, match="404"):
            api.resource(f"Gadget{number}", "v9")
    assert [path for _, path, *_ in server.seen] == ["/api", "/apis"]
    monkeypatch.setattr(kubekinds, "_ASK_AGAIN", 0.0)
    version = {
        "version": "v1",
        "resources": [{"resource": "widgets", "scope": "Cluster", "responseKind": {"kind": "Gadget1"}}],
    }
    server.answers["GET", "/apis"] = 200, {"items": [{"metadata": {"name": "example.org"}, "versions": [version]}]}
    assert api.resource("Gadget1").plural == "widgets"


def test_wait_reacts_to_the_event(api, server):
    server.answers["GET", "/api/v1/namespaces/ns/pods/web"] = 200, pod(phase="Pending")
    server.events = [
        (0, {"type": "ADDED", "object": pod(phase="Pending")}),
        (0.1, {"type": "MODIFIED", "object": pod(version="2", phase="Running")}),
    ]
    begun = time.monotonic()
    found = api.wait("Pod", "web", "ns", lambda obj: obj["status"]["phase"] == "Running", timeout=5)
    assert found["status"]["phase"] == "Running" and time.monotonic() - begun < 2
    assert "fieldSelector=metadata.name%3Dweb" in server.seen[-1][2]


def test_wait_ends_with_what_was_last_seen(api, server):
    server.answers["GET", "/api/v1/namespaces/ns/pods/web"] = 200, pod(phase="Pending")
    server.events = [(0, {"type": "MODIFIED", "object": pod(version="2", phase="Failed")})]
    with pytest.raises(NotYet) as late:
        api.wait("Pod", "web", "ns", lambda obj: obj["status"]["phase"] == "Running", timeout=2)
    assert late.value.last["status"]["phase"] == "Failed"
    assert str(late.value) == "Pod ns/web: not as wanted after 2 s"


@pytest.fixture
def meanwhile(api, monkeypatch):
    """`meanwhile(change)`: call it between the first look at an object and the watch, without an event."""
    monkeypatch.setattr(kubeapi, "_ASK_AGAIN", 0.3)

    def between(change):
        watch = api.watch
        monkeypatch.setattr(api, "watch", lambda *names, **options: change() or watch(*names, **options))

    return between


def gone_after(api):
    begun = time.monotonic()
    assert api.wait("Pod", "web", "ns", lambda obj: False, timeout=60, gone=True) is None
    return time.monotonic() - begun


def test_what_went_before_the_watch_was_there_is_gone_soon(api, server, meanwhile):
    server.answers["GET", "/api/v1/namespaces/ns/pods/web"] = 200, pod()
    meanwhile(lambda: server.answers.clear())
    assert gone_after(api) < 30


@pytest.mark.parametrize("told", [True, False])
def test_what_was_made_anew_under_the_same_name_is_gone(api, server, meanwhile, told):
    anew = pod()
    anew["metadata"]["uid"] = "another"
    server.answers["GET", "/api/v1/namespaces/ns/pods/web"] = 200, pod()
    if told:
        server.events = [(0, {"type": "ADDED", "object": anew})]
    else:
        meanwhile(lambda: server.answers.update({("GET", "/api/v1/namespaces/ns/pods/web"): (200, anew)}))
    assert gone_after(api) < 30


def test_what_stays_is_not_gone_and_is_said_by_name(api, server, monkeypatch):
    monkeypatch.setattr(kubeapi, "_ASK_AGAIN", 0.3)
    server.answers["GET", "/api/v1/namespaces/ns"] = 200, pod("ns")
    server.answers["DELETE", "/api/v1/namespaces/ns"] = 200, pod("ns")
    server.events = [(0, {"type": "ADDED", "object": pod("ns")})]
    with pytest.raises(NotYet, match=r"^Namespace ns: still there after 3 s$") as late:
        api.delete("Namespace", "ns", wait=True, timeout=3)
    assert late.value.last["metadata"]["name"] == "ns"
    assert sum("watch=true" in query for _, _, query, *_ in server.seen) > 1


def test_a_watch_that_was_forgotten_begins_again(api, server):
    server.events = [
        (0, {"type": "ADDED", "object": pod(version="7")}),
        (0, {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}),
    ]
    seen = []
    with api.watch("Pod", "ns", timeout=3) as events:
        for event in events:
            seen.append(event)
            if len(seen) == 2:
                break
    assert [kind for kind, _ in seen] == ["ADDED", "ADDED"]
    assert "resourceVersion" not in server.seen[-1][2]


def test_a_watch_can_be_closed_from_another_thread(api, server):
    watch = api.watch("Pod", "ns", timeout=30)
    threading.Timer(0.2, watch.close).start()
    begun = time.monotonic()
    assert list(watch) == []
    assert time.monotonic() - begun < 3


def test_a_watch_can_be_closed_before_it_is_connected(api, server):
    """Closed between its look at whether it is and the connection: there was no socket yet to shut."""
    watch = api.watch("Pod", "ns", timeout=30)
    connect = watch._open

    def late():
        connection = connect()
        watch.close()
        return connection

    watch._open = late
    begun = time.monotonic()
    assert list(watch) == []
    assert time.monotonic() - begun < 10


def test_delete_of_nothing_is_fine(api, server):
    api.delete("Pod", "none", "ns", wait=True)
    assert server.seen[-1][0] == "DELETE"


def test_nothing_listens(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ClusterError) as silent:
        KubeApi(f"http://127.0.0.1:{port}").list("Pod")
    assert f":{port}" in silent.value.what and silent.value.next


def test_a_server_that_accepts_and_says_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        api = KubeApi(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3)
        with pytest.raises(ClusterError):
            api.list("Pod")


def test_pod_proxy_gives_the_answer_whatever_its_status(api, server):
    server.answers["GET", "/api/v1/namespaces/ns/pods/probe:8080/proxy/fetch"] = 503, b"no"
    response = api.pod_proxy("ns", "probe", 8080, "/fetch", {"url": "http://a/?b=c&d"})
    assert (response.status_code, response.text) == (503, "no")
    assert server.seen[0][2] == "url=http%3A%2F%2Fa%2F%3Fb%3Dc%26d"


def test_kubeconfig(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=test", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    cert, key = (base64.b64encode((tmp_path / name).read_bytes()).decode() for name in ("cert", "key"))
    file = tmp_path / "kubeconfig"
    config = {
        "current-context": "kind-a",
        "contexts": [{"name": "kind-a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority-data": cert}}
        ],
        "users": [{"name": "u", "user": {"client-certificate-data": cert, "client-key-data": key, "token": "x"}}],
    }
    file.write_text(json.dumps(config))
    api = KubeApi.from_kubeconfig(file)
    assert api.server == "https://127.0.0.1:6443" and api._headers == {"Authorization": "Bearer x"}
    with pytest.raises(ClusterError) as wrong:
        KubeApi.from_kubeconfig(file, "kind-b")
    assert "kind-b" in str(wrong.value)
    file.write_text("a: [")
    with pytest.raises(ClusterError):
        KubeApi.from_kubeconfig(file)
    with pytest.raises(ClusterError) as missing:
        KubeApi.from_kubeconfig(tmp_path / "none")
    assert "none" in missing.value.what
