#!/usr/bin/env bash
# Leaves a daemon running for use, on the build that make made, with the daemon's own defaults. The first time it makes the
# master key and shows the first administrator's token, once.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/tokenhost
tokenhost=${CARGO_TARGET_DIR:-$cache/target}/debug/tokenhost
data=${TOKENHOST_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/tokenhost}

# The data, not the key, says whether this was done before: a key may be there already, e.g. out of a backup.
if [[ ! -e $data/store ]]; then
    "$tokenhost" init
fi
exec "$tokenhost" serve
