#!/bin/sh
# Installs what the tests need besides Python, where root or a sudo that asks nothing allows it: a C compiler with the
# headers of PYTHON (default: python3), and the programs that they call. With the argument "lab": those that the lab
# records with.
#
# Never fails: a test whose tool is missing skips itself and says so in the last line (under CI=true it fails there),
# and the lab names what it lacks.
set -eu

PYTHON=${PYTHON:-python3}

# program:Debian package
TOOLS="
    tshark:tshark
    capinfos:wireshark-common
    mergecap:wireshark-common
    editcap:wireshark-common
    lua5.2:lua5.2
    lua5.4:lua5.4
    zstd:zstd
    openssl:openssl
    jq:jq
    tcpdump:tcpdump
    xxd:xxd
    ip:iproute2
    dnsmasq:dnsmasq-base
    udhcpc:udhcpc
    chromium:chromium
"
# The compiler is not looked for by name: it is made to compile. Without a Python there is no answer, and none is needed.
compiler=$("$PYTHON" tools/compiler.py packages 2>/dev/null) || true
without="tests that need them will be skipped"
if [ "${1:-}" = lab ]; then
    TOOLS="
        dnsmasq:dnsmasq-base
        udhcpc:udhcpc
        ip:iproute2
        nft:nftables
        sysctl:procps
        openssl:openssl
        tshark:tshark
        dumpcap:wireshark-common
        capinfos:wireshark-common
        editcap:wireshark-common
    "
    compiler=
    without="the lab cannot run"
fi

missing_tools=
missing_packages=
for pair in $TOOLS; do
    if ! command -v "${pair%%:*}" >/dev/null 2>&1; then
        missing_tools="$missing_tools ${pair%%:*}"
        missing_packages="$missing_packages ${pair#*:}"
    fi
done
[ -n "$compiler$missing_tools" ] || exit 0

say() { printf 'system-packages: %s\n' "$*" >&2; }
lacks() {
    say "$1: without${compiler:+ a C compiler}$missing_tools: $without (Debian, Ubuntu: apt-get install${compiler:+ $compiler}$missing_packages)"
}
give_up() {
    lacks "$1"
    exit 0
}

command -v apt-get >/dev/null 2>&1 || give_up "no apt-get here"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    give_up "neither root nor a sudo that asks nothing"
fi

LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
$sudo apt-get -q update >"$LOG" 2>&1 || true

install() {
    say "installing $* (Debian packages)"
    # shellcheck disable=SC2086 # no sudo is no word
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends "$@" >"$LOG" 2>&1 || {
        sed 's/^/    /' "$LOG" | tail -n 5 >&2
        return 1
    }
}

# Apart from each other: if one cannot be had, the other may. The compiler comes first, the installation waits for it.
# shellcheck disable=SC2086 # lists of words
if [ -n "$compiler" ] && install $compiler; then
    compiler=
fi
if [ -n "$missing_tools" ]; then
    # wireshark-common asks whether everybody may capture packets. The tests only read files: no.
    if command -v debconf-set-selections >/dev/null 2>&1; then
        echo "wireshark-common wireshark-common/install-setuid boolean false" | $sudo debconf-set-selections || true
    fi
    # shellcheck disable=SC2086
    if install $missing_packages; then
        missing_tools=
        missing_packages=
    fi
fi
[ -z "$compiler$missing_tools" ] || lacks "apt-get failed"
