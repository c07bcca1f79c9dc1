# syntax=docker/dockerfile:1
# The image of the sidecar: one static program, the authorities it trusts, a small configuration. docs/install.md says how to run it.

# The version of rust-toolchain.toml; a test compares them. Debian 12: the static glibc that is linked is this one's.
FROM rust:1.95.0-slim-bookworm AS build
# Not rust-toolchain.toml: that would fetch what only developers need.
ENV RUSTUP_TOOLCHAIN=1.95.0
# zlib-ng, which Pingora compresses with, is built by cmake.
# hadolint ignore=DL3008 # Debian keeps one version of each in a release, and replaces it by the one with the hole mended
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates cmake gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
# Always the same folders, whoever builds: where a crate lies stands in the messages of its panics.
WORKDIR /src
COPY . .
# What earlier builds have left belongs to one build at a time: another would replace the program before it is copied. And cargo goes
# by the files' times, so that an older checkout after a newer one would get the newer one's program: these are always new.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    touch src/lib.rs src/main.rs && packaging/image/build.sh /image

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tagalong" \
      org.opencontainers.image.description="A sidecar HTTP cache that forgets exactly the right responses" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /image/ /
# A number, so that Kubernetes can see that it is not root (runAsNonRoot); nothing is written, so the root may be read-only.
USER 65532:65532
# Clients. The admin interface (9080) is for the inside alone until a configuration says otherwise.
EXPOSE 8080
# Exit code 0 while requests are answered, degraded or not, else 1. It asks http://127.0.0.1:9080, or what TAGALONG_ADMIN says.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["/usr/bin/tagalong", "health"]
ENTRYPOINT ["/usr/bin/tagalong"]
CMD ["serve", "--config", "/etc/tagalong/tagalong.yaml"]
