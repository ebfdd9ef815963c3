#!/usr/bin/env bash
# Build the container image with whichever of docker, podman and buildah is there. `make image` calls this.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: deploy/build-image.sh [flag for the builder]...

Builds the image and prints its name. Everything is set by environment variables:
  IMAGE         its name                                       (aiagentchat:latest)
  ENGINE        docker, podman or buildah                      (the first of them that works)
  PYTHON_IMAGE  what it is built upon, best with its digest    (what the Dockerfile names)
  WITH_CLI      1 puts the Claude Code program into it; see the Dockerfile about its licence          (0)
  SOURCE        where the source can be had, for the label     (nothing)
  REVISION      the commit, where the tree has no git
A PYTHON_IMAGE without a digest is warned of; a release in CI (CI_COMMIT_TAG) is not built upon one.
Its labels also have the version, and the time of the commit (SOURCE_DATE_EPOCH, where that is set).

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
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' aiagentchat/__init__.py)
# A tree without git has no commit; one with changes is not the commit's.
revision=${REVISION:-$(git rev-parse HEAD 2>/dev/null || true)}
if [ -z "${REVISION:-}" ] && [ -n "$revision" ] && ! git diff --quiet HEAD 2>/dev/null; then
    revision=$revision-changed
fi
epoch=${SOURCE_DATE_EPOCH:-$(git show --no-patch --format=%ct HEAD 2>/dev/null || date +%s)}
created=$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)
flags=(--file Dockerfile --tag "$image" --build-arg "WITH_CLI=${WITH_CLI:-0}"
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$created"
    --build-arg "SOURCE=${SOURCE:-}")
base=${PYTHON_IMAGE:-$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)}
case $base in
    *@sha256:* | localhost/*) ;; # one that was made here has no other name
    *)
        cat >&2 <<WARNING
build-image.sh: $base is a tag, which may be another image tomorrow. Its digest does not change; get it by
    docker pull $base && docker image inspect --format '{{index .RepoDigests 0}}' $base
and give what that prints as PYTHON_IMAGE.
WARNING
        if [ -n "${CI_COMMIT_TAG:-}" ] && [[ $image != localhost/* ]]; then # a try is no release
            echo "build-image.sh: this is the release $CI_COMMIT_TAG, so nothing was built (docs/how-to/ci.md)" >&2
            exit 2
        fi
        ;;
esac
if [ -n "${PYTHON_IMAGE:-}" ]; then
    flags+=(--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE")
fi
case $engine in
    docker) docker build "${flags[@]}" "$@" . ;;
    # What they make without being told has no place for the health check; and they take labels from an earlier build,
    # though the arguments are others.
    podman | buildah)
        label=org.opencontainers.image
        flags+=(--format docker --label "$label.version=$version" --label "$label.revision=$revision"
            --label "$label.created=$created" --label "$label.source=${SOURCE:-}")
        "$engine" build "${flags[@]}" "$@" .
        ;;
    *)
        echo "build-image.sh: ENGINE is $engine; it must be docker, podman or buildah" >&2
        exit 2
        ;;
esac
case $engine in
    buildah) echo "Built $image." ;; # it has no command that runs an image
    *) echo "Built $image. Try it: $engine run --rm $image version" ;;
esac
