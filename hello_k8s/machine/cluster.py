"""The kind cluster: made, stopped, paused, mended; its own kubeconfig, network and namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hello_k8s import files, paths
from hello_k8s.errors import ClusterError, CommandFailed
from hello_k8s.language import t
from hello_k8s.machine import holding, isolation, kindconfig, loading, ready, tools, traffic
from hello_k8s.machine.engine import Engine, user_engine
from hello_k8s.machine.kubeapi import KubeApi
from hello_k8s.machine.nested import LABEL
from hello_k8s.machine.nodes import Node, Status, completed_with, find_nodes, mark_complete, status_of, were_up
from hello_k8s.process import run
from hello_k8s.progress import SILENT, Progress

#: Our own network: the user's `kind` network stays theirs, and a cluster on ours is known to be ours.
NETWORK = "hello-k8s"
SYSTEM_NAMESPACE = "hello-k8s-system"
PROBE_POD = "probe"
_CREATE_SECONDS = 600


class Cluster:
    """One cluster. `name`: HELLO_K8S_CLUSTER, else `hello-k8s`; `nodes` is how many a new one gets."""

    def __init__(self, name: str | None = None, nodes: int = 3, engine: Engine | None = None) -> None:
        self.name = name or os.environ.get("HELLO_K8S_CLUSTER") or "hello-k8s"
        self.engine = engine or user_engine()
        self.context = f"kind-{self.name}"
        default = self.name == "hello-k8s"
        self.kubeconfig = paths.state() / ("kubeconfig" if default else f"kubeconfig-{self.name}")
        self._new_nodes = nodes
        self._isolated: str | None = None

    # -- what there is

    @property
    def _folder(self) -> Path:
        folder = paths.state() / "cluster"
        folder.mkdir(exist_ok=True)
        return folder

    def _nodes(self) -> list[Node]:
        return find_nodes(self.engine, self.name)

    def nodes(self) -> list[str]:
        """The names of its nodes (and of their containers), the control plane first."""
        return [node.name for node in self._nodes()]

    def identity(self) -> str:
        """What tells it from every other of its name: the ID of its control plane's container; "" where none is."""
        return next((node.id for node in self._nodes()), "")

    def status(self) -> Status:
        """absent · partial (not all its nodes are there) · stopped · paused · running. 0.05 s; asks the engine only.

        Raises CommandFailed where the engine can't say.
        """
        nodes = self._nodes()
        return status_of(nodes, self._expected(nodes))

    def was_up(self, begun: float, ended: float, settled: float = 0.0) -> bool:
        """See `nodes.were_up`."""
        return were_up(self.engine, self.name, begun, ended, settled)

    def attach(self) -> Status:
        """Its status; where it runs, the kubeconfig here is that of these very nodes (a new state folder, or another
        checkout made the cluster anew). Raises what `up` does.
        """
        nodes = self._nodes()
        status = status_of(nodes, self._expected(nodes))
        if status == "running":
            self._ensure_kubeconfig(nodes)
        return status

    def _expected(self, nodes: list[Node]) -> int | None:
        """How many nodes it was completed with: remembered for these very containers, else asked of the cluster."""
        memory = self._folder / f"{self.name}.json"
        ids = sorted(node.id for node in nodes)
        try:
            known = json.loads(memory.read_text())
            if known["ids"] == ids:
                return int(known["nodes"])
        except (FileNotFoundError, ValueError, KeyError):
            pass
        count = completed_with(self.engine, nodes)
        if count is not None:
            files.write(memory, json.dumps({"ids": ids, "nodes": count}))
        return count

    # -- up and down

    def up(self, progress: Progress = SILENT, node_image: str = "", *, probe: bool = True) -> None:
        """Make, start, resume or mend it, whatever is needed; nothing where it runs. Idempotent. One that was killed
        while it was made is made anew; one that was whole and isn't any more is left alone.

        `node_image` is a ref on the engine; only making one needs it. With `probe`, the Pod that checks ask
        through is there at the end. Raises ClusterError where it doesn't come up, MachineError for what is
        missing on the machine.
        """
        with self._lock():
            nodes = self._nodes()
            expected = self._expected(nodes)
            status = status_of(nodes, expected)
            if status == "partial":
                self._refuse_foreign(nodes)
                self._refuse_changed(nodes, expected)
                progress.note(t("cluster.half", name=self.name))
                self._delete(nodes)
                status = "absent"
            if status == "absent":
                self._create(progress, node_image)
            if status == "stopped":
                self._start(progress)
            elif status == "paused":
                self._resume()
            elif status == "running":
                self._ensure_kubeconfig(nodes)
                self._forget_pause(nodes)  # its resuming was killed in the middle
                ready.wait(self.api(), len(nodes), progress, quick=True)
            self._isolate()
            if probe:
                self._ensure_probe(progress)

    def _create(self, progress: Progress, node_image: str) -> None:
        kind = tools.ensure_kind(progress)
        image = node_image or self._node_image(progress)
        tools.ensure_kubectl(self.engine, image, progress)
        self._ensure_network()
        config = self._folder / f"{self.name}.yaml"
        files.write(config, kindconfig.kind_config(self._new_nodes))
        with progress.step(t("cluster.creating", nodes=self._new_nodes), 30):
            try:
                run(
                    [str(kind), "create", "cluster", f"--name={self.name}", f"--image={image}", f"--config={config}",
                     f"--kubeconfig={self.kubeconfig}", "--wait=0s"],
                    env=self._kind_env(), timeout=_CREATE_SECONDS, on_line=progress.line,
                )  # fmt: skip
            except CommandFailed as failed:
                raise ClusterError(
                    t("cluster.not_created", name=self.name), why=failed.why, next=t("cluster.not_created_next")
                ) from failed
            self.kubeconfig.chmod(0o600)
            ready.wait(self.api(), self._new_nodes, progress)
        made = self._nodes()
        files.write(self._folder / f"{self.name}.kubeconfig-of", made[0].id)
        mark_complete(self.engine, made[0], self._new_nodes)

    def _node_image(self, progress: Progress) -> str:
        from hello_k8s.machine import images, install

        return images.ensure(["node"], self.engine, progress, upstream_names=install.installed_by_us())["node"]

    def _kind_env(self) -> dict[str, str]:
        return {
            **self.environment(),
            "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK,
            "KIND_EXPERIMENTAL_PROVIDER": "docker",
        }

    def _ensure_network(self) -> None:
        if self.engine.run("network", "inspect", NETWORK, check=False).code == 0:
            return
        bridge = self.engine.run("network", "inspect", "bridge", check=False)
        options = json.loads(bridge.stdout)[0].get("Options", {}) if bridge.code == 0 else {}
        mtu = options.get("com.docker.network.driver.mtu")
        self.engine.run(
            "network", "create", "--driver=bridge", f"--label={LABEL}=cluster",
            "--opt=com.docker.network.bridge.enable_ip_masquerade=true",
            *([f"--opt=com.docker.network.driver.mtu={mtu}"] if mtu else []), NETWORK,
        )  # fmt: skip

    def _ensure_kubeconfig(self, nodes: list[Node]) -> None:
        """Another checkout may have made this cluster: then kubeconfig and kubectl come from the cluster itself."""
        memory = self._folder / f"{self.name}.kubeconfig-of"
        control_plane = nodes[0].id
        known = memory.read_text() if memory.exists() else ""
        if known == control_plane and self.kubeconfig.exists() and (tools.folder() / "kubectl").exists():
            return
        kind = tools.ensure_kind()
        image = self.engine.container(nodes[0].name)
        tools.ensure_kubectl(self.engine, image["Image"] if image else "")
        shown = run([str(kind), "get", "kubeconfig", f"--name={self.name}"], env=self._kind_env(), timeout=60).stdout
        files.write(self.kubeconfig, shown, mode=0o600)
        files.write(memory, control_plane)

    def _refuse_foreign(self, nodes: list[Node]) -> None:
        foreign = [node.name for node in nodes if NETWORK not in node.networks]
        if foreign:
            raise ClusterError(
                t("cluster.not_ours", name=self.name, nodes=", ".join(foreign)),
                why=t("cluster.not_ours_why"),
                next=t("cluster.not_ours_next", name=self.name),
            )

    def _refuse_changed(self, nodes: list[Node], expected: int | None) -> None:
        """A cluster that was completed may have workloads in it, whatever has become of its nodes."""
        if expected is not None:
            shown = ", ".join(f"{node.name} ({node.state})" for node in nodes)
            raise ClusterError(
                t("cluster.nodes_changed", name=self.name),
                why=t("cluster.nodes_changed_why", made=expected, count=len(nodes), nodes=shown),
                next=t("cluster.nodes_changed_next"),
            )

    def _start(self, progress: Progress) -> None:
        nodes = self._nodes()
        down = [node for node in nodes if node.state not in ("running", "paused")]
        start = ready.Start(time.time(), frozenset(node.name for node in down))
        with progress.step(t("cluster.starting"), 20):
            self._docker("unpause", [node for node in nodes if node.state == "paused"])
            self._docker("start", down)
            self._forget_pause(nodes)
            self._ensure_kubeconfig(nodes)
            ready.wait(self.api(), len(nodes), progress, start=start)
            traffic.wait(self.api(), self.engine, nodes, NETWORK)

    def _docker(self, verb: str, nodes: Iterable[Node], *options: str) -> None:
        names = [node.name for node in nodes]
        if not names:
            return
        try:
            if verb == "pause":
                self.engine.pause(*names)
            else:
                self.engine.run(verb, *options, *names)
        except CommandFailed as failed:
            busy = "port is already allocated" in failed.output or "address already in use" in failed.output
            raise ClusterError(
                t("cluster.port_taken" if busy else "cluster.not_started", name=self.name),
                why=failed.why,
                next=t("cluster.port_taken_next" if busy else "cluster.not_created_next"),
            ) from failed

    def pause(self) -> None:
        """Freeze every node at once, keeping all memory; nothing where it isn't running."""
        with self._lock():
            nodes = self._nodes()
            status = status_of(nodes, self._expected(nodes))
            if status not in ("running", "paused"):
                return
            if status == "running":
                files.write(self._pause_memory, str(time.time()))
            try:
                if status == "running":
                    holding.hold(self.engine, nodes[0].name)
                self._docker("pause", [node for node in nodes if node.state == "running"])
            except BaseException:  # Ctrl-C, too: without its controller manager it would run and do nothing
                if status_of(nodes := self._nodes(), self._expected(nodes)) == "running":
                    self._forget_pause(nodes)
                raise

    def resume(self) -> None:
        """Thaw it, until Nodes are Ready and endpoints complete again; nothing where it isn't paused."""
        with self._lock():
            if self.status() == "paused":
                self._resume()

    def _resume(self) -> None:
        nodes = self._nodes()
        since = time.time()
        paused = [node for node in nodes if node.state == "paused"]
        # Workers first: their kubelets' words are waiting at the API server when the control plane thaws.
        self._docker("unpause", [node for node in paused if node.role != "control-plane"])
        self._docker("unpause", [node for node in paused if node.role == "control-plane"])
        self._ensure_kubeconfig(nodes)
        memory = self._pause_memory
        try:
            ready.after_pause(
                self.api(),
                since,
                float(memory.read_text()) if memory.exists() else None,
                lambda: holding.let_go(self.engine, nodes[0].name),
            )
        finally:
            self._forget_pause(nodes)

    @property
    def _pause_memory(self) -> Path:
        """When it was paused; there until it has been resumed whole."""
        return self._folder / f"{self.name}.paused"

    def _forget_pause(self, nodes: list[Node]) -> None:
        if self._pause_memory.exists():
            holding.let_go(self.engine, nodes[0].name)
            self._pause_memory.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop the nodes' containers; workloads come back with `up`. Nothing where none runs."""
        with self._lock():
            nodes = self._nodes()
            self._refuse_foreign(nodes)
            self._docker("unpause", [node for node in nodes if node.state == "paused"])
            self._forget_pause(nodes)
            self._docker("stop", [node for node in nodes if node.state != "exited"], "--time=10")

    def delete(self) -> None:
        """Remove the cluster and everything in it; one that isn't there is fine. Refuses a foreign one."""
        with self._lock():
            nodes = self._nodes()
            self._refuse_foreign(nodes)
            self._delete(nodes)

    def _delete(self, nodes: list[Node]) -> None:
        self.engine.remove(*(node.name for node in nodes))
        for file in (self.kubeconfig, *self._folder.glob(f"{self.name}.*")):
            if file.suffix != ".lock":
                file.unlink(missing_ok=True)
        if not self.engine.run("ps", "--all", "--quiet", "--filter", f"network={NETWORK}").stdout.strip():
            self.engine.run("network", "rm", NETWORK, check=False)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One command at a time brings this cluster up or down; freed by the system when a process is killed."""
        with files.locked(self._folder / f"{self.name}.lock"):
            yield

    # -- what is on it

    def api(self) -> KubeApi:
        """Its API. Raises ClusterError where there is no kubeconfig yet."""
        return KubeApi.from_kubeconfig(self.kubeconfig, self.context)

    def load(self, refs: Iterable[str], engine: Engine, progress: Progress = SILENT) -> None:
        """Bring images of `engine` onto every node; what is there with the same ID is left alone."""
        loading.load(refs, engine, self.engine, self._nodes(), progress)

    def has_image(self, ref: str) -> bool:
        """Whether every node has an image of this name."""
        name = loading.full_name(ref)
        return all(name in loading.images_on(self.engine, node) for node in self._nodes())

    def environment(self) -> dict[str, str]:
        """What a shell, JupyterLab or a notebook needs for `kubectl` and `docker` to mean this cluster."""
        program = self.engine.prefix[0]
        if program != "docker":
            tools.link_as("docker", program)
        path = os.environ.get("PATH", os.defpath)
        first = str(tools.folder())
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": path if path.split(os.pathsep)[0] == first else f"{first}{os.pathsep}{path}",
            "HELLO_K8S_CLUSTER": self.name,
            "HELLO_K8S_STATE": str(paths.state()),
            # kubectl remembers there what a server knows; ~/.kube is the user's
            "KUBECACHEDIR": str(paths.state() / "kube-cache"),
        }

    def _isolate(self) -> str:
        """The policies and rules that keep submissions apart, brought on once; see isolation.ensure."""
        if self._isolated is None:
            self._isolated = isolation.ensure(self.api(), self.engine, self._nodes())
        return self._isolated

    def prepare_namespace(self, name: str, *, labels: Mapping[str, str] | None = None) -> None:
        """The namespace of a lab from the one template: Pod Security, a quota of objects. Idempotent.

        With the label of a replay it gets besides what keeps a submission from the others.
        """
        if self._isolated is None:
            with self._lock():
                self._isolate()
        api = self.api()
        replay = isolation.REPLAY_LABEL in (labels or {})
        objects = kindconfig.namespace(name, labels or {}, replay=replay)
        if replay and (address := self._isolate()):
            objects += kindconfig.objects("network-policy.yaml", NAME=name, API=address)
        for obj in objects:
            api.apply(obj)

    def probe(self) -> dict[str, Any]:
        """The Pod through which checks ask HTTP questions, ready. Raises ClusterError where it doesn't become so."""
        self._ensure_probe(SILENT)
        found = self.api().read("Pod", PROBE_POD, SYSTEM_NAMESPACE)
        assert found is not None
        return found

    def _ensure_probe(self, progress: Progress) -> None:
        api = self.api()
        found = api.read("Pod", PROBE_POD, SYSTEM_NAMESPACE)
        if found is not None and ready.is_ready(found):
            return
        from hello_k8s.machine import images, install

        with progress.step(t("cluster.probe"), 5):
            refs = images.ensure(["probe"], self.engine, progress, upstream_names=install.installed_by_us())
            self.load([refs["probe"]], self.engine, progress)
            for obj in kindconfig.objects("probe.yaml", IMAGE=refs["probe"]):
                api.apply(obj)
            ready.wait_for_pod(api, SYSTEM_NAMESPACE, PROBE_POD)
