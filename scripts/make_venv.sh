#!/bin/sh
# Make the virtual environment FOLDER with PYTHON; on a bare Debian, install what that takes.
set -eu
python=$1
folder=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Error: $python is older than 3.10. Name a newer one: make PYTHON=python3.12" >&2
    exit 1
}
"$python" -m venv --clear "$folder" >/dev/null 2>&1 && exit 0
# Debian splits venv and pip off Python.
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null && $sudo apt-get update -qq \
    && $sudo apt-get install -y -qq --no-install-recommends python3-venv; then
    "$python" -m venv --clear "$folder"
else
    echo "Error: '$python -m venv' fails. Install it: apt-get install python3-venv" >&2
    exit 1
fi
