#!/usr/bin/env bash
# Build the container image with whichever of docker, podman and buildah is there. `make image` calls this.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: deploy/build-image.sh [flag for the builder]...

Builds the image and prints its name. Everything is set by environment variables:
  IMAGE         its name                                       (aiagentchat:latest)
  ENGINE        docker, podman or buildah                      (the first of them that works)
  PYTHON_IMAGE  what it is built upon                          (the Dockerfile's: python:3.11-slim-bookworm)
  WITH_CLI      1 puts the Claude Code program into it; see the Dockerfile about its licence          (0)

Examples:
  deploy/build-image.sh
  WITH_CLI=1 IMAGE=registry.example.org/aiagentchat:0.1.0 deploy/build-image.sh
  ENGINE=buildah deploy/build-image.sh --isolation chroot
USAGE
}

works() {
    case $1 in
        docker) docker version >/dev/null 2>&1 ;; # the client alone builds nothing
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

choose_engine() {
    local engine
    for engine in docker podman buildah; do
        if works "$engine"; then
            echo "$engine"
            return
        fi
    done
    echo "build-image.sh: none of docker, podman and buildah works here; install one (Debian: apt-get install buildah)" >&2
    return 1
}

if [ "${1:-}" = "-h" ] || [ "${1:-}" = "--help" ]; then
    usage
    exit 0
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

engine=${ENGINE:-$(choose_engine)}
image=${IMAGE:-aiagentchat:latest}
flags=(--file Dockerfile --tag "$image" --build-arg "WITH_CLI=${WITH_CLI:-0}")
if [ -n "${PYTHON_IMAGE:-}" ]; then
    flags+=(--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE")
fi
case $engine in
    docker | podman | buildah) "$engine" build "${flags[@]}" "$@" . ;;
    *)
        echo "build-image.sh: ENGINE is $engine; it must be docker, podman or buildah" >&2
        exit 2
        ;;
esac
case $engine in
    buildah) echo "Built $image." ;; # it has no command that runs an image
    *) echo "Built $image. Try it: $engine run --rm $image version" ;;
esac
