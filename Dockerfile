# Weir as a container image: the same release binary that `make build` makes, with the shared libraries it needs and no more.
#
#   docker build -t weir .
#   docker run -p 8000:8000 -p 8443:8443 -v weir:/var/lib/weir weir
#
# Inside, the Admin API listens on loopback only, as it does outside: whoever reaches it configures the gateway. Open it
# with -e WEIR_ADMIN_LISTEN=0.0.0.0:8001 and -p 127.0.0.1:8001:8001.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY scripts/setup scripts/setup
RUN scripts/setup run && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DWEIR_TESTS=OFF -DWEIR_SYMBOLS=0 \
 && cmake --build --preset release --target weir \
 && strip build/release/weir

FROM ${BASE} AS runtime
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libboost-json1.81.0 \
    libboost-url1.81.0 libc-ares2 libcurl4 libfmt9 libhiredis0.14 libpq5 libprometheus-cpp-core1.0 libre2-9 \
    libsqlite3-0 libssl3 libstdc++6 \
    libyaml-cpp0.7 \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old \
 && groupadd --gid 65532 weir \
 && useradd --uid 65532 --gid weir --home-dir /var/lib/weir --no-create-home --shell /usr/sbin/nologin weir \
 && install -d -o weir -g weir -m 0750 /var/lib/weir
COPY --from=build /src/build/release/weir /usr/local/bin/weir
COPY LICENSE /usr/share/doc/weir/LICENSE
# A library that is missing shows here, not in somebody's cluster.
RUN weir version

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="API gateway and load balancer with Kong's Admin API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The status listener is for probes and Prometheus, which come from outside of the container.
ENV WEIR_PREFIX=/var/lib/weir \
    WEIR_STATUS_LISTEN=0.0.0.0:8100
# Numeric, so that runAsNonRoot can be checked without the image's /etc/passwd.
USER 65532:65532
WORKDIR /var/lib/weir
VOLUME /var/lib/weir
# proxy, proxy with TLS, Admin API, status and metrics
EXPOSE 8000 8443 8001 8100
STOPSIGNAL SIGTERM
ENTRYPOINT ["weir"]
CMD ["run"]
