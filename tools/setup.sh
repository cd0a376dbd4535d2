#!/bin/sh
# Makes .venv and puts into it what a verb of the Makefile needs.
#
#   tools/setup.sh run     what `make up` needs: server, agent, and the model for a first try
#   tools/setup.sh dev     the same, and what tests, checks and docs need
#
# It needs Python 3.11 or later with pip and venv, and nothing else. A stamp in .venv holds the
# checksum of pyproject.toml, uv.lock and the place of the checkout: when none of them changed, the
# second run does nothing. Versions come from uv.lock alone.
set -eu

want=${1:?usage: tools/setup.sh run|dev}
cd "$(dirname "$0")/.."

digest() { { pwd; cat pyproject.toml uv.lock; } | cksum | tr ' ' '-'; }
stamp() { cat ".venv/.bailee-$1" 2>/dev/null || true; }

now=$(digest)
if [ "$(stamp dev)" = "$now" ] || [ "$(stamp "$want")" = "$now" ]; then
    exit 0
fi

fail() {
    printf 'setup: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        recent "$PYTHON" || fail "$PYTHON is not Python 3.11 or later." "leave PYTHON empty, or name another"
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3.13 python3.14 python3; do
        if recent "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or later was found." "install python3 and python3-venv, or name one: make $want PYTHON=/path/to/python"
}

# A checkout that was moved has a .venv whose scripts point to where it was: make it anew.
if [ -e .venv/.bailee-place ] && [ "$(cat .venv/.bailee-place)" != "$(pwd)" ]; then
    echo "setup: the checkout has moved; making .venv anew"
    rm -rf .venv
fi

if ! .venv/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    echo "setup 1/3: making .venv with $("$python" --version)"
    "$python" -m venv .venv || {
        rm -rf .venv
        fail "$python can't make a virtual environment." "on Debian: apt-get install python3-venv"
    }
else
    echo "setup 1/3: .venv is there ($(.venv/bin/python --version))"
fi
pwd > .venv/.bailee-place

if ! .venv/bin/python -m uv --version >/dev/null 2>&1; then
    echo "setup 2/3: installing uv into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check uv \
        || fail "pip can't install uv." "is the package index reachable? PIP_INDEX_URL names another"
else
    echo "setup 2/3: uv is there ($(.venv/bin/python -m uv --version))"
fi

case $want in
    run) extras="--extra server --extra cloud --extra local-model --extra agent --extra training" ;;
    dev) extras="--extra server --extra cloud --extra local-model --extra agent --extra dev" ;;
    *) fail "'$want' is not a thing to set up." "run or dev" ;;
esac
echo "setup 3/3: installing the packages of uv.lock ($want)"
# --inexact: what a fuller set-up installed is left alone.
# shellcheck disable=SC2086  # the extras are separate words
UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv \
    .venv/bin/python -m uv sync --frozen --inexact --python .venv/bin/python $extras \
    || fail "uv can't install the packages." "is the package index reachable? UV_INDEX_URL names another"
digest > ".venv/.bailee-$want"
