#!/bin/sh
# Makes a virtual environment with pip in it: tools/bootstrap.sh DIRECTORY
#
# A bare Debian has a Python without ensurepip, and guards the system Python against pip (PEP 668). So four ways are
# tried in turn, and nothing is ever installed into the system Python:
#   1. python3 -m venv
#   2. Debian's python3-venv by apt, where root or a sudo that asks nothing allows it, then 1. again
#   3. python3 -m venv --without-pip, and any pip of the machine puts pip into it
#   4. the same with the pip of Debian's python3-pip-whl, which anybody may fetch and unpack without installing it
# PYTHON names the interpreter (default: python3). An environment that works is left as it is.
set -eu

PYTHON=${PYTHON:-python3}
VENV=${1:?usage: tools/bootstrap.sh DIRECTORY}
LOG=$(mktemp)
FETCHED=$(mktemp -d)
trap 'rm -rf "$LOG" "$FETCHED"' EXIT
trap 'exit 1' HUP INT TERM

say() { printf 'bootstrap: %s\n' "$*" >&2; }

if "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
if [ -e "$VENV" ] && [ ! -e "$VENV/pyvenv.cfg" ]; then
    say "$VENV is in the way and is no virtual environment: move it"
    exit 1
fi
if ! command -v "$PYTHON" >/dev/null 2>&1; then
    say "no $PYTHON here: install Python 3.11 or later, or name one with 'make PYTHON=...'"
    exit 1
fi
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python 3.11 or later is needed, $PYTHON is $("$PYTHON" -V 2>&1): name another with 'make PYTHON=...'"
    exit 1
fi

# ensurepip is asked for first: without it, venv fails half-way and leaves its half behind.
plain_venv() {
    "$PYTHON" -c 'import ensurepip, venv' >"$LOG" 2>&1 && "$PYTHON" -m venv --clear "$VENV" >"$LOG" 2>&1
}

apt_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo="sudo -n"
    else
        return 1
    fi
    say "installing $* (Debian package)"
    # shellcheck disable=SC2086 # no sudo is no word
    {
        $sudo apt-get -q update || true
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
            install --no-install-recommends "$@"
    } >"$LOG" 2>&1 || {
        sed 's/^/    /' "$LOG" | tail -n 5 >&2
        return 1
    }
}

any_pip() {
    for pip in "$PYTHON -m pip" "python3 -m pip" pip3 pip; do
        # --python came with pip 22.3: an older one fails here and the next is tried
        # shellcheck disable=SC2086 # a command and its arguments
        { $pip --python "$VENV/bin/python" install --quiet pip; } >"$LOG" 2>&1 && return 0
    done
    return 1
}

# apt in a folder of our own: its lists as well, since those of the machine may be none.
debian_pip() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
    say "fetching pip (Debian package python3-pip-whl, not installed)"
    mkdir -p "$FETCHED/state/lists/partial" "$FETCHED/cache/archives/partial"
    set -- -q -o Dir::State="$FETCHED/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$FETCHED/cache"
    (
        cd "$FETCHED"
        apt-get "$@" update && apt-get "$@" download python3-pip-whl && dpkg-deb -x python3-pip-whl_*.deb .
    ) >"$LOG" 2>&1 || return 1
    # A wheel can be run as it lies.
    for wheel in "$FETCHED"/usr/share/python-wheels/pip-*.whl; do
        "$VENV/bin/python" "$wheel/pip" install --quiet --no-index "$wheel" >"$LOG" 2>&1 && return 0
    done
    return 1
}

# An environment without pip (uv makes such, and venv's half does too): giving it one comes before making it anew.
if "$VENV/bin/python" -c '' 2>/dev/null; then
    if "$VENV/bin/python" -m ensurepip --default-pip >"$LOG" 2>&1 || any_pip; then
        exit 0
    fi
fi
plain_venv && exit 0
# Debian's package for this very interpreter, be it the default one or not; python3-venv is the fallback name.
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if apt_install "python$version-venv" || apt_install python3-venv; then
    plain_venv && exit 0
fi
if "$PYTHON" -m venv --clear --without-pip "$VENV" >"$LOG" 2>&1 && { any_pip || debian_pip; }; then
    exit 0
fi
rm -rf "$VENV"
say "$PYTHON cannot make a virtual environment with pip: install python3-venv (apt-get install python3-venv) and try again"
exit 1
