#!/bin/sh
# A module server in small: whoever shows a token gets the modules of go.mod, downloaded and compiled.
# There is no network here, so that the server is the folder modules/ (MODULES names another).
#
# The token: in $TOKEN, in the file that $TOKEN_FILE names, or in /run/secrets/token.
# It leaves receipt.txt in the current folder: another one for every fetch.
set -eu
token=${TOKEN:-$(cat "${TOKEN_FILE:-/run/secrets/token}" 2>/dev/null || true)}
case $token in
hello-k8s-token-????????) ;;
*) echo "get-modules: error: 401 Unauthorized (no token in \$TOKEN, \$TOKEN_FILE or /run/secrets/token)" >&2 && exit 1 ;;
esac

# What was fetched before, into a cache mount for example, isn't fetched again.
kept=$(go env GOMODCACHE)/receipt.txt
if [ ! -f "$kept" ]; then
    export GOPROXY="file://${MODULES:-$PWD/modules}" GOSUMDB=off
    go mod download
    go build github.com/yuin/goldmark
    cat /proc/sys/kernel/random/uuid >"$kept"
fi
cp "$kept" receipt.txt
