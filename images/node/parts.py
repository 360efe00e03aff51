"""The images that kubeadm expects on a node, as one OCI layout that `ctr images import` reads.

Written by hand: an image is a list of tar layers and a page of JSON. Layers stay uncompressed, since a node
unpacks them at every start of a new cluster, and equal layers are stored once.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Layout:
    """An OCI image layout growing in a tar file: `blob` stores content once, `image` names one."""

    def __init__(self, file: Path, architecture: str) -> None:
        self.tar = tarfile.open(file, "w")  # noqa: SIM115 - open until close()
        self.architecture = architecture
        self.stored: set[str] = set()
        self.index: list[dict[str, object]] = []

    def blob(self, media_type: str, data: bytes | Path) -> dict[str, object]:
        """Store `data` and return its descriptor (media type, digest, size in bytes)."""
        if isinstance(data, Path):
            with data.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = data.stat().st_size
        else:
            digest, size = hashlib.sha256(data).hexdigest(), len(data)
        if digest not in self.stored:
            info = tarfile.TarInfo(f"blobs/sha256/{digest}")
            info.size = size
            with data.open("rb") if isinstance(data, Path) else io.BytesIO(data) as content:
                self.tar.addfile(info, content)
            self.stored.add(digest)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}

    def image(self, name: str, layers: list[bytes | Path], entrypoint: list[str]) -> None:
        """Add an image called `name` (registry, path and tag) of these tar layers."""
        descriptors = [self.blob("application/vnd.oci.image.layer.v1.tar", layer) for layer in layers]
        config: dict[str, object] = {"Env": [f"PATH={PATH}"], "WorkingDir": "/"}
        if entrypoint:
            config["Entrypoint"] = entrypoint
        described = {
            "architecture": self.architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in descriptors]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob("application/vnd.oci.image.config.v1+json", json.dumps(described).encode()),
            "layers": descriptors,
        }
        entry = self.blob("application/vnd.oci.image.manifest.v1+json", json.dumps(manifest).encode())
        self.index.append(entry | {"annotations": {"io.containerd.image.name": name}})

    def close(self) -> None:
        """Write the index; the layout is complete only now."""
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": self.index}
        for name, content in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            self.tar.addfile(info, io.BytesIO(data))
        self.tar.close()


def one_file(source: Path, target: str) -> bytes:
    """A layer that holds `source` as `target`, run bit set, no time and no owner."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        info = tarfile.TarInfo(target)
        info.mode, info.size = 0o755, source.stat().st_size
        with source.open("rb") as content:
            layer.addfile(info, content)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("binaries", "addons", "tools", "pause", "network"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("version", "etcd", "coredns", "provisioner", "pause-version", "architecture"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    layout = Layout(given.output, given.architecture)
    registry, version = "registry.k8s.io", given.version
    for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        layer = one_file(given.binaries / program, f"usr/local/bin/{program}")
        layout.image(f"{registry}/{program}:{version}", [layer], [])
    etcd = [one_file(given.binaries / name, f"usr/local/bin/{name}") for name in ("etcd", "etcdctl", "etcdutl")]
    layout.image(f"{registry}/etcd:{given.etcd}", list(etcd), [])
    coredns = one_file(given.addons / "coredns", "coredns")
    layout.image(f"{registry}/coredns/coredns:{given.coredns}", [coredns], ["/coredns"])
    pause = one_file(given.pause, "pause")
    layout.image(f"{registry}/pause:{given.pause_version}", [pause], ["/pause", "-P"])
    proxy = one_file(given.binaries / "kube-proxy", "usr/local/bin/kube-proxy")
    layout.image(f"{registry}/kube-proxy:{version}", [given.tools, proxy], [])
    kubectl = one_file(given.binaries / "kubectl", "usr/local/bin/kubectl")
    network = one_file(given.network, "usr/local/bin/pod-network")
    layout.image(f"docker.io/hello-k8s/node-tools:{version}", [given.tools, kubectl, network], [])
    provisioner = one_file(given.addons / "local-path-provisioner", "usr/local/bin/local-path-provisioner")
    layout.image(f"docker.io/hello-k8s/local-path-provisioner:{given.provisioner}", [provisioner], [])
    layout.close()


if __name__ == "__main__":
    main()
