#!/bin/bash
# Kubernetes and etcd, compiled from their Go modules; go.mod and go.sum say which.
# usual: 520
# reads: go.mod go.sum
set -euo pipefail
source "$RECIPE"
use_go

mkdir -p "$SCRATCH/module" "$OUT/bin"
cp "$IMAGE_DIR/go.mod" "$IMAGE_DIR/go.sum" "$SCRATCH/module/"
cd "$SCRATCH/module"
minor=${KUBERNETES_VERSION#v1.}
set_version=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    for value in "gitVersion=$KUBERNETES_VERSION" gitMajor=1 "gitMinor=${minor%%.*}" gitCommit=unknown \
        gitTreeState=archive buildDate=2026-08-01T00:00:00Z; do
        set_version+=" -X $package.$value"
    done
done
commands=()
for name in kubelet kubeadm kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
    commands+=("k8s.io/kubernetes/cmd/$name")
done
"$GO" build -v -trimpath -ldflags "-s -w $set_version" -o "$OUT/bin/" "${commands[@]}"
"$GO" build -v -trimpath -ldflags "-s -w" -o "$OUT/bin/etcd" go.etcd.io/etcd/server/v3
"$GO" build -v -trimpath -ldflags "-s -w" -o "$OUT/bin/etcdctl" go.etcd.io/etcd/etcdctl/v3
"$GO" build -v -trimpath -ldflags "-s -w" -o "$OUT/bin/etcdutl" go.etcd.io/etcd/etcdutl/v3
