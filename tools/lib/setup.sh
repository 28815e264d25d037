# SPDX-License-Identifier: BSD-3-Clause
# Sourced by tools/quickstart and tools/check: installs what is missing and builds.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# What building and running needs.
packages_build=(
    g++ ccache meson ninja-build pkg-config
    libdpdk-dev libipsec-mb-dev libssl-dev libyaml-cpp-dev libspdlog-dev libfmt-dev
    nlohmann-json3-dev libcli11-dev libasio-dev libmnl-dev libsqlite3-dev
    libgtest-dev libgmock-dev libbenchmark-dev
)
# What the virtual networks of the quickstart and the tests need.
packages_lab=(
    iproute2 iputils-ping procps nftables conntrack ethtool tcpdump tshark python3 python3-scapy
)
# What only the checks need.
packages_check=(
    clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev git pyflakes3 valgrind
)

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# install_packages NAME... : installs those that are not there, and says which.
install_packages() {
    local missing=() name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
            missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    [ "$(id -u)" -eq 0 ] || fail "Packages are missing, and installing them needs root: ${missing[*]}"
    say "Installing ${#missing[@]} packages: ${missing[*]}"
    local log
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # tshark asks whether others than root may capture; the default answer, no, is right here.
    { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        fail "apt-get failed; its whole output is in $log"
    }
    rm -f "$log"
}

# build_into DIRECTORY "TARGET..." [meson options...] : configures once, builds the targets (all, if
# there are none), shows ninja's progress.
build_into() {
    local directory=$1 targets=$2
    shift 2
    if [ ! -f "$directory/build.ninja" ]; then
        meson setup "$directory" "$repository" "$@" >"$directory.log" 2>&1 || {
            tail -n 20 "$directory.log" >&2
            fail "meson failed; its whole output is in $directory.log"
        }
        rm -f "$directory.log"
    fi
    if [ -t 1 ]; then
        # shellcheck disable=SC2086 # a list of words
        ninja -C "$directory" $targets || fail "The build failed."
    else
        NINJA_STATUS='[%f/%t %es] ' ninja -C "$directory" $targets >"$directory/build.log" 2>&1 || {
            grep -E 'error|FAILED' -A 12 "$directory/build.log" | head -n 60 >&2
            fail "The build failed; its whole output is in $directory/build.log"
        }
        say "$(tail -n 1 "$directory/build.log")"
    fi
}
