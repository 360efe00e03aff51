#!/bin/bash
# The root file system of a node, the smaller one of its kube-proxy and helpers, and the newer containerd.
# usual: 60
set -euo pipefail
source "$RECIPE"

debian_root "$OUT/root.tar" --variant=minbase --include=systemd,systemd-sysv,dbus,iptables,nftables,iproute2,conntrack,ethtool,socat,kmod,procps,jq,curl,ca-certificates,util-linux,mount,pigz,e2fsprogs,runc,containernetworking-plugins,libseccomp2
debian_root "$OUT/tools.tar" --variant=essential --include=iptables,nftables,kmod,conntrack,iproute2
# trixie's own containerd is older than what kind's configuration is written for
packages "$TESTING" "$OUT/testing" containerd
packages "$SUITE" "$OUT/suite" catatonit
