#!/usr/bin/env bash
# Leaves a daemon running for use, on the build that make made, until Ctrl-C. The first time it prepares the data folder
# and shows the first administrator's token, once.
set -euo pipefail

folder=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tokenhost/target}/debug
# The daemon's own defaults, so that `tokenhost init --rebuild` finds the same. The key isn't inside the data folder: a
# copy of the data alone must open nothing.
export TOKENHOST_DATA=${TOKENHOST_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/tokenhost}
export TOKENHOST_LISTEN=${TOKENHOST_LISTEN:-127.0.0.1:8420}

token='the one that was shown when the data folder was made'
if [[ ! -e $TOKENHOST_DATA/store ]]; then
    # Without its advice on what to do next, some of which is done here.
    "$folder/tokenhost" init | sed '/^$/,$d'
    echo '              It is shown this once, and may do everything here: keep it as you keep a password.'
    token='the token above'
fi
cat <<END

In another terminal:
  export PATH="$folder:\$PATH"
  export TOKENHOST_URL=http://$TOKENHOST_LISTEN
  export TOKENHOST_TOKEN=...         # $token
  tokenhost model import NAME FILE   # an OpenAPI document, JSON or YAML
  tokenhost integration create NAME --model MODEL --field client_id=... --secret client_secret=@FILE
  tokenhost token get NAME
Providers in private networks or over plain http are refused unless TOKENHOST_EGRESS_ALLOW=10.0.0.0/8 (for example) or
TOKENHOST_EGRESS_HTTP=true is set here. TOKENHOST_PUBLIC=docs opens http://$TOKENHOST_LISTEN/docs to browsers.
A lost token: stop the daemon, then \`TOKENHOST_DATA=$TOKENHOST_DATA tokenhost init --rebuild\`. Ctrl-C stops it.

END
exec "$folder/tokenhost" serve
