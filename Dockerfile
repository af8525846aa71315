# Managers, nodes and the console in one image: `docker run … eccmgr`, `docker run … eccmgr ecnode`, and in the container
# of either `docker exec -it NAME ec_console`. See docs/operations.md.
FROM python:3.11-slim AS build
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

FROM python:3.11-slim
# For the guardian's fence, on nodes that carry floating addresses.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libnftables1 \
 && rm -rf /var/lib/apt/lists/*
# The guardian's folder is root's: such a node starts as root, and its configuration names the user that it becomes.
RUN useradd --system --create-home eccmgr \
 && install -d -o eccmgr -g eccmgr /var/log/eccmgr /var/lib/eccmgr /run/eccmgr \
 && install -d -o eccmgr -g eccmgr /var/lib/eccmgr/manager /var/lib/eccmgr/node \
 && install -d -m 700 /run/eccmgr-guardian
COPY --from=build /opt/eccmgr /opt/eccmgr
COPY ops/etc /usr/share/eccmgr
ENV PATH=/opt/eccmgr/bin:$PATH
USER eccmgr
STOPSIGNAL SIGTERM
# Whichever daemon runs in the container, and wherever it listens.
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s CMD ["eccmgr_ctl", "health"]
CMD ["eccmgr"]
