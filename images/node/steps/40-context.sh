#!/bin/bash
# Everything laid out as the Dockerfile copies it.
# usual: 5
# after: 10-system 20-kubernetes 30-addons
# reads: parts.py setup.sh files/pod-network.sh files/default-cni.yaml
set -euo pipefail
source "$RECIPE"

mkdir -p "$OUT"/{containerd,binaries,manifests}
ln -f "$OUT_SYSTEM/root.tar" "$OUT/root.tar"
cp "$OUT_SYSTEM"/testing/usr/bin/{containerd,ctr,containerd-shim-runc-v2} "$OUT/containerd/"
cp -r "$OUT_ADDONS/kind" "$OUT/"
rm -rf "$OUT/kind/LICENSES"
ln -f "$OUT_KUBERNETES"/bin/{kubelet,kubeadm,kubectl} "$OUT/binaries/"
cp "$OUT_ADDONS/default-storage.yaml" "$OUT/manifests/"
sed "s/NODE_VERSION/$KUBERNETES_VERSION/" "$IMAGE_DIR/files/default-cni.yaml" >"$OUT/manifests/default-cni.yaml"
cp "$IMAGE_DIR/setup.sh" "$OUT/"
"$PYTHON" "$IMAGE_DIR/parts.py" --binaries "$OUT_KUBERNETES/bin" --addons "$OUT_ADDONS/bin" \
    --tools "$OUT_SYSTEM/tools.tar" --pause "$OUT_SYSTEM/suite/usr/bin/catatonit" \
    --network "$IMAGE_DIR/files/pod-network.sh" --version "$KUBERNETES_VERSION" --etcd "$ETCD_IMAGE_VERSION" \
    --coredns "$COREDNS_VERSION" --provisioner "$PROVISIONER_VERSION" --pause-version "$PAUSE_VERSION" \
    --architecture "$(dpkg --print-architecture)" "$OUT/parts.tar"
