#!/usr/bin/env bash
# Put this tree onto a host and run it there under systemd: a new release beside the old ones, checked before the switch,
# watched after it, and taken back when it does not come up. Turns that run may finish before. The part that runs on the
# host is deploy/on-host.sh.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: ./deploy.sh [options] HOST

HOST is what ssh takes: a name from ~/.ssh/config, or user@address. The user there must be root, or may `sudo -n`.
The host needs systemd, rsync, bubblewrap and Python 3.11 to 3.13 with venv
(Debian: apt-get install rsync bubblewrap python3-venv).
The first time this only prepares the host and says what to fill in there; run it again afterwards.

Options:
  --version V       deploy this tag or commit of the checkout, or the wheel V.whl      (the files as they lie here)
  --rollback        go back to the release that ran before the current one
  --with-cli        also install the Claude Code program (claude-agent-sdk; under Anthropic's terms)
  --dry-run         say what would be done, and do nothing
  -F FILE           the configuration file for ssh
  --python NAME     the Python on the host                                             (python3)
  --drain WAIT      how long turns that run may take to finish: 90s, 15m, 1h; 0: none  (15m)
  --health SECONDS  how long the new release may take to be ready                      (60)
  --settle SECONDS  how long it must then stay up before it is believed                (5)
  --root DIR        put everything under DIR on the host, for trying this out
  --user NAME       whom the daemon runs as; made if missing                           (aiagentchat)
  -h, --help        this text

Examples:
  ./deploy.sh --dry-run chat.example.org
  ./deploy.sh --with-cli root@chat.example.org
  ./deploy.sh --version v0.2.0 -F deploy/ssh_config production
  ./deploy.sh --rollback root@chat.example.org

A host whose key is not in known_hosts is refused. Connect once by hand and compare the key it shows.
Exit codes: 0 it runs · 1 it failed, and what ran before runs again · 2 wrong use, or the host is not ready for it.
USAGE
}

fail() {
    echo "deploy.sh: $1" >&2
    exit "${2:-1}"
}

dry_run=no rollback=no with_cli=no python=python3 drain=15m health=60 settle=5 root="" user=aiagentchat
wanted="" ssh_config="" host=""
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --dry-run) dry_run=yes ;;
        --rollback) rollback=yes ;;
        --with-cli) with_cli=yes ;;
        -F | --version | --python | --drain | --health | --settle | --root | --user)
            [ $# -ge 2 ] || fail "$1 needs a value; see --help" 2
            case $1 in
                -F) ssh_config=$2 ;;
                --version) wanted=$2 ;;
                --python) python=$2 ;;
                --drain) drain=$2 ;;
                --health) health=$2 ;;
                --settle) settle=$2 ;;
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
[[ -n $python && -n $user ]] || fail "--python and --user need a name; see --help" 2
[[ $root =~ ^(/.*)?$ ]] || fail "--root $root: write the whole path, beginning with /" 2
[[ $health =~ ^[0-9]+$ ]] || fail "--health $health: write a number of seconds" 2
[[ $settle =~ ^[0-9]+$ ]] || fail "--settle $settle: write a number of seconds" 2
[[ $drain =~ ^[0-9]+[smh]?$ ]] || fail "--drain $drain: write for example 90s, 15m, 1h, or 0" 2
[[ $wanted =~ ^([A-Za-z0-9._/][A-Za-z0-9._/+-]*)?$ ]] || fail "--version $wanted: no name of a tag, a commit or a wheel" 2
[ "$rollback" = no ] || [ -z "$wanted" ] ||
    fail "--rollback goes to the release before; deploy another one with --version alone" 2
[[ $wanted != *.whl || -f $wanted ]] || fail "--version $wanted: there is no such file" 2
[[ $wanted != *.whl ]] || wanted=$(realpath -- "$wanted")

cd "$(dirname "${BASH_SOURCE[0]}")"
version_in() { sed -n 's/^__version__ = "\(.*\)"$/\1/p'; }

# What is deployed: the files as they lie here, those of a commit, or a wheel with the pinned requirements of this tree.
files=(deploy rooms/_template config.yaml pyproject.toml README.md LICENSE requirements.txt requirements-cli.txt)
tree=. commit="" wheel="" version=""
case $wanted in
    "") # also for a rollback, which copies nothing
        [ "$rollback" = yes ] || version=$(version_in <aiagentchat/__init__.py)
        files+=(aiagentchat)
        ;;
    *.whl)
        wheel=$wanted
        version=$(basename "$wheel" | cut -d- -f2)
        ;;
    *)
        commit=$(git rev-parse --verify --quiet "$wanted^{commit}" || git rev-parse --verify --quiet "v$wanted^{commit}") ||
            fail "--version $wanted: this checkout has no such tag or commit; git fetch --tags may bring it" 2
        version=$(git show "$commit:aiagentchat/__init__.py" | version_in)+${commit:0:9}
        files+=(aiagentchat)
        ;;
esac
release=$root/opt/aiagentchat/releases/$version-$(date -u +%Y%m%dT%H%M%S)-$$
# Its other half is read by a shell there, so that it is always the one of this tree, whatever is deployed.
words=(--root "$root" --user "$user" --drain "$drain" --health "$health" --settle "$settle")
if [ "$rollback" = yes ]; then
    words+=(--rollback yes)
else
    words+=(--release "$release" --python "$python" --with-cli "$with_cli")
fi

say() { echo "deploy.sh: $1"; }

if [ "$dry_run" = yes ]; then
    say "would do on $host, in this order:"
    [ "$rollback" = yes ] || cat <<PLAN
  copy   ${files[*]}${wheel:+ $wheel}
    of   ${commit:-$PWD}
    to   $release
PLAN
    cat <<PLAN
  run    deploy/on-host.sh ${words[*]@Q}
PLAN
    if [ "$rollback" = yes ]; then
        echo "         which takes the release that ran before, and with it"
    else
        cat <<PLAN
         which makes the user $user and the folders, installs the requirements by their hashes and the package into
         $release/venv, and with it
PLAN
    fi
    cat <<PLAN
         runs \`aiagentchat check\` and \`aiagentchat drain\`, copies the database below
         $root/var/lib/aiagentchat/backups, switches $root/opt/aiagentchat/current, restarts the unit aiagentchat, waits up to $health s until that is ready, sees whether it stays so for $settle s, and goes back if not
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
if [ "$uid" != 0 ]; then
    sudo="sudo -n"
    on "$sudo true" || fail "the user at $host is not root and may not \`sudo -n\`; nothing was done" 2
fi

if [ "$rollback" = no ]; then
    on "command -v rsync >/dev/null" || fail "$host has no rsync; on Debian: apt-get install rsync" 2
    if [ -n "$commit" ]; then
        tree=$folder/tree
        mkdir "$tree"
        git archive "$commit" | tar -x -C "$tree"
    fi
    say "copying $version to $release"
    on "$sudo install -d -m 0755 $root/opt/aiagentchat $root/opt/aiagentchat/releases $release"
    copy=(rsync --archive --no-owner --no-group '--chmod=Du=rwx,Dgo=rx,Fu+rw,Fgo=rX,Fgo-w' --exclude __pycache__
        --rsh "$folder/ssh" --rsync-path "${sudo:+$sudo }rsync")
    (cd "$tree" && "${copy[@]}" --relative -- "${files[@]}" "$host:$release/")
    [ -z "$wheel" ] || "${copy[@]}" -- "$wheel" "$host:$release/"
fi

on "$sudo bash -s -- ${words[*]@Q}" <deploy/on-host.sh
