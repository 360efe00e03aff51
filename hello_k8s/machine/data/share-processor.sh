#!/bin/bash
# Run on every node: a submission whose Pods compute without end leaves the processors to the others. No cgroup holds
# all the Pods of a namespace, and one that asks for a CPU weighs as much as a hundred honest ones; so what the Pods of
# each namespace use is added up, and those that go on and on are held to a trickle. What a start or an answer takes is
# over before that.
set -euo pipefail
shopt -s nullglob
notes=/run/hello-k8s/pods # the plugin's: for each Pod of a submission, its namespace and its cgroup
every=2                   # seconds between two looks
most=600000               # microseconds of a processor for one namespace, in two looks one after the other
least=15000               # and for a Pod that has a part in it
percent=10                # of one processor, for all Pods of a namespace that are slowed down

exec {never}<> <(:) # a wait without another process
declare -A before=() over=() slow=()
while true; do
    read -rt "$every" -u "$never" _ || true
    declare -A now=() sum=() busy=() groups=()
    for note in "$notes"/*; do
        uid=${note##*/}
        { read -r namespace && read -r group; } 2>/dev/null <"$note" || continue # it is gone
        if read -r usage 2>/dev/null <"$group/cpuacct.usage"; then
            usage=$((usage / 1000))
        else # version 2: usage_usec and a number
            read -r _ usage 2>/dev/null <"$group/cpu.stat" || continue
        fi
        now[$uid]=$usage
        groups[$uid]=$group
        used=$((usage - ${before[$uid]:-0}))
        if [[ -z ${slow[$uid]:-} ]]; then
            sum[$namespace]=$((${sum[$namespace]:-0} + used))
            if ((used >= least)); then
                busy[$namespace]+=" $uid"
            fi
        fi
    done
    for namespace in "${!sum[@]}"; do
        if ((${sum[$namespace]} < most)); then
            over[$namespace]=
            continue
        fi
        if [[ -n ${over[$namespace]:-} ]]; then
            read -ra pods <<<"${busy[$namespace]:-}"
            part=$((percent / (${#pods[@]} + 1)))
            for uid in "${pods[@]}"; do
                slow[$uid]=yes
                systemctl set-property --runtime "${groups[$uid]##*/}" "CPUQuota=$((part > 0 ? part : 1))%" || true
            done
        fi
        over[$namespace]=yes
    done
    before=()
    for uid in "${!now[@]}"; do
        before[$uid]=${now[$uid]}
    done
done
