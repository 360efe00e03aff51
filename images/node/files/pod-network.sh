#!/bin/bash
# The Pod network of this node: ptp and host-local from its own podCIDR, a route to every other node's Pods, and
# one masquerade rule for what leaves the Pod network. Needs NODE_NAME, POD_SUBNET and CONTROL_PLANE_ENDPOINT
# (kind puts the last one in, so that nothing here waits for kube-proxy).
set -euo pipefail

account=/var/run/secrets/kubernetes.io/serviceaccount
columns='EVENT:.type,NAME:.object.metadata.name'
columns+=',ADDRESS:.object.status.addresses[?(@.type=="InternalIP")].address,CIDR:.object.spec.podCIDR'

api() {
    kubectl --server="https://$CONTROL_PLANE_ENDPOINT" --certificate-authority="$account/ca.crt" \
        --token="$(cat "$account/token")" "$@"
}

configure() {
    local file=/etc/cni/net.d/10-hello-k8s.conflist mtu
    mtu=$(cat /sys/class/net/eth0/mtu)
    cat >"$file.new" <<JSON
{"cniVersion": "0.4.0", "name": "hello-k8s", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": $mtu, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
    "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "$1"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
    mv "$file.new" "$file"
}

masquerade=(POSTROUTING -s "$POD_SUBNET" ! -d "$POD_SUBNET" -j MASQUERADE)
iptables -w -t nat -C "${masquerade[@]}" 2>/dev/null || iptables -w -t nat -A "${masquerade[@]}"

while true; do
    while read -r event name address cidr; do
        if [[ $cidr == '<none>' ]]; then
            continue
        elif [[ $name == "$NODE_NAME" ]]; then
            configure "$cidr"
        elif [[ $event == DELETED ]]; then
            ip route del "$cidr" 2>/dev/null || true
        else
            ip route replace "$cidr" via "$address" && echo "$cidr via $address ($name)"
        fi
    done < <(api get nodes --watch --output-watch-events --no-headers -o "custom-columns=$columns")
    sleep 1
done
