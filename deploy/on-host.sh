#!/usr/bin/env bash
# The half of deploy.sh that runs on the host, as root, from inside the release that was just copied there.
# It prints no secret: it never reads the environment file, and the daemon's log holds none.
set -euo pipefail
umask 022 # the daemon's user must be able to read the release

UNIT=aiagentchat.service
KEEP=3 # releases, the running one among them

release="" root="" user="" python="" health="" with_cli=""
while [ $# -gt 0 ]; do
    case $1 in
        --release) release=$2 ;;
        --root) root=$2 ;;
        --user) user=$2 ;;
        --python) python=$2 ;;
        --health) health=$2 ;;
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
config=$etc/config.yaml

say() { echo "on-host.sh: $1"; }

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
}

prepare_host() {
    id -u "$user" >/dev/null 2>&1 ||
        useradd --system --user-group --home-dir "$state" --no-create-home --shell /usr/sbin/nologin "$user"
    install -d -m 0755 "$units" "$home"
    install -d -m 0750 -g "$user" "$etc"
    install -d -m 0700 -o "$user" -g "$user" "$state"
    if [ ! -e "$state/rooms" ]; then
        install -d -m 0700 -o "$user" -g "$user" "$state/rooms"
        cp -r "$release/rooms/_template" "$state/rooms/"
        chown -R "$user:$user" "$state/rooms"
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
    fail "prepared. Now say in $config who answers where, put the secrets into $etc/environment (lines such as \
MATRIX_PASSWORD=…), and deploy again. Nothing was started." 2
}

install_release() {
    say "installing into $release/venv"
    "$python" -m venv "$release/venv"
    local pip=("$release/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    "${pip[@]}" --require-hashes --requirement "$release/requirements.txt"
    "${pip[@]}" --require-hashes --requirement "$release/deploy/requirements-build.txt"
    "${pip[@]}" --no-deps --no-build-isolation "$release"
    if [ "$with_cli" = yes ]; then
        "${pip[@]}" --no-deps --require-hashes --requirement "$release/requirements-cli.txt"
    fi
}

check_release() {
    say "checking $config with it"
    local said
    said=$(as_daemon "$release/venv/bin/aiagentchat" check --config "$config" 2>&1) || {
        echo "$said" >&2
        fail "the settings do not fit this release; nothing was changed" 1
    }
}

# Make a release the running one: its unit file, the link, a restart.
activate() {
    sed -e "s#^\(User\|Group\)=.*#\1=$user#" -e "s#\(=-\?\|[ ]\)/\(opt\|etc\|var/lib\)/aiagentchat#\1$root/\2/aiagentchat#g" \
        "$1/deploy/$UNIT" >"$units/$UNIT.new"
    mv "$units/$UNIT.new" "$units/$UNIT"
    ln -sfn "$1" "$home/current.new"
    mv -T "$home/current.new" "$home/current"
    systemctl daemon-reload
    systemctl restart "$UNIT"
}

log_of_this_life() {
    journalctl --quiet --no-pager --output cat "_SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value "$UNIT")"
}

# Logged in at the homeserver and serving: that is when it says daemon.ready.
is_healthy() {
    local deadline=$((SECONDS + health))
    while [ "$SECONDS" -le "$deadline" ]; do
        if systemctl is-active --quiet "$UNIT" && grep -q '"event": "daemon.ready"' <<<"$(log_of_this_life)"; then
            return 0
        fi
        if systemctl is-failed --quiet "$UNIT"; then
            return 1
        fi
        sleep 1
    done
    return 1
}

go_back() {
    say "the new release did not come up. The end of its log:" >&2
    log_of_this_life | tail -n 20 >&2 || true
    if [ -n "$previous" ] && [ -d "$previous" ]; then
        activate "$previous"
        if is_healthy; then
            fail "rolled back: $previous runs again"
        fi
        fail "rolled back to $previous, which does not come up either: look at journalctl -u $UNIT"
    fi
    systemctl stop "$UNIT" || true
    fail "there is no earlier release to go back to, so it was stopped"
}

remove_old() {
    local old
    while read -r old; do
        [ "$old" = "$release" ] || [ "$old" = "$previous" ] || rm -rf "$old"
    done < <(find "$home/releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2- |
        tail -n "+$((KEEP + 1))")
}

running=no # from here on, what does not come to run leaves nothing behind
trap '[ "$running" = yes ] || rm -rf "$release"' EXIT
check_host
prepare_host
previous=$(readlink "$home/current" || true)
install_release
check_release
say "switching from ${previous:-nothing} to $release"
activate "$release" || true # what does not start is seen below
is_healthy || go_back
running=yes
systemctl enable --quiet "$UNIT"
remove_old
say "aiagentchat runs from $release"
