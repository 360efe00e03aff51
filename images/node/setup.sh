#!/bin/bash
# Run once inside the node image while it is built: what kind's own Dockerfile does, and what a host without
# CAP_SYS_RESOURCE needs besides.
set -euxo pipefail

chmod 755 /kind /kind/bin /kind/bin/*.sh /usr/local/bin/entrypoint /usr/local/bin/clean-install
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
    /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
    /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo "ReadKMsg=no" >>/etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests /opt/cni /etc/cni/net.d
ln -s /usr/lib/cni /opt/cni/bin

# lowering an OOM score is refused where CAP_SYS_RESOURCE is missing
sed -i -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
    -e "s|registry.k8s.io/pause:[0-9.]*|registry.k8s.io/pause:$PAUSE_VERSION|" /etc/containerd/config.toml
grep -q 'restrict_oom_score_adj = true' /etc/containerd/config.toml
grep -q "pause:$PAUSE_VERSION" /etc/containerd/config.toml
ctr oci spec | jq 'del(.process.rlimits)' >/etc/containerd/cri-base.json
echo -n "$KUBERNETES_VERSION" >/kind/version
chmod -R go+rX /kind/manifests

# only the content store is needed to bring images in; a node unpacks them when it first uses them
cat >/tmp/import.toml <<TOML
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
TOML
containerd --config /tmp/import.toml --log-level error &
daemon=$!
for _ in {1..100}; do
    ctr version >/dev/null 2>&1 && break
    sleep 0.1
done
ctr -n k8s.io images import --all-platforms --no-unpack --digests --label=io.cri-containerd.pinned=pinned /parts.tar
ctr -n k8s.io images list -q
kill "$daemon"
wait "$daemon" || true
rm -rf /tmp/* /run/containerd
