# Managers, nodes and the console in one image: `docker run … eccmgr`, `… ecnode`, `… ec_console`.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.txt ./
RUN python -m venv /opt/eccmgr && /opt/eccmgr/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY eccmgr eccmgr
COPY worker worker
COPY cli cli
ARG REVISION=unknown
RUN echo "$REVISION" > eccmgr/_revision \
 && /opt/eccmgr/bin/pip install --no-cache-dir --no-deps . \
 && /opt/eccmgr/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN useradd --system --create-home eccmgr \
 && install -d -o eccmgr -g eccmgr /var/log/eccmgr /var/lib/eccmgr /run/eccmgr
COPY --from=build /opt/eccmgr /opt/eccmgr
ENV PATH=/opt/eccmgr/bin:$PATH
USER eccmgr
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s CMD ["ec_console", "--timeout", "5", "version"]
CMD ["eccmgr"]
