#!/usr/bin/env bats
# deploy.sh over ssh to a host that listens on loopback, with real rsync, git and sudo-less root there. What runs on the
# host are stand-ins (rig/host); tests/ship/test_deploy_upgrade.py has the real daemon. `make test-ship` runs this.

bats_require_minimum_version 1.5.0

setup() {
    HOST=$(mktemp -d "${TMPDIR:-/tmp}/aiagentchat-ship.XXXXXX")
    export HOST
    (cd "$REPOSITORY" && "$PYTHON" -m rig.host make "$HOST")
    ETC=$HOST/host/etc/aiagentchat HOME_=$HOST/host/opt/aiagentchat
    SECRET=hunter2-$RANDOM$RANDOM
}

teardown() {
    (cd "$REPOSITORY" && "$PYTHON" -m rig.host close "$HOST")
    rm -rf "$HOST"
}

# The checkout is version $1; the rest are options.
deploy_version() {
    echo "__version__ = \"$1\"" >"$HOST/tree/aiagentchat/__init__.py"
    deploy "${@:2}"
}

deploy() {
    env -i PATH="$PATH" HOME="$HOST" bash "$HOST/tree/deploy.sh" -F "$HOST/ssh_config" --root "$HOST/host" --user daemon \
        --health 20 --settle 0 "$@" testhost
}

# A host that was filled in, and runs version $1.
prepared_with() {
    run -2 deploy_version "$1"
    echo "$SECRET" >"$ETC/secrets/MATRIX_PASSWORD"
    echo "ANTHROPIC_API_KEY=$SECRET" >"$ETC/environment"
    run -0 deploy_version "$1"
}

running() { basename "$(readlink "$HOME_/current")"; }
releases() { find "$HOME_/releases" -mindepth 1 -maxdepth 1 -printf '%f\n' | cut -d- -f1 | sort | xargs; }
state() { cat "$HOST/systemd/state"; }
# A start that nobody waits for takes a moment.
# shellcheck disable=SC2016 # it is for the other shell
until_active() { timeout 20 sh -c 'until [ "$(cat "$1")" = active ]; do sleep 0.05; done' sh "$HOST/systemd/state"; }
lives() { grep -c "restart" "$HOST/systemd/calls"; }

@test "the first deployment prepares the host and starts nothing, the second one runs" {
    run -2 deploy_version 1
    [[ $output == *"Nothing was started"* ]]
    [ ! -e "$HOST/systemd/calls" ]
    [ -z "$(releases)" ]
    [ "$(stat -c %a:%U "$HOST/host/var/lib/aiagentchat/backups")" = 700:daemon ] # where back-up.md has them

    run -0 deploy_version 1
    [[ $(running) == 1-* ]]
    [ "$(state)" = active ]
    grep -qx "enable --quiet aiagentchat.service" "$HOST/systemd/calls"
}

@test "secrets are credentials of the service, and nothing prints them" {
    prepared_with 1
    [[ $output != *"$SECRET"* ]]
    grep -q '"secrets": 1' "$HOST"/systemd/journal.*
    run -1 grep -r "$SECRET" "$HOME_" "$HOST"/systemd/journal.* "$HOST"/systemd/calls
    [ "$(stat -c %a:%U "$ETC/secrets")" = 700:root ]

    run -1 deploy_version 2.broken
    [[ $output != *"$SECRET"* ]]
}

@test "a release that ends at its start is taken back" {
    prepared_with 1
    run -1 deploy_version 2.broken
    [[ $output == *"daemon.ended"*"rolled back"* ]]
    [[ $(running) == 1-* ]]
    [ "$(state)" = active ]
    [ "$(releases)" = 1 ]
}

@test "a release that is never ready is taken back" {
    prepared_with 1
    run -1 deploy_version 2.silent --health 3
    [[ $output == *"rolled back"* ]]
    [[ $(running) == 1-* ]]
    [ "$(state)" = active ]
}

@test "a release that is ready and does not stay so is taken back" {
    prepared_with 1
    run -1 deploy_version 2.brief --settle 3
    [[ $output == *"did not stay so"*"rolled back"* ]]
    [[ $(running) == 1-* ]]
}

@test "a release that says itself that it is ill is taken back" {
    prepared_with 1
    run -1 deploy_version 2.ill
    [[ $output == *"the database cannot be written"*"rolled back"* ]]
    [[ $(running) == 1-* ]]

    run -0 deploy_version 3.well
    [[ $(running) == 3.well-* ]]
    [[ $output != *"not answer in a room"* ]]

    run -0 deploy_version 4.weak
    [[ $output == *"the database cannot be written"*"not answer in a room yet"* ]]
    [[ $(running) == 4.weak-* ]]
}

@test "a first release that does not come up is stopped" {
    run -2 deploy_version 1.broken
    run -1 deploy_version 1.broken
    [[ $output == *"it was stopped"* ]]
    [ "$(state)" != active ]
    [ ! -e "$HOME_/current" ]
    [ -z "$(releases)" ]
}

# What lies in the place of the database: the copy says which release made it.
database() { cat "$HOST/host/var/lib/aiagentchat/data/aiagentchat.db"; }

@test "a database that was changed and nothing else is put back, so that the release before runs again" {
    prepared_with 1
    run -1 deploy_version 2.newer.silent --health 3
    [[ $output == *"putting back the copy"*"rolled back"*"runs again"* ]]
    [[ $(running) == 1-* ]]
    [ "$(state)" = active ]
    [[ $(database) == 1-* ]]
    [ "$(stat -c %a:%U "$HOST/host/var/lib/aiagentchat/data/aiagentchat.db")" = 600:daemon ]
    [ ! -e "$HOST/host/var/lib/aiagentchat/data/aiagentchat.db-wal" ]
}

@test "a database in which a new release has worked is not put back, and it is said where the copy lies" {
    prepared_with 1
    run -1 deploy_version 2.newer.ill
    [[ $output == *"does not come up either"*"backups/before-2.newer.ill-"* ]]
    [ "$(database)" = newer ]
    [ "$(state)" = failed ]
}

@test "a copy that was made while the release before still ran is not put back" {
    prepared_with 1
    run -1 deploy_version 2.newer.silent --health 3 --drain 0
    [[ $output == *"does not come up either"* ]]
    [ "$(database)" = newer ]
}

@test "a release before that waits for its homeserver, too, is said to wait" {
    prepared_with 1.slow
    run -1 deploy_version 2.silent --health 3
    [[ $output == *"rolled back to"*"1.slow-"*"has started and waits"* ]]
    [[ $(running) == 1.slow-* ]]
    [ "$(state)" = activating ]
}

@test "settings that do not fit change nothing" {
    prepared_with 1
    echo nonsense >>"$ETC/config.yaml"
    before=$(lives)
    run -1 deploy_version 2
    [[ $output == *"config.yaml:1: nonsense"* ]]
    [[ $output != *"drained"* ]]
    [[ $(running) == 1-* ]]
    [ "$(lives)" = "$before" ]
    [ "$(releases)" = 1 ]
}

@test "aiagentchat can be typed on the host, as the daemon's user and with its settings" {
    prepared_with 1
    local typed=$HOST/host/usr/local/bin/aiagentchat of="in $HOST/host/var/lib/aiagentchat of $ETC/config.yaml"
    run -0 "$typed" rooms
    [ "$output" = "rooms asked by $(id -u daemon) $of" ]
    run -0 env HOME=/root "$typed" logs
    [ "$output" = "logs asked by 0 in /root of $ETC/config.yaml" ]
    run -0 env HOME=/root AIAGENTCHAT_CONFIG=/etc/mine.yaml "$typed" logs
    [ "$output" = "logs asked by 0 in /root of /etc/mine.yaml" ]
    run -0 env HOME=/root "$typed" bootstrap --dry-run
    [ "$output" = "bootstrap asked by 0 in /root of $ETC/config.yaml" ]
    printf '#!/bin/sh\necho "sudo $*"\n' >"$HOST/bin/sudo"
    chmod 755 "$HOST/bin/sudo"
    run -0 env "PATH=$HOST/bin:$PATH" setpriv --reuid=65534 --clear-groups -- "$typed" rooms
    [ "$output" = "sudo -u daemon -- env HOME=$HOST/host/var/lib/aiagentchat AIAGENTCHAT_CONFIG=$ETC/config.yaml\
 $HOME_/current/venv/bin/aiagentchat rooms" ]
    run -0 env "PATH=$HOST/bin:$PATH" setpriv --reuid=65534 --clear-groups -- "$typed" init
    [ "$output" = "sudo -- env AIAGENTCHAT_CONFIG=$ETC/config.yaml $HOME_/current/venv/bin/aiagentchat init" ]

    echo mine >"$typed"
    run -0 deploy_version 2
    [[ $output == *"is not ours, and stays"* ]]
    [ "$(cat "$typed")" = mine ]
}

@test "requirements that do not fit together change nothing" {
    prepared_with 1
    before=$(lives)
    run -1 deploy_version 2.unfit
    [[ $output == *"requirement peewee"* ]]
    [[ $(running) == 1-* ]]
    [ "$(lives)" = "$before" ]
}

@test "everything is installed by its hash" {
    prepared_with 1
    run -0 deploy_version 2 --with-cli
    grep -- --requirement "$HOST/bin/pip.log" | tail -n 3 >"$HOST/last"
    [ "$(sed 's#.*/##' "$HOST/last" | xargs)" = "requirements.txt requirements-build.txt requirements-cli.txt" ]
    run -1 grep -v -- --require-hashes "$HOST/last"
}

@test "what runs is drained and its database copied before the switch, and not at all with --drain 0" {
    prepared_with 1
    run -0 deploy_version 2 --drain 90s
    [[ $output == *"drained for 90s by 2-"*"switching from"* ]]
    [[ $(cat "$HOST"/host/var/lib/aiagentchat/backups/before-2-*.db) == 1-* ]]

    run -0 deploy_version 3 --drain 0
    [[ $output != *"drained"* ]]
}

@test "without a copy of the database nothing is switched" {
    prepared_with 1.full
    run -1 deploy_version 2
    [[ $output == *"No space left"*"nothing was switched"* ]]
    [[ $(running) == 1.full-* ]]
    until_active
    [ "$(releases)" = 1.full ]
}

# The user at the host is said to be another one, and sudo (there may be none here) does what it is asked, or refuses: "$1".
# shellcheck disable=SC2016 # they are for the shell there
as_somebody() {
    printf '#!/bin/sh\n[ "$*" = -u ] && echo 1000 || exec /usr/bin/id "$@"\n' >"$HOST/bin/id"
    printf '#!/bin/sh\necho "$*" >>%s/sudo.log\n[ "$1" = -n ] && shift && %s\n' "$HOST" "$1" >"$HOST/bin/sudo"
    chmod 755 "$HOST/bin/id" "$HOST/bin/sudo"
}

@test "whoever is not root does everything by sudo" {
    as_somebody 'exec "$@"'
    prepared_with 1
    [[ $(running) == 1-* ]]
    run -0 deploy --dry-run
    run -0 deploy_version 2
    [[ $(running) == 2-* ]]
    run -0 deploy --rollback
    [ "$(cut -d' ' -f2 "$HOST/sudo.log" | sort -u | xargs)" = "bash install rsync true" ]
}

@test "whoever is not root and may not sudo is refused" {
    as_somebody 'echo "sudo: a password is required" >&2; exit 1'
    run -2 deploy_version 1
    [[ $output == *"may not \`sudo -n\`"* ]]
    [ ! -e "$HOST/host" ]
}

@test "a link in the daemon's folder leads root nowhere" {
    prepared_with 1
    rm -rf "$HOST/host/var/lib/aiagentchat/backups"
    mkdir -m 755 "$HOST/of-root"
    ln -s "$HOST/of-root" "$HOST/host/var/lib/aiagentchat/backups"
    run -1 deploy_version 2
    [ "$(stat -c %a:%U "$HOST/of-root")" = 755:root ]
    [[ $(running) == 1-* ]]
}

@test "three releases are kept, the current one and the one before among them" {
    prepared_with 1
    for version in 2 3 4; do run -0 deploy_version "$version"; done
    [ "$(releases)" = "2 3 4" ]

    # Back from 4 to 3, twice over: then 3 is the one before, and older than what is removed.
    run -0 deploy --rollback
    [[ $(running) == 3-* ]]
    run -0 deploy_version 5
    [ "$(releases)" = "3 4 5" ]
    touch -d tomorrow "$HOME_/releases"/4-*
    run -0 deploy_version 6
    [ "$(releases)" = "4 5 6" ]
    [ "$(find "$HOST/host/var/lib/aiagentchat/backups" -type f | wc -l)" = 3 ]
}

@test "a copy that broke off is no release: it takes no place, and goes after an hour" {
    prepared_with 1
    run -0 deploy_version 2
    run -0 deploy_version 3
    mkdir -p "$HOME_/releases/2.9-broken-off/deploy"
    run -0 deploy_version 4
    [ "$(releases)" = "2 2.9 3 4" ]
    touch -d "2 hours ago" "$HOME_/releases/2.9-broken-off"
    run -0 deploy_version 5
    [ "$(releases)" = "3 4 5" ]
}

@test "--rollback goes to the release before, and once more forward again" {
    prepared_with 1
    run -0 deploy_version 2
    run -0 deploy --rollback
    [[ $output == *"drained for 15m by 1-"* ]]
    [[ $(running) == 1-* ]]
    [ "$(state)" = active ]
    run -0 deploy --rollback
    [[ $(running) == 2-* ]]
}

@test "a rollback to what does not come up any more is taken back, too" {
    prepared_with 1
    run -0 deploy_version 2
    echo '__version__ = "1.broken"' | tee "$HOME_/releases"/1-*/aiagentchat/__init__.py
    run -1 deploy --rollback
    [[ $output == *"rolled back"*"/2-"*"runs again"* ]]
    [[ $(running) == 2-* ]]
    [ "$(releases)" = "1 2" ]
}

@test "a rollback without a release before changes nothing" {
    run -2 deploy --rollback
    [[ $output == *"nothing was deployed"* ]]
    prepared_with 1
    before=$(lives)
    run -2 deploy --rollback
    [[ $output == *"no earlier release"* ]]
    [ "$(lives)" = "$before" ]
}

@test "--version deploys a tag or a commit of the checkout, whatever lies there" {
    cd "$HOST/tree"
    git init -q . && git config user.email anna@example.org && git config user.name Anna
    echo '__version__ = "1"' >aiagentchat/__init__.py
    git add -A && git commit -qm One && git tag v1
    prepared_with 2
    run -0 deploy --version 1
    [[ $(running) == 1+$(git rev-parse --short=9 v1)-* ]]
    run -0 deploy --version "$(git rev-parse HEAD)" --dry-run
    run -2 deploy --version v7
    [[ $output == *"no such tag or commit"* ]]
    [[ $(running) == 1+* ]]
}

@test "--version deploys a wheel, with the requirements of the checkout" {
    prepared_with 1
    touch "$HOST/aiagentchat-3.1-py3-none-any.whl"
    run -0 deploy --version "$HOST/aiagentchat-3.1-py3-none-any.whl"
    [[ $(running) == 3.1-* ]]
    grep -q -- "--no-deps --no-index .*/aiagentchat-3.1-py3-none-any.whl" "$HOST/bin/pip.log"
}

@test "a host whose key is not known is refused, and one whose key has changed" {
    mv "$HOST/known_hosts" "$HOST/known"
    touch "$HOST/known_hosts"
    run -2 deploy_version 1
    [[ $output == *"connect once by hand"* ]]

    ssh-keygen -q -t ed25519 -N "" -f "$HOST/other"
    echo "testhost $(cut -d' ' -f1,2 "$HOST/other.pub")" >"$HOST/known_hosts"
    run -2 deploy_version 1
    [ ! -e "$HOST/host" ]
}

@test "what cannot be meant is refused before anything is asked of the host" {
    mv "$HOST/known_hosts" "$HOST/known" # a host that is asked would be unknown
    local wrong=(--root relative --user "" --python "" --health soon --drain for-ever --settle x --version "v1;ls")
    for ((at = 0; at < ${#wrong[@]}; at += 2)); do
        run -2 deploy_version 1 "${wrong[@]:at:2}"
        [[ $output == "deploy.sh: "* && $output != *"connecting"* ]]
    done
    run -2 deploy_version 1 --frob
    [[ $output == *"unknown option --frob"* ]]
}

@test "two deployments at once do not meet" {
    prepared_with 1
    exec 8>"$HOME_/deploy.lock"
    flock 8
    run -2 deploy_version 2 8>&-
    [[ $output == *"somebody else deploys"* ]]
    exec 8>&-
    run -0 deploy_version 2
}
