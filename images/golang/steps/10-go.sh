#!/bin/bash
# The Go distribution as its own module carries it, and the certificates that `go mod download` needs.
set -euo pipefail
source "$RECIPE"
use_go

go=$(GOTOOLCHAIN=local module "golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-$(dpkg --print-architecture)")
rm -rf "$OUT/go"
cp -r "$go" "$OUT/go"
chmod -R u+w "$OUT/go"
# a module can't hold another module's go.mod nor a run bit; Go itself puts both back when it uses a toolchain
find "$OUT/go" -name _go.mod | while read -r file; do mv "$file" "${file%/*}/go.mod"; done
chmod -R 755 "$OUT/go/bin" "$OUT/go/pkg/tool"
packages "$SUITE" "$OUT/certificates" ca-certificates
mkdir -p "$OUT/ssl"
cat "$OUT"/certificates/usr/share/ca-certificates/mozilla/*.crt >"$OUT/ssl/ca-certificates.crt"
