#!/bin/sh
# Print the path of a Chromium for the browser tests, installing one if there is none.
# A path in CHROMIUM is taken as it is.
set -eu
find_one() {
    for name in ${CHROMIUM:-} chromium chromium-browser google-chrome; do
        command -v "$name" && return 0
    done
    return 1
}
find_one && exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null; then
    { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq \
        --no-install-recommends chromium fonts-noto-color-emoji; } >&2 || true
    find_one && exit 0
fi
# Elsewhere, Playwright brings its own.
.venv/bin/python -m playwright install chromium >&2 \
    && .venv/bin/python -c 'from playwright.sync_api import sync_playwright as p
with p() as run: print(run.chromium.executable_path)' && exit 0
echo "Error: the browser tests need Chromium. Install it, or name it: make test CHROMIUM=/path" >&2
exit 1
