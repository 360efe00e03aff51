#!/bin/bash
# A CNI plugin behind ptp: tells the node's rules, and share-processor.sh, which namespace a submission's Pod is of,
# before its containers start, and bounds its memory where it has no limit of its own. A Pod for which that fails
# doesn't start. The namespace of a submission ends in eight hexadecimal digits; other Pods are left as they are.
set -euo pipefail
rules=/etc/cni/hello-k8s.nft
notes=/run/hello-k8s/pods
memory=512M

fail() {
    printf '{"cniVersion": "0.4.0", "code": 100, "msg": "hello-k8s-isolation: line %s failed"}\n' "$1"
    exit 1
}
trap 'fail $LINENO' ERR

# The node's way out of the cluster; an address that nobody has where there is none.
gateway() {
    local found
    found=$(ip route show default)
    found=${found#default via }
    echo "${found%% *}" | grep -E '^[0-9.]+$' || echo 0.0.0.0
}

# groups_of CONTROLLER UID: where a Pod's cgroup of it may be, one of its own (version 1) or one for all (version 2).
groups_of() {
    printf '%s\n' /sys/fs/cgroup/{"$1"/,}kubelet.slice/kubelet-kubepods.slice/{,*/}*-pod"${2//-/_}".slice
}

# note_processor UID NAMESPACE: for share-processor.sh; whole, or not there.
note_processor() {
    local group
    for group in $(groups_of cpuacct "$1"); do
        if [[ -e $group/cpuacct.usage || -e $group/cpu.stat ]]; then
            mkdir -p "$notes"
            printf '%s\n' "$2" "$group" >"$notes/.$1"
            mv "$notes/.$1" "$notes/$1"
            return
        fi
    done
}

bound_memory() {
    local group limit
    for group in $(groups_of memory "$1"); do
        if [[ -e $group/memory.max ]]; then
            limit=$(<"$group/memory.max")
        elif [[ -e $group/memory.limit_in_bytes ]]; then
            limit=$(<"$group/memory.limit_in_bytes")
        else
            continue
        fi
        # by systemd, which would put back what somebody else has written
        if [[ $limit == max ]] || ((limit > 1 << 60)); then
            systemctl set-property --runtime "${group##*/}" "MemoryMax=$memory"
        fi
    done
}

case $CNI_COMMAND in
    ADD | DEL) ;;
    VERSION)
        echo '{"cniVersion": "0.4.0", "supportedVersions": ["0.3.0", "0.3.1", "0.4.0"]}'
        exit 0
        ;;
    *) exit 0 ;;
esac

of_a_submission=
if [[ $CNI_ARGS =~ (^|;)K8S_POD_NAMESPACE=([^\;]*-[0-9a-f]{3}([0-9a-f])([0-9a-f]{4}))(;|$) ]]; then
    of_a_submission=yes
    namespace=${BASH_REMATCH[2]} nibble=$((0x${BASH_REMATCH[3]})) identity=0x${BASH_REMATCH[4]}
fi
uid=
if [[ $CNI_ARGS =~ K8S_POD_UID=([0-9a-f-]+) ]]; then
    uid=${BASH_REMATCH[1]}
fi
if [[ -z $of_a_submission && $CNI_COMMAND == DEL ]]; then
    exit 0
fi
{
    read -r address
    read -r cable
    read -r result
} < <(jq -r '.prevResult | (.ips[0].address // "" | split("/")[0] // ""),
    (first(.interfaces[]? | select((.sandbox // "") == "")).name // ""), tojson')

elements() {
    echo "$1 element inet hello-k8s own { \"$cable\" . $address }"
    echo "$1 element inet hello-k8s members { $address . $((nibble * 4 + 3)) . $identity }"
    echo "$1 element inet hello-k8s marks { \"$cable\" : goto dscp$nibble }"
    echo "$1 element inet hello-k8s identities { \"$cable\" : $identity }"
}

if [[ $CNI_COMMAND == DEL ]]; then
    rm -f "$notes/${uid:-none}"
    if [[ -n $address ]]; then
        elements delete | nft -f - 2>/dev/null || true
    fi
    exit 0
fi
if [[ -n $of_a_submission ]]; then
    if ! elements add | nft -f - 2>/dev/null; then
        # The first one since the node was started; or it was another one's, at the same moment.
        { echo "create table inet hello-k8s" && sed "s/GATEWAY/$(gateway)/" "$rules" && elements add; } | nft -f - 2>/dev/null ||
            elements add | nft -f - 1>&2
    fi
    if [[ -n $uid ]]; then
        bound_memory "$uid"
        note_processor "$uid" "$namespace"
    fi
fi
printf '%s\n' "$result"
