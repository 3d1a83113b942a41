# SPDX-License-Identifier: Apache-2.0
# mod_gemclone in an Apache httpd that serves nothing else, as a user without rights, on port 8080 below /api. compose.yaml
# runs it with Postgres and Redis; conf/docker.conf is its configuration. `migrate` as command deploys the schema.

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        apache2-dev autoconf automake gcc libc6-dev libcurl4-openssl-dev libevent-dev libhiredis-dev libjansson-dev \
        libjwt-dev libpq-dev libsodium-dev libssl-dev libtool make pkgconf \
    && rm -rf /var/lib/apt/lists/*
COPY configure.ac Makefile.am /source/
COPY mod_gemclone /source/mod_gemclone
COPY sql /source/sql
WORKDIR /source
RUN autoreconf -fi && ./configure --prefix=/usr \
    && make -j "$(nproc)" mod_gemclone.la && make DESTDIR=/install install-apachelibexecLTLIBRARIES install-exec-hook install-data-local

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
        apache2-bin ca-certificates curl libaprutil1-dbd-pgsql libcurl4 libdbd-pg-perl libevent-2.1-7 libhiredis0.14 libjansson4 \
        libjwt0 libpq5 libsodium23 libssl3 postgresql-client sqitch \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -m 1777 /run/gemclone && install -d /var/empty
COPY --from=build /install/ /
COPY conf/docker.conf /etc/gemclone/httpd.conf
COPY conf/docker-run /usr/local/bin/gemclone

# Where everything is; secrets are files below /run/secrets. Directives of your own: /etc/gemclone/conf.d/*.conf.
ENV PGHOST=postgres PGPORT=5432 PGDATABASE=gemclone GEMCLONE_REDIS=redis://redis:6379/0 \
    GEMCLONE_COUNTRY_CODE=+1 GEMCLONE_GEMINI_URL=https://generativelanguage.googleapis.com/v1beta

USER www-data
EXPOSE 8080
# Replies and streams that are under way have GemcloneDrainTimeout to end.
STOPSIGNAL SIGWINCH
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/api/healthz"]
ENTRYPOINT ["gemclone"]
CMD ["serve"]
