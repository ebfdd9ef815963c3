#!/usr/bin/env bash
# Put this tree onto a host and run it there under systemd: a new release beside the old ones, checked before the switch,
# watched after it, and taken back when it does not come up. The part that runs on the host is deploy/on-host.sh.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: ./deploy.sh [options] HOST

HOST is what ssh takes: a name from ~/.ssh/config, or user@address. The user there must be root, or may `sudo -n`.
The host needs systemd, rsync, bubblewrap and Python 3.11 to 3.13 with venv
(Debian: apt-get install rsync bubblewrap python3-venv).
The first time this only prepares the host and says which two files to fill in there; run it again afterwards.

Options:
  --with-cli        also install the Claude Code program (claude-agent-sdk; under Anthropic's terms)
  --dry-run         say what would be done, and do nothing
  -F FILE           the configuration file for ssh
  --python NAME     the Python on the host                                     (python3)
  --health SECONDS  how long the new release may take to be ready              (60)
  --root DIR        put everything under DIR on the host, for trying this out
  --user NAME       whom the daemon runs as; made if missing                   (aiagentchat)
  -h, --help        this text

Examples:
  ./deploy.sh --dry-run chat.example.org
  ./deploy.sh --with-cli root@chat.example.org
  ./deploy.sh -F deploy/ssh_config production

A host whose key is not in known_hosts is refused. Connect once by hand and compare the key it shows.
Exit codes: 0 it runs · 1 it failed, and what ran before runs again · 2 wrong use, or the host is not ready for it.
USAGE
}

fail() {
    echo "deploy.sh: $1" >&2
    exit "${2:-1}"
}

dry_run=no with_cli=no python=python3 health=60 root="" user=aiagentchat ssh_config="" host=""
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --dry-run) dry_run=yes ;;
        --with-cli) with_cli=yes ;;
        -F | --python | --health | --root | --user)
            [ $# -ge 2 ] || fail "$1 needs a value; see --help" 2
            case $1 in
                -F) ssh_config=$2 ;;
                --python) python=$2 ;;
                --health) health=$2 ;;
                --root) root=${2%/} ;;
                --user) user=$2 ;;
            esac
            shift
            ;;
        -*) fail "unknown option $1; see --help" 2 ;;
        *)
            [ -z "$host" ] || fail "one host at a time, not $host and $1; see --help" 2
            host=$1
            ;;
    esac
    shift
done
[ -n "$host" ] || {
    usage >&2
    exit 2
}
# These become words of a command line on the host: nothing in them may mean anything to a shell.
for word in "$python" "$root" "$user" "$health"; do
    [[ $word =~ ^[A-Za-z0-9._/-]*$ ]] || fail "$word: only letters, digits and . _ / - can be used here" 2
done
[[ $health =~ ^[0-9]+$ ]] || fail "--health $health: write a number of seconds" 2

cd "$(dirname "${BASH_SOURCE[0]}")"
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' aiagentchat/__init__.py)
release=$root/opt/aiagentchat/releases/$version-$(date -u +%Y%m%dT%H%M%S)-$$
files=(aiagentchat deploy rooms/_template config.yaml pyproject.toml README.md LICENSE requirements.txt requirements-cli.txt)
on_host=(bash "$release/deploy/on-host.sh" --release "$release" --root "$root" --user "$user"
    --python "$python" --health "$health" --with-cli "$with_cli")

say() { echo "deploy.sh: $1"; }

if [ "$dry_run" = yes ]; then
    say "would do on $host, in this order:"
    cat <<PLAN
  copy   ${files[*]}
    to   $release
  run    ${on_host[*]@Q}
         which makes the user $user and the folders, installs the requirements by their hashes and the package into
         $release/venv, runs \`aiagentchat check\` there, switches $root/opt/aiagentchat/current, restarts
         the unit aiagentchat, waits up to $health s for daemon.ready in its log, and goes back if that does not come
PLAN
    exit 0
fi

folder=$(mktemp -d)
options=(-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15
    -o ControlMaster=auto -o "ControlPath=$folder/%C" -o ControlPersist=60)
[ -z "$ssh_config" ] || options=(-F "$ssh_config" "${options[@]}")

clean_up() {
    ssh "${options[@]}" -O exit -- "$host" >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap clean_up EXIT

# rsync splits what -e is given at spaces, whatever is quoted in it: so it gets one word.
{
    echo '#!/bin/sh'
    printf 'exec ssh'
    printf " '%s'" "${options[@]//\'/\'\\\'\'}"
    echo ' "$@"'
} >"$folder/ssh"
chmod 700 "$folder/ssh"
on() { "$folder/ssh" -- "$host" "$*"; }

say "connecting to $host"
uid=$(on id -u) || fail "ssh to $host failed. If its key is unknown, connect once by hand and compare it: ssh $host" 2
sudo=""
[ "$uid" = 0 ] || sudo="sudo -n"
on "command -v rsync >/dev/null" || fail "$host has no rsync; on Debian: apt-get install rsync" 2

say "copying $version to $release"
on "$sudo install -d -m 0755 $root/opt/aiagentchat $root/opt/aiagentchat/releases $release"
rsync --archive --relative --no-owner --no-group --chmod=Du=rwx,Dgo=rx,Fu+rw,Fgo=rX,Fgo-w --exclude __pycache__ \
    --rsh "$folder/ssh" --rsync-path "${sudo:+$sudo }rsync" -- "${files[@]}" "$host:$release/"

on "$sudo ${on_host[*]@Q}"
