#!/bin/bash
# DNS and storage, which are modules of their own; and kind's files for a node.
# usual: 190
set -euo pipefail
source "$RECIPE"
use_go

export GOBIN="$OUT/bin"
"$GO" install -v -trimpath -ldflags "-s -w" "github.com/coredns/coredns@$COREDNS_VERSION"
"$GO" install -v -trimpath -ldflags "-s -w" "github.com/rancher/local-path-provisioner@$PROVISIONER_VERSION"

kind=$(module "sigs.k8s.io/kind@$KIND_VERSION")
mkdir -p "$OUT/kind"
cp -r "$kind/images/base/files/." "$OUT/kind/"
chmod -R u+w "$OUT/kind"
sed -n '/^const defaultStorageManifest = `/,/^`/p' "$kind/pkg/build/nodeimage/const_storage.go" | sed -e '1d' -e '$d' \
    -e "s|\` + storageProvisionerImage + \`|docker.io/hello-k8s/local-path-provisioner:$PROVISIONER_VERSION|" \
    -e "s|\` + storageHelperImage + \`|docker.io/hello-k8s/node-tools:$KUBERNETES_VERSION|" >"$OUT/default-storage.yaml"
grep -q hello-k8s/local-path-provisioner "$OUT/default-storage.yaml"
grep -q hello-k8s/node-tools "$OUT/default-storage.yaml"
