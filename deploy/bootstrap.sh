#!/bin/sh
# Make .venv and install what the lock file pins: `sh deploy/bootstrap.sh control|dev`.
# Returns at once when nothing has changed since the last time.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-control}
lock="requirements-$kind.txt"
stamp=".venv/installed-$kind"
python=.venv/bin/python

[ -f "$lock" ] || { echo "no $lock; use: sh deploy/bootstrap.sh control|dev" >&2; exit 2; }

up_to_date() {
    [ -x "$python" ] && [ -f "$stamp" ] && cat "$lock" pyproject.toml | cmp -s - "$stamp"
}

may_be_root() {
    if [ "$(id -u)" = 0 ]; then echo env
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then echo sudo -n
    fi
}

find_python() {
    for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 || continue
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer is needed; install it, or name it: PYTHON=/path/to/python make up" >&2
    return 1
}

make_venv() {
    base=$(find_python)
    echo "Making .venv with $("$base" --version) …"
    rm -rf .venv
    "$base" -m venv .venv >/dev/null 2>&1 && return
    # Debian keeps the part that puts pip into a venv in a package of its own.
    root=$(may_be_root)
    if [ -n "$root" ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing python3-venv …"
        $root apt-get update -q >/dev/null
        $root apt-get install -q -y --no-install-recommends python3-venv >/dev/null
    fi
    rm -rf .venv
    "$base" -m venv .venv && return
    echo "This Python cannot make a venv; on Debian run: sudo apt-get install python3-venv" >&2
    return 1
}

up_to_date && exit 0
[ -x "$python" ] && "$python" -m pip --version >/dev/null 2>&1 || make_venv
if ! [ -x .venv/bin/uv ]; then
    echo "Installing uv …"
    "$python" -m pip install -q --disable-pip-version-check uv
fi
echo "Installing the packages of $lock …"
.venv/bin/uv pip install -q --python "$python" --require-hashes -r "$lock"
.venv/bin/uv pip install -q --python "$python" --no-deps -e .
cat "$lock" pyproject.toml > "$stamp"
