#!/bin/sh
# Proves that the test command stands alone: tools/bare.sh [user|root] [TARGET ...]
#
# Makes a fresh, minimal Debian 12 with python3, make and git and nothing else, clones the current commit into it and runs
# there make demo and make test (or TARGETs). As a user (the default) who may install nothing: so there is no compiler.
# As root, make may bring one. Needs root and mmdebstrap. The last line says how it ended and how long each target took.
#
# What this machine knows of the way to packages (apt sources and proxies, pip's configuration, CA certificates) is taken
# along, whatever it is. TMPDIR says where the new root is to lie (some 3 GB); KEEP=1 keeps it.
set -eu

SUITE=bookworm
PACKAGES=python3,make,git,ca-certificates

say() { printf 'bare: %s\n' "$*" >&2; }

# Mounts and processes of a namespace of its own end with it, whatever happens here.
if [ "${BARE_INSIDE:-}" != 1 ]; then
    [ "$(id -u)" = 0 ] || { say "root only"; exit 2; }
    for tool in mmdebstrap unshare git; do
        command -v "$tool" >/dev/null || { say "no $tool here (Debian: apt-get install mmdebstrap util-linux git)"; exit 2; }
    done
    export BARE_INSIDE=1
    exec unshare --mount --pid --fork --kill-child --propagation private sh "$0" "$@"
fi

who=${1:-user}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- demo test
case $who in
user) home=/home/user ids=1000:1000 ;;
root) home=/root ids=0:0 ;;
*) say "not '$who': user or root"; exit 2 ;;
esac

source=$(git rev-parse --show-toplevel)
commit=$(git -C "$source" rev-parse --short HEAD)
[ -z "$(git -C "$source" status --porcelain --untracked-files=no)" ] || say "what is not committed is not tried: this is $commit"

work=$(mktemp -d)
root=$work/root
chmod 755 "$work"
finish() {
    [ -z "${KEEP:-}" ] || { say "kept: $work"; return; }
    for mount in $(awk -v under="$root/" 'index($2, under) == 1 { print $2 }' /proc/self/mounts | sort -r); do
        umount -l "$mount"
    done
    rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM

# Of apt: the sources of this suite, and how they are reached. Without such sources, mmdebstrap knows its own.
sources=
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ -f "$file" ] && grep -q "^[^#]*\b$SUITE" "$file"; then
        sources="$sources $file"
    fi
done
apt-config dump Acquire::http Acquire::https Acquire::Retries Acquire::Check-Valid-Until Acquire::Check-Date \
    | grep -v '""' >"$work/apt.conf" || true

say "making Debian $SUITE with $PACKAGES"
# shellcheck disable=SC2086 # a list of words
mmdebstrap --quiet --variant=apt --include="$PACKAGES" --aptopt="$work/apt.conf" "$SUITE" "$root" $sources >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    exit 2
}
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
# Tests open terminals.
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
mkdir -p "$root$home"
[ "$who" = root ] || {
    echo "user:x:1000:1000::$home:/bin/sh" >>"$root/etc/passwd"
    echo "user:x:1000:" >>"$root/etc/group"
}

# Of pip: its files, and the local folders that these or the environment name, at the same place.
for file in /etc/pip.conf /etc/xdg/pip/*; do
    [ ! -f "$file" ] || install -D -m 644 "$file" "$root$file"
done
for file in "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf"; do
    [ ! -f "$file" ] || install -D -m 644 "$file" "$root$home${file#"$HOME"}"
done
{ cat /etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" 2>/dev/null || true; env | grep '^PIP_' || true; } \
    | grep -v '^ *#' | tr ' =,' '\n\n\n' | sed -n -e 's|^file://||' -e 's|^\(/.*[^/]\)/*$|\1|p' | sort -u >"$work/folders"
while read -r folder; do
    # The folder above an index holds the files that the index points to.
    case $folder in */simple) folder=${folder%/simple} ;; esac
    if [ -d "$folder" ] && [ ! -e "$root$folder" ]; then
        mkdir -p "$root$folder"
        mount --bind -o ro "$folder" "$root$folder"
    fi
done <"$work/folders"
certificates=/etc/ssl/certs/ca-certificates.crt
[ ! -f "$certificates" ] || cp -L "$certificates" "$root$certificates"

git clone --quiet --depth 1 "file://$source" "$root$home/amtdiag"
chroot "$root" chown -R "$ids" "$home"

# The environment's word on the way to packages; of the rest of it, nothing.
{
    env | grep -E '^(PIP_[A-Z_]*|[A-Za-z]*_(proxy|PROXY)|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)=' \
        | sed "s/'/'\\\\''/g; s/=\(.*\)/='\1'/; s/^/export /" || true
    echo "cd '$home/amtdiag'"
} >"$root/enter"
inside() {
    chroot --userspec="$ids" --groups= "$root" \
        env -i HOME="$home" PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
        sh -c '. /enter && exec "$@"' sh "$@"
}

times=
status=0
for target; do
    say "make $target, as $who"
    begun=$(date +%s)
    inside make "$target" || status=$?
    times="$times, make $target $(($(date +%s) - begun)) s"
    [ "$status" = 0 ] || break
done
compiler="no compiler"
[ ! -e "$root/usr/bin/gcc" ] || compiler="gcc"
kernel="nothing compiled"
! ls "$root$home"/amtdiag/amtdiag/capture/prefilter/_kernel*.so >/dev/null 2>&1 || kernel="kernel compiled"
if [ "$status" = 0 ]; then word=passed; else word=FAILED; fi
echo "bare: $word on Debian $(cat "$root/etc/debian_version") as $who, commit $commit ($compiler, $kernel)$times"
exit "$status"
