#!/bin/sh
# make-report.sh FOLDER REPORT: lay the measurements out in FOLDER (14 MB), write a summary of them to REPORT.
set -eu
version="1.0.0"
mkdir -p "$1" "$(dirname "$2")"
seq 1 2000000 >"$1/measurements.txt"
printf 'report %s: %s measurements\n' "$version" "$(wc -l <"$1/measurements.txt")" >"$2"
