#!/bin/sh
# Installs the programs that the tests call besides Python, where root or a sudo that asks nothing allows it.
# With the argument "lab": those that the lab records with.
#
# Never fails: a test whose tool is missing skips itself and says so in the last line (under CI=true it fails there),
# and the lab names what it lacks.
set -eu

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
"
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
[ -n "$missing_tools" ] || exit 0

say() { printf 'system-packages: %s\n' "$*" >&2; }
give_up() {
    say "$1: without$missing_tools $without (Debian, Ubuntu: apt-get install$missing_packages)"
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

say "installing$missing_packages (Debian packages)"
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
# wireshark-common asks whether everybody may capture packets. The tests only read files: no.
if command -v debconf-set-selections >/dev/null 2>&1; then
    echo "wireshark-common wireshark-common/install-setuid boolean false" | $sudo debconf-set-selections || true
fi
# shellcheck disable=SC2086 # lists of words
if ! {
    $sudo apt-get -q update || true
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends $missing_packages
} >"$LOG" 2>&1; then
    sed 's/^/    /' "$LOG" | tail -n 5 >&2
    give_up "apt-get failed"
fi
