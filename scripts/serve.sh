#!/usr/bin/env bash
# Leaves a daemon running for use, on the build that make made. The first time it makes the master key and shows the first
# administrator's token, once.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/tokenhost
tokenhost=${CARGO_TARGET_DIR:-$cache/target}/debug/tokenhost
export TOKENHOST_DATA=${TOKENHOST_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/tokenhost/data}
# Not inside the data folder: a copy of the data alone must open nothing.
export TOKENHOST_KEY_FILE=${TOKENHOST_KEY_FILE:-${XDG_CONFIG_HOME:-$HOME/.config}/tokenhost/master.key}
mkdir -p "$(dirname "$TOKENHOST_DATA")" "$(dirname "$TOKENHOST_KEY_FILE")"

if [[ ! -e $TOKENHOST_KEY_FILE && -z ${TOKENHOST_KEY:-} ]]; then
    "$tokenhost" init
fi
exec "$tokenhost" serve
