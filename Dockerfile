# aiagentchat in a container. Build it with `make image`; docs/how-to/deploy.md says how to run it.
# No secret belongs in here: they come at run time, as environment variables or as files (docs/reference/environment.md).

# With its digest, because a tag may point at something else tomorrow: that of the index of all architectures, as Docker's
# record of its official images has it (docs/decisions/0021-image.md). A Renovate proposes newer ones
# (.gitlab/renovate.json). Upon another one: PYTHON_IMAGE=… make image.
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.txt requirements-cli.txt ./
COPY deploy/requirements-build.txt deploy/
RUN python3 -m venv /opt/aiagentchat \
    && /opt/aiagentchat/bin/pip install --require-hashes --requirement requirements.txt \
    && python3 -m venv /tmp/build \
    && /tmp/build/bin/pip install --require-hashes --requirement deploy/requirements-build.txt
# WITH_CLI=1 puts the Claude Code program into the image: it lies in the wheel claude-agent-sdk (the wrapper is MIT, the
# program is not). It is Anthropic's, under its Commercial Terms of Service (https://www.anthropic.com/legal/commercial-terms).
# Whoever builds such an image accepts them, and reads them again before passing it on; so the default is without.
ARG WITH_CLI=0
RUN if [ "$WITH_CLI" = 1 ]; then \
        /opt/aiagentchat/bin/pip install --no-deps --require-hashes --requirement requirements-cli.txt; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY aiagentchat aiagentchat
RUN /tmp/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheels . \
    && /opt/aiagentchat/bin/pip install --no-deps --no-index /tmp/wheels/*.whl

FROM ${PYTHON_IMAGE}
# bubblewrap keeps the runs in, where the container lets it: docs/how-to/isolation.md. git is for the agent. tini passes
# signals on also to commands that handle none, and reaps what `docker exec` leaves; the daemon can be process 1 itself,
# but it ends whatever comes to it so. Debian's security fixes come by building again, also those of what it is built
# upon, so no version is named.
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && apt-get upgrade -y -qq --no-install-recommends \
    && apt-get install -y -qq --no-install-recommends bubblewrap ca-certificates git tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 aiagentchat \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin aiagentchat \
    && install -d -m 0700 -o 10001 -g 10001 /data \
    && install -d -m 0755 -o 10001 -g 10001 /rooms
COPY --from=build /opt/aiagentchat /opt/aiagentchat
COPY --chown=10001:10001 rooms/_template /rooms/_template
# Links, and not the whole venv on PATH: the `python3` and `pip` that the agent finds are not the daemon's.
RUN ln -s /opt/aiagentchat/bin/aiagentchat /opt/aiagentchat/bin/cchat /usr/local/bin/
ENV HOME=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AIAGENTCHAT_CONFIG=/config/config.yaml
WORKDIR /rooms
VOLUME ["/data", "/rooms"]
USER 10001:10001
STOPSIGNAL SIGTERM
# Whether the daemon lives, not whether the homeserver does. The first start may fetch the Claude Code program.
HEALTHCHECK --interval=30s --timeout=15s --start-period=5m --retries=3 CMD ["aiagentchat", "healthcheck"]
ENTRYPOINT ["/usr/bin/tini", "--", "aiagentchat"]
CMD ["run"]
# Last, because they are others in every build. deploy/build-image.sh gives them.
ARG VERSION=0
ARG REVISION=
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.title="aiagentchat" \
      org.opencontainers.image.description="A self-hosted daemon that puts Claude Code into Matrix rooms." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
