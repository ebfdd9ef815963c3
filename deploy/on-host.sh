#!/usr/bin/env bash
# The half of deploy.sh that runs on the host, as root: a shell there reads it from its standard input.
# It prints no secret: it reads neither the environment file nor the folder of secrets, and the daemon's log holds none.
set -euo pipefail
umask 022 # the daemon's user must be able to read the release
trap '' HUP PIPE # a connection that breaks leaves nothing half done

UNIT=aiagentchat.service
KEEP=3 # releases, the running one and the one before among them
FROM_FUTURE=5 # how the daemon ends when a newer one has changed its database

say() { echo "on-host.sh: $1" || true; } # nobody may be there any more to hear it

fail() {
    say "$1" >&2
    exit "${2:-1}"
}

as_daemon() { # without root's powers, without anything of root's environment
    env -i PATH="$PATH" LANG=C.UTF-8 HOME="$state" setpriv --reuid="$user" --regid="$user" --clear-groups -- "$@"
}

check_host() {
    command -v systemctl >/dev/null || fail "there is no systemctl here; this needs systemd" 2
    "$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null ||
        fail "$python is no Python 3.11 to 3.13 with venv; on Debian: apt-get install python3-venv" 2
    command -v bwrap >/dev/null || # no failure: isolation_minimum may ask for less
        say "bubblewrap is not installed, so there is no strict isolation here; on Debian: apt-get install bubblewrap"
    if [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ] &&
        [ ! -e /etc/apparmor.d/bwrap ]; then
        say "AppArmor keeps bubblewrap from making namespaces here. Let it, by: cp $release/deploy/apparmor-bwrap \
/etc/apparmor.d/bwrap && apparmor_parser -r /etc/apparmor.d/bwrap"
    fi
}

prepare_host() {
    id -u "$user" >/dev/null 2>&1 ||
        useradd --system --user-group --home-dir "$state" --no-create-home --shell /usr/sbin/nologin "$user"
    install -d -m 0755 "$units" "$home"
    install -d -m 0750 -g "$user" "$etc"
    install -d -m 0700 "$etc/secrets"
    install -d -m 0700 -o "$user" -g "$user" "$state"
    as_daemon mkdir -p -m 0700 "$state/backups"
    if [ ! -e "$state/rooms" ]; then
        as_daemon mkdir -m 0700 "$state/rooms"
        as_daemon cp -r "$release/rooms/_template" "$state/rooms/"
    fi
    if [ ! -e "$etc/environment" ]; then
        install -m 0600 /dev/null "$etc/environment"
    fi
    [ ! -e "$config" ] || return 0
    sed -e "s#^data_dir:.*#data_dir: $state/data#" -e "s#^workspaces:.*#workspaces: $state/rooms#" \
        "$release/config.yaml" >"$config.new"
    chmod 0640 "$config.new"
    chgrp "$user" "$config.new"
    mv "$config.new" "$config"
    fail "prepared. Now say in $config who answers where, put each secret into a file of its own in $etc/secrets (such as \
$etc/secrets/MATRIX_PASSWORD), and deploy again. Nothing was started." 2
}

install_release() {
    say "installing into $release/venv"
    "$python" -m venv "$release/venv"
    local pip=("$release/venv/bin/python" -m pip) quietly=(--quiet --disable-pip-version-check)
    local package=("$release"/*.whl)
    "${pip[@]}" install "${quietly[@]}" --require-hashes --requirement "$release/requirements.txt"
    if [ -e "${package[0]}" ]; then # a wheel, in place of the files
        "${pip[@]}" install "${quietly[@]}" --no-deps --no-index "${package[0]}"
    else
        "${pip[@]}" install "${quietly[@]}" --require-hashes --requirement "$release/deploy/requirements-build.txt"
        "${pip[@]}" install "${quietly[@]}" --no-deps --no-build-isolation "$release"
    fi
    if [ "$with_cli" = yes ]; then
        "${pip[@]}" install "${quietly[@]}" --no-deps --require-hashes --requirement "$release/requirements-cli.txt"
    fi
    local said
    said=$("${pip[@]}" check --disable-pip-version-check) || {
        echo "$said" >&2
        fail "what was installed does not fit together; nothing was changed"
    }
}

# The settings must fit: $1 is the release, $2 what to call it.
check_release() {
    say "checking $config with it"
    local said
    said=$(as_daemon "$1/venv/bin/aiagentchat" check --config "$config" 2>&1) || {
        echo "$said" >&2
        fail "the settings do not fit $2; nothing was changed" 1
    }
}

# Running turns may finish, for as long as was said. It takes no new ones meanwhile, and ends: what comes waits.
# $1 is the release that does not run yet: its settings were checked just now.
drain_the_running() {
    systemctl is-active --quiet "$UNIT" || return 0
    [[ $drain =~ ^0+[smh]?$ ]] && return 0
    say "letting the turns that run finish, for at most $drain"
    if ! as_daemon "$1/venv/bin/aiagentchat" drain --wait "$drain" --config "$config"; then
        say "going on all the same: what was cut short is told in its room"
        return 0
    fi
    for _ in {1..20}; do # systemd hears of its end a moment later
        ! is_over || break
        sleep 0.2
    done
}

is_over() { [[ $(systemctl show -p ActiveState --value "$UNIT") =~ ^(inactive|failed)$ ]]; }

# The database as it is before another release has it: an older one does not take what a newer one has changed.
# $1 is the release that ran, and whose database it is.
back_up() {
    [ -n "$1" ] && [ -d "$1" ] || return 0
    backup=$state/backups/before-$(basename "$release")-$(date -u +%Y%m%dT%H%M%S).db
    local said
    ! is_over || is_final=yes # what still runs may take in more than is in the copy
    # By the daemon's user, whose folder this is: what root did there, a link could lead elsewhere.
    if ! { as_daemon mkdir -p -m 0700 "$state/backups" &&
        said=$(as_daemon "$1/venv/bin/aiagentchat" db backup "$backup" --config "$config"); }; then
        systemctl start --no-block "$UNIT" || true
        fail "the database could not be copied, so nothing was switched: $1 goes on"
    fi
    # shellcheck disable=SC2016 # it is for the other shell
    as_daemon sh -c 'ls -t "$1"/before-*.db | tail -n "+$2" | xargs -r -d "\n" rm -f --' sh "$state/backups" $((KEEP + 1))
    database=$(sed -n 's/^Copied \(.*\) to .*$/\1/p' <<<"$said")
    copied_at=$(date +%s)
}

# The copy from before the switch, in the place of a database that the release before does not take any more. Only where
# that loses nothing: nothing was taken in since it was made, and the new release has not even logged in, which its log
# must show. So nothing was heard, run or sent, and no token was renewed, of which the copy would know nothing.
put_back() {
    [ -n "$database" ] && [ "$is_final" = yes ] || return 1
    [ "$(systemctl show -p ExecMainStatus --value "$UNIT")" = "$FROM_FUTURE" ] || return 1
    local lives
    lives=$(journalctl --quiet --no-pager --output cat --unit "$UNIT" --since "@$copied_at") || return 1
    grep -q '"event": "daemon.starting"' <<<"$lives" || return 1
    ! grep -qE '"event": "(matrix\.(logged_in|token_renewed)|owner\.claimed|service\.started)"' <<<"$lives" || return 1
    say "its database was changed already, and nothing else was done: putting back the copy from before the switch"
    # shellcheck disable=SC2016 # it is for the other shell
    as_daemon sh -euc 'umask 077; cp -- "$2" "$1.new"; rm -f -- "$1-wal" "$1-shm"; mv -- "$1.new" "$1"' \
        sh "$database" "$backup"
}

invocation() { systemctl show -p InvocationID --value "$UNIT"; }

# For a file of a release: this host's user and folders in the place of the usual ones.
as_here() {
    sed -e "s#^\(User\|Group\|user\)=.*#\1=$user#" \
        -e "s#\(=-\?\|[ :]\)/\(opt\|etc\|var/lib\)/aiagentchat#\1$root/\2/aiagentchat#g" "$1"
}

# `aiagentchat`, to be typed by whoever looks after this host. What is not ours stays.
install_command() {
    [ -e "$1/deploy/command.sh" ] || return 0 # a release of before
    if [ -e "$command" ] && ! grep -q "deploy.sh has put it here" "$command"; then
        say "$command is not ours, and stays: type $home/current/venv/bin/aiagentchat"
        return 0
    fi
    install -d -m 0755 "$(dirname "$command")" &&
        as_here "$1/deploy/command.sh" >"$command.new" &&
        chmod 0755 "$command.new" &&
        mv "$command.new" "$command"
}

# Make a release the running one: its unit file, the link, a restart. What comes of it is seen later.
activate() {
    life_before=$(invocation)
    as_here "$1/deploy/$UNIT" >"$units/$UNIT.new" &&
        mv "$units/$UNIT.new" "$units/$UNIT" &&
        ln -sfn "$1" "$home/current.new" &&
        mv -T "$home/current.new" "$home/current" &&
        systemctl daemon-reload &&
        systemctl restart --no-block "$UNIT" # a start may wait for the homeserver for as long as it must, and we may not
}

log_of_this_life() { journalctl --quiet --no-pager --output cat "_SYSTEMD_INVOCATION_ID=$(invocation)"; }

# Systemd says that it runs, and it says itself that it serves. A unit of the kind notify is active when it has said so.
is_ready() {
    systemctl is-active --quiet "$UNIT" || return 1
    [ "$(systemctl show -p Type --value "$UNIT")" = notify ] || grep -q '"event": "daemon.ready"' <<<"$(log_of_this_life)"
}

# Within the time that was given, in a life that is not the one before.
is_healthy() {
    local deadline=$((SECONDS + health))
    while [ "$SECONDS" -le "$deadline" ]; do
        if [ "$(invocation)" != "$life_before" ]; then
            ! is_ready || return 0
            ! systemctl is-failed --quiet "$UNIT" || return 1
        fi
        sleep 0.5
    done
    return 1
}

# The smoke test of what is ready: that it stays so, and that it says itself that it lives. $1 is the release.
is_steady() {
    local life ask=("$1/venv/bin/aiagentchat" healthcheck --config "$config")
    life=$(invocation)
    sleep "$settle"
    if [ "$(invocation)" != "$life" ] || ! is_ready; then
        say "it was ready, and did not stay so" >&2
        return 1
    fi
    "${ask[@]:0:2}" --help >/dev/null 2>&1 || return 0 # older releases have no command for it
    as_daemon "${ask[@]}" >/dev/null || return 1
    # What keeps it from answering in a room (a program that is missing, a full disk) is no fault of this release.
    as_daemon "${ask[@]}" --ready >/dev/null || say "it runs, and would not answer in a room yet: see above"
}

comes_up() { activate "$1" && is_healthy && is_steady "$1"; }

# $1 did not come up; $2 ran before, if anything did.
go_back() {
    say "$1 did not come up. The end of its log:" >&2
    log_of_this_life | tail -n 20 >&2 || true
    if [ -n "$2" ] && [ -d "$2" ]; then
        if comes_up "$2" || { put_back && comes_up "$2"; }; then
            fail "rolled back: $2 runs again"
        fi
        [ "$(systemctl show -p SubState --value "$UNIT")" != start ] ||
            fail "rolled back to $2, which has started and waits, as a rule for its homeserver: look at journalctl -u $UNIT"
        fail "rolled back to $2, which does not come up either: look at journalctl -u $UNIT. If it says that its database \
was changed by a newer version: $backup is from before (docs/how-to/upgrade.md)"
    fi
    systemctl stop "$UNIT" || true
    rm -f "$home/current"
    fail "there is no earlier release to go back to, so it was stopped"
}

# Remember what ran before: --rollback goes there.
remember() {
    [ -n "$1" ] || return 0
    ln -sfn "$1" "$home/previous.new"
    mv -T "$home/previous.new" "$home/previous"
}

# The current release and the one before stay, and the newest of the others as long as there are no more than KEEP.
remove_old() {
    local kept old left=$KEEP
    for kept in "$release" "$previous"; do
        [ ! -d "$kept" ] || left=$((left - 1))
    done
    while read -r old; do
        if [ "$old" = "$release" ] || [ "$old" = "$previous" ]; then
            continue
        elif [ ! -e "$old/venv/bin/aiagentchat" ]; then # a copy that broke off, or that somebody makes just now
            [ -z "$(find "$old" -maxdepth 0 -mmin +60)" ] || rm -rf "$old"
        elif [ "$left" -gt 0 ]; then
            left=$((left - 1))
        else
            rm -rf "$old"
        fi
    done < <(find "$home/releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2-)
}

one_at_a_time() {
    exec 9>"$home/deploy.lock"
    flock --nonblock 9 || fail "somebody else deploys to this host just now; nothing was done" 2
}

deploy() {
    running=no # from here on, what does not come to run leaves nothing behind
    trap '[ "$running" = yes ] || rm -rf "$release"' EXIT
    one_at_a_time
    check_host
    prepare_host
    previous=$(readlink "$home/current" || true)
    install_release
    check_release "$release" "this release"
    drain_the_running "$release"
    back_up "$previous"
    say "switching from ${previous:-nothing} to $release"
    comes_up "$release" || go_back "$release" "$previous"
    running=yes
    systemctl enable --quiet "$UNIT"
    install_command "$release" || say "$command could not be put there: type $home/current/venv/bin/aiagentchat"
    remember "$previous"
    remove_old
    say "aiagentchat runs from $release"
}

roll_back() {
    [ -e "$home/current" ] || fail "nothing was deployed to this host, so there is nothing to go back to" 2
    one_at_a_time
    previous=$(readlink "$home/current")
    release=$(readlink "$home/previous" || true)
    if [ -z "$release" ] || [ ! -d "$release" ] || [ "$release" = "$previous" ]; then
        fail "there is no earlier release here to go back to; deploy one with --version. Nothing was changed." 2
    fi
    check_release "$release" "the release before, $release"
    drain_the_running "$release"
    back_up "$previous"
    say "switching from $previous back to $release"
    comes_up "$release" || go_back "$release" "$previous"
    remember "$previous"
    say "aiagentchat runs from $release; --rollback once more goes forward again"
}

main() { # read as a whole before anything runs, so that nothing that runs can take a part of it for its own input
    release="" root="" user="" python="" drain="" health="" settle="" with_cli=no rollback=no
    backup="" is_final=no database="" copied_at=""
    while [ $# -gt 0 ]; do
        case $1 in
            --release) release=$2 ;;
            --root) root=$2 ;;
            --user) user=$2 ;;
            --python) python=$2 ;;
            --drain) drain=$2 ;;
            --health) health=$2 ;;
            --settle) settle=$2 ;;
            --rollback) rollback=$2 ;;
            --with-cli) with_cli=$2 ;;
            *)
                echo "on-host.sh: unknown option $1; this is called by deploy.sh" >&2
                exit 2
                ;;
        esac
        shift 2
    done
    home=$root/opt/aiagentchat
    etc=$root/etc/aiagentchat
    state=$root/var/lib/aiagentchat
    units=$root/etc/systemd/system
    command=$root/usr/local/bin/aiagentchat
    config=$etc/config.yaml

    if [ "$rollback" = yes ]; then
        roll_back
    else
        deploy
    fi
    exit
}

main "$@" </dev/null
