#!/bin/bash
# The Go distribution as its own module carries it, the certificates that `go mod download` needs, and a C compiler:
# the official image has one, and it decides whether `go build` links with the C library when nothing is said.
# usual: 25
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

machine=$(uname -m | tr _ -)-linux-gnu
rm -rf "$OUT/gcc"
packages "$SUITE" "$OUT/gcc" gcc gcc-14 "gcc-$machine" "gcc-14-$machine" "cpp-14-$machine" libgcc-14-dev \
    libc6-dev linux-libc-dev binutils "binutils-$machine" binutils-common libbinutils libctf0 libctf-nobfd0 libsframe1 \
    libjansson4 libisl23 libmpc3 libmpfr6 libgmp10 libcc1-0 libgomp1
# link-time optimization and texts, which Go has no use for, are a quarter of it
rm -rf "$OUT"/gcc/usr/libexec/gcc/*/14/lto1 "$OUT"/gcc/usr/share/{info,locale,man,gdb}
find "$OUT/gcc/usr/share/doc" -type f ! -name copyright -delete
