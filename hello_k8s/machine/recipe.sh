# What the steps of an image's recipe share: Debian packages and Go, without changing anything of this machine.
# Sourced by each images/<name>/steps/NN-*.sh, which gets IMAGE_DIR (its folder), OUT (where its result goes),
# OUT_<STEP> (results of earlier steps), SCRATCH (kept until the image is finished), PYTHON, MIRROR (the archive that
# this machine itself uses) and TESTING (the newer release whose containerd runs on older ones).
# shellcheck shell=bash

# the Debian release that images are made of: systemd 258 and newer have dropped cgroup v1
SUITE=trixie
# the compiler, the same everywhere, so that equal sources are equal binaries
GO_VERSION=1.26.8
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# /tmp may be small, in memory, or closed to programs
mkdir -p "$SCRATCH/tmp"
export TMPDIR="$SCRATCH/tmp"

# an apt configuration with an archive, a state and a cache of its own; prints the file for APT_CONFIG
apt_of() {
    local suite=$1 root="$SCRATCH/apt-$1"
    mkdir -p "$root"/{lists/partial,archives/partial}
    : >"$root/status"
    echo "deb [signed-by=$KEYRING] $MIRROR $suite main" >"$root/sources.list"
    {
        apt-config dump Acquire # this machine's proxy and certificates
        cat <<CONF
#clear Acquire::Languages;
Acquire::Languages { "none"; };
Dir::Etc::Parts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::SourceList "$root/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$root";
Dir::State::Lists "$root/lists";
Dir::State::Status "$root/status";
Dir::Cache "$root";
Dir::Cache::Archives "$root/archives";
APT::Sandbox::User "root";
CONF
    } >"$root/apt.conf"
    echo "$root/apt.conf"
}

# packages SUITE DIRECTORY NAME…: the contents of these packages, and of nothing that they depend on
packages() {
    local suite=$1 directory=$2 config debs
    shift 2
    config=$(apt_of "$suite")
    APT_CONFIG=$config apt-get update --quiet
    debs=$(mktemp -d)
    (cd "$debs" && APT_CONFIG=$config apt-get download --quiet "$@")
    mkdir -p "$directory"
    for deb in "$debs"/*.deb; do
        dpkg-deb --extract "$deb" "$directory"
    done
    rm -r "$debs"
}

# debian_root TAR OPTION…: a Debian root file system without manuals and translations, as debian:*-slim has it
debian_root() {
    local tar=$1
    shift
    if ! command -v mmdebstrap >/dev/null; then
        local tools="$SCRATCH/mmdebstrap" release
        release=$(. /etc/os-release && echo "$VERSION_CODENAME")
        [[ -e $tools/done ]] || packages "$release" "$tools" mmdebstrap perl perl-modules-5.36 libperl5.36 2>/dev/null ||
            packages "$release" "$tools" mmdebstrap perl perl-modules-5.40 libperl5.40
        touch "$tools/done"
        PATH="$tools/usr/bin:$PATH"
        PERL5LIB=$(printf '%s:' "$tools"/usr/share/perl/5.* "$tools"/usr/lib/*/perl/5.*)
        export PERL5LIB
    fi
    # mounts of its own, so that none is left behind by a kill
    unshare --mount mmdebstrap --mode=root --format=tar --keyring="$KEYRING" "$@" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
        "$SUITE" "$tar.part" "$MIRROR"
    mv "$tar.part" "$tar"
}

# a Go that can fetch GO_VERSION: this machine's, or the testing release's, unpacked beside
find_go() {
    local candidate
    for candidate in "$(command -v go || true)" /usr/local/go/bin/go "$SCRATCH"/go/usr/lib/go-*/bin/go; do
        # 1.21 was the first to fetch another version by itself
        [[ -x $candidate ]] && "$candidate" version | grep -qE 'go1\.(2[1-9]|[3-9][0-9])' && echo "$candidate" && return
    done
    local config package
    config=$(apt_of "$TESTING")
    APT_CONFIG=$config apt-get update --quiet >&2
    package=$(APT_CONFIG=$config apt-cache depends golang-go | awk '$1 == "Depends:" && $2 ~ /^golang-1.*-go$/ {print $2}')
    packages "$TESTING" "$SCRATCH/go" "$package" "${package%-go}-src" >&2
    echo "$SCRATCH"/go/usr/lib/go-*/bin/go
}

use_go() {
    GO=$(find_go)
    export GO GOTOOLCHAIN=go$GO_VERSION CGO_ENABLED=0 GOFLAGS=-modcacherw GOWORK=off
    export GOCACHE="$SCRATCH/go-build" GOMODCACHE="$SCRATCH/go-mod"
}

# the folder of a Go module in the module cache
module() {
    "$GO" mod download -json "$1" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}
