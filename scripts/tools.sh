#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian packages, the npm packages of tests/ and of the
# flows in JavaScript, and the Python packages of tests/, with which the flows in Python are made too. Quick when nothing is missing; safe to run again, also after it was interrupted.
#
# Does not install Rust, Node.js or Python themselves: it says what to do when one is missing or too old.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tokenhost
log=$cache/tools.log
mkdir -p "$cache"

fail() {
    printf 'tools: %s\n' "$@" >&2
    exit 1
}

# run_step NAME COMMAND...: a line when a long step starts and ends, and each 15 s between; what it printed if it fails.
run_step() {
    local name=$1 start=$SECONDS rc=0 never ticker
    shift
    printf '==> %s ...\n' "$name"
    : >"$log"
    # `read` from a pipe that never speaks in place of `sleep`, which would live on when the ticker is ended.
    exec {never}<> <(:)
    {
        while read -r -t 15 -u "$never" || (($? > 128)); do
            printf '    %3s s  %.100s\n' $((SECONDS - start)) "$(tail -n 1 "$log")"
        done
    } 9>&- &
    ticker=$!
    "$@" >"$log" 2>&1 </dev/null || rc=$?
    kill "$ticker"
    wait "$ticker" 2>/dev/null || true
    exec {never}<&-
    if ((rc != 0)); then
        tail -n 40 "$log" >&2
        printf '==> %s: failed after %s s; all of its output is in %s\n' "$name" $((SECONDS - start)) "$log" >&2
        return 1
    fi
    printf '==> %s: done in %s s\n' "$name" $((SECONDS - start))
}
trap 'jobs -p | xargs -r kill 2>/dev/null' EXIT

# --- one at a time ---------------------------------------------------------------------------------------------------
# Two runs at once would build the same folders. util-linux, and with it flock, is on every Debian machine.
exec 9>"$cache/tools.lock"
flock -n 9 || { echo '==> waiting for another run of tools.sh ...'; flock 9; }

# --- what must be there ----------------------------------------------------------------------------------------------
missing=()
command -v cargo >/dev/null || missing+=("cargo is not in PATH: install stable Rust with rustup")
command -v npm >/dev/null || missing+=("npm is not in PATH: install Node.js 20 or newer with npm")
command -v python3 >/dev/null || missing+=("python3 is not in PATH: install Python 3.11 or newer")
((${#missing[@]} == 0)) || fail "${missing[@]}"

# --- Debian packages -------------------------------------------------------------------------------------------------
installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

as_root() {
    if ((EUID != 0)); then
        sudo "$@"
    else
        "$@"
    fi
}

apt_install() {
    local options=(-y -q --no-install-recommends -o DPkg::Lock::Timeout=600)
    # The lists may be absent or older than what the archive holds now: then, and only then, they are fetched anew. An
    # interrupted run of dpkg is finished first.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "$@" || {
        as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "$@"
    }
}

# need WHY PACKAGE...: installs those of the packages that are missing.
need() {
    local why=$1 package wanted=()
    shift
    for package in "$@"; do
        installed "$package" || wanted+=("$package")
    done
    ((${#wanted[@]} > 0)) || return 0
    if ! command -v apt-get >/dev/null; then
        fail "$why needs what Debian calls: ${wanted[*]}" 'this is no Debian: install the same with your package manager'
    fi
    # A person at the terminal may type the password, nobody else can.
    if ((EUID != 0)) && ! sudo -n true 2>/dev/null && ! { [[ -t 0 ]] && command -v sudo >/dev/null && sudo -v; }; then
        fail "$why needs Debian packages, and this user may not install them. Run by hand:" \
            "    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${wanted[*]}"
    fi
    run_step "Debian packages for $why: ${wanted[*]}" apt_install "${wanted[@]}"
}

if command -v dpkg-query >/dev/null; then
    need 'RocksDB' g++ libclang-dev
    # Flows are built for wasm32-unknown-unknown: by rustup's target where it is there, else by Debian's own toolchain.
    if [[ ! -d $(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib ]]; then
        need 'WebAssembly' rustc-web cargo-web rust-web-src lld ||
            fail 'without these packages, `rustup target add wasm32-unknown-unknown` does as well'
    fi
    # The scripts talk to the providers with them.
    need 'the demo' curl jq
    need 'the tests of clients' wget
    # People consent in a real browser; `playwright-core` drives it, and brings none of its own.
    need 'the tests with a person' chromium
    # Its tools check the metrics, the alert rules and the dashboard's queries; nothing is started as a service.
    need 'the tests of monitoring' prometheus
    # The server alone, without a service: it speaks HTTP Digest.
    need 'the tests of signatures' apache2-bin
    # Made, judged and installed; systemd for its tools, `systemd-analyze` and `systemd-sysusers`.
    need 'the Debian package and its tests' dpkg-dev binutils lintian man-db mandoc systemd ca-certificates
    # Only the binary is used, on a configuration of the test's own: where it comes as a service, that isn't to start.
    if ! installed nginx; then
        quiet_service() { [[ ! -d /run/systemd/system ]] || as_root systemctl "$@" nginx.service || true; }
        quiet_service mask
        need 'the tests of proxies' nginx
        quiet_service unmask
        quiet_service disable
    fi
fi

# --- npm packages ----------------------------------------------------------------------------------------------------
# npm_packages FOLDER: what its package-lock.json names.
npm_packages() {
    local folder=$root/$1 stamp wanted
    # The stamp lies inside node_modules, which npm removes first: an interrupted run leaves none.
    stamp=$folder/node_modules/.installed
    wanted=$(cat "$folder"/{package.json,package-lock.json} "$root/tests/.npmrc" | sha256sum)
    [[ $(cat "$stamp" 2>/dev/null) != "$wanted" ]] || return 0
    # Not `ci`, which refuses a lock file that lacks the binding of a platform that this one isn't.
    run_step "npm packages of $1" npm --prefix "$folder" install --no-save --no-audit --no-fund
    printf '%s\n' "$wanted" >"$stamp"
}

npm_packages tests
# Built into the daemon.
npm_packages host/console
for manifest in "$root"/plugins/*/package.json; do
    npm_packages "plugins/$(basename "$(dirname "$manifest")")"
done

# --- Python packages -------------------------------------------------------------------------------------------------
# One environment for each state of requirements.txt, so that branches don't disturb each other. The same name is computed
# by tests/providers/prepared.py.
key=$(sha256sum "$root/tests/requirements.txt" | cut -c1-16)
venv=$cache/venv/$key

# Each command decides: bash ignores `set -e` in a function whose outcome is looked at.
make_venv() {
    local install=(-m pip install --disable-pip-version-check -r "$root/tests/requirements.txt")
    rm -rf "$venv" && mkdir -p "$venv/bin" || return
    if python3 -c 'import ensurepip, venv' 2>/dev/null; then
        python3 -m venv "$venv" && "$venv/bin/python" "${install[@]}" || return
    else
        # This python3 has pip but no venv: a folder of packages and a wrapper that shows it to Python do the same.
        python3 "${install[@]}" --target "$venv/packages" || return
        printf '#!/bin/sh\nPYTHONPATH=%q exec %q "$@"\n' "$venv/packages" "$(command -v python3)" >"$venv/bin/python"
        chmod +x "$venv/bin/python"
    fi
    "$venv/bin/python" -c 'import authlib, django, oauthlib, componentize_py, pytest' && touch "$venv/complete"
}

# Also made anew if the python3 that it was made with is gone or another one.
if [[ ! -e $venv/complete ]] || ! "$venv/bin/python" -c 'import authlib, django, oauthlib, componentize_py, pytest' 2>/dev/null; then
    if [[ $(command -v python3) == /usr/bin/python3 ]] && ! python3 -c 'import ensurepip, venv' 2>/dev/null &&
        ! python3 -m pip --version >/dev/null 2>&1; then
        need 'Python environments' python3-venv
    fi
    run_step 'Python packages of tests/' make_venv
fi
