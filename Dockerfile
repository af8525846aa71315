# Managers, nodes and the console in one image: `docker run … eccmgr`, `docker run … eccmgr ecnode`, and in the container
# of either `docker exec -it NAME ec_console`. See docs/operations.md.
#
# The base, by digest for a build that can be repeated: --build-arg PYTHON=python:3.11-slim@sha256:…
ARG PYTHON=python:3.11-slim
FROM ${PYTHON} AS build
WORKDIR /src
COPY requirements.txt ./
RUN python -m venv /opt/eccmgr && /opt/eccmgr/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY eccmgr eccmgr
COPY worker worker
COPY cli cli
COPY ops/release ops/release
ARG REVISION=unknown
RUN echo "$REVISION" > eccmgr/_revision \
 && /opt/eccmgr/bin/pip install --no-cache-dir --no-deps . \
 && /opt/eccmgr/bin/pip uninstall --yes pip setuptools

FROM ${PYTHON}
# For the guardian's fence, on nodes that carry floating addresses.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libnftables1 \
 && rm -rf /var/lib/apt/lists/*
# The user has a number of ours, by which Kubernetes sees that it is not root, and volumes can be given to it. The
# guardian's folder is root's: such a node starts as root, and its configuration names the user that it becomes.
RUN groupadd --gid 10001 eccmgr && useradd --uid 10001 --gid 10001 --create-home eccmgr \
 && install -d -o eccmgr -g eccmgr /var/log/eccmgr /var/lib/eccmgr /run/eccmgr \
 && install -d -o eccmgr -g eccmgr /var/lib/eccmgr/manager /var/lib/eccmgr/node \
 && install -d -m 700 /run/eccmgr-guardian
COPY --from=build /opt/eccmgr /opt/eccmgr
COPY ops/etc /usr/share/eccmgr
ENV PATH=/opt/eccmgr/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
STOPSIGNAL SIGTERM
# Whichever daemon runs in the container, and wherever it listens.
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s CMD ["eccmgr_ctl", "health"]
CMD ["eccmgr"]
# Last, since a new revision makes only this layer anew.
ARG REVISION=unknown
ARG VERSION=0.2.0
LABEL org.opencontainers.image.title="eccmgr" \
      org.opencontainers.image.description="A cluster manager on Redis" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://eccmgr.example" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
