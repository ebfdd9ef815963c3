#!/bin/sh
# Print the Python that the venv is made from: the first of 3.11 to 3.13 that has venv and pip. For root it must also run
# as an ordinary user, because that is how the tests start the daemon.
usable() {
    command -v "$1" >/dev/null 2>&1 || return 1
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}
ordinary() {
    [ "$(id -u)" != 0 ] || setpriv --reuid=65534 --regid=65534 --clear-groups -- "$(command -v "$1")" -c '' >/dev/null 2>&1
}
fallback=
for python in python3 python3.11 python3.12 python3.13 /usr/bin/python3 /usr/local/bin/python3; do
    usable "$python" || continue
    if ordinary "$python"; then
        command -v "$python"
        exit 0
    fi
    fallback=${fallback:-$(command -v "$python")}
done
if [ -n "$fallback" ]; then
    echo "$fallback"
    exit 0
fi
echo "No Python 3.11 to 3.13 with venv was found. On Debian: apt-get install python3-venv" >&2
exit 1
