# The service with its models and ONNX Runtime, for amd64 and arm64:
#
#     docker build --build-arg LIKENESS_GIT_COMMIT="$(git rev-parse HEAD)" --tag likeness .
#
# or `make image`, which fills in the labels too. The steps are those of the Makefile and of scripts/image, which the test suite
# runs outside a container. docs/install.md says how the base images are pinned by digest.

ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
ARG RUN_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends make nasm python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Where the models come from, if not from the addresses in the pack's manifest: docs/packs.md.
ARG LIKENESS_MODEL_MIRROR
# Another pack than the default one. None stands in for the one that is asked for.
ARG LIKENESS_PACK
ARG LIKENESS_GIT_COMMIT=unknown
ENV LIKENESS_GIT_COMMIT=$LIKENESS_GIT_COMMIT
# Python of the distribution: pip only downloads here, into no environment. What apt has to bring is there: set-up would ask it
# for the PostgreSQL of the tests.
RUN LIKENESS_NO_APT=1 make setup build models MODELS_ARGUMENTS=--no-stand-in
RUN python3 scripts/image/rootfs.py /image && mkdir /state

FROM ${RUN_IMAGE}
COPY --from=build /image/ /
# A folder that is there already would keep its owner, whatever --chown says: so it is not part of /image.
COPY --from=build --chown=10001:10001 /state/ /var/lib/likeness/
ENV LIKENESS_MODELS=/usr/share/likeness/models \
    LIKENESS_CONFIG=/etc/likeness/likeness.toml \
    LIKENESS_LISTEN=0.0.0.0:8080 \
    LIKENESS__DATA_FOLDER=/var/lib/likeness \
    LIKENESS__LOG__FORMAT=json
USER 10001:10001
WORKDIR /var/lib/likeness
VOLUME /var/lib/likeness
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["likeness", "healthcheck"]
ENTRYPOINT ["likeness"]
CMD ["serve"]

# Last: a label that changes costs no other layer.
ARG LIKENESS_VERSION=unknown
ARG LIKENESS_GIT_COMMIT=unknown
ARG LIKENESS_CREATED=unknown
ARG LIKENESS_SOURCE=unknown
ARG RUN_IMAGE
LABEL org.opencontainers.image.title="likeness" \
      org.opencontainers.image.description="On-premise face matching and passive liveness with a Kairos-compatible HTTP API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${LIKENESS_VERSION}" \
      org.opencontainers.image.revision="${LIKENESS_GIT_COMMIT}" \
      org.opencontainers.image.created="${LIKENESS_CREATED}" \
      org.opencontainers.image.source="${LIKENESS_SOURCE}" \
      org.opencontainers.image.base.name="${RUN_IMAGE}"
