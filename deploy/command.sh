#!/usr/bin/env bash
# `aiagentchat` on this host, typed as the daemon has it: its release, its settings, its user. deploy.sh has put it here.
set -euo pipefail

user=aiagentchat
state=/var/lib/aiagentchat
program=/opt/aiagentchat/current/venv/bin/aiagentchat
config=/etc/aiagentchat/config.yaml

if [ "${1:-}" = logs ]; then # as whoever asks: the daemon's user may not read the journal
    [ ! -r "$config" ] || export "AIAGENTCHAT_CONFIG=${AIAGENTCHAT_CONFIG:-$config}"
    exec "$program" "$@"
fi
become=()
if [[ ${1:-} =~ ^(init|bootstrap)$ ]] && [ "$(id -un)" != "$user" ]; then # as root, whose the settings and secrets are
    [ "$(id -u)" = 0 ] || become=(sudo --)
    exec "${become[@]}" env "AIAGENTCHAT_CONFIG=${AIAGENTCHAT_CONFIG:-$config}" "$program" "$@"
fi
if [ "$(id -un)" != "$user" ]; then
    if [ "$(id -u)" = 0 ]; then
        become=(setpriv "--reuid=$user" "--regid=$user" --clear-groups --)
    else
        become=(sudo -u "$user" --)
    fi
fi
exec "${become[@]}" env "HOME=$state" "AIAGENTCHAT_CONFIG=${AIAGENTCHAT_CONFIG:-$config}" "$program" "$@"
