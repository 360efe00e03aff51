#!/bin/bash
# The root file system of debian:trixie-slim: Debian's essential packages and apt.
# usual: 25
set -euo pipefail
source "$RECIPE"

debian_root "$OUT/root.tar" --variant=minbase
